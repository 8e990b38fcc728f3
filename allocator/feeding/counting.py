"""What becomes of the requests to a warehouse system, for charts."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from allocator.wms.interface import InventoryPage, Push, Wms, WmsError, WmsLimitedError


class CountedWms:
    """A warehouse system whose answers are counted.

    Args:
        wms: Who is asked.
        count: Told of each request what became of it: `answered`, `limited` or `failed`.
    """

    def __init__(self, wms: Wms, *, count: Callable[[str], None]) -> None:
        self._wms = wms
        self._count = count

    async def page(self, cursor: str | None) -> InventoryPage:
        """Return a page of what there is; see `Wms`."""
        async with self._one():
            return await self._wms.page(cursor)

    async def push(self, pushes: Sequence[Push]) -> int:
        """Tell of pushes; see `Wms`."""
        async with self._one():
            return await self._wms.push(pushes)

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[None]:
        try:
            yield
        except WmsLimitedError:
            self._count("limited")
            raise
        except WmsError:
            self._count("failed")
            raise
        else:
            self._count("answered")
