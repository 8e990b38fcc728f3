"""What a warehouse system tells by itself: events of single batches, and snapshots in parts."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from allocator.domain.fed import Code
from allocator.errors import UnavailableError

EVENTS_MAX: Final = 1_000
"""In one request; items of a part of a snapshot, too."""

PARTS_MAX: Final = 1_000
"""Of one snapshot."""

WAITING_MAX: Final = 100_000
"""Batches of one feed of which events wait to be worked off."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What can be ordered of a batch, since something happened to it.

    Attributes:
        as_of: Of what is told of a batch, only what has the largest one counts.
        applied_through: Every push up to this number is in the figure, and none after it.
        wished_ms: When it was told of units that may have arrived: a poll after that says more.
            None if it was not.
    """

    actor_id: int
    code: Code
    as_of: int
    applied_through: int
    orderable: int
    expires_at_ms: int | None = None
    received_at_ms: int | None = None
    wished_ms: int | None = None


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what was told, counted in batches.

    Attributes:
        duplicates: As of the very moment as of which something was told before.
        older: As of a moment before that.
        unknown: Skus of which there is no product; nothing is kept of them.
    """

    taken: int = 0
    duplicates: int = 0
    older: int = 0
    unknown: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A pushed snapshot, as far as it is there.

    Attributes:
        there: The parts that have come, ascending.
    """

    as_of: int
    applied_through: int
    parts: int
    there: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all parts are there."""
        return len(self.there) == self.parts


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What a WMS had applied of our decreases of a pool's batches, since that was attached.

    Attributes:
        turn: The row that attached or detached the pool of which the WMS was told; 0 for none.
    """

    turn: int
    units: Mapping[Code, int]


class FullError(UnavailableError):
    """So much is waiting to be worked off that nothing more is taken."""

    def __init__(self) -> None:
        super().__init__(reason=f"{WAITING_MAX} batches wait for their events to be worked off")


class Told(Protocol):
    """Where it is kept, durably. Every method raises `JournalError`."""

    async def take_events(self, feed: int, events: Sequence[Event]) -> Taken:
        """Keep events that are news; no batch twice.

        Raises:
            FullError: Too many are waiting.
        """
        ...

    async def waiting(self, feed: int, *, besides: Sequence[int], limit: int) -> Sequence[Event]:
        """Return events that wait, the oldest first, but none of the pools `besides`."""
        ...

    async def worked_off(self, feed: int, events: Sequence[Event]) -> None:
        """Note that events wait no longer, unless newer ones have taken their places."""
        ...

    async def wished_ms(self, feed: int) -> int:
        """Return when it was last told of units that may have arrived; 0 for never of late."""
        ...

    async def newer(
        self, feed: int, *, as_of: int, actor_ids: Sequence[int]
    ) -> Mapping[int, Sequence[Event]]:
        """Return the events of pools that are newer than a run."""
        ...

    async def applied(
        self, feed: int, *, actor_ids: Sequence[int], through: int
    ) -> Mapping[int, Applied]:
        """Return what was applied with a push; nothing once more is known to be applied."""
        ...

    async def forget(self, feed: int, *, as_of: int) -> None:
        """Forget what is no newer than a complete run."""
        ...

    async def take_part(
        self, feed: int, snapshot: Snapshot, *, part: int, items: bytes
    ) -> tuple[bool, Snapshot | None]:
        """Keep a part of a snapshot, and forget older ones.

        Returns:
            Whether it is news, and what there is of the newest snapshot.
        """
        ...

    async def snapshot(self, feed: int) -> Snapshot | None:
        """Return what there is of the newest snapshot."""
        ...

    async def part(self, feed: int, *, as_of: int, part: int) -> bytes | None:
        """Return the items of a part, as they were taken; None if it was forgotten."""
        ...

    async def forget_snapshots(self, feed: int, *, as_of: int) -> None:
        """Forget snapshots that are no newer than this."""
        ...
