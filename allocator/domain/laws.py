"""What must be true of any pool or move and of any event in its journal, whoever wrote it.

The rules keep these laws by construction. Here they are told apart from the rules, so that a
journal can be held to them: units are neither made nor lost, and an order ends once.
"""

from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    Picks,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.moves import (
    Move,
    MoveDone,
    MoveEnded,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
)
from allocator.domain.pool import Pool
from allocator.domain.rules import units_of
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transfer,
    UnitsSent,
    UnitsTaken,
)


def unlawful(pool: Pool, event: Event) -> str:
    """Say why an event cannot have happened to a pool next, or nothing if it can.

    What this lets pass, `evolve` can apply.
    """
    if type(event) is OrderPlaced:
        return _unlawful_picks(pool, event.picks, event.quantity)
    if type(event) is OrderDispatched or type(event) is OrderCancelled:
        return _unlawful_end(pool, event)
    if type(event) is StockReceived:
        return _unlawful_stock(event.quantity)
    if type(event) is LotExpired:
        return _unlawful_expiry(pool, event)
    return _unlawful_otherwise(pool, event)


def _unlawful_otherwise(pool: Pool, event: Event) -> str:
    match event:
        case TicketOptionOpened():
            return "a ticket option opens once, with its first row" if pool.version else ""
        case UnitsSent():
            return _unlawful_departure(pool, event)
        case UnitsTaken(lot=lot):
            return _unlawful_stock(lot.quantity)
        case ProductExpected() | SendRefused() | ProcessLetGo():
            return ""
        case _:
            return f"{type(event).__name__} does not happen to a pool"


def _unlawful_stock(quantity: int) -> str:
    return "" if quantity > 0 else f"{quantity} units are no stock"


def _unlawful_departure(pool: Pool, event: UnitsSent) -> str:
    picks = tuple((lot.origin[1], lot.quantity) for lot in event.lots)
    return _unlawful_picks(pool, picks, event.quantity)


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
