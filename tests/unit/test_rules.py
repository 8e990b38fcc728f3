"""What a pool decides, and what its decisions do to it."""

import pytest

from allocator.domain.messages import (
    AlreadyBegun,
    AlreadyExpired,
    CancelOrder,
    DispatchOrder,
    InsufficientStock,
    LotExpired,
    OpenTicketOption,
    OrderCancelled,
    OrderDispatched,
    OrderNotOpen,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    TicketOptionOpened,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.rules import decide, wake_at
from allocator.domain.snapshots import dump_pool
from allocator.domain.values import units_of
from tests.builders import HOUR_MS, NOW_MS, do, place, pool_of, receive, received, refusal, units

SOON_MS = NOW_MS + HOUR_MS


def test_received_stock_is_available_and_keeps_what_was_said_of_it() -> None:
    """C12, N7."""
    pool = Pool()
    asked = ReceiveStock(quantity=5, lot="A-1", expires_at_ms=SOON_MS, reference="delivery 9")
    [event] = do(pool, asked)

    assert event == StockReceived(
        quantity=5, lot="A-1", expires_at_ms=SOON_MS, reference="delivery 9"
    )
    assert units(pool.balance()) == (5, 0, 0, 5)

    lot = pool.lots[1]

    assert (lot.code, lot.expires_at_ms, lot.reference) == ("A-1", SOON_MS, "delivery 9")
    assert lot.received_at_ms == NOW_MS


@pytest.mark.parametrize("expires_at_ms", [NOW_MS - 1, NOW_MS])
def test_stock_that_is_past_its_date_is_refused(expires_at_ms: int) -> None:
    refused = refusal(Pool(), receive(1, expires_at_ms=expires_at_ms))

    assert refused == AlreadyExpired(expires_at_ms=expires_at_ms, now_ms=NOW_MS)


def test_an_order_takes_the_first_available_stock() -> None:
    """C5, C7, C8."""
    pool = pool_of(5)
    [event] = do(pool, PlaceOrder(quantity=2, customer="ada"))

    assert event == OrderPlaced(quantity=2, picks=((1, 2),), customer="ada")
    assert units(pool.balance()) == (3, 2, 0, 5)
    assert pool.orders.get(2) == ((1, 2),)


def test_an_order_larger_than_the_first_lot_spans_lots() -> None:
    """C7."""
    pool = pool_of(2, received(2, expires_at_ms=SOON_MS))
    [event] = do(pool, place(3))

    assert isinstance(event, OrderPlaced)
    assert event.picks == ((2, 2), (1, 1))
    assert [pool.lots[seq].ordered for seq in (1, 2)] == [1, 2]


def test_the_last_unit_can_be_ordered() -> None:
    pool = pool_of(1)
    do(pool, place(1))

    assert units(pool.balance()) == (0, 1, 0, 1)


def test_one_unit_too_many_is_refused_with_what_is_available() -> None:
    """C9, N1."""
    assert refusal(pool_of(2, 2), place(5)) == InsufficientStock(requested=5, available=4)


def test_an_order_to_an_empty_pool_is_refused() -> None:
    """C9."""
    assert refusal(Pool(), place(1)) == InsufficientStock(requested=1, available=0)


def test_a_sold_unit_is_gone_for_the_next_order_at_once() -> None:
    """N5, N6, Q5: the second of two competing orders sees what the first one left."""
    pool = pool_of(1)
    do(pool, place(1))

    assert refusal(pool, place(1)) == InsufficientStock(requested=1, available=0)


def test_many_orders_for_one_unit_have_one_success() -> None:
    """C16."""
    pool = pool_of(1)
    decisions = []
    for _ in range(100):
        decisions.append(decide(pool, place(1), now_ms=NOW_MS))
        if isinstance(decisions[-1], tuple):
            do(pool, place(1))

    assert sum(isinstance(decision, tuple) for decision in decisions) == 1


def test_deciding_changes_nothing_whatever_is_decided() -> None:
    """C13."""
    pool = pool_of(received(2, expires_at_ms=SOON_MS), 2)
    do(pool, place(3))
    before = dump_pool(pool)
    for command in (
        place(1),
        place(9),
        receive(1),
        DispatchOrder(order=3),
        DispatchOrder(order=4),
        CancelOrder(order=3),
        Wake(),
    ):
        decide(pool, command, now_ms=SOON_MS)

    assert dump_pool(pool) == before


def test_a_dispatched_order_leaves_and_names_what_it_consumed() -> None:
    """C10."""
    pool = pool_of(2, 2)
    do(pool, place(3))
    [event] = do(pool, DispatchOrder(order=3))

    assert event == OrderDispatched(order=3, quantity=3, picks=((1, 2), (2, 1)))
    assert units(pool.balance()) == (1, 0, 0, 1)
    assert set(pool.lots) == {2}


def test_dispatching_leaves_what_is_available_alone() -> None:
    """C10."""
    pool = pool_of(5)
    do(pool, place(2))
    before = pool.available
    do(pool, DispatchOrder(order=2))

    assert pool.available == before == 3


@pytest.mark.parametrize("ending", [DispatchOrder(order=2), CancelOrder(order=2)])
@pytest.mark.parametrize("command", [DispatchOrder(order=2), CancelOrder(order=2)])
def test_an_order_ends_once(
    ending: DispatchOrder | CancelOrder, command: DispatchOrder | CancelOrder
) -> None:
    """C11."""
    pool = pool_of(5)
    do(pool, place(2))
    do(pool, ending)
    before = dump_pool(pool)

    assert refusal(pool, command) == OrderNotOpen(order=2)
    assert dump_pool(pool) == before


@pytest.mark.parametrize("seq", [1, 3, 99])
def test_only_an_order_can_be_dispatched(seq: int) -> None:
    """A seq may be that of a lot, or of nothing."""
    pool = pool_of(5)
    do(pool, place(2))

    assert refusal(pool, DispatchOrder(order=seq)) == OrderNotOpen(order=seq)


def test_a_cancelled_order_gives_its_units_back_to_their_lots() -> None:
    pool = pool_of(2, 2)
    do(pool, place(3))
    [event] = do(pool, CancelOrder(order=3))

    assert event == OrderCancelled(order=3, quantity=3, picks=((1, 2), (2, 1)))
    assert units(pool.balance()) == (4, 0, 0, 4)
    assert pool.pick(3) == ((1, 2), (2, 1))


def test_unsold_units_expire_with_their_lot_and_sold_ones_stay_sold() -> None:
    pool = pool_of(received(5, expires_at_ms=SOON_MS))
    do(pool, place(2))

    assert decide(pool, Wake(), now_ms=SOON_MS - 1) == ()
    assert decide(pool, Wake(), now_ms=SOON_MS) == (LotExpired(lot=1, quantity=3),)

    do(pool, Wake(), now_ms=SOON_MS)

    assert units(pool.balance()) == (0, 2, 3, 5)


def test_all_lots_that_are_due_expire_together_in_order() -> None:
    pool = pool_of(received(1, expires_at_ms=SOON_MS + 1), received(2, expires_at_ms=SOON_MS), 4)

    assert decide(pool, Wake(), now_ms=SOON_MS + 1) == (
        LotExpired(lot=2, quantity=2),
        LotExpired(lot=1, quantity=1),
    )


def test_expired_units_are_on_hand_but_not_for_sale() -> None:
    """N9: present but not sellable."""
    pool = pool_of(received(5, expires_at_ms=SOON_MS))
    do(pool, Wake(), now_ms=SOON_MS)

    assert refusal(pool, place(1), now_ms=SOON_MS) == InsufficientStock(requested=1, available=0)
    assert pool.balance().on_hand == 5


def test_units_given_back_to_a_lot_past_its_date_expire_next() -> None:
    pool = pool_of(received(5, expires_at_ms=SOON_MS))
    do(pool, place(5))
    do(pool, CancelOrder(order=2), now_ms=SOON_MS)

    assert wake_at(pool) == SOON_MS
    assert decide(pool, Wake(), now_ms=SOON_MS) == (LotExpired(lot=1, quantity=5),)


def test_a_pool_wants_to_be_woken_for_its_next_expiry_only() -> None:
    pool = pool_of(5, received(1, expires_at_ms=SOON_MS))

    assert wake_at(pool) == SOON_MS

    do(pool, Wake(), now_ms=SOON_MS)

    assert wake_at(pool) is None


def test_nothing_to_do_is_no_event() -> None:
    assert decide(pool_of(5), Wake(), now_ms=NOW_MS) == ()


def test_each_event_is_one_version() -> None:
    """Q6: the sequence numbers prove the order of processing."""
    pool = pool_of(9)
    for command in (place(1), place(1), DispatchOrder(order=2), CancelOrder(order=3)):
        do(pool, command)

    assert pool.version == 5
    assert pool.last_at_ms == NOW_MS


def test_the_units_of_picks_are_their_sum() -> None:
    assert units_of(((1, 2), (7, 3))) == 5


def test_tickets_are_one_lot_and_are_never_sold_twice() -> None:
    """F1, F5, F6."""
    pool = Pool()
    [opened] = do(pool, OpenTicketOption(name="Concert", desc="Row A", allocation=5))

    assert opened == TicketOptionOpened(name="Concert", desc="Row A", allocation=5)
    assert units(pool.balance()) == (5, 0, 0, 5)

    do(pool, PlaceOrder(quantity=3, customer="user"))

    assert refusal(pool, place(3)) == InsufficientStock(requested=3, available=2)
    assert refusal(pool, OpenTicketOption(name="", desc="", allocation=9)) == AlreadyBegun()


def test_a_ticket_option_may_have_nothing_to_sell() -> None:
    pool = Pool()
    do(pool, OpenTicketOption(name="Concert", desc="Row A", allocation=0))

    assert pool.lots == {}
    assert refusal(pool, place(1)) == InsufficientStock(requested=1, available=0)
