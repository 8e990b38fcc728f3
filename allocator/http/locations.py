"""Locations: places inside a warehouse, and what is there."""

from collections.abc import Sequence
from typing import Final

import msgspec
from aiohttp import web

from allocator.domain.catalogue import Location, Warehouse, is_code
from allocator.domain.queries import BalanceQuery
from allocator.domain.rows import BalanceRow
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body
from allocator.http.doors import principal_of
from allocator.http.paging import limit_of, listing, name_cursor, query
from allocator.http.place_shapes import LocationLevels, PutLocation
from allocator.http.problems import ProblemError, bad_code, conflict, invalid, not_found
from allocator.http.shapes import Listing, StockBalance
from allocator.http.shaping import balance_of, balance_shape

_decoder: Final = msgspec.json.Decoder(PutLocation)

LEVELS_MAX: Final = 100
"""Of each location of a list; the others are found with the location itself."""


class LocationHandlers:
    """The routes under /locations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalogue = context.catalogue

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.get("/locations", self.list, allow_head=False),
            web.put("/locations/{code}", self.put),
            web.get("/locations/{code}", self.get, allow_head=False),
        ]

    async def put(self, request: web.Request) -> JsonAnswer:
        """Create a location, or rename it; 409 if it is anything else than what is asked for."""
        code = request.match_info["code"]
        if not is_code(code):
            raise ProblemError(bad_code("code"))
        body = await decode_body(request, _decoder)
        wanted = Location(
            code=code,
            name=code if body.name is None else body.name,
            warehouse=body.warehouse,
            single_product=body.single_product,
        )
        await self._require_warehouse(body.warehouse)
        stored, created = await self._catalogue.put_location(
            wanted, principal=principal_of(request)
        )
        if stored != wanted:
            raise ProblemError(conflict(_difference(stored, wanted)))
        return json_answer(wanted, status=201 if created else 200)

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return a location with its levels; never stale if it holds one product at a time."""
        found = query(request, "limit", "cursor")
        limit, after = limit_of(found, default=LEVELS_MAX), name_cursor(found)
        code = request.match_info["code"]
        location = await self._catalogue.location(code) if is_code(code) else None
        if location is None:
            raise ProblemError(not_found("location"))
        if location.single_product:
            there = [] if after else await self._what_is_there(code)
            return json_answer(_shape(location, Listing(items=there, next_cursor=None)))
        levels = await self._context.readings.levels([code], limit=limit, after=after)
        return json_answer(_shape(location, _levels_of(levels[code], limit=limit)))

    async def _require_warehouse(self, code: str) -> None:
        if await self._catalogue.warehouse(code) is not None:
            return
        outer = await self._catalogue.location(code)
        if outer is None:
            raise ProblemError(invalid("no such warehouse", warehouse=code))
        raise ProblemError(
            invalid(
                "locations are in warehouses, not in each other: "
                f"{code} is a location of {outer.warehouse}",
                warehouse=code,
            )
        )

    async def _what_is_there(self, code: str) -> list[StockBalance]:
        """Return the level of the product that a location holds or expects; nothing if none."""
        pool = await self._context.router.sole(code)
        if pool is None:
            return []
        seen = await self._context.asker.look(pool.actor_id, BalanceQuery())
        if seen.balance is None or seen.product is None:
            return []
        return [balance_shape(code, seen.product, seen.balance)]

    async def list(self, request: web.Request) -> JsonAnswer:
        """List locations by code, with their levels of the read model."""
        found = query(request, "warehouse", "limit", "cursor")
        limit = limit_of(found)
        locations = await self._catalogue.locations(
            warehouse=found.get("warehouse"), after=name_cursor(found), limit=limit
        )
        codes = [location.code for location in locations]
        levels = await self._context.readings.levels(codes, limit=LEVELS_MAX)
        return json_answer(
            listing(
                locations,
                limit=limit,
                shape=lambda one: _shape(one, _levels_of(levels[one.code], limit=LEVELS_MAX)),
                position=lambda one: one.code,
            )
        )


def _difference(stored: Warehouse | Location, wanted: Location) -> str:
    """Say what there is instead of what was wanted."""
    if isinstance(stored, Warehouse):
        return f"{stored.code} is a warehouse"
    if stored.warehouse != wanted.warehouse:
        return f"{stored.code} is a location of {stored.warehouse}, and stays there"
    held = "one product at a time" if stored.single_product else "any number of products"
    return f"{stored.code} is a location that holds {held}, for good"


def _shape(location: Location, levels: Listing[StockBalance]) -> LocationLevels:
    return LocationLevels(
        code=location.code,
        name=location.name,
        warehouse=location.warehouse,
        single_product=location.single_product,
        levels=levels.items,
        next_cursor=levels.next_cursor,
    )


def _levels_of(rows: Sequence[BalanceRow], *, limit: int) -> Listing[StockBalance]:
    return listing(rows, limit=limit, shape=balance_of, position=lambda row: row.product)
