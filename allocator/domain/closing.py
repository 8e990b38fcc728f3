"""The rules of a pool for how open orders end: dispatched, in parts perhaps, or cancelled."""

from typing import TypeAlias

from allocator.domain import recall_rules
from allocator.domain.messages import (
    Decision,
    OrderCancelled,
    OrderDispatched,
    OrderNotOpen,
    OrderPartlyDispatched,
)
from allocator.domain.missing import missing_among
from allocator.domain.orders import TooMuch
from allocator.domain.pool import Pool
from allocator.domain.values import Picks, first, units_of

_Leaving: TypeAlias = tuple[OrderDispatched] | tuple[OrderPartlyDispatched] | OrderNotOpen


def dispatch(pool: Pool, order: int, *, leaving: int) -> Decision:
    """Say what becomes of an order of which all but `leaving` units are to leave."""
    if not leaving:
        return _leave(pool, _whole(pool, order))
    picks = pool.orders.get(order)
    if picks is None:
        return OrderNotOpen(order=order)
    left = units_of(picks)
    if left <= leaving:
        return ()
    return _leave(pool, (_part(pool, order, picks, leaving=leaving),))


def dispatch_part(pool: Pool, order: int, *, quantity: int) -> Decision:
    """Say what becomes of an order of which `quantity` more units are to leave."""
    picks = pool.orders.get(order)
    if picks is None:
        return OrderNotOpen(order=order)
    left = units_of(picks)
    if quantity > left:
        return TooMuch(line=0, requested=quantity, left=left)
    if quantity == left:
        return _leave(pool, _whole(pool, order))
    return _leave(pool, (_part(pool, order, picks, leaving=left - quantity),))


def cancel(pool: Pool, order: int, *, placed: int) -> Decision:
    """Say what becomes of an order that is to be cancelled, if all `placed` units are there."""
    if placed and units_of(pool.orders.get(order) or ()) != placed:
        return OrderNotOpen(order=order)
    picks = pool.orders.get(order)
    if picks is None:
        return OrderNotOpen(order=order)
    return (
        OrderCancelled(
            order=order,
            quantity=units_of(picks),
            picks=picks,
            product=pool.product,
            missing=missing_among(pool, picks),
        ),
    )


def evolve_closed(pool: Pool, event: OrderDispatched | OrderCancelled) -> None:
    """Close an order."""
    pool.orders.remove(event.order)
    pool.ordered -= event.quantity
    for seq, units in event.picks:
        lot = pool.lots[seq]
        lot.ordered -= units
        if isinstance(event, OrderDispatched):
            pool.leave(lot, units)
        else:
            pool.give_back(lot, units)
    if isinstance(event, OrderCancelled) and event.missing:
        pool.miss(event.missing)


def evolve_partly(pool: Pool, event: OrderPartlyDispatched) -> None:
    """Leave the rest of an order open."""
    left = dict(pool.orders.get(event.order) or ())
    for seq, units in event.picks:
        left[seq] -= units
        lot = pool.lots[seq]
        lot.ordered -= units
        pool.leave(lot, units)
    pool.ordered -= event.quantity
    led = pool.orders.is_led(event.order)
    pool.orders.remove(event.order)
    rest = tuple((seq, units) for seq, units in left.items() if units)
    pool.orders.add(event.order, rest, units_of(rest), led=led)


def _leave(pool: Pool, leaving: _Leaving) -> Decision:
    """Refuse it if units are flagged; a process has decided already, and cannot be refused."""
    if not pool.recalls or isinstance(leaving, OrderNotOpen):
        return leaving
    (event,) = leaving
    if pool.orders.is_led(event.order):
        return (*recall_rules.forgiven(pool, event.picks), event)
    return recall_rules.why_not_leave(pool, event.order, event.picks) or leaving


def _whole(pool: Pool, order: int) -> tuple[OrderDispatched] | OrderNotOpen:
    picks = pool.orders.get(order)
    if picks is None:
        return OrderNotOpen(order=order)
    quantity = units_of(picks)
    return (OrderDispatched(order=order, quantity=quantity, picks=picks, product=pool.product),)


def _part(pool: Pool, order: int, picks: Picks, *, leaving: int) -> OrderPartlyDispatched:
    quantity = units_of(picks) - leaving
    return OrderPartlyDispatched(
        order=order,
        quantity=quantity,
        picks=first(picks, quantity),
        left=leaving,
        product=pool.product,
    )
