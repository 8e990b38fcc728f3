"""What must be true of any pool or move and of any event in its journal, whoever wrote it.

The rules keep these laws by construction. Here they are told apart from the rules, so that a
journal can be held to them: units are neither made nor lost, and an order ends once.
"""

from collections import Counter

from allocator.domain import laws_of_adjustments, laws_of_feeds, laws_of_holds
from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.missing import Freeing
from allocator.domain.moves import (
    Move,
    MoveDone,
    MoveEnded,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
)
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled, ShortfallChanged
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transfer,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.values import Picks, units_of


def unlawful(pool: Pool, event: Event) -> str:
    """Say why an event cannot have happened to a pool next, or nothing if it can.

    What this lets pass, `evolve` can apply.
    """
    if type(event) is OrderPlaced:
        return unlawful_picks(pool, event.picks, event.quantity)
    if type(event) is OrderDispatched:
        return _unlawful_end(pool, event)
    if type(event) is StockReceived:
        return _unlawful_stock(event.quantity)
    if type(event) is LotExpired:
        return _unlawful_expiry(pool, event)
    why = _unlawful_otherwise(pool, event)
    if not why and isinstance(event, Freeing):
        return laws_of_feeds.unlawful_missing(pool, event)
    return why


def _unlawful_otherwise(pool: Pool, event: Event) -> str:
    match event:
        case OrderCancelled():
            why = _unlawful_end(pool, event)
        case TicketOptionOpened():
            why = "a ticket option opens once, with its first row" if pool.version else ""
        case UnitsSent():
            why = _unlawful_departure(pool, event)
        case UnitsTaken(lot=lot):
            why = _unlawful_stock(lot.quantity)
        case OrderPartlyDispatched():
            why = _unlawful_part(pool, event)
        case UnitsAdjusted() | UnitsRecalled() | OrderRepicked():
            why = laws_of_adjustments.unlawful(pool, event)
        case UnitsHeld() | HoldConfirmed() | ProcessLetGo():
            why = laws_of_holds.unlawful(pool, event)
        case FeedAttached() | LotReconciled() | FeedDetached() | ShortfallChanged():
            why = laws_of_feeds.unlawful(pool, event)
        case ProductExpected() | SendRefused() | HoldRefused():
            why = ""
        case _:
            why = f"{type(event).__name__} does not happen to a pool"
    return why


def _unlawful_stock(quantity: int) -> str:
    return "" if quantity > 0 else f"{quantity} units are no stock"


def _unlawful_departure(pool: Pool, event: UnitsSent) -> str:
    picks = tuple((lot.origin[1], lot.quantity) for lot in event.lots)
    return unlawful_picks(pool, picks, event.quantity)


def unlawful_picks(pool: Pool, picks: Picks, quantity: int) -> str:
    """Say why so many units cannot have been taken from these lots, or nothing if they can."""
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
    order, picks = event.order, event.picks
    held = pool.orders.get(order)
    if held is None:
        return f"order {order} ends, which is not open"
    if held != picks:
        return f"order {order} ends with the picks {picks}, and it holds {held}"
    units = picks[0][1] if len(picks) == 1 else units_of(picks)
    if event.quantity != units:
        return f"order {order} ends with {event.quantity} units of {units}"
    return ""


def _unlawful_part(pool: Pool, event: OrderPartlyDispatched) -> str:
    order, units = event.order, units_of(event.picks)
    held = dict(pool.orders.get(order) or ())
    if not held:
        return f"units of order {order} leave, which is not open"
    if any(not 0 < units <= held.get(seq, 0) for seq, units in event.picks):
        return f"order {order} loses the picks {event.picks}, and it holds {tuple(held.items())}"
    left = sum(held.values()) - units
    if event.quantity != units or event.left != left or not left:
        return f"{event.quantity} units of order {order} leave and {event.left} stay, not {left}"
    return ""


def _unlawful_expiry(pool: Pool, event: LotExpired) -> str:
    lot = pool.lots.get(event.lot)
    if lot is not None and 0 < event.quantity <= lot.available:
        return ""
    unsold = _unsold(pool, event.lot)
    return f"{event.quantity} units expire of lot {event.lot}, which has {unsold}"


def _unsold(pool: Pool, seq: int) -> int:
    lot = pool.lots.get(seq)
    return 0 if lot is None else lot.available


def unbalanced(pool: Pool) -> str:
    """Say which of a pool's numbers do not add up, or nothing if all do."""
    ordered_of: dict[int, int] = {}
    for _, picks in pool.orders:
        for seq, units in picks:
            ordered_of[seq] = ordered_of.get(seq, 0) + units
    held_of = laws_of_holds.held_by_lot(pool)
    for lot in pool.lots.values():
        why = _unbalanced_lot(lot, ordered_of.pop(lot.seq, 0), held_of.pop(lot.seq, 0))
        if why:
            return why
    for lots, whose in ((ordered_of, "orders"), (held_of, "processes")):
        if lots:
            return f"{whose} hold units of lot {min(lots)}, of which nothing is there"
    for name in ("available", "ordered", "held", "expired"):
        total, parts = getattr(pool, name), sum(getattr(lot, name) for lot in pool.lots.values())
        if total != parts:
            return f"{total} units are {name}, and in lots {parts}"
    return _unbalanced_states(pool) or laws_of_feeds.unbalanced(pool)


def _unbalanced_states(pool: Pool) -> str:
    parts: Counter[str] = Counter()
    for lot in pool.lots.values():
        parts.update(dict(lot.aside))
    if pool.aside != tuple(sorted(parts.items())):
        return f"units are set aside as {pool.aside}, and in lots as {tuple(sorted(parts.items()))}"
    return laws_of_adjustments.unbalanced_recalls(pool)


def _unbalanced_lot(lot: Lot, ordered: int, held: int) -> str:
    aside = (units for _, units in lot.aside)
    least = min(lot.available, lot.ordered, lot.held, lot.expired, *aside)
    if least < 0 or not 0 < lot.on_hand <= lot.quantity:
        return f"lot {lot.seq} has {lot.on_hand} units on hand of {lot.quantity}"
    if lot.ordered != ordered:
        return f"lot {lot.seq} has other units ordered than orders have picked"
    if lot.held != held:
        return f"lot {lot.seq} has other units held than processes hold"
    return ""


def unlawful_of_move(move: Move, event: Event) -> str:
    """Say why an event cannot have happened to a move next, or nothing if it can."""
    match event:
        case MoveRequested(quantity=quantity):
            why = "it was requested before" if move.version else _unlawful_stock(quantity)
        case MoveExpected():
            is_next = move.stage == "requested" and _expects(move)
            why = "" if is_next else _out_of_order(move, "expected")
        case MoveSent(lots=lots):
            why = _unlawful_sending(move, lots)
        case MoveDone():
            why = "" if move.stage == "sent" else _out_of_order(move, "done")
        case MoveRefused():
            is_open = move.stage in {"requested", "expected"}
            why = "" if is_open else _out_of_order(move, "refused")
        case MoveEnded():
            is_decided = move.stage in {"done", "refused"} and not move.ended
            why = "" if is_decided else _out_of_order(move, "ended")
        case _:
            why = f"{type(event).__name__} does not happen to a move"
    return why


def _unlawful_sending(move: Move, lots: tuple[Transfer, ...]) -> str:
    request = move.request
    if request is None or move.stage != ("expected" if _expects(move) else "requested"):
        return _out_of_order(move, "sent")
    if {lot.origin[0] for lot in lots} - {request.source}:
        return "units left another place than its source"
    units = sum(lot.quantity for lot in lots)
    if units != request.quantity or min((lot.quantity for lot in lots), default=0) < 1:
        return f"{request.quantity} units are to move, and {units} left"
    return "a lot is named twice" if len({lot.origin for lot in lots}) < len(lots) else ""


def _expects(move: Move) -> bool:
    return move.request is not None and move.request.expects


def _out_of_order(move: Move, what: str) -> str:
    return f"a move that is {'ended' if move.ended else move.stage} is not {what} next"
