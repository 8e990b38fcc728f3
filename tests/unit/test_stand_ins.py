"""Units that are missing, and what stands in for them: nobody buys what may not be there."""

from allocator.domain import laws
from allocator.domain.adjustments import WITHHELD, Adjust, OrderRepicked, UnitsAdjusted
from allocator.domain.holds import Confirm, Hold
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    InsufficientStock,
    LotExpired,
    PlaceOrder,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.recall_rules import REPICKS_MAX
from allocator.domain.reconciling import Detach, IsFed, Statement
from allocator.domain.rules import decide, evolve, wake_at
from allocator.domain.stand_ins import owed
from tests.builders import NOW_MS, do, place, refusal
from tests.unit.test_reconcile_rules import FEED, batch, fed, says, short, there

CART = 268_435_801


def withheld(pool: Pool) -> int:
    """Return how many units are kept for those of whom others are missing."""
    assert not laws.unbalanced(pool)
    return dict(pool.aside).get(WITHHELD, 0)


def wake(pool: Pool, *, now_ms: int = NOW_MS) -> None:
    """Have all be done that is due, each row as it may be."""
    while wake_at(pool) is not None and (wake_at(pool) or 0) <= now_ms:
        events = decide(pool, Wake(), now_ms=now_ms)
        assert isinstance(events, tuple)
        assert events, "what is due can be done"
        assert pool.may_be_due, "else nobody asks whether anything is"
        for event in events:
            assert not laws.unlawful(pool, event)
            evolve(pool, event, at_ms=now_ms)


def sold_out() -> Pool:
    """Return a pool of five of A and five of B, of which all were ordered, and have left."""
    pool = fed(A=5, B=5)
    for order in (4, 6):
        do(pool, place(5))
        do(pool, DispatchOrder(order=order))
    assert (pool.available, pool.ordered, pool.lots) == (0, 0, {})
    return pool


def booked_elsewhere() -> Pool:
    """Return it when the WMS has booked what left of A on B, and not yet what left of B."""
    pool = sold_out()
    do(pool, says(pool, batch("A", 5, applied=5), batch("B", 0), as_of=11))
    wake(pool)
    return pool


def test_units_that_have_left_as_another_batch_than_they_were_are_not_sold_again() -> None:
    """The WMS has applied the push of A, and booked it on B; of what left of B it has not heard."""
    pool = sold_out()

    do(pool, says(pool, batch("A", 5, applied=5), batch("B", 0), as_of=11))
    wake(pool)

    assert refusal(pool, place(1)) == InsufficientStock(requested=1, available=0)
    assert (pool.available, withheld(pool)) == (0, 5)


def test_what_is_withheld_for_them_is_gone_when_the_wms_has_applied_everything() -> None:
    pool = booked_elsewhere()

    do(pool, says(pool, batch("A", 0, applied=5), batch("B", 0, applied=5), as_of=12))
    wake(pool)

    assert (pool.available, withheld(pool), short(pool), pool.lots) == (0, 0, 0, {})


def test_what_is_withheld_can_be_bought_when_what_was_missing_is_found() -> None:
    pool = booked_elsewhere()

    do(pool, says(pool, batch("A", 5, applied=5), batch("B", 3), as_of=12))
    wake(pool)

    assert (withheld(pool), short(pool)) == (2, 2)
    assert there(pool) == {"A": (3, 0)}


def test_what_left_was_another_batch_if_the_named_one_is_not_there() -> None:
    """Lost before it left: what has left was of B then, of which the WMS has not heard."""
    pool = fed(A=5, B=5)
    do(pool, place(5))
    do(pool, DispatchOrder(order=4))

    do(pool, says(pool, batch("B", 5), as_of=11))
    wake(pool)

    assert refusal(pool, place(1)) == InsufficientStock(requested=1, available=0)
    assert withheld(pool) == 5


def test_for_what_a_cart_holds_as_many_are_withheld_and_its_order_gets_them() -> None:
    pool = fed(A=5, B=5)
    do(pool, Hold(process=CART, step=1, sent_at_ms=NOW_MS, quantity=4))

    do(pool, says(pool, batch("A", 1), batch("B", 5), as_of=11))
    wake(pool)

    assert (pool.available, pool.held, withheld(pool)) == (2, 4, 3)
    do(pool, Confirm(process=CART, step=2, sent_at_ms=NOW_MS))
    wake(pool)
    assert (pool.available, pool.ordered, withheld(pool), owed(pool)) == (2, 4, 0, 0)
    assert there(pool) == {"A": (0, 1), "B": (2, 3)}
    assert short(pool) == 0


def test_when_a_cart_gives_back_what_is_missing_nothing_is_withheld_for_it() -> None:
    pool = fed(A=5, B=5)
    do(pool, Hold(process=CART, step=1, sent_at_ms=NOW_MS, quantity=5))
    do(pool, says(pool, batch("B", 5), as_of=11))
    wake(pool)
    assert (pool.available, withheld(pool)) == (0, 5)

    do(pool, Hold(process=CART, step=2, sent_at_ms=NOW_MS, quantity=0))
    wake(pool)

    assert (pool.available, pool.held, withheld(pool), short(pool)) == (5, 0, 0, 0)


def test_what_is_gone_comes_before_orders_that_would_get_what_is_not_there() -> None:
    pool = fed(A=4, B=3)
    do(pool, place(4))
    do(pool, DispatchOrder(order=4))
    do(pool, says(pool, batch("A", 4), batch("B", 3), batch("C", 2), as_of=11))
    do(pool, place(3))

    do(pool, says(pool, batch("C", 2), batch("D", 4), as_of=12))
    wake(pool)

    assert (pool.available, withheld(pool), owed(pool)) == (0, 4, 1)


def test_withheld_units_that_are_missing_themselves_are_the_first_of_their_batch() -> None:
    pool = booked_elsewhere()

    do(pool, says(pool, batch("A", 2, applied=5), batch("B", 0), batch("C", 9), as_of=12))
    wake(pool)

    assert (withheld(pool), short(pool)) == (5, 5)
    assert there(pool) == {"A": (0, 0), "C": (6, 0)}


def test_the_last_to_expire_are_withheld_and_nothing_is_that_is_past_its_date() -> None:
    pool = fed(A=5)
    do(pool, place(5))
    do(pool, DispatchOrder(order=3))
    dated = Statement(code="B", orderable=2, expires_at_ms=NOW_MS + 50)
    later = Statement(code="C", orderable=2, expires_at_ms=NOW_MS + 90)
    do(pool, says(pool, batch("A", 0, applied=3), dated, later, as_of=11))

    wake(pool)

    assert there(pool) == {"B": (2, 0), "C": (0, 0)}
    do(pool, says(pool, batch("A", 0, applied=5), dated, later, as_of=12, sent_at_ms=NOW_MS + 95))
    wake(pool, now_ms=NOW_MS + 95)
    assert (pool.available, withheld(pool), pool.expired) == (0, 0, 4)


def test_an_event_raises_no_batch_alone_if_another_has_left_that_may_have_been_it() -> None:
    pool = sold_out()

    do(pool, says(pool, batch("A", 5, applied=5), as_of=11, complete=False))

    assert (pool.available, pool.lots) == (0, {})


def test_units_in_states_that_the_wms_calls_orderable_may_be_the_missing_ones() -> None:
    """Somebody has thrown away what is damaged; nothing has to be withheld for that."""
    pool = fed(A=5, B=5)
    damage = Adjust(source="available", target="damaged", quantity=3, lot=2, reason="wet")
    do(pool, damage)

    do(pool, says(pool, batch("A", 2), batch("B", 5), as_of=11))
    wake(pool)

    assert (pool.available, withheld(pool)) == (5, 0)


def test_more_than_was_there_is_missing_of_what_the_wms_has_promised() -> None:
    pool = fed(A=5, B=5)

    do(pool, says(pool, batch("A", -2), batch("B", 5), as_of=11))
    wake(pool)

    assert (pool.available, withheld(pool)) == (3, 2)


def test_a_pool_that_is_let_go_of_keeps_what_is_withheld_until_somebody_says_otherwise() -> None:
    pool = booked_elsewhere()
    release = Adjust(source=WITHHELD, target="available", quantity=5, reason="counted")
    gone = Adjust(source=WITHHELD, target=None, quantity=5, reason="counted")
    assert isinstance(refusal(pool, gone), IsFed)

    do(pool, Detach(process=FEED, step=2, sent_at_ms=NOW_MS))
    wake(pool)

    assert (pool.available, withheld(pool)) == (0, 5)
    do(pool, release)
    wake(pool)
    assert (pool.available, withheld(pool)) == (5, 0)


def test_while_it_is_fed_nobody_gets_what_is_withheld_by_adjusting() -> None:
    pool = booked_elsewhere()

    do(pool, Adjust(source=WITHHELD, target="available", quantity=5, reason="counted"))
    wake(pool)

    assert refusal(pool, PlaceOrder(quantity=1)) == InsufficientStock(requested=1, available=0)
    assert withheld(pool) == 5


def test_all_that_is_due_happens_in_one_go() -> None:
    """Between two of them somebody could buy what an order waits for."""
    pool = fed(A=4, B=4)
    do(pool, Hold(process=CART, step=1, sent_at_ms=NOW_MS, quantity=4))
    do(pool, says(pool, batch("B", 4), as_of=11))
    wake(pool)
    do(pool, Confirm(process=CART, step=2, sent_at_ms=NOW_MS))

    events = decide(pool, Wake(), now_ms=NOW_MS)

    assert isinstance(events, tuple)
    assert [type(event) for event in events] == [UnitsAdjusted, OrderRepicked]
    assert not any(isinstance(event, LotExpired) for event in events)


def test_nobody_buys_what_orders_get_that_wait_for_their_turn() -> None:
    orders = 2 * REPICKS_MAX + 10
    pool = fed(A=orders)
    for _ in range(orders):
        do(pool, place(1))
    do(pool, says(pool, batch("A", 0), batch("B", orders + 1), as_of=11))
    events = do(pool, Wake())

    assert sum(isinstance(event, OrderRepicked) for event in events) <= REPICKS_MAX
    assert refusal(pool, place(2)) == InsufficientStock(requested=2, available=1)
    wake(pool)
    assert (pool.available, withheld(pool), owed(pool)) == (1, 0, 0)
    assert there(pool) == {"B": (1, orders)}


def test_cancelled_orders_of_missing_units_free_what_stands_in_for_others() -> None:
    pool = fed(A=3)
    do(pool, place(3))
    do(pool, says(pool, as_of=11))
    wake(pool)

    do(pool, CancelOrder(order=3))
    wake(pool)

    assert (pool.available, pool.ordered, withheld(pool), short(pool)) == (0, 0, 0, 0)
