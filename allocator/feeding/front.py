"""What handlers and charts need to know of feeds, and how one comes into being."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from allocator.domain.positions import Position
from allocator.feeding.feeding import Feeding
from allocator.feeding.ports import Standing


class Beginnings(Protocol):
    """Where feeds come into being."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Say whether nobody else in any worker is in this context, or it is left at once."""
        ...

    async def begin(self, warehouse: str, *, position: Position) -> int:
        """Have a warehouse's feed be known and on; return its actor."""
        ...

    async def find(self, warehouse: str) -> Standing | None:
        """Return how far a feed is, or None if there never was one."""
        ...

    async def all(self, *, after: str, limit: int) -> list[Standing]:
        """Return feeds of warehouses that sort after a code."""
        ...


class Front:
    """The feeds of a server, as its handlers see them.

    Args:
        now: Returns the position up to which everything in the journal is settled.
        anywhere: Whether warehouse systems may be in private networks, and asked by http.

    Attributes:
        anywhere: Likewise.
    """

    def __init__(
        self,
        feeding: Feeding,
        beginnings: Beginnings,
        *,
        now: Callable[[], Awaitable[Position]],
        anywhere: bool,
    ) -> None:
        self.anywhere = anywhere
        self._feeding = feeding
        self._beginnings = beginnings
        self._now = now

    def is_fed(self, warehouse: str) -> bool:
        """Whether a warehouse is fed, as of half a second ago."""
        return warehouse in self._feeding.standings

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Say whether nobody else in any worker is in this context."""
        return self._beginnings.alone()

    async def begin(self, warehouse: str) -> int:
        """Have a warehouse's feed be known and on; return its actor."""
        return await self._beginnings.begin(warehouse, position=await self._now())

    def knock(self, actor_id: int) -> None:
        """Have a feed look for what it is asked, if it is of this worker."""
        self._feeding.knock(actor_id)

    async def find(self, warehouse: str) -> Standing | None:
        """Return how far a feed is, or None if there never was one."""
        return await self._beginnings.find(warehouse)

    async def all(self, *, after: str, limit: int) -> list[Standing]:
        """Return feeds of warehouses that sort after a code."""
        return await self._beginnings.all(after=after, limit=limit)
