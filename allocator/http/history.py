"""The journal of a product at a warehouse, or of a location: everything that ever happened."""

from typing import Final

from aiohttp import web

from allocator.domain.catalogue import PoolRef, is_code
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context
from allocator.http.paging import limit_of, number, query
from allocator.http.problems import ProblemError, invalid
from allocator.http.shapes import JournalPage
from allocator.http.shaping import event_of

SEQ_MAX: Final = (1 << 36) - 1


class HistoryHandlers:
    """The route /journal."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [web.get("/journal", self.list, allow_head=False)]

    async def list(self, request: web.Request) -> JsonAnswer:
        """Return events above `after`, ascending; committed ones only."""
        found = query(request, "product", "warehouse", "after", "limit")
        if "warehouse" not in found:
            raise ProblemError(_WHOSE)
        limit = limit_of(found)
        after = number(found, "after", default=0, low=0, high=SEQ_MAX)
        pool = await self._pool(found["warehouse"], found.get("product"))
        if pool is None:
            return json_answer(JournalPage(items=[], next_after=None))
        floor = await self._context.readings.floor(pool)
        records = await self._context.readings.events(pool, after=max(after, floor), limit=limit)
        items = [event_of(record) for record in records]
        following = items[-1].seq if len(items) == limit else None
        return json_answer(JournalPage(items=items, next_after=following, pruned_up_to=floor))

    async def _pool(self, place: str, product: str | None) -> PoolRef | None:
        """Return whose journal is wanted, or None if nothing can have happened yet."""
        router = self._context.router
        if product is not None:
            return await router.find(place, product)
        pool = await router.sole(place)
        if pool is None and is_code(place):
            await self._require_no_product(place)
        return pool

    async def _require_no_product(self, place: str) -> None:
        """Refuse to say nothing about a place that has a journal for each of its products."""
        catalogue = self._context.catalogue
        location = await catalogue.location(place)
        if location is None and await catalogue.warehouse(place) is None:
            return
        if location is None or not location.single_product:
            raise ProblemError(_WHOSE)


_WHOSE: Final = invalid(
    "product and warehouse say whose journal is wanted; a location that holds one product at a "
    "time has one journal, which needs no product"
)
