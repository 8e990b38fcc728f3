"""What has to be asked of a cart for an event to happen, and what a client may have asked."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias, get_args

from msgspec import structs

from allocator.domain import kinds
from allocator.domain.carts import (
    Cart,
    CartClosed,
    CartEnded,
    CartEvent,
    CartExpired,
    CartNotOpen,
    CartOpened,
    CloseCart,
    LineHeld,
    LineRefused,
    LineWanted,
    OpenCart,
    PaidFor,
    SetLine,
    TooManyEdits,
    TooManyLines,
)
from allocator.domain.checkouts import (
    BeginCheckout,
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutRefusal,
    CheckoutUnderWay,
    CheckoutUnknown,
    NotUnknown,
    PaymentHeard,
    RefundDue,
    ResolveCheckout,
)
from allocator.domain.holds import AlreadyHeld
from allocator.domain.kinds import Message
from allocator.domain.messages import InsufficientStock, Wake
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    LinesDispatched,
    LinesSettled,
    NotOpen,
    TooMuch,
)
from allocator.domain.processes import Answered
from allocator.domain.queries import Query

Heard: TypeAlias = CheckoutPaid | CheckoutFailed | CheckoutUnknown | RefundDue

_CHANGES: Final = (SetLine, CloseCart, BeginCheckout)
_ASKS: Final[dict[type[object], tuple[type[object], ...]]] = {
    **dict.fromkeys(get_args(CheckoutRefusal), (BeginCheckout,)),
    CartNotOpen: _CHANGES,
    CheckoutUnderWay: _CHANGES,
    TooManyEdits: (SetLine,),
    TooManyLines: (SetLine,),
    InsufficientStock: (SetLine,),
    NotUnknown: (ResolveCheckout,),
    PaidFor: (CancelLines,),
    NotOpen: (DispatchLines, CancelLines),
}
"""Which refusal may come of what."""


def command_of(cart: Cart, event: CartEvent, *, at_ms: int) -> Message:
    """Return what a cart has to be told for an event to happen."""
    number = next((ask.number for ask in kinds.intents(cart)), 0)
    command: Message
    match event:
        case CartOpened(customer=customer, ttl_ms=ttl_ms, cap_ms=cap_ms):
            command = OpenCart(customer=customer, ttl_ms=ttl_ms, cap_ms=cap_ms)
        case LineWanted(line=line):
            command = SetLine(line=line)
        case LineHeld(order=order, picks=picks):
            command = Answered(number=number, answer=AlreadyHeld(order=order, picks=picks))
        case LineRefused(requested=requested, available=available):
            short = InsufficientStock(requested=requested, available=available)
            command = Answered(number=number, answer=short)
        case CartClosed():
            command = CloseCart()
        case CartExpired():
            command = Wake()
        case CartEnded() | LinesSettled():
            command = Answered(number=number, answer=None)
        case LinesDispatched(parts=parts):
            command = DispatchLines(parts=parts)
        case CheckoutBegun():
            command = BeginCheckout(
                seen=cart.version,
                prices=tuple((item.pool, item.price) for item in event.items),
                currency=event.currency,
                client_id=event.client_id,
                timeout_ms=event.deadline_ms - at_ms,
            )
        case _:
            command = _heard(cart, event, at_ms=at_ms)
    return command


def asks_for(command: Message) -> Sequence[Message | Query]:
    """Return what a client may have asked for this to be what the rules were asked."""
    if isinstance(command, BeginCheckout):  # a handler adds what it sees in the cart
        return (structs.replace(command, seen=0, prices=(), currency=""),)
    return (command,)


def fits(ask: Message | Query, answer: object) -> bool:
    """Say whether a refusal belongs to what was asked of a cart."""
    asks = _ASKS.get(type(answer))
    if isinstance(answer, TooMuch):
        return isinstance(ask, DispatchLines) and (answer.line, answer.requested) in ask.parts
    return asks is not None and isinstance(ask, asks)


def forms_of(cart: Cart, ask: Message) -> Iterator[tuple[Message, int]]:
    """Yield what may have been decided on, and when: clocks may say that the cart is over."""
    forms = [ask]
    if isinstance(ask, BeginCheckout):
        prices = tuple((line.line.pool, 1) for line in cart.filled())
        forms.append(structs.replace(ask, seen=cart.version, prices=prices))
    for form in forms:
        yield form, cart.last_at_ms
        yield form, max(cart.last_at_ms, cart.expires_at_ms)


def is_internal(event: CartEvent) -> bool:
    """Say whether an event is of no client's asking."""
    if isinstance(event, CheckoutPaid | CheckoutFailed):
        return not event.resolved
    return isinstance(
        event,
        LineHeld
        | LineRefused
        | CartExpired
        | CartEnded
        | LinesSettled
        | CheckoutUnknown
        | RefundDue,
    )


def _heard(cart: Cart, event: Heard, *, at_ms: int) -> Message:
    """Return what a checkout was told of its money."""
    attempt, reference, detail = event.attempt, event.reference, event.detail
    checkout = cart.checkout(attempt)
    match event:
        case CheckoutPaid(resolved=True):
            return ResolveCheckout(attempt=attempt, outcome="paid", reference=reference)
        case CheckoutFailed(resolved=True):
            return ResolveCheckout(attempt=attempt, outcome="failed", reference=reference)
        case CheckoutUnknown() if checkout is not None and checkout.begun.deadline_ms <= at_ms:
            wakes = kinds.decide(cart, Wake(), now_ms=at_ms) == (event,)
            if wakes:
                return Wake()
        case _:
            pass
    outcome = {CheckoutFailed: "failed", CheckoutUnknown: "unknown"}.get(type(event), "paid")
    return PaymentHeard(attempt=attempt, outcome=outcome, reference=reference, detail=detail)  # type: ignore[arg-type]
