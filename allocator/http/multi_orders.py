"""Orders of several lines: all of it or nothing, whichever pools the lines are of.

Lines of one pool are one. What comes down to a single line is an order of its pool, as if it had
been asked for like that; any other is led by a process, which decides when every pool has answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from allocator.actors.messages import Answer
from allocator.domain.catalogue import PoolRef
from allocator.domain.messages import QUANTITY_MAX, InsufficientStock, PlaceOrder
from allocator.domain.occurrences import PROCESS_SEQ
from allocator.domain.orders import Line, OrderAccepted, OrderDeclined, RequestOrder, Shortage
from allocator.domain.orders import Order as OrderState
from allocator.domain.queries import LinesQuery
from allocator.domain.rows import LinesRow
from allocator.http.context import Context, success
from allocator.http.order_shapes import PostLine, PostLines
from allocator.http.patience import seen_in_time
from allocator.http.problems import (
    ProblemError,
    invalid,
    lines_short,
    not_found,
    order_not_decided,
)
from allocator.http.shapes import Order
from allocator.http.shaping import order_at_once, order_of_lines, placed_order

ORDER_SCOPE: Final = "order"


class Asked:
    """An order that is on its way.

    Attributes:
        reply: What was asked first, and comes before all that is asked later.
    """

    __slots__ = ("_see", "reply")

    def __init__(
        self, reply: asyncio.Future[Answer], see: Callable[[Answer], Awaitable[Order]]
    ) -> None:
        self.reply = reply
        self._see = see

    async def order(self) -> Order:
        """Return the order that was placed; raises as `MultiOrders.place`."""
        return await self._see(await self.reply)


class MultiOrders:
    """Places orders that name lines.

    Args:
        context: Whom to ask.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known = context.router.known
        self._ids = context.ids

    async def lines_in(self, wanted: Sequence[PostLine]) -> tuple[Line, ...]:
        """Return what is wanted of each pool, ascending by pool: everybody asks them in that order.

        Raises:
            ProblemError: 422, naming what does not exist or cannot be had.
        """
        lines: dict[int, Line] = {}
        for each in wanted:
            pool = self._known.get((each.warehouse, each.product))
            if pool is None:
                pool = await self._context.pool(each.warehouse, each.product)
            lines[pool.actor_id] = _with(lines.get(pool.actor_id), pool, each.quantity)
        return tuple(lines[actor_id] for actor_id in sorted(lines))

    async def place(self, body: PostLines, *, principal: str, key: str | None) -> Order:
        """Have an order placed that names lines.

        Raises:
            ProblemError: 409 with every line of which there is not enough; 503 if nobody knows yet.
        """
        lines = await self.lines_in(body.lines)
        asked = await self.ask(lines, body.customer, principal=principal, key=key)
        return await asked.order()

    async def ask(
        self, lines: tuple[Line, ...], customer: str | None, *, principal: str, key: str | None
    ) -> "Asked":
        """Send an order on its way."""
        if len(lines) > 1:
            request = RequestOrder(lines=lines, customer=customer)
            reply = await self._context.send_beginning(
                request, principal=principal, key=key, scope=ORDER_SCOPE
            )
            return Asked(reply, self._led)
        line = lines[0]
        command = PlaceOrder(quantity=line.quantity, customer=customer, product=line.told)
        reply = self._context.send(
            line.pool, command, principal=principal, key=key, scope=ORDER_SCOPE
        )
        return Asked(reply, partial(self._single, line))

    async def _single(self, line: Line, answer: Answer) -> Order:
        if isinstance(answer, InsufficientStock):
            raise ProblemError(lines_short([_short(line, answer)]))
        pool = PoolRef(line.pool, line.warehouse, line.product, told=line.told)
        return placed_order(self._ids, pool, success(answer))

    async def _led(self, answer: Answer) -> Order:
        outcome = success(answer)
        match outcome.event:
            case OrderAccepted() as event:
                return order_at_once(self._ids, outcome, event)
            case OrderDeclined(shortages=shortages, lines=lines):
                short = [_short(lines[each.line], each) for each in shortages]
                raise ProblemError(lines_short(short))
            case _:  # it was requested, and whoever has to be asked is being asked
                pass
        actor_id = outcome.actor_id
        order = await self.decided(actor_id, PROCESS_SEQ)
        row = LinesRow.of(actor_id, PROCESS_SEQ, order)
        if row is None:
            short = [_short(order.lines[each.line], each) for each in order.shortages]
            raise ProblemError(lines_short(short))
        return order_of_lines(self._ids, _as_placed(row))

    async def decided(self, actor_id: int, seq: int) -> OrderState:
        """Return an order as it stands, once it is accepted or declined.

        Raises:
            ProblemError: 404, there is none; 503, nobody knows yet.
        """
        seen = await seen_in_time(self._context.asker, actor_id, LinesQuery(decided=True))
        if seen is None:
            raise ProblemError(order_not_decided(self._ids.seal(actor_id, seq)))
        if seen.order is None:
            raise ProblemError(not_found("order"))
        return seen.order


def _with(line: Line | None, pool: PoolRef, quantity: int) -> Line:
    """Return a line with so many more units of a pool."""
    if line is not None and line.product != pool.product:
        raise ProblemError(
            invalid(
                f"{pool.warehouse} holds one product at a time: an order cannot have two of it",
                warehouse=pool.warehouse,
            )
        )
    total = quantity if line is None else line.quantity + quantity
    if total > QUANTITY_MAX:
        raise ProblemError(
            invalid(
                f"lines of one product and warehouse may have {QUANTITY_MAX} units together",
                product=pool.product,
                warehouse=pool.warehouse,
            )
        )
    return Line(
        pool=pool.actor_id,
        warehouse=pool.warehouse,
        product=pool.product,
        quantity=total,
        told=pool.told,
    )


def _short(line: Line, shortage: InsufficientStock | Shortage) -> dict[str, str | int]:
    return {
        "product": line.product,
        "warehouse": line.warehouse,
        "requested": shortage.requested,
        "available": shortage.available,
    }


def _as_placed(row: LinesRow) -> LinesRow:
    """Return an order as it was when it was accepted: a repeat is answered like the first."""
    lines = tuple(msgspec.structs.replace(line, dispatched=0) for line in row.lines)
    return msgspec.structs.replace(row, status="new", lines=lines)
