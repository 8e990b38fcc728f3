"""What feeds need from outside; `persistence` satisfies it, and a simulator may, too."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from allocator.domain.positions import Position
from allocator.domain.pushes import Account
from allocator.domain.reconciling import Statement
from allocator.domain.records import Record
from allocator.wms.interface import Push

Numbers: TypeAlias = Literal["new", "ours", "lost"]
"""Whose numbers pushes have: the WMS has still to say which ones it knows; it knows ours; or it
knows others, which were given elsewhere, or before this database was set back."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a feed has come.

    Attributes:
        actor_id: Of the feed.
        position: Everything in the journal up to here is turned into pushes.
        numbered: The last push that there is.
        acknowledged: The WMS has everything up to this number.
        applied: It has taken everything up to this number into its figures.
        waiting_since_ms: When the oldest push was numbered that is not acknowledged.
        shortfall: Promised units that were missing when it was last looked.
        is_told: Whether anything that was told or asked from outside is yet to be worked off.
        events: How many events are among that; counting stops at 10,000.
        events_since_ms: When the one was taken that is next to be worked off.
        kept_by: What keeps it from ending, if it was deleted and something does.
    """

    actor_id: int
    warehouse: str
    position: Position
    numbered: int
    acknowledged: int
    applied: int
    is_on: bool
    numbers: Numbers = "ours"
    waiting_since_ms: int | None = None
    shortfall: int = 0
    is_told: bool = False
    events: int = 0
    events_since_ms: int | None = None
    kept_by: str | None = None


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Pushes that are to be numbered, in order: (actor, sku, lines as JSON)."""

    pushes: Sequence[tuple[int, str, str]]
    accounts: Sequence[Account]


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a WMS says of a batch of a pool."""

    actor_id: int
    code: str | None
    orderable: int
    expires_at_ms: int | None
    received_at_ms: int | None


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says of a pool.

    Attributes:
        turn: The row that attached or detached the pool of which we know; 0 for none.
        is_attached: Whether it has attached it.
        lots: Of all batches that were named, or of which the WMS was told.
        figures: What is compared, by batch, as JSON.
        changed: The last row of which we know that may have changed the like in the pool.
        was_settled: Whether it is noted what the pool has followed.
        settled_seq: If so, up to which row that takes everything into account.
        is_settled: Whether that is this, so that it need not be asked.
    """

    actor_id: int
    turn: int
    lots: Sequence[Statement]
    is_attached: bool = False
    figures: str = "{}"
    changed: int = 0
    was_settled: bool = False
    settled_seq: int = 0
    is_settled: bool = False


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool has followed.

    Attributes:
        figures: As it was stated.
        seq: Rows up to here, as far as they are known, change nothing about that.
    """

    actor_id: int
    figures: str
    seq: int


class Settling(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has asked pools: nothing that is older may be said to them any more.

    Attributes:
        run: Its number.
        as_of: When that was so, by the WMS's own count.
        applied_through: The last of our pushes that is in its figures.
    """

    run: int
    as_of: int
    applied_through: int


class Store(Protocol):
    """What is kept of feeds, durably. Every method raises `JournalError`."""

    async def feeds(self) -> Sequence[Standing]:
        """Return all that there ever were."""
        ...

    async def adopt(self, position: Position) -> None:
        """Have feeds be known whose journals came from another database; their numbers are lost.

        Args:
            position: From which on they are followed, should they be put again.
        """
        ...

    async def agree(self, feed: int, through: int) -> None:
        """Go on with the numbers of a feed that begins, or above those that its WMS knows.

        They are ours if it has all that was acknowledged, and nothing that was never numbered.
        """
        ...

    async def lose(self, feed: int) -> None:
        """Forget what a WMS was told, as it knows of other pushes than we do."""
        ...

    async def put_turns(self, feed: int, turns: Mapping[int, int]) -> None:
        """Know the rows that detached pools of which nothing else is known."""
        ...

    async def accounts(
        self, feed: int, *, warehouse: str, actor_ids: Sequence[int]
    ) -> Mapping[int, tuple[str, Account | None]]:
        """Return the products of pools, and what the WMS was told of them; of others nothing."""
        ...

    async def make_pushes(
        self, feed: int, made: Made, *, before: Position, after: Position, at_ms: int
    ) -> bool:
        """Number pushes and advance the position, both or neither; False if somebody else has."""
        ...

    async def pending(self, feed: int, *, after: int, limit: int) -> Sequence[Push]:
        """Return the first pushes above a number, in order."""
        ...

    async def newest(self, feed: int) -> int:
        """Return the highest number there is."""
        ...

    async def acknowledge(self, feed: int, through: int) -> None:
        """Have it durable that everything up to a number has come."""
        ...

    async def fold(self, feed: int, through: int) -> int:
        """Know that the WMS has applied all up to a number; return up to which it ever had."""
        ...

    async def stage(self, feed: int, *, run: int, heard: Sequence[Heard]) -> None:
        """Keep what a page says, which names no batch twice."""
        ...

    async def named(self, feed: int, *, run: int) -> int:
        """Return how many batches the pages of a run have named that were kept."""
        ...

    async def statements(
        self, feed: int, *, run: int, through: int, after: int, limit: int
    ) -> Sequence[Stated]:
        """Look at the next pools, and return what a complete run says of some of them, in order.

        Those that are settled are left out, but not the last one; nothing is returned at the end.
        """
        ...

    async def begin_settling(self, feed: int, run: Settling) -> None:
        """Note that a run asks pools; what an older one has settled is not noted any more."""
        ...

    async def settling(self, feed: int) -> Settling | None:
        """Return the last run that has asked pools anything since the feed was put, if one has."""
        ...

    async def unsettle(self, feed: int, actor_ids: Sequence[int]) -> None:
        """Note that nobody knows what pools have followed."""
        ...

    async def settle(self, feed: int, *, run: int, settled: Sequence[Settled]) -> None:
        """Note what pools have followed, unless a newer run asks them."""
        ...

    async def pools(self, warehouse: str, *, after: int, limit: int) -> Sequence[int]:
        """Return pools of a warehouse, in order."""
        ...

    async def note_short(self, feed: int, short: Mapping[int, int]) -> None:
        """Note how many promised units are missing of some pools."""
        ...

    async def short(self, feed: int) -> Sequence[int]:
        """Return the pools of which units were missing when it was last looked."""
        ...

    async def keep(self, feed: int, why: str | None) -> None:
        """Note why a feed that was deleted does not end; None if it is not known to be kept."""
        ...

    async def close(self, feed: int) -> None:
        """Have the WMS be asked which numbers it knows, should the feed be put again.

        Nothing is missing of it any more, and nothing keeps it.
        """
        ...

    async def end(self, feed: int) -> None:
        """Have a feed that has ended be off, unless it was put again."""
        ...

    async def is_let_go(self, feed: int) -> bool:
        """Say whether it is in the pushes of every pool that it is detached."""
        ...


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the settled journal.

    Attributes:
        records: Those of one warehouse.
        reached: Up to where it reaches.
        is_last: Whether nothing was behind it.
    """

    records: Sequence[Record]
    reached: Position
    is_last: bool


class Rows(Protocol):
    """The settled journal, of one warehouse."""

    async def next(self, after: Position, *, warehouse: str) -> Stretch | None:
        """Return the next rows, some hundreds at most; None if there are none yet."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...
