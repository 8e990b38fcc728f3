"""An order by its id: whose it is, and how it stands or stood."""

import msgspec

from allocator.domain.catalogue import PoolRef
from allocator.domain.orders import Order
from allocator.domain.past import Pruned, TooFarBack
from allocator.domain.queries import OpenOrderQuery, View
from allocator.domain.rows import LinesRow, OrderRow
from allocator.domain.values import Picks, after_repicks, units_of
from allocator.http.context import Context
from allocator.http.moments import pruned, too_far_back
from allocator.http.multi_orders import MultiOrders
from allocator.http.problems import ProblemError, not_found


class OrderAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order is kept.

    Attributes:
        pool: By which, if it is of one line; None if a process keeps it.
    """

    actor_id: int
    seq: int
    pool: PoolRef | None


class OrderLookup:
    """Finds orders of either kind. Everything it raises is a `ProblemError` or an `AllocatorError`.

    Args:
        context: Whom to ask.
        multi: Those of several lines.
    """

    def __init__(self, context: Context, multi: MultiOrders) -> None:
        self._context = context
        self._multi = multi

    async def address(self, sealed: str) -> OrderAddress:
        """Return what an id in a path stands for; 404 if it is none of ours."""
        address = self._context.ids.unseal(sealed)
        if address is None:
            raise ProblemError(not_found("order"))
        actor_id, seq = address
        pool = await self._context.router.pool_of(actor_id)
        if pool is None and not await self._context.readings.is_of_lines(actor_id, seq):
            raise ProblemError(not_found("order"))
        return OrderAddress(actor_id=actor_id, seq=seq, pool=pool)

    async def placed(self, pool: PoolRef, seq: int) -> OrderRow:
        """Return an order of one line as it was placed."""
        row = await self._context.readings.placed(pool, seq)
        if row is None:
            raise ProblemError(not_found("order"))
        return row

    async def row(self, pool: PoolRef, seq: int, *, at_ms: int | None) -> OrderRow:
        """Return an order of one line as it stands, or as it stood at a time."""
        seen = await self._context.asker.look(pool.actor_id, OpenOrderQuery(seq))
        row = await self.placed(pool, seq)
        if at_ms is not None and at_ms < row.created_at_ms:
            raise ProblemError(_PLACED_LATER)
        if seen.repicked:
            picks = await self.repicked(pool.actor_id, seq, row.picks, at_ms=at_ms)
            row = msgspec.structs.replace(row, picks=picks)
        if seen.flagged and at_ms is None:
            row = msgspec.structs.replace(row, flagged=True)
        if seen.picks is not None:
            left = units_of(seen.picks)
        else:
            end = await self._context.readings.closing(pool, seq)
            if at_ms is None or at_ms >= end.at_ms:
                dispatched = row.quantity if end.status == "dispatched" else 0
                return msgspec.structs.replace(row, status=end.status, dispatched=dispatched)
            left = end.quantity
        if left == row.quantity:
            return row
        if at_ms is not None:
            left = await self._left_at(pool, seq, at_ms=at_ms)
        return with_left(row, left)

    async def lines(self, address: OrderAddress, *, at_ms: int | None) -> LinesRow:
        """Return an order of several lines as it stands, or as it stood at a time."""
        actor_id, seq = address.actor_id, address.seq
        state = await self._multi.decided(actor_id, seq)
        row = LinesRow.of(actor_id, seq, state)
        if row is None:
            raise ProblemError(_DECLINED)
        if at_ms is None:
            return row if row.status == "cancelled" else await self.as_picked(row, state)
        former = await self.lines_at(address, version=await self._version_at(actor_id, at_ms))
        if former is None:
            raise ProblemError(_PLACED_LATER)
        return former

    async def repicked(
        self, actor_id: int, seq: int, picks: Picks, *, at_ms: int | None = None
    ) -> Picks:
        """Return what was picked for an order of a pool by now, or by a time."""
        repicks = await self._context.readings.repicks(actor_id, seq)
        if repicks and at_ms is not None:
            version = await self._version_at(actor_id, at_ms)
            repicks = [each for each in repicks if each[0] <= version]
        return after_repicks(picks, [(returned, added) for _, returned, added in repicks])

    async def standings(self, row: LinesRow, order: Order) -> list[View]:
        """Return how the pools of an order's lines see it, line by line."""
        looks = [
            self._context.asker.look(line.pool, OpenOrderQuery(held.order))
            for line, held in zip(row.lines, order.held, strict=True)
        ]
        return [await look for look in looks]

    async def as_picked(self, row: LinesRow, order: Order) -> LinesRow:
        """Return an order of several lines with what its pools have picked for it by now."""
        seen = await self.standings(row, order)
        lines = [
            msgspec.structs.replace(
                line, picks=await self.repicked(line.pool, held.order, line.picks)
            )
            if view.repicked
            else line
            for line, held, view in zip(row.lines, order.held, seen, strict=True)
        ]
        flagged = any(view.flagged for view in seen)
        return msgspec.structs.replace(row, lines=tuple(lines), flagged=flagged)

    async def lines_at(self, address: OrderAddress, *, version: int) -> LinesRow | None:
        """Return an order of several lines as it was at a version; None if it was none yet."""
        order = await self._context.past.order(address.actor_id, version=version)
        match order:
            case Pruned():
                raise ProblemError(pruned(order))
            case TooFarBack():
                raise ProblemError(too_far_back(order))
            case None:
                return None
            case _:
                return LinesRow.of(address.actor_id, address.seq, order)

    async def _left_at(self, pool: PoolRef, seq: int, *, at_ms: int) -> int:
        version = await self._version_at(pool.actor_id, at_ms)
        picks = await self._context.past.open_order(pool.actor_id, version=version, seq=seq)
        match picks:
            case Pruned():
                raise ProblemError(pruned(picks))
            case TooFarBack():
                raise ProblemError(too_far_back(picks))
            case _:
                return units_of(picks)

    async def _version_at(self, actor_id: int, at_ms: int) -> int:
        version = await self._context.past.version_at(actor_id, at_ms=at_ms)
        if isinstance(version, Pruned):
            raise ProblemError(pruned(version))
        return version


def with_left(row: OrderRow, left: int) -> OrderRow:
    """Return an open order of which so many units have not left."""
    dispatched = row.quantity - left
    status = "partly_dispatched" if dispatched else "new"
    return msgspec.structs.replace(row, status=status, dispatched=dispatched)


_PLACED_LATER = not_found("order at that time: it was placed later")
_DECLINED = not_found("order: there was not enough for it, and nothing was ordered")
