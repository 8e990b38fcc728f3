"""How orders end: dispatched, in parts perhaps, or cancelled."""

from collections.abc import Sequence

import msgspec
from aiohttp import web

from allocator.actors.messages import Outcome
from allocator.domain.adjustments import FlaggedUnits
from allocator.domain.catalogue import PoolRef
from allocator.domain.kinds import Command
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    DispatchPart,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
)
from allocator.domain.orders import CancelLines, DispatchLines, TooMuch
from allocator.domain.queries import LinesQuery
from allocator.domain.rows import LineRow, LinesRow, OrderRow
from allocator.domain.values import units_of
from allocator.http.context import Context, key_of, success
from allocator.http.doors import principal_of
from allocator.http.order_lookup import OrderAddress, OrderLookup, with_left
from allocator.http.order_shapes import DispatchLine
from allocator.http.problems import Problem, ProblemError, invalid, not_found, not_so_much_left
from allocator.http.refusals import problem_for
from allocator.http.shapes import Order
from allocator.http.shaping import order_of, order_of_lines


class OrderEnds:
    """Has orders dispatched and cancelled.

    Args:
        context: Whom to ask.
        lookup: Where to find them.
    """

    def __init__(self, context: Context, lookup: OrderLookup) -> None:
        self._context = context
        self._lookup = lookup

    async def dispatch(self, request: web.Request, parts: Sequence[DispatchLine]) -> Order:
        """Let an order leave, or these parts of it; 409 if there is not so much left of it."""
        address = await self._lookup.address(request.match_info["id"])
        seq = address.seq
        if address.pool is None:
            row = await self._standing(address)
            places = _places_of(row, parts)
            await self._require_unblocked(row, places)
            return await self._end_of_lines(
                request, row, DispatchLines(parts=tuple(places.items())), scope="dispatch"
            )
        placed = await self._lookup.placed(address.pool, seq)
        command: Command = DispatchOrder(order=seq)
        if parts:
            command = DispatchPart(order=seq, quantity=_units_of(placed, parts))
        return await self._end_of_one(request, address.pool, placed, command, scope="dispatch")

    async def cancel(self, request: web.Request) -> Order:
        """Give an order's units back; 409 unless it is new."""
        address = await self._lookup.address(request.match_info["id"])
        if address.pool is None:
            row = await self._standing(address)
            return await self._end_of_lines(request, row, CancelLines(), scope="cancel")
        placed = await self._lookup.placed(address.pool, address.seq)
        command = CancelOrder(order=address.seq, placed=placed.quantity)
        return await self._end_of_one(request, address.pool, placed, command, scope="cancel")

    async def _end_of_one(
        self,
        request: web.Request,
        pool: PoolRef,
        placed: OrderRow,
        command: Command,
        *,
        scope: str,
    ) -> Order:
        answer = await self._context.send(
            pool.actor_id,
            command,
            principal=principal_of(request),
            key=key_of(request),
            scope=scope,
        )
        if isinstance(answer, TooMuch):
            raise ProblemError(_too_much(placed, answer))
        outcome = success(answer)
        row = _after(placed, outcome)
        whole = isinstance(outcome.event, OrderDispatched | OrderCancelled)
        if not whole or units_of(row.picks) != placed.quantity:  # only parts of it are told
            picks = await self._lookup.repicked(pool.actor_id, placed.seq, placed.picks)
            row = msgspec.structs.replace(row, picks=picks)
        return order_of(self._context.ids, row)

    async def _end_of_lines(
        self, request: web.Request, row: LinesRow, command: Command, *, scope: str
    ) -> Order:
        answer = await self._context.send(
            row.actor_id,
            command,
            principal=principal_of(request),
            key=key_of(request),
            scope=scope,
        )
        if isinstance(answer, TooMuch):
            raise ProblemError(_too_much(row.lines[answer.line], answer))
        outcome = success(answer)
        address = OrderAddress(actor_id=row.actor_id, seq=row.seq, pool=None)
        return order_of_lines(self._context.ids, await self._standing(address, version=outcome.seq))

    async def _require_unblocked(self, row: LinesRow, places: dict[int, int]) -> None:
        """Refuse to let recalled units leave; what is recalled after this, nobody refuses."""
        seen = await self._context.asker.look(row.actor_id, LinesQuery())
        if seen.order is None or row.status not in {"new", "partly_dispatched"}:
            return
        for place, view in enumerate(await self._lookup.standings(row, seen.order)):
            if not view.blocked or (places and place not in places):
                continue
            left = units_of(view.picks or ())
            refusal = FlaggedUnits(
                order=0,
                lot=0,
                requested=places.get(place, left),
                available=left - view.blocked,
            )
            if refusal.requested > refusal.available:
                raise ProblemError(problem_for(refusal))

    async def _standing(self, address: OrderAddress, *, version: int | None = None) -> LinesRow:
        """Return an order of several lines as it stands, or as an event has left it.

        What happens to it later is no part of the answer to a request, least of all if that is
        repeated. If the event was pruned meanwhile, nobody can say more than how it stands.
        """
        seen = await self._context.asker.look(address.actor_id, LinesQuery())
        row = None
        if seen.order is not None:
            row = LinesRow.of(address.actor_id, address.seq, seen.order)
        if row is None or seen.order is None:
            raise ProblemError(not_found("order"))
        if version is None or version == seen.order.version:
            return row
        try:
            return await self._lookup.lines_at(address, version=version) or row
        except ProblemError:
            return row


def _after(placed: OrderRow, outcome: Outcome) -> OrderRow:
    """Return an order as an event has left it."""
    match outcome.event:
        case OrderPartlyDispatched(left=left):
            return with_left(placed, left)
        case OrderDispatched(picks=picks):
            return msgspec.structs.replace(
                placed, status="dispatched", dispatched=placed.quantity, picks=picks
            )
        case event:
            assert isinstance(event, OrderCancelled)
            return msgspec.structs.replace(placed, status="cancelled", picks=event.picks)


def _units_of(placed: OrderRow, parts: Sequence[DispatchLine]) -> int:
    return sum(_summed(parts, [(placed.product, placed.warehouse)]).values())


def _places_of(row: LinesRow, parts: Sequence[DispatchLine]) -> dict[int, int]:
    """Return, by the place of the line, how many units are to leave."""
    return _summed(parts, [(line.product, line.warehouse) for line in row.lines])


def _summed(parts: Sequence[DispatchLine], lines: Sequence[tuple[str, str]]) -> dict[int, int]:
    """Return the units by place among the lines; 422 if an order has no such line."""
    units: dict[int, int] = {}
    for part in parts:
        name = (part.product, part.warehouse)
        if name not in lines:
            raise ProblemError(
                invalid("no such line in the order", product=part.product, warehouse=part.warehouse)
            )
        place = lines.index(name)
        units[place] = units.get(place, 0) + part.quantity
    return dict(sorted(units.items()))


def _too_much(line: OrderRow | LineRow, refusal: TooMuch) -> Problem:
    return not_so_much_left(
        requested=refusal.requested,
        left=refusal.left,
        product=line.product,
        warehouse=line.warehouse,
    )
