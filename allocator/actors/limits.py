"""What bounds a worker."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a worker.

    Attributes:
        mailbox_max: Unanswered messages of one actor; more are refused.
        worker_max: Unanswered messages of all actors.
        batch_max: Rows of one append.
        actors_max: Actors in memory, above which the longest unused are passivated.
        idle_ms: An actor that got no message for so long is passivated.
        snapshot_events: An actor that leaves memory after so many new ones leaves a snapshot.
        heartbeat_ms: How often a worker says that it lives, and looks for free shards.
    """

    mailbox_max: int = 4096
    worker_max: int = 65_536
    batch_max: int = 1024
    actors_max: int = 200_000
    idle_ms: int = 600_000
    snapshot_events: int = 100
    heartbeat_ms: int = 500
