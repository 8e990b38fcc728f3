"""Orders: place, dispatch, cancel, look up, list."""

from typing import Final, get_args

import msgspec
from aiohttp import web

from allocator.actors.messages import Outcome
from allocator.domain.catalogue import PoolRef
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    PlaceOrder,
)
from allocator.domain.queries import OpenOrderQuery
from allocator.domain.rows import OrderFilter, OrderRow, OrderStatus
from allocator.http.answers import JsonAnswer, json_answer
from allocator.http.context import Context, decode_body, key_of
from allocator.http.doors import principal_of
from allocator.http.moments import time_in
from allocator.http.paging import listing, no_query, page_of, query
from allocator.http.problems import ProblemError, invalid, not_found
from allocator.http.shapes import Order, PostOrder
from allocator.http.shaping import order_of, order_shape

_decoder: Final = msgspec.json.Decoder(PostOrder)
ORDER_SCOPE: Final = "order"
_STATUSES: Final = get_args(OrderStatus)


class OrderHandlers:
    """The routes under /orders, but for batches."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = context.router.known
        self._ids = context.ids

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
        """Place an order of one line; 409 if there is not enough."""
        body = await decode_body(request, _decoder)
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
        order = placed_order(self._context, pool, outcome)
        return json_answer(order, status=201, headers={"Location": f"/orders/{order.id}"})

    async def get(self, request: web.Request) -> JsonAnswer:
        """Return an order as it stands, never stale, or as it stood."""
        found = query(request, "at") if request.rel_url.raw_query_string else {}
        at_ms = time_in(found, now_ms=self._context.clock()) if found else None
        pool, seq = await self._context.address(request.match_info["id"], what="order")
        return json_answer(order_of(self._ids, await self._row(pool, seq, at_ms=at_ms)))

    async def list(self, request: web.Request) -> JsonAnswer:
        """List orders of the read model, oldest first within a product and warehouse."""
        found = query(request, "status", "product", "warehouse", "customer", "limit", "cursor")
        page = page_of(found)
        rows = await self._context.readings.orders(_filter_of(found), page)
        return json_answer(
            listing(
                rows,
                limit=page.limit,
                shape=lambda row: order_of(self._ids, row),
                position=lambda row: (row.actor_id, row.seq),
            )
        )

    async def dispatch(self, request: web.Request) -> JsonAnswer:
        """Let an order leave; 409 unless it is new."""
        return await self._close(request, DispatchOrder, scope="dispatch")

    async def cancel(self, request: web.Request) -> JsonAnswer:
        """Give an order's units back; 409 unless it is new."""
        return await self._close(request, CancelOrder, scope="cancel")

    async def _close(
        self, request: web.Request, closing: type[DispatchOrder | CancelOrder], *, scope: str
    ) -> JsonAnswer:
        no_query(request)
        if request.body_exists and await request.read() not in {b"", b"{}"}:
            raise ProblemError(invalid("this request takes no body"))
        pool, seq = await self._context.address(request.match_info["id"], what="order")
        row = await self._context.readings.placed(pool, seq)
        if row is None:
            raise ProblemError(not_found("order"))
        outcome = await self._context.ask(
            pool.actor_id,
            closing(order=seq),
            principal=principal_of(request),
            key=key_of(request),
            scope=scope,
        )
        return json_answer(closed_order(self._context, row, outcome))

    async def _row(self, pool: PoolRef, seq: int, *, at_ms: int | None) -> OrderRow:
        """Return an order as it stands, or as it stood at a time."""
        seen = await self._context.asker.look(pool.actor_id, OpenOrderQuery(seq))
        readings = self._context.readings
        row = await readings.placed(pool, seq)
        if row is None:
            raise ProblemError(not_found("order"))
        if at_ms is not None and at_ms < row.created_at_ms:
            raise ProblemError(not_found("order at that time: it was placed later"))
        if seen.picks is not None:
            return msgspec.structs.replace(row, picks=seen.picks)
        end = await readings.closing(pool, seq)
        if at_ms is not None and at_ms < end.at_ms:
            return row
        return msgspec.structs.replace(row, status=end.status)


def placed_order(context: Context, pool: PoolRef, outcome: Outcome) -> Order:
    """Show the order that an event placed."""
    event = outcome.event
    assert isinstance(event, OrderPlaced)
    return order_shape(
        context.ids,
        pool,
        seq=outcome.seq,
        status="new",
        created_at_ms=outcome.at_ms,
        quantity=event.quantity,
        picks=event.picks,
        customer=event.customer,
    )


def closed_order(context: Context, placed: OrderRow, outcome: Outcome) -> Order:
    """Show the order that an event closed."""
    event = outcome.event
    assert isinstance(event, OrderDispatched | OrderCancelled)
    status: OrderStatus = "dispatched" if isinstance(event, OrderDispatched) else "cancelled"
    closed = msgspec.structs.replace(placed, status=status, picks=event.picks)
    return order_of(context.ids, closed)


def _filter_of(found: dict[str, str]) -> OrderFilter:
    status = found.get("status")
    if status is not None and status not in _STATUSES:
        raise ProblemError(invalid(f"status must be one of {', '.join(_STATUSES)}"))
    return msgspec.convert(
        {name: found[name] for name in OrderFilter.__struct_fields__ if name in found},
        OrderFilter,
    )
