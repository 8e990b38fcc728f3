"""Orders: place, dispatch, cancel, look up, list."""

from typing import Final, get_args

import msgspec
from aiohttp import web

from allocator.domain.messages import PlaceOrder
from allocator.domain.rows import LinesRow, OrderFilter, OrderRow, OrderStatus
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, json_body, key_of
from allocator.http.doors import principal_of
from allocator.http.moments import time_in
from allocator.http.multi_orders import ORDER_SCOPE, MultiOrders
from allocator.http.order_bodies import order_in, parts_in
from allocator.http.order_ends import OrderEnds
from allocator.http.order_lookup import OrderLookup
from allocator.http.order_shapes import PostLines
from allocator.http.paging import listing, no_query, page_of, query
from allocator.http.problems import ProblemError, invalid
from allocator.http.shapes import Order, PostOrder
from allocator.http.shaping import order_of, order_of_lines, placed_order

_decoder: Final = msgspec.json.Decoder(PostOrder)
_lines_decoder: Final = msgspec.json.Decoder(PostLines)
_STATUSES: Final = get_args(OrderStatus)


class OrderHandlers:
    """The routes under /orders, but for batches."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = context.router.known
        self._ids = context.ids
        self._multi = MultiOrders(context)
        self._lookup = OrderLookup(context, self._multi)
        self._ends = OrderEnds(context, self._lookup)

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [
            web.post("/orders", self.post),
            web.get("/orders", self.list, allow_head=False),
            web.get("/orders/{id}", self.get, allow_head=False),
            web.post("/orders/{id}/dispatch", self.dispatch),
            web.post("/orders/{id}/cancel", self.cancel),
        ]

    async def post(self, request: web.Request) -> JsonAnswer:
        """Place an order, all of it or nothing; 409 if there is not enough."""
        body = order_in(await json_body(request), _decoder, _lines_decoder)
        if not isinstance(body, PostOrder):  # the cheap way round
            principal, key = principal_of(request), key_of(request)
            return _created(await self._multi.place(body, principal=principal, key=key))
        pool = self._known.get((body.warehouse, body.product))
        if pool is None:
            pool = await self._context.pool(body.warehouse, body.product)
        command = PlaceOrder(quantity=body.quantity, customer=body.customer, product=pool.told)
        outcome = await self._context.ask(
            pool.actor_id,
            command,
            principal=principal_of(request),
            key=key_of(request),
            scope=ORDER_SCOPE,
        )
        return _created(placed_order(self._ids, pool, outcome))

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return an order as it stands, never stale, or as it stood."""
        found = query(request, "at") if request.rel_url.raw_query_string else {}
        at_ms = time_in(found, now_ms=self._context.clock()) if found else None
        address = await self._lookup.address(request.match_info["id"])
        if address.pool is None:
            return json_answer(self._shape(await self._lookup.lines(address, at_ms=at_ms)))
        row = await self._lookup.row(address.pool, address.seq, at_ms=at_ms)
        return json_answer(order_of(self._ids, row))

    async def list(self, request: web.Request) -> JsonAnswer:
        """List orders of the read model, oldest first within a product and warehouse."""
        found = query(request, "status", "product", "warehouse", "customer", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.readings.orders(_filter_of(found), page)
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=self._shape,
                position=lambda row: (row.actor_id, row.seq),
            )
        )

    async def dispatch(self, request: web.Request) -> JsonAnswer:
        """Let an order leave, or parts of it; 409 if there is not so much left of it."""
        return json_answer(await self._ends.dispatch(request, await parts_in(request)))

    async def cancel(self, request: web.Request) -> JsonAnswer:
        """Give an order's units back; 409 unless it is new."""
        no_query(request)
        if request.body_exists and await request.read() not in {b"", b"{}"}:
            raise ProblemError(invalid("this request takes no body"))
        return json_answer(await self._ends.cancel(request))

    def _shape(self, row: OrderRow | LinesRow) -> Order:
        if isinstance(row, LinesRow):
            return order_of_lines(self._ids, row)
        return order_of(self._ids, row)


def _created(order: Order) -> JsonAnswer:
    return json_answer(order, status=201, headers={"Location": f"/orders/{order.id}"})


def _filter_of(found: dict[str, str]) -> OrderFilter:
    status = found.get("status")
    if status is not None and status not in _STATUSES:
        raise ProblemError(invalid(f"status must be one of {', '.join(_STATUSES)}"))
    return msgspec.convert(
        {name: found[name] for name in OrderFilter.__struct_fields__ if name in found},
        OrderFilter,
    )
