"""What must be true of any pool and of any event in its journal, whoever wrote it.

The rules keep these laws by construction. Here they are told apart from the rules, so that a
journal can be held to them: units are neither made nor lost, and an order ends once.
"""

from allocator.domain.messages import (
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    Picks,
    StockReceived,
)
from allocator.domain.pool import Pool
from allocator.domain.rules import units_of


def unlawful(pool: Pool, event: Event) -> str:
    """Say why an event cannot have happened to a pool next, or nothing if it can.

    What this lets pass, `evolve` can apply.
    """
    match event:
        case OrderPlaced(quantity=quantity, picks=picks):
            return _unlawful_picks(pool, picks, quantity)
        case OrderDispatched() | OrderCancelled():
            return _unlawful_end(pool, event)
        case StockReceived(quantity=quantity):
            return "" if quantity > 0 else f"{quantity} units are no stock"
        case LotExpired(lot=seq, quantity=quantity):
            lot = pool.lots.get(seq)
            if lot is not None and 0 < quantity <= lot.available:
                return ""
            return f"{quantity} units expire of lot {seq}, which has {_unsold(pool, seq)}"


def _unlawful_picks(pool: Pool, picks: Picks, quantity: int) -> str:
    left = quantity
    for seq, units in picks:
        lot = pool.lots.get(seq)
        if lot is None or not 0 < units <= lot.available:
            return f"{units} units are taken from lot {seq}, which has {_unsold(pool, seq)}"
        left -= units
    if left or not picks:
        return f"{quantity} units are ordered and {quantity - left} taken from lots"
    if len(picks) > 1 and len({seq for seq, _ in picks}) < len(picks):
        return "a lot is named twice"
    return ""


def _unlawful_end(pool: Pool, event: OrderDispatched | OrderCancelled) -> str:
    picks = pool.orders.get(event.order)
    if picks is None:
        return f"order {event.order} ends, which is not open"
    if picks != event.picks:
        return f"order {event.order} ends with the picks {event.picks}, and it holds {picks}"
    if event.quantity != units_of(picks):
        return f"order {event.order} ends with {event.quantity} units of {units_of(picks)}"
    return ""


def _unsold(pool: Pool, seq: int) -> int:
    lot = pool.lots.get(seq)
    return 0 if lot is None else lot.available


def unbalanced(pool: Pool) -> str:
    """Say which of a pool's numbers do not add up, or nothing if all do."""
    ordered_of: dict[int, int] = {}
    for _, picks in pool.orders:
        for seq, units in picks:
            ordered_of[seq] = ordered_of.get(seq, 0) + units
    for lot in pool.lots.values():
        if min(lot.available, lot.ordered, lot.expired) < 0 or not 0 < lot.on_hand <= lot.quantity:
            return f"lot {lot.seq} has {lot.on_hand} units on hand of {lot.quantity}"
        if lot.ordered != ordered_of.pop(lot.seq, 0):
            return f"lot {lot.seq} has other units ordered than orders have picked"
    if ordered_of:
        return f"orders hold units of lot {min(ordered_of)}, of which nothing is there"
    for name in ("available", "ordered", "expired"):
        total, parts = getattr(pool, name), sum(getattr(lot, name) for lot in pool.lots.values())
        if total != parts:
            return f"{total} units are {name}, and in lots {parts}"
    return ""
