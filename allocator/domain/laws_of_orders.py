"""What must be true of any order of several lines and of any event in its journal."""

from allocator.domain.kinds import Event
from allocator.domain.orders import (
    Line,
    LinesCancelled,
    LinesDispatched,
    LinesSettled,
    Order,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
)
from allocator.domain.values import units_of


def unlawful_of_order(order: Order, event: Event) -> str:
    """Say why an event cannot have happened to an order next, or nothing if it can."""
    match event:
        case OrderRequested(lines=lines):
            why = "it was requested before" if order.version else _unlawful_lines(lines)
        case OrderAccepted():
            why = _unlawful_acceptance(order, event)
        case OrderDeclined():
            why = _unlawful_refusal(order, event)
        case LinesDispatched():
            why = _unlawful_departure(order, event)
        case LinesCancelled():
            why = "" if order.status == "new" else _out_of_order(order, "cancelled")
        case LinesSettled():
            is_asking = order.outstanding and order.status != "requested"
            why = "" if is_asking else _out_of_order(order, "settled")
        case _:
            why = f"{type(event).__name__} does not happen to an order"
    return why


def _unlawful_lines(lines: tuple[Line, ...]) -> str:
    pools = [line.pool for line in lines]
    if pools != sorted(set(pools)):
        return "its pools are not in order, or one stands twice"
    is_something = lines and min(line.quantity for line in lines) > 0
    return "" if is_something else "no units are no line"


def _unlawful_acceptance(order: Order, event: OrderAccepted) -> str:
    if why := _unlawful_decision(order, event, "accepted"):
        return why
    wanted = [line.quantity for line in event.lines or order.lines]
    held = [units_of(each.picks) for each in event.held]
    return "" if wanted == held else f"{wanted} units are wanted of its lines, and {held} held"


def _unlawful_decision(order: Order, event: OrderAccepted | OrderDeclined, what: str) -> str:
    """Say why an order cannot be decided next, at once or after it was requested."""
    if order.status != (None if event.lines else "requested"):
        return _out_of_order(order, what)
    return _unlawful_lines(event.lines) if event.lines else ""


def _unlawful_refusal(order: Order, event: OrderDeclined) -> str:
    if why := _unlawful_decision(order, event, "declined"):
        return why
    lines, places = event.lines or order.lines, [each.line for each in event.shortages]
    if not places or places != sorted(set(places)) or not 0 <= places[0] <= places[-1] < len(lines):
        return "it is short of lines that it has not"
    if any(each.available >= each.requested for each in event.shortages):
        return "it is short of a line of which there is enough"
    return ""


def _unlawful_departure(order: Order, event: LinesDispatched) -> str:
    if order.status not in {"new", "partly_dispatched"}:
        return _out_of_order(order, "dispatched")
    left = dict(enumerate(order.left))
    for place, units in event.parts:
        if not 0 < units <= left.pop(place, 0):
            return f"{units} units of line {place} leave, of which there are not so many"
    return "" if event.parts else "nothing leaves"


def _out_of_order(order: Order, what: str) -> str:
    return f"an order that is {order.status or 'not requested'} is not {what} next"
