"""What can happen in a run: clients want something, and something goes wrong."""

from typing import TypeAlias

import msgspec

from allocator.persistence.memory.trouble import End, Operation
from allocator.simulation.wants import Want


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happens.

    Attributes:
        at_ms: When, after the clients begin.
    """

    at_ms: int


class Wish(_Step, frozen=True):
    """Something that a client wants, and does later if it is not done with the one before.

    Attributes:
        client: Does one thing after the other.
        pool: The id of the actor.
        key: Under which it may be repeated; None: it is asked once, whatever comes of it.
        copies: How many times a keyed wish is sent at once, as by a double click.
        attempts: How often its client asks at most, if it may ask again.
    """

    client: int
    pool: int
    want: Want
    key: str | None = None
    copies: int = 1
    attempts: int = 12


class Kill(_Step, frozen=True):
    """Workers die at once, as by `kill -9`; their supervisor starts others."""

    places: tuple[int, ...]


class Pause(_Step, frozen=True):
    """A worker stops for a while, as by SIGSTOP, and does not know it afterwards."""

    place: int
    for_ms: int


class Leave(_Step, frozen=True):
    """A worker is told to end, as by SIGTERM; its supervisor starts another."""

    place: int


class Roll(_Step, frozen=True):
    """All workers are exchanged, one by one, as by SIGHUP."""


class Orphan(_Step, frozen=True):
    """The supervisor dies; its workers serve on, until a new server asks them to leave."""

    for_ms: int


class Cut(_Step, frozen=True):
    """The connections between two workers break."""

    one: int
    other: int


class Part(_Step, frozen=True):
    """Nothing passes between two workers for a while, and nothing breaks."""

    one: int
    other: int
    for_ms: int


class Lag(_Step, frozen=True):
    """Everything between workers takes so long."""

    delay_ms: int
    for_ms: int


class Slow(_Step, frozen=True):
    """The database takes so long for everything, half of it with its locks held."""

    delay_ms: int
    for_ms: int


class Drag(_Step, frozen=True):
    """What one worker writes to the database takes so long on the way there, for a while."""

    place: int
    delay_ms: int
    for_ms: int


class Break(_Step, frozen=True):
    """The next calls of one kind that a worker makes of the database end badly."""

    place: int
    operation: Operation
    end: End
    times: int


class Crash(_Step, frozen=True):
    """The database dies, and runs again after a while."""

    for_ms: int


class Jump(_Step, frozen=True):
    """The clock of a worker jumps."""

    place: int
    by_ms: int


class Foreign(_Step, frozen=True):
    """A worker dies, and who comes in its place speaks no version that the others know."""

    place: int


class Bequeath(_Step, frozen=True):
    """The worker that has the feed says something before lines that fall silent, and dies."""

    for_ms: int


class Arrive(_Step, frozen=True):
    """Units arrive at the warehouse that has a system of its own; they expire after `ttl_ms`."""

    pool: int
    batch: str | None
    quantity: int
    ttl_ms: int | None = None


class Lose(_Step, frozen=True):
    """Units of a batch break there, or cannot be found."""

    pool: int
    batch: str | None
    quantity: int


class Away(_Step, frozen=True):
    """That system is out of reach for a while, and does nothing."""

    for_ms: int


Happening: TypeAlias = Arrive | Lose | Away
"""At the warehouse."""

Trouble: TypeAlias = (
    Kill
    | Pause
    | Leave
    | Roll
    | Orphan
    | Cut
    | Part
    | Lag
    | Slow
    | Drag
    | Break
    | Crash
    | Jump
    | Foreign
    | Bequeath
)
Step: TypeAlias = Wish | Trouble | Happening
