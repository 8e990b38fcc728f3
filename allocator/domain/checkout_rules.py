"""The rules of a checkout: when it may begin, and what it makes of what is heard of the money.

An attempt ends once, as `paid` or `failed`. Money that is heard of afterwards, for one that failed,
is owed back: it is never dropped, and never buys anything.
"""

from typing import Final, TypeAlias, assert_never

import msgspec

from allocator.domain import order_rules
from allocator.domain.carts import Cart
from allocator.domain.checkouts import (
    CHECKOUTS_MAX,
    AmountTooLarge,
    BeginCheckout,
    CartChanged,
    CartChanging,
    CartEmpty,
    Charge,
    Checkout,
    CheckoutBegun,
    CheckoutEvent,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutRefusal,
    CheckoutStatus,
    CheckoutUnknown,
    Item,
    NotUnknown,
    PaymentHeard,
    RefundDue,
    ResolveCheckout,
    TooManyCheckouts,
)
from allocator.domain.money import AMOUNT_MAX
from allocator.domain.values import units_of

KEPT_AFTER_FAILURE_MS: Final = 120_000
"""So long a cart is kept at least when its checkout has failed, for another try."""

_LATE: Final = "no answer of the provider was heard in time"

_Decision: TypeAlias = tuple[CheckoutEvent, ...] | CheckoutRefusal


def begin(cart: Cart, command: BeginCheckout, *, now_ms: int) -> _Decision:
    """Say what comes of a checkout that is to begin, of an open cart without one under way."""
    refusal = _why_not(cart, command)
    if refusal is not None:
        return refusal
    prices = dict(command.prices)
    items = tuple(
        Item(
            pool=held.line.pool,
            warehouse=held.line.warehouse,
            product=held.line.product,
            quantity=units_of(held.picks),
            price=prices[held.line.pool],
        )
        for held in cart.filled()
    )
    amount = sum(item.quantity * item.price for item in items)
    if amount > AMOUNT_MAX:
        return AmountTooLarge(amount=amount, limit=AMOUNT_MAX)
    return (
        CheckoutBegun(
            items=items,
            amount=amount,
            currency=command.currency,
            client_id=command.client_id,
            deadline_ms=now_ms + command.timeout_ms,
        ),
    )


def hear(cart: Cart, command: PaymentHeard) -> tuple[CheckoutEvent, ...]:
    """Say what it means that an attempt's request has come to something.

    Returns:
        Its event; none if that was heard before or changes nothing: what was paid stays so.
    """
    checkout = cart.checkout(command.attempt)
    if checkout is None:
        return ()
    attempt, reference, detail = command.attempt, command.reference, command.detail
    match checkout.status, command.outcome:
        case "capturing" | "unknown", "paid":
            return (
                CheckoutPaid(attempt=attempt, held=cart.held(), reference=reference, detail=detail),
            )
        case "capturing" | "unknown", "failed":
            return (CheckoutFailed(attempt=attempt, reference=reference, detail=detail),)
        case "capturing", "unknown":
            return (CheckoutUnknown(attempt=attempt, reference=reference, detail=detail),)
        case "failed", "paid":
            return (RefundDue(attempt=attempt, reference=reference, detail=detail),)
        case _:
            return ()


def resolve(cart: Cart, command: ResolveCheckout) -> _Decision:
    """Say what comes of an operator's finding."""
    attempt, reference = command.attempt, command.reference
    checkout = cart.checkout(attempt)
    if checkout is None or checkout.status != "unknown":
        return NotUnknown(status="" if checkout is None else checkout.status)
    if command.outcome == "paid":
        held = cart.held()
        return (CheckoutPaid(attempt=attempt, held=held, reference=reference, resolved=True),)
    return (CheckoutFailed(attempt=attempt, reference=reference, resolved=True),)


def late(cart: Cart) -> tuple[CheckoutUnknown, ...]:
    """Say that nobody waits any more for what the provider says of the attempt under way."""
    checkout = cart.open_checkout
    return () if checkout is None else (CheckoutUnknown(attempt=checkout.attempt, detail=_LATE),)


def outgoing(cart: Cart, event: CheckoutBegun) -> Charge:
    """Return what the provider is asked for because of an event that was just decided."""
    return Charge(
        attempt=cart.version,
        amount=event.amount,
        currency=event.currency,
        client_id=event.client_id,
        deadline_ms=event.deadline_ms,
    )


def evolve(cart: Cart, event: CheckoutEvent, *, at_ms: int) -> None:
    """Apply the next fact; the cart's version is that of `event` already."""
    match event:
        case CheckoutBegun():
            begun = Checkout(
                attempt=cart.version,
                begun=event,
                begun_at_ms=at_ms,
                changed_at_ms=at_ms,
                changed=cart.version,
            )
            cart.checkouts = (*cart.checkouts, begun)
        case CheckoutPaid(held=held):
            _settle(cart, event, "paid", at_ms=at_ms)
            cart.status = "paid"
            cart.order = order_rules.accepted(
                version=cart.version,
                at_ms=at_ms,
                lines=tuple(line.line for line in cart.filled()),
                held=held,
                customer=cart.customer,
            )
        case CheckoutFailed():
            _settle(cart, event, "failed", at_ms=at_ms)
            cart.expires_at_ms = max(cart.expires_at_ms, at_ms + KEPT_AFTER_FAILURE_MS)
        case CheckoutUnknown():
            _settle(cart, event, "unknown", at_ms=at_ms)
        case RefundDue():
            _settle(cart, event, "refund_due", at_ms=at_ms)
        case _:
            assert_never(event)


def _why_not(cart: Cart, command: BeginCheckout) -> CheckoutRefusal | None:
    if len(cart.checkouts) >= CHECKOUTS_MAX:
        return TooManyCheckouts(limit=CHECKOUTS_MAX)
    if cart.edits:
        return CartChanging(edits=len(cart.edits))
    if command.seen != cart.version:
        return CartChanged(version=cart.version)
    return None if cart.filled() else CartEmpty()


def _settle(
    cart: Cart,
    event: CheckoutPaid | CheckoutFailed | CheckoutUnknown | RefundDue,
    status: CheckoutStatus,
    *,
    at_ms: int,
) -> None:
    resolved = isinstance(event, CheckoutPaid | CheckoutFailed) and event.resolved
    cart.checkouts = tuple(
        msgspec.structs.replace(
            each,
            status=status,
            changed=cart.version,
            changed_at_ms=at_ms,
            reference=event.reference or each.reference,
            detail=event.detail or each.detail,
            resolved=resolved or each.resolved,
        )
        if each.attempt == event.attempt
        else each
        for each in cart.checkouts
    )
