"""The rules of a cart: what may be done with it, what it asks of pools, and how it ends.

The number of an ask, and its step at the pool, is the seq of the event that led to it.

What has become due counts as done: a cart whose time is over refuses every client, even if nobody
has woken it yet.
"""

from typing import TypeAlias, assert_never

from allocator.domain import checkout_rules, edit_rules, order_rules
from allocator.domain.carts import (
    Cart,
    CartClosed,
    CartEnded,
    CartEvent,
    CartExpired,
    CartNotOpen,
    CartOpened,
    CartRefusal,
    CloseCart,
    Edit,
    LineHeld,
    LineRefused,
    LineWanted,
    OpenCart,
    PaidFor,
    SetLine,
)
from allocator.domain.checkouts import (
    BeginCheckout,
    CheckoutRefusal,
    CheckoutUnderWay,
    PaymentHeard,
    ResolveCheckout,
)
from allocator.domain.messages import AlreadyBegun, InsufficientStock, Wake
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    LinesDispatched,
    LinesSettled,
    NotOpen,
    TooMuch,
)
from allocator.domain.processes import AT_ONCE, Answered, Ask
from allocator.domain.transfers import LetGo

Command: TypeAlias = (
    OpenCart
    | SetLine
    | CloseCart
    | BeginCheckout
    | PaymentHeard
    | ResolveCheckout
    | DispatchLines
    | CancelLines
    | Answered
    | Wake
)
Refusal: TypeAlias = (
    CartRefusal | CheckoutRefusal | AlreadyBegun | InsufficientStock | NotOpen | TooMuch
)
Decision: TypeAlias = tuple[CartEvent, ...] | Refusal


def decide(cart: Cart, command: Command, *, now_ms: int) -> Decision:
    """Say what `command` would do to `cart`, changing nothing.

    Returns:
        The events to journal; none for what is not asked any more, or was heard before. Or a
        refusal: that the cart is not open comes first, then that a checkout is under way.
    """
    decision: Decision
    match command:
        case OpenCart():
            decision = _open(cart, command)
        case SetLine() | CloseCart() | BeginCheckout():
            decision = _change(cart, command, now_ms=now_ms)
        case PaymentHeard():
            decision = checkout_rules.hear(cart, command)
        case ResolveCheckout():
            decision = checkout_rules.resolve(cart, command)
        case DispatchLines() | CancelLines():
            decision = _as_order(cart, command)
        case Answered():
            decision = _hear(cart, command)
        case Wake():
            decision = _wake(cart, now_ms=now_ms)
        case _:
            assert_never(command)
    return decision


def evolve(cart: Cart, event: CartEvent, *, at_ms: int) -> None:
    """Apply the next fact; total and deterministic."""
    cart.version += 1
    cart.last_at_ms = at_ms
    match event:
        case CartOpened():
            cart.status = "open"
            cart.opened_at_ms = at_ms
            cart.customer, cart.ttl_ms, cart.cap_ms = event.customer, event.ttl_ms, event.cap_ms
            _extend(cart, at_ms=at_ms)
        case LineWanted(line=line):
            cart.edits = (*cart.edits, Edit(seq=cart.version, line=line))
            _extend(cart, at_ms=at_ms)
        case LineHeld() | LineRefused():
            edit_rules.settle(cart, event)
        case CartClosed() | CartExpired():
            cart.status = "closed" if isinstance(event, CartClosed) else "expired"
            cart.outstanding = cart.version if cart.asked else 0
        case CartEnded():
            cart.outstanding = 0
        case LinesDispatched() | LinesSettled():
            assert cart.order is not None, "it was paid for"
            order_rules.evolve(cart.order, event, at_ms=at_ms)
        case _:
            checkout_rules.evolve(cart, event, at_ms=at_ms)
    if cart.order is not None:
        cart.order.version, cart.order.last_at_ms = cart.version, at_ms


def due_at(cart: Cart) -> int | None:
    """Return from when on a `Wake` changes something, milliseconds of Unix time, or None."""
    if cart.status != "open":
        return None
    checkout = cart.open_checkout
    if checkout is None:
        return cart.expires_at_ms
    return checkout.begun.deadline_ms if checkout.status == "capturing" else None


def wake_at(cart: Cart) -> int | None:
    """Return when the cart is to be woken.

    An edit that waits is no reason: nobody but the customer needs it, who asks for it. What is
    held when the cart has come to its end is, if nobody has it in memory.
    """
    if cart.outstanding:
        return AT_ONCE
    return due_at(cart) if cart.order is None else order_rules.wake_at(cart.order)


def has_ended(cart: Cart) -> bool:
    """Say whether nothing will happen to the cart any more, as far as anybody can know.

    Money that is heard of years later is still owed back.
    """
    if cart.order is not None:
        return order_rules.has_ended(cart.order)
    return cart.status in {"closed", "expired"} and not cart.outstanding


def intents(cart: Cart) -> tuple[Ask, ...]:
    """Return the asks that are outstanding; they belong together."""
    if cart.order is not None:
        asks = order_rules.intents(cart.order)
        return asks if cart.order.confirmed else (*asks, *_letting_go_of_rest(cart))
    if cart.outstanding:
        return _letting_go(cart.asked, step=cart.outstanding)
    return edit_rules.asks(cart) if cart.status == "open" else ()


def _open(cart: Cart, command: OpenCart) -> Decision:
    if cart.version:
        return AlreadyBegun()
    customer, ttl_ms, cap_ms = command.customer, command.ttl_ms, command.cap_ms
    return (CartOpened(customer=customer, ttl_ms=ttl_ms, cap_ms=cap_ms),)


def _change(cart: Cart, command: SetLine | CloseCart | BeginCheckout, *, now_ms: int) -> Decision:
    if cart.status != "open":
        return CartNotOpen(status=cart.status or "")
    checkout = cart.open_checkout
    if checkout is not None:
        return CheckoutUnderWay(attempt=checkout.attempt)
    if cart.expires_at_ms <= now_ms:
        return CartNotOpen(status="expired")
    match command:
        case SetLine(line=line):
            return edit_rules.want(cart, line)
        case CloseCart():
            return (CartClosed(),)
        case BeginCheckout():
            return checkout_rules.begin(cart, command, now_ms=now_ms)
        case _:
            assert_never(command)


def _as_order(cart: Cart, command: DispatchLines | CancelLines) -> Decision:
    if cart.order is None:
        return NotOpen(status="")
    if isinstance(command, CancelLines):
        return PaidFor()
    return order_rules.dispatch(cart.order, command.parts)


def _wake(cart: Cart, *, now_ms: int) -> Decision:
    due_at_ms = due_at(cart)
    if due_at_ms is None or due_at_ms > now_ms:
        return ()
    return (CartExpired(),) if cart.open_checkout is None else checkout_rules.late(cart)


def _hear(cart: Cart, answered: Answered) -> Decision:
    """Return what the answers to everything that is asked mean."""
    asked = intents(cart)
    if not asked or asked[0].number != answered.number:
        return ()
    if cart.order is not None:
        return (LinesSettled(order=cart.order.number),)
    return (CartEnded(),) if cart.outstanding else edit_rules.hear(cart, answered.answer)


def _extend(cart: Cart, *, at_ms: int) -> None:
    """Have the cart expire later; never earlier than it would have."""
    until_ms = min(at_ms + cart.ttl_ms, cart.opened_at_ms + cart.cap_ms)
    cart.expires_at_ms = max(cart.expires_at_ms, until_ms)


def _letting_go_of_rest(cart: Cart) -> tuple[Ask, ...]:
    """Return the asks to pools of which nothing is bought, but which know of the cart."""
    assert cart.order is not None
    empty = tuple(line.line.pool for line in cart.lines if not line.picks)
    return _letting_go(empty, step=cart.order.confirming)


def _letting_go(pools: tuple[int, ...], *, step: int) -> tuple[Ask, ...]:
    command = LetGo(step=step, of_cart=True)
    return tuple(Ask(number=step, actor_id=pool, command=command) for pool in pools)
