"""A checkout, step by step: what is asked of the provider, and what comes of what it says."""

from typing import Literal

import pytest

from allocator.domain import kinds
from allocator.domain.carts import (
    Cart,
    CartExpired,
    CartNotOpen,
    CloseCart,
    PaidFor,
    SetLine,
)
from allocator.domain.checkouts import (
    CHECKOUTS_MAX,
    AmountTooLarge,
    CartChanged,
    CartChanging,
    CartEmpty,
    Charge,
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnderWay,
    CheckoutUnknown,
    Item,
    NotUnknown,
    Outcome,
    PaymentHeard,
    RefundDue,
    ResolveCheckout,
    TooManyCheckouts,
)
from allocator.domain.holds import Confirm, UnitsHeld
from allocator.domain.messages import DispatchOrder, Wake
from allocator.domain.money import AMOUNT_MAX
from allocator.domain.orders import CancelLines, DispatchLines, Held, LinesDispatched, LinesSettled
from allocator.domain.processes import AT_ONCE, Ask
from allocator.domain.queries import CartQuery, CheckoutQuery, LinesQuery, View, look
from allocator.domain.transfers import LetGo
from tests.builders import NOW_MS
from tests.shopping import (
    CAP_MS,
    MINUTE_MS,
    PRICE,
    TIMEOUT_MS,
    TTL_MS,
    cart_with,
    hear,
    held,
    line,
    pay,
    say,
)

EXPIRY_MS = NOW_MS + TTL_MS
DEADLINE_MS = NOW_MS + TIMEOUT_MS


def paying(*units: int) -> tuple[Cart, int]:
    """Return a cart with a checkout under way, and the attempt."""
    cart = cart_with(*units or (2,))
    assert isinstance(say(cart, pay(cart)), tuple)
    return cart, cart.version


def heard(attempt: int, outcome: Outcome, *, reference: str | None = "r1") -> PaymentHeard:
    return PaymentHeard(attempt=attempt, outcome=outcome, reference=reference)


def status_of(cart: Cart, attempt: int) -> str:
    seen = look(cart, CheckoutQuery(attempt=attempt))
    assert seen is not None
    assert seen.checkout is not None
    return seen.checkout.status


def test_prices_are_frozen_when_a_checkout_begins() -> None:
    cart = cart_with(2, 0, 3)
    command = pay(cart)
    [begun] = say(cart, command)  # type: ignore[misc]  # no refusal

    assert begun == CheckoutBegun(
        items=(
            Item(pool=1, warehouse="w1", product="tea", quantity=2, price=PRICE),
            Item(pool=3, warehouse="w3", product="tea", quantity=3, price=PRICE),
        ),
        amount=5 * PRICE,
        currency="EUR",
        client_id=7,
        deadline_ms=DEADLINE_MS,
    )


def test_the_provider_is_asked_because_a_checkout_began_and_for_no_other_reason() -> None:
    """O11: once an attempt."""
    cart = cart_with(2)
    [begun] = say(cart, pay(cart))  # type: ignore[misc]  # no refusal
    attempt = cart.version
    assert kinds.outgoing(cart, begun) == Charge(
        attempt=attempt, amount=2 * PRICE, currency="EUR", client_id=7, deadline_ms=DEADLINE_MS
    )

    [paid] = say(cart, heard(attempt, "paid"))  # type: ignore[misc]  # no refusal
    assert kinds.outgoing(cart, paid) is None
    assert kinds.intents(kinds.load("cart", kinds.dump(cart_with(2)))) == ()


def test_nothing_is_asked_of_anybody_while_the_provider_takes_its_time() -> None:
    cart, _ = paying()

    assert kinds.intents(cart) == ()


def test_a_cart_is_paid_for_as_it_was_seen() -> None:
    cart = cart_with(2)
    command = pay(cart)
    say(cart, SetLine(line=line(2, 1)))
    assert say(cart, command) == CartChanging(edits=1)

    hear(cart, held(cart, 1))
    assert say(cart, command) == CartChanged(version=cart.version)
    assert isinstance(say(cart, pay(cart)), tuple)


@pytest.mark.parametrize("units", [(), (0,)])
def test_an_empty_cart_cannot_be_paid_for(units: tuple[int, ...]) -> None:
    cart = cart_with(*units)

    assert say(cart, pay(cart)) == CartEmpty()


def test_a_cart_may_cost_what_a_number_can_say_exactly() -> None:
    cart = cart_with(1)
    assert say(cart, pay(cart, price=AMOUNT_MAX + 1)) == AmountTooLarge(
        amount=AMOUNT_MAX + 1, limit=AMOUNT_MAX
    )

    assert isinstance(say(cart, pay(cart, price=AMOUNT_MAX)), tuple)


def test_a_checkout_that_begins_in_time_keeps_the_cart_from_expiring() -> None:
    cart = cart_with(2)
    say(cart, pay(cart), now_ms=EXPIRY_MS - 1)
    deadline_ms = EXPIRY_MS - 1 + TIMEOUT_MS

    assert kinds.wake_at(cart) == deadline_ms
    assert say(cart, Wake(), now_ms=deadline_ms - 1) == ()


def test_a_checkout_that_begins_too_late_does_not() -> None:
    cart = cart_with(2)

    assert say(cart, pay(cart), now_ms=EXPIRY_MS) == CartNotOpen(status="expired")
    assert say(cart, Wake(), now_ms=EXPIRY_MS) == (CartExpired(),)


@pytest.mark.parametrize("is_unknown", [False, True])
def test_nothing_about_a_cart_changes_while_it_is_being_paid_for(
    is_unknown: bool,  # noqa: FBT001
) -> None:
    cart, attempt = paying()
    if is_unknown:
        say(cart, heard(attempt, "unknown"))
    for command in (SetLine(line=line(1, 1)), CloseCart(), pay(cart)):
        assert say(cart, command) == CheckoutUnderWay(attempt=attempt)


def test_what_is_paid_for_is_ordered_wherever_it_is_held() -> None:
    """And pools of which nothing is bought are let go, together with those."""
    cart = cart_with(2, 1, 3)
    say(cart, SetLine(line=line(2, 0)))
    hear(cart, UnitsHeld(process=9, step=8, order=42, quantity=0, returned=((1, 1),)))
    say(cart, pay(cart))
    attempt = cart.version
    both = (Held(order=41, picks=((1, 2),)), Held(order=43, picks=((1, 3),)))

    assert say(cart, heard(attempt, "paid")) == (
        CheckoutPaid(attempt=attempt, held=both, reference="r1"),
    )
    seq = cart.version
    assert kinds.intents(cart) == (
        Ask(number=seq, actor_id=1, command=Confirm(step=seq)),
        Ask(number=seq, actor_id=3, command=Confirm(step=seq)),
        Ask(number=seq, actor_id=2, command=LetGo(step=seq, of_cart=True)),
    )
    assert kinds.wake_at(cart) == AT_ONCE
    assert hear(cart, None) == (LinesSettled(order=seq),)
    assert (kinds.intents(cart), kinds.wake_at(cart)) == ((), None)


def test_what_was_paid_for_is_an_order_that_leaves_in_parts() -> None:
    cart, attempt = paying(2, 3)
    say(cart, heard(attempt, "paid"))
    order = cart.version
    hear(cart, None)

    assert say(cart, DispatchLines(parts=((1, 2),))) == (
        LinesDispatched(parts=((1, 2),), order=order),
    )
    seq = cart.version
    assert kinds.intents(cart) == (
        Ask(number=seq, actor_id=2, command=DispatchOrder(order=42, leaving=1)),
    )
    hear(cart, None)
    seen = look(cart, LinesQuery(decided=True))
    assert seen is not None
    assert seen.order is not None
    assert (seen.order.status, seen.order.left) == ("partly_dispatched", (2, 1))
    assert seen.order.version == cart.version

    say(cart, DispatchLines())
    assert not kinds.has_ended(cart)
    hear(cart, None)
    assert kinds.has_ended(cart)
    assert kinds.load("cart", kinds.dump(cart)) == cart


def test_what_is_dispatched_before_pools_have_heard_leaves_afterwards() -> None:
    cart, attempt = paying(2)
    say(cart, heard(attempt, "paid"))
    asked = kinds.intents(cart)
    say(cart, DispatchLines())

    assert kinds.intents(cart) == asked
    hear(cart, None)
    assert [ask.command for ask in kinds.intents(cart)] == [DispatchOrder(order=41)]


def test_what_was_paid_for_cannot_be_cancelled() -> None:
    """Q1."""
    cart, attempt = paying()
    say(cart, heard(attempt, "paid"))

    assert say(cart, CancelLines()) == PaidFor()
    assert say(cart, CloseCart()) == CartNotOpen(status="paid")


def test_a_failed_checkout_leaves_the_cart_as_it_was() -> None:
    cart, attempt = paying()
    lines = cart.lines
    failed = PaymentHeard(attempt=attempt, outcome="failed", detail="no money")

    assert say(cart, failed) == (CheckoutFailed(attempt=attempt, detail="no money"),)
    assert (cart.status, cart.lines, cart.expires_at_ms) == ("open", lines, EXPIRY_MS)
    assert isinstance(say(cart, pay(cart)), tuple)


def test_a_failed_checkout_keeps_the_cart_two_more_minutes_beyond_its_time_and_its_cap() -> None:
    cart, attempt = paying()
    late_ms = NOW_MS + CAP_MS + MINUTE_MS
    say(cart, heard(attempt, "failed"), now_ms=late_ms)

    assert kinds.wake_at(cart) == late_ms + 2 * MINUTE_MS
    say(cart, SetLine(line=line(1, 1)), now_ms=late_ms)
    assert kinds.wake_at(cart) == late_ms + 2 * MINUTE_MS


def test_a_cart_fails_to_be_paid_for_so_often_and_no_more() -> None:
    cart = cart_with(2)
    for _ in range(CHECKOUTS_MAX):
        say(cart, pay(cart))
        say(cart, heard(cart.version, "failed"))

    assert say(cart, pay(cart)) == TooManyCheckouts(limit=CHECKOUTS_MAX)
    seen = look(cart, CartQuery())
    assert seen is not None
    assert seen.cart is not None
    assert seen.cart.checkouts == cart.checkouts[-1:]


def test_what_the_provider_does_not_say_in_time_is_unknown_for_ever() -> None:
    cart, attempt = paying()

    assert kinds.due_at(cart) == kinds.wake_at(cart) == DEADLINE_MS
    assert say(cart, Wake(), now_ms=DEADLINE_MS - 1) == ()
    [event] = say(cart, Wake(), now_ms=DEADLINE_MS)  # type: ignore[misc]  # no refusal
    assert isinstance(event, CheckoutUnknown)
    assert kinds.due_at(cart) is kinds.wake_at(cart) is None
    assert say(cart, Wake(), now_ms=DEADLINE_MS + CAP_MS) == ()
    assert status_of(cart, attempt) == "unknown"


@pytest.mark.parametrize(("outcome", "status"), [("paid", "paid"), ("failed", "failed")])
def test_what_the_provider_says_late_decides_what_was_unknown(
    outcome: Literal["paid", "failed"], status: str
) -> None:
    cart, attempt = paying()
    say(cart, Wake(), now_ms=DEADLINE_MS)
    say(cart, heard(attempt, outcome), now_ms=DEADLINE_MS + CAP_MS)

    assert status_of(cart, attempt) == status


@pytest.mark.parametrize("outcome", ["paid", "failed", "unknown"])
def test_what_is_heard_twice_happens_once(outcome: Outcome) -> None:
    """Q4."""
    cart, attempt = paying()
    say(cart, heard(attempt, outcome))
    version = cart.version

    assert say(cart, heard(attempt, outcome)) == ()
    assert say(cart, heard(attempt, "unknown")) == ()
    assert cart.version == version


def test_what_is_heard_of_nothing_is_nothing() -> None:
    cart, attempt = paying()

    assert say(cart, heard(attempt + 1, "paid")) == ()


def test_what_was_paid_stays_paid_whatever_is_heard() -> None:
    cart, attempt = paying()
    say(cart, heard(attempt, "paid"))

    assert say(cart, heard(attempt, "failed")) == ()


def test_an_operator_resolves_only_what_is_unknown() -> None:
    cart, attempt = paying()
    resolve = ResolveCheckout(attempt=attempt, outcome="paid", reference="found it")
    assert say(cart, resolve) == NotUnknown(status="capturing")
    say(cart, heard(attempt, "unknown"))
    nobody = ResolveCheckout(attempt=1, outcome="paid")
    assert say(cart, nobody) == NotUnknown(status="")

    [paid] = say(cart, resolve)  # type: ignore[misc]  # no refusal
    assert paid == CheckoutPaid(
        attempt=attempt, held=cart.held(), reference="found it", resolved=True
    )
    assert say(cart, resolve) == NotUnknown(status="paid")
    assert cart.status == "paid"


def test_an_operator_finds_that_no_money_was_taken() -> None:
    cart, attempt = paying()
    say(cart, heard(attempt, "unknown"))

    assert say(cart, ResolveCheckout(attempt=attempt, outcome="failed")) == (
        CheckoutFailed(attempt=attempt, resolved=True),
    )
    assert cart.status == "open"


def test_money_that_comes_after_an_operator_thought_there_was_none_is_owed_back() -> None:
    """Never dropped: not if the cart has gone on, either."""
    cart, attempt = paying()
    say(cart, heard(attempt, "unknown"))
    say(cart, ResolveCheckout(attempt=attempt, outcome="failed"))
    say(cart, pay(cart))
    again = cart.version
    owed = (RefundDue(attempt=attempt, reference="r1"),)
    assert say(cart, heard(attempt, "paid")) == owed
    assert say(cart, heard(attempt, "paid")) == ()

    say(cart, heard(again, "paid"))
    assert (status_of(cart, attempt), status_of(cart, again)) == ("refund_due", "paid")


def test_an_order_that_was_a_cart_has_its_version_whatever_is_heard() -> None:
    cart, attempt = paying()
    say(cart, heard(attempt, "failed"))
    say(cart, pay(cart))
    say(cart, heard(cart.version, "paid"))
    say(cart, heard(attempt, "paid"))
    assert cart.order is not None
    assert cart.order.version == cart.version

    hear(cart, None)
    say(cart, DispatchLines())
    assert {ask.number for ask in kinds.intents(cart)} == {cart.version}


def test_money_that_comes_when_the_cart_has_expired_is_owed_back() -> None:
    cart, attempt = paying()
    say(cart, heard(attempt, "failed"))
    say(cart, Wake(), now_ms=EXPIRY_MS)
    hear(cart, None)
    assert kinds.has_ended(cart)

    assert say(cart, heard(attempt, "paid")) == (RefundDue(attempt=attempt, reference="r1"),)
    assert cart.status == "expired"


def test_a_reader_waits_until_something_is_known_of_the_money() -> None:
    cart, attempt = paying()
    query = CheckoutQuery(attempt=attempt, decided=True)

    assert look(cart, query) is None
    say(cart, heard(attempt, "unknown"))
    seen = look(cart, query)
    assert seen is not None
    assert seen.checkout is not None
    assert seen.checkout.status == "unknown"
    assert look(cart, CheckoutQuery(attempt=1, decided=True)) == View()
