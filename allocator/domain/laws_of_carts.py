"""What must be true of any cart and of any event in its journal."""

from allocator.domain.carts import (
    Cart,
    CartClosed,
    CartEnded,
    CartExpired,
    CartOpened,
    LineHeld,
    LineRefused,
    LineWanted,
)
from allocator.domain.checkouts import (
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnknown,
    RefundDue,
)
from allocator.domain.kinds import Event
from allocator.domain.laws_of_orders import unlawful_of_order
from allocator.domain.orders import LinesDispatched, LinesSettled
from allocator.domain.values import units_of


def unlawful_of_cart(cart: Cart, event: Event) -> str:
    """Say why an event cannot have happened to a cart next, or nothing if it can."""
    match event:
        case CartOpened():
            why = "it was opened before" if cart.version else ""
        case LineWanted() | CartClosed() | CartExpired():
            why = _unlawful_change(cart, type(event).__name__)
        case LineHeld() | LineRefused():
            why = _unlawful_settlement(cart, event)
        case CartEnded():
            why = "" if cart.outstanding else "no pool had anything to let go of"
        case CheckoutBegun():
            why = _unlawful_beginning(cart, event)
        case CheckoutPaid() | CheckoutFailed() | CheckoutUnknown() | RefundDue():
            why = _unlawful_end(cart, event)
        case LinesDispatched() | LinesSettled():
            is_order = cart.order is not None
            why = unlawful_of_order(cart.order, event) if cart.order else ""
            why = why if is_order else "it was not paid for"
        case _:
            why = f"{type(event).__name__} does not happen to a cart"
    return why


def _unlawful_change(cart: Cart, what: str) -> str:
    if cart.status != "open":
        return f"{what} does not happen to a cart that is {cart.status or 'not opened'}"
    return "" if cart.open_checkout is None else f"{what} does not happen while it is paid for"


def _unlawful_settlement(cart: Cart, event: LineHeld | LineRefused) -> str:
    if cart.status != "open" or not cart.edits or cart.edits[0].seq != event.edit:
        return f"edit {event.edit} is not what is settled next"
    wanted = cart.edits[0].line.quantity
    if isinstance(event, LineHeld):
        held = units_of(event.picks)
        return "" if held == wanted else f"{wanted} units are wanted, and {held} held"
    return "" if event.available < wanted else "there is enough for a line that was refused"


def _unlawful_beginning(cart: Cart, event: CheckoutBegun) -> str:
    if why := _unlawful_change(cart, "CheckoutBegun"):
        return why
    bought = [(item.pool, item.quantity) for item in event.items]
    held = [(line.line.pool, units_of(line.picks)) for line in cart.filled()]
    if not bought or bought != held or cart.edits:
        return f"{bought} is paid for, and {held} held"
    amount = sum(item.quantity * item.price for item in event.items)
    return "" if amount == event.amount else f"the items cost {amount}, not {event.amount}"


def _unlawful_end(
    cart: Cart, event: CheckoutPaid | CheckoutFailed | CheckoutUnknown | RefundDue
) -> str:
    checkout = cart.checkout(event.attempt)
    status = None if checkout is None else checkout.status
    match event:
        case CheckoutUnknown():
            before = {"capturing"}
        case RefundDue():
            before = {"failed"}
        case _:
            before = {"capturing", "unknown"}
    if status not in before:
        return f"{type(event).__name__} does not happen to an attempt that is {status}"
    is_kept = not isinstance(event, CheckoutPaid) or event.held == cart.held()
    return "" if is_kept else "what was paid for is not what was held"
