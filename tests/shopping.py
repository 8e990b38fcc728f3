"""Carts made in a few lines, and pools that answer them at once."""

from collections.abc import Sequence

from allocator.domain import kinds
from allocator.domain.carts import Cart, OpenCart, SetLine
from allocator.domain.checkouts import BeginCheckout
from allocator.domain.holds import HoldRefused, UnitsHeld
from allocator.domain.kinds import Event, Message, Refusal
from allocator.domain.orders import Line
from allocator.domain.processes import Answer, Answered
from tests.builders import NOW_MS

MINUTE_MS = 60_000
TTL_MS, CAP_MS = 15 * MINUTE_MS, 60 * MINUTE_MS
TIMEOUT_MS = 10 * MINUTE_MS
PRICE = 250


def line(pool: int, units: int, *, product: str = "tea", told: str | None = None) -> Line:
    """Return units of a pool that are wanted."""
    return Line(pool=pool, warehouse=f"w{pool}", product=product, quantity=units, told=told)


def say(cart: Cart, message: Message, *, now_ms: int = NOW_MS) -> Sequence[Event] | Refusal:
    """Tell a cart something; return what came of it, applied."""
    decision = kinds.decide(cart, message, now_ms=now_ms)
    for event in decision if isinstance(decision, tuple) else ():
        kinds.evolve(cart, event, at_ms=now_ms)
    return decision


def cart_with(*units: int) -> Cart:
    """Return a cart that holds so many units of pools 1, 2, and so on; none if 0."""
    cart = Cart()
    say(cart, OpenCart(customer="7", ttl_ms=TTL_MS, cap_ms=CAP_MS))
    for pool, quantity in enumerate(units, start=1):
        say(cart, SetLine(line=line(pool, quantity)))
        if cart.edits:
            hear(cart, held(cart, quantity))
    return cart


def held(cart: Cart, units: int) -> UnitsHeld:
    """Return what a pool says that holds what the cart asks first, of its lot 1."""
    order = 40 + cart.edits[0].line.pool
    added = ((1, units),) if units else ()
    return UnitsHeld(process=9, step=cart.edits[0].seq, order=order, quantity=units, added=added)


def refused(cart: Cart, *, available: int) -> HoldRefused:
    """Return what a pool says that does not."""
    edit = cart.edits[0]
    return HoldRefused(process=9, step=edit.seq, requested=edit.line.quantity, available=available)


def hear(cart: Cart, answer: Answer, *, now_ms: int = NOW_MS) -> Sequence[Event] | Refusal:
    """Have what the cart asks now be answered, all of it alike."""
    asked = kinds.intents(cart)
    answers = tuple((ask.actor_id, answer) for ask in asked)
    told = Answered(number=asked[0].number, answer=answer, answers=answers)
    return say(cart, told, now_ms=now_ms)


def pay(cart: Cart, *, price: int = PRICE, seen: int | None = None) -> BeginCheckout:
    """Return the command that pays for all that is in a cart."""
    return BeginCheckout(
        seen=cart.version if seen is None else seen,
        prices=tuple((each.line.pool, price) for each in cart.filled()),
        currency="EUR",
        client_id=7,
        timeout_ms=TIMEOUT_MS,
    )
