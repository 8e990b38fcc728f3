"""What the actors need from outside. `persistence` satisfies it; a simulator may, too."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Protocol, TypeAlias

from allocator.domain.records import (
    SEQ_END,
    Batch,
    KeyName,
    Origin,
    Record,
    StoredSnapshot,
    WakeUp,
)
from allocator.domain.shares import Survey

Clock: TypeAlias = Callable[[], int]
"""Returns milliseconds of Unix time."""


class Journal(Protocol):
    """The append-only truth, written under one incarnation at a time.

    Every method raises `JournalError` when the database does not answer as it should.
    """

    async def append(self, batch: Batch, names: Sequence[KeyName] = ()) -> Sequence[Record]:
        """Store all rows or none; at most one append or confirm is in flight.

        Returns:
            The rows that were stored under these idempotency keys before, in any order.

        Raises:
            JournalError: The outcome is unknown. Call `renew` before anything else.
        """

    async def confirm(self, names: Sequence[KeyName] = ()) -> Sequence[Record]:
        """Prove that this incarnation may still write.

        Returns:
            The rows stored under these idempotency keys, in any order.

        Raises:
            JournalError: It may not, or it cannot be known. Call `renew`.
        """

    async def find_keys(self, names: Sequence[KeyName]) -> Sequence[Record]:
        """Return the rows stored under these idempotency keys, in any order.

        It proves nothing, and so costs less than `confirm`; like it, it takes its turn.
        """

    async def renew(self, keep: frozenset[int] | None = None) -> frozenset[int]:
        """Fence the present incarnation, if any, and go on under a new one.

        Returns when no append of the old one can appear any more. After a failure the next
        renewal says which shards moved along, whatever became of this one.

        Args:
            keep: Only these shards move along, the others are free; None: all.

        Returns:
            The shards that moved along: none that another worker has taken.
        """

    async def claim(self, *, dead: Sequence[str] = ()) -> frozenset[int]:
        """Fence incarnations that are dead, and take free shards up to a fair share of them.

        The share is that of one of the living workers of our server. Nothing is taken while a
        living worker of another server owns a shard.

        Args:
            dead: Incarnations whose process is known to have ended; those without a heartbeat
                count as dead unnamed.

        Returns:
            All shards of the present incarnation; none if it has been fenced.
        """

    async def survey(self) -> Survey:
        """Return who serves what: one cheap read, out of date as soon as it is there."""

    async def beat(self) -> bool:
        """Say that this incarnation lives; return whether it is unfenced."""

    async def resign(self) -> None:
        """Fence the present incarnation for good; its shards are free at once."""

    async def numbers(self, count: int) -> Sequence[int]:
        """Return numbers that no actor has and nobody else is given."""

    async def origin(self, actor_id: int, *, below: int = SEQ_END) -> Origin:
        """Return where the recovery of an actor starts: the newest place below a seq."""

    def records(self, actor_id: int, *, after_seq: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the actor's rows above `after_seq`, ascending, in chunks."""

    async def save_snapshot(self, actor_id: int, snapshot: StoredSnapshot) -> None:
        """Keep a snapshot of durable state; the newest few are retained."""

    async def due_wakes(
        self, *, now_ms: int, limit: int, shards: Collection[int], after: WakeUp | None = None
    ) -> Sequence[WakeUp]:
        """Return the actors of some shards whose wake-up time has come, ascending.

        Args:
            now_ms: Who is due by then.
            limit: How many at most.
            shards: Whose actors.
            after: The one behind which to go on.
        """
