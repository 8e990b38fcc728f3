"""Every law of carts and payments is silent about what is right, and names what is wrong."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from allocator.domain.carts import (
    CartExpired,
    CartNotOpen,
    CloseCart,
    LineWanted,
    OpenCart,
    SetLine,
)
from allocator.domain.checkouts import (
    BeginCheckout,
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    PaymentHeard,
    ResolveCheckout,
)
from allocator.domain.holds import UnitsHeld
from allocator.domain.messages import Wake
from allocator.domain.orders import Line
from allocator.domain.queries import CartQuery
from allocator.domain.transfers import ProcessLetGo
from allocator.payments.provider import Verdict
from allocator.simulation.handling import CURRENCY, price_of
from allocator.simulation.oracle import judge, law_of
from allocator.simulation.provider import Entry
from tests.builders import ACTOR, HOUR_MS, receive
from tests.simulation.stories import Story

THERE = ACTOR + 256
PAID = 1000 << 8
LATE, EXPIRED, CLOSED = PAID + 256, PAID + 512, PAID + 768
"""The processes of the carts, as they come."""

TTL_MS = 60_000
PAYMENT_MS = 10_000


class Ended:
    """A worker that lived until it had nothing left to do."""

    alive = False
    returncode = 0


def line(number: int, pool: int, quantity: int) -> Line:
    return Line(pool=pool, warehouse=f"place of {number}", product="tea", quantity=quantity)


def fill(story: Story, cart: int, here: int, there: int) -> None:
    """Have a customer open a cart, and put units of two pools into it."""
    number = len(story.operations)
    story.lead(OpenCart(customer=f"customer {number}", ttl_ms=TTL_MS, cap_ms=2 * TTL_MS))
    for pool, quantity in ((ACTOR, here), (THERE, there)):
        story.tell(cart, SetLine(line=line(len(story.operations), pool, quantity)))


def check_out(story: Story, cart: int, *, said: str) -> Entry:
    """Have a cart paid for; return what the provider writes down."""
    number = len(story.operations)
    wanted = BeginCheckout(seen=0, prices=(), currency="", client_id=number, timeout_ms=PAYMENT_MS)
    begun = story.check_out(cart, wanted, price_of=price_of, currency=CURRENCY)
    verdict = Verdict(outcome=said, detail="as it was told")  # type: ignore[arg-type]
    story.hear(cart, PaymentHeard(attempt=begun.seq, outcome=verdict.outcome, detail="as told"))
    entry = Entry(
        client_id=number,
        attempt=begun.seq,
        amount=begun.event.amount,  # type: ignore[union-attr]
        currency=CURRENCY,
        begun=True,
        by=Ended(),  # type: ignore[arg-type]
        arrived=True,
        took=said == "paid",
        said=verdict,
    )
    story.charges.append(entry)
    return entry


def a_day() -> Story:
    """Return a story of carts that are paid for, late and at once, that expire and are closed."""
    story = Story()
    story.ask(receive(9))
    story.ask(receive(9), actor_id=THERE)
    fill(story, PAID, 2, 1)  # operations 2 to 4
    story.tell(PAID, SetLine(line=line(5, ACTOR, 1)))
    check_out(story, PAID, said="paid")  # operation 6, attempt 8
    story.ask(CartQuery(), actor_id=PAID)
    fill(story, LATE, 2, 0)  # operations 8 to 10
    entry = check_out(story, LATE, said="unknown")  # operation 11, attempt 4
    failed = ResolveCheckout(attempt=entry.attempt, outcome="failed", reference="finding 12")
    story.tell(LATE, failed)
    story.hear(LATE, PaymentHeard(attempt=entry.attempt, outcome="paid"))  # owed back
    entry.took, entry.said = True, Verdict(outcome="paid", detail="late")
    fill(story, EXPIRED, 1, 1)  # operations 13 to 15
    fill(story, CLOSED, 1, 2)  # operations 16 to 18
    story.tell(CLOSED, CloseCart())
    story.now_ms += TTL_MS
    story.hear(EXPIRED, Wake())
    story.tell(EXPIRED, SetLine(line=line(20, ACTOR, 2)))  # refused: it has expired
    return story


def laws_broken(story: Story) -> set[str]:
    return {law_of(failure) for failure in judge(story.evidence(), searched=9)}


def seq_of(story: Story, cart: int, kind: str) -> int:
    """Return the seq of the first row of a kind."""
    return next(row.seq for row in story.rows[cart] if row.kind == kind)


def test_what_is_right_breaks_no_law() -> None:
    assert judge(a_day().evidence(), searched=9) == []


def test_what_happened_is_what_it_was_to_be() -> None:
    story = a_day()
    ends = [story.rows[cart][-1].kind for cart in (PAID, LATE, EXPIRED, CLOSED)]

    assert ends == ["lines_settled", "refund_due", "cart_ended", "cart_ended"]
    assert story.operations[-1].attempts[0].answer == CartNotOpen(status="expired")


def a_charge_is_asked_for_twice(story: Story) -> None:
    story.charges.append(story.charges[0])


def a_charge_is_asked_for_too_early(story: Story) -> None:
    story.charges[0].begun = False


def a_charge_is_of_another_amount(story: Story) -> None:
    story.charges[0].amount += 1


def money_is_lost(story: Story) -> None:
    story.cut(LATE, after_seq=seq_of(story, LATE, "refund_due") - 1)


def what_was_heard_is_never_known(story: Story) -> None:
    story.cut(LATE, after_seq=seq_of(story, LATE, "checkout_unknown"))


def a_purchase_is_free(story: Story) -> None:
    story.charges[0].took = False


def a_refund_is_of_money_that_nobody_took(story: Story) -> None:
    story.charges[1].took = False


def a_price_changes(story: Story) -> None:
    seq = seq_of(story, PAID, "checkout_begun")
    begun = story.event(PAID, seq)
    assert isinstance(begun, CheckoutBegun)
    items = (replace(begun.items[0], price=1), *begun.items[1:])
    story.bend(seq, replace(begun, items=items), actor_id=PAID)


def a_cart_is_filled_while_it_is_paid_for(story: Story) -> None:
    seq = seq_of(story, LATE, "checkout_unknown")
    story.bend(seq, LineWanted(line=line(99, THERE, 1)), actor_id=LATE)


def a_cart_expires_while_it_is_paid_for(story: Story) -> None:
    story.bend(seq_of(story, LATE, "checkout_unknown"), CartExpired(), actor_id=LATE)


def an_expired_cart_is_paid_for(story: Story) -> None:
    story.bend(
        seq_of(story, EXPIRED, "cart_ended"), CheckoutPaid(attempt=3, held=()), actor_id=EXPIRED
    )


def a_hold_is_given_back_while_it_is_paid_for(story: Story) -> None:
    done = UnitsHeld(process=LATE, step=2, order=9, quantity=1, returned=((1, 1),))
    story.add(done, actor_id=ACTOR)
    moved = story.order.pop()
    story.order.insert(story.order.index((LATE, seq_of(story, LATE, "checkout_begun"))) + 1, moved)


def a_cart_expires_too_early(story: Story) -> None:
    rows = story.rows[EXPIRED]
    seq = seq_of(story, EXPIRED, "cart_expired")
    rows[seq - 1] = replace(rows[seq - 1], at_ms=rows[seq - 1].at_ms - 1)


def a_cart_is_changed_too_late(story: Story) -> None:
    rows = story.rows[CLOSED]
    seq = seq_of(story, CLOSED, "cart_closed")
    rows[seq - 1] = replace(rows[seq - 1], at_ms=rows[seq - 1].at_ms + HOUR_MS)


def a_cart_that_has_ended_holds_something(story: Story) -> None:
    left = next(
        row.seq
        for row in story.rows[THERE]
        if row.kind == "process_let_go" and f'"process":{CLOSED},' in row.body
    )
    story.cut(THERE, after_seq=left - 1)


def a_purchase_is_of_units_that_are_not_ordered(story: Story) -> None:
    bought = next(row.seq for row in story.rows[THERE] if row.kind == "hold_confirmed")
    story.bend(
        bought, ProcessLetGo(process=PAID, step=9, quantity=1, picks=((1, 1),)), actor_id=THERE
    )


def a_failure_is_nobodys(story: Story) -> None:
    story.bend(
        seq_of(story, LATE, "checkout_failed"),
        CheckoutFailed(attempt=4, reference="finding 99", resolved=True),
        actor_id=LATE,
    )


def a_cart_was_refused_that_was_open(story: Story) -> None:
    story.operations[9].attempts[0].answer = CartNotOpen(status="closed")


BOOKS = "money that was taken buys or is owed"
FREE = "nothing is bought without money"
STILL = "nothing happens to a cart that is over or paid for"
WRONG: dict[Callable[[Story], None], str] = {
    a_charge_is_asked_for_twice: "nobody is charged twice",
    a_charge_is_asked_for_too_early: "a charge is asked for when its checkout is stored",
    a_charge_is_of_another_amount: "a charge is asked for when its checkout is stored",
    money_is_lost: BOOKS,
    what_was_heard_is_never_known: "what a worker has heard is known",
    a_purchase_is_free: FREE,
    a_refund_is_of_money_that_nobody_took: FREE,
    a_price_changes: "a checkout is of what is in the cart",
    a_cart_is_filled_while_it_is_paid_for: STILL,
    a_cart_expires_while_it_is_paid_for: STILL,
    an_expired_cart_is_paid_for: STILL,
    a_hold_is_given_back_while_it_is_paid_for: "no hold changes while it is paid for",
    a_cart_expires_too_early: "a cart expires when it is time",
    a_cart_is_changed_too_late: "a cart expires when it is time",
    a_cart_that_has_ended_holds_something: "pools have what their processes say",
    a_purchase_is_of_units_that_are_not_ordered: "an order is all or nothing",
    a_failure_is_nobodys: "every row is somebodys",
    a_cart_was_refused_that_was_open: "every answer was true when it was given",
}


@pytest.mark.parametrize("bend", WRONG, ids=lambda bend: bend.__name__)
def test_what_is_wrong_breaks_its_law(bend: Callable[[Story], None]) -> None:
    story = a_day()
    bend(story)

    assert WRONG[bend] in laws_broken(story)


def test_an_operator_may_be_wrong_if_nobody_is_left_who_knows_better() -> None:
    story = a_day()
    money_is_lost(story)
    story.charges[1].by.returncode = -9  # it died before it could say so

    assert BOOKS not in laws_broken(story)
