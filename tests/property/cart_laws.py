"""What is true of carts at every instant, told by their rows and by those of places."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from allocator.domain import kinds
from allocator.domain.carts import (
    Cart,
    CartClosed,
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
from allocator.domain.transit import NO_TRACE, Trace
from tests.property.bank import PRICES, Bank
from tests.property.places import World

ENDS = (CartClosed, CartExpired, CheckoutPaid)
CHANGES = (LineWanted, CartClosed, CheckoutBegun)
OF_OPEN_CARTS = (*CHANGES, CartExpired, LineHeld, LineRefused)
KEPT_MS = 120_000


@dataclass
class Course:
    """What rows say of a cart's time, one after the other."""

    opened: tuple[int, CartOpened] | None = None
    expires_at_ms: int = 0
    paying: int = 0
    ends: int = 0

    def go_on(self, seq: int, at_ms: int, event: Event) -> None:
        """Nothing changes after its time, after its end, or while somebody pays."""
        if isinstance(event, OF_OPEN_CARTS):
            assert not self.paying
            assert not self.ends
        if isinstance(event, CHANGES):
            assert at_ms < self.expires_at_ms
        match event:
            case CartOpened():
                self.opened = at_ms, event
                self._extend(at_ms)
            case LineWanted():
                self._extend(at_ms)
            case CartExpired():
                assert at_ms >= self.expires_at_ms
            case CheckoutBegun():
                self.paying = seq
            case CheckoutPaid() | CheckoutFailed():
                assert self.paying == event.attempt
                self.paying = 0
            case _:
                pass
        if isinstance(event, CheckoutFailed):
            self.expires_at_ms = max(self.expires_at_ms, at_ms + KEPT_MS)
        self.ends += isinstance(event, ENDS)

    def _extend(self, at_ms: int) -> None:
        assert self.opened is not None
        opened_at_ms, said = self.opened
        until_ms = min(at_ms + said.ttl_ms, opened_at_ms + said.cap_ms)
        self.expires_at_ms = max(self.expires_at_ms, until_ms)


def a_cart_comes_to_one_end_in_its_time(world: World) -> None:
    """Of expiry, checkout and the customer's farewell, one wins."""
    for each in world.carts:
        course = Course()
        for seq, (at_ms, event) in enumerate(world.lives[each].rows, start=1):
            course.go_on(seq, at_ms, event)

        assert course.ends <= 1
        assert world.cart(each).expires_at_ms == course.expires_at_ms


def what_a_cart_says_it_holds_is_held(world: World) -> None:
    """But for the line that is just being changed; and nobody holds for it who was not asked."""
    for each in world.carts:
        cart = world.cart(each)
        changing = {edit.line.pool for edit in cart.edits[:1]}
        for line in cart.lines if cart.status == "open" else ():
            trace = trace_of(world, each, line.line.pool)
            if line.line.pool not in changing:
                assert (trace.held, trace.order) == (line.picks, line.order)
            told = world.product_for(line.line.pool, line.line.product)
            assert told is None or not line.picks or told == world.pool(line.line.pool).product
        for place in world.places:
            assert place in cart.asked or trace_of(world, each, place) is NO_TRACE
        if cart.order is not None and cart.order.status == "new":
            _what_was_paid_for_is_there(world, each, cart)


def _what_was_paid_for_is_there(world: World, each: int, cart: Cart) -> None:
    assert cart.order is not None
    for line, held in zip(cart.order.lines, cart.order.held, strict=True):
        pool = world.pool(line.pool)
        assert (trace_of(world, each, line.pool).held or pool.orders.get(held.order)) == held.picks
    [paid] = [checkout for checkout in cart.checkouts if checkout.status == "paid"]
    bought = {(item.pool, item.product): item.quantity for item in paid.begun.items}
    assert bought == {(line.pool, line.product): line.quantity for line in cart.order.lines}


def nothing_is_charged_twice(world: World, bank: Bank) -> None:
    """Over all lives, an attempt is sent once; and for what its items cost."""
    asked = Counter((sent.cart, sent.charge.attempt) for sent in bank.sent)

    assert set(asked.values()) <= {1}
    for sent in bank.sent:
        begun = world.lives[sent.cart].rows[sent.charge.attempt - 1][1]
        assert isinstance(begun, CheckoutBegun)
        assert sent.charge.amount == sum(i.quantity * PRICES[i.product] for i in begun.items) > 0


def each_charge_has_come_to_one_thing(world: World) -> None:
    """What is heard of one that was settled changes nothing, but for money to be given back."""
    for each in world.carts:
        said: dict[int, list[str]] = {}
        for _, event in world.lives[each].rows:
            if isinstance(event, CheckoutPaid | CheckoutFailed | CheckoutUnknown | RefundDue):
                said.setdefault(event.attempt, []).append(type(event).__name__)
        for names in said.values():
            settled = names[1:] if names[0] == "CheckoutUnknown" else names
            assert settled in (
                [],
                ["CheckoutPaid"],
                ["CheckoutFailed"],
                ["CheckoutFailed", "RefundDue"],
            )


def each_charge_can_be_accounted_for(world: World, bank: Bank) -> None:
    """When all that the provider will ever say was heard: row Q4."""
    for sent in bank.sent:
        cart = world.cart(sent.cart)
        checkout = cart.checkout(sent.charge.attempt)
        assert checkout is not None
        match sent.outcome:
            case "paid":
                assert checkout.status in {"paid", "refund_due"}
            case "failed":
                assert checkout.status == "failed" or checkout.resolved
            case _:
                assert checkout.status == "unknown" or checkout.resolved
    for each in world.carts:
        cart = world.cart(each)
        purchases = [checkout for checkout in cart.checkouts if checkout.status == "paid"]
        assert len(purchases) == (cart.order is not None)


def every_cart_has_ended(world: World) -> None:
    """Or is an order of which its pools know all; nobody remembers it as a cart."""
    for each in world.carts:
        cart = world.cart(each)
        assert cart.status in {"closed", "expired", "paid"}
        assert not kinds.intents(cart)
        assert all(trace_of(world, each, place) is NO_TRACE for place in world.places)
        if cart.order is None:
            assert kinds.has_ended(cart)
            continue
        assert cart.order.version == cart.version
        assert _open_units(world, cart) == list(cart.order.left)


def _open_units(world: World, cart: Cart) -> Sequence[int]:
    assert cart.order is not None
    orders = zip(cart.order.lines, cart.order.held, strict=True)
    picks = [world.pool(line.pool).orders.get(held.order) or () for line, held in orders]
    return [sum(units for _, units in each) for each in picks]


def trace_of(world: World, cart: int, place: int) -> Trace:
    """Return what a place remembers of a cart."""
    processes = world.pool(place).processes
    return NO_TRACE if processes is None else processes.trace_of(cart)
