"""N9: units that are counted anew, set aside or recalled, and what becomes of their orders."""

import msgspec
import pytest

from allocator.domain.adjustments import (
    Adjust,
    FlaggedUnits,
    InsufficientUnits,
    OrderRepicked,
    SetState,
    UnitsAdjusted,
    UnitsRecalled,
    UnknownLot,
    VersionPassed,
)
from allocator.domain.holds import Confirm, Hold
from allocator.domain.laws import unbalanced
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    DispatchPart,
    Event,
    InsufficientStock,
    LotExpired,
    OrderDispatched,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.queries import OpenOrderQuery, look
from allocator.domain.recall_rules import REPICKS_MAX
from allocator.domain.reconciling import IsFed, Reconcile, Statement
from allocator.domain.rules import decide, wake_at
from allocator.domain.snapshots import dump_pool, load_pool
from allocator.domain.transfers import LOTS_MAX, Occupied, TooManyLots
from tests.builders import HOUR_MS, NOW_MS, apply, do, place, pool_of, receive, received, refusal

SOON_MS = NOW_MS + HOUR_MS
PROCESS = 99 << 8


def adjust(
    source: str | None, target: str | None, quantity: int | None, *, lot: int | None = None
) -> Adjust:
    """Return the command that moves units between states."""
    return Adjust(source=source, target=target, quantity=quantity, lot=lot, reason="count")


def settle(pool: Pool, *, now_ms: int = NOW_MS) -> list[Event]:
    """Do all that is due, and return what happened."""
    events: list[Event] = []
    for _ in range(1_000):
        due = apply(pool, decide(pool, Wake(), now_ms=now_ms), now_ms=now_ms)
        if not due:
            break
        events += due

    assert unbalanced(pool) == ""

    return events


def is_flagged(pool: Pool, order: int) -> bool:
    """Say whether an order is shown as flagged."""
    view = look(pool, OpenOrderQuery(order))
    return view is not None and view.flagged


def test_units_that_were_found_are_a_new_lot() -> None:
    pool = pool_of(5)
    [event] = do(pool, adjust(None, "available", 3))

    assert event == UnitsAdjusted(changes=((2, None, "available", 3),), reason="count")
    assert pool.balance().available == 8
    assert pool.lots[2].received_at_ms == NOW_MS


def test_units_of_a_lot_that_were_found_are_added_to_it() -> None:
    pool = pool_of(5)
    do(pool, adjust(None, "damaged", 2, lot=1))

    assert (pool.lots[1].quantity, pool.lots[1].on_hand) == (7, 7)
    assert pool.balance().unallocatable == {"expired": 0, "damaged": 2}


def test_units_that_are_gone_are_written_off_first_to_expire_first() -> None:
    pool = pool_of(5, received(2, expires_at_ms=SOON_MS))
    [event] = do(pool, adjust("available", None, 3))

    assert isinstance(event, UnitsAdjusted)
    assert event.changes == ((2, "available", None, 2), (1, "available", None, 1))
    assert set(pool.lots) == {1}
    assert pool.balance().on_hand == 4


def test_units_in_a_state_are_there_and_cannot_be_sold() -> None:
    """N9."""
    pool = pool_of(5)
    do(pool, adjust("available", "damaged", 4))
    balance = pool.balance()

    assert (balance.available, balance.aside, balance.on_hand) == (1, (("damaged", 4),), 5)
    assert refusal(pool, place(2)) == InsufficientStock(requested=2, available=1)

    do(pool, adjust("damaged", "available", 3))
    do(pool, place(4))

    assert pool.balance().aside == (("damaged", 1),)


def test_what_is_not_in_the_state_is_refused_with_what_is() -> None:
    pool = pool_of(5)
    do(pool, place(3))
    asked = (adjust("available", "damaged", 3), adjust("lost", "available", 1))
    answers = [refusal(pool, command) for command in asked]

    assert answers == [
        InsufficientUnits(state="available", requested=3, available=2),
        InsufficientUnits(state="lost", requested=1, available=0),
    ]
    assert refusal(pool, adjust("available", None, 3, lot=1)) == InsufficientUnits(
        state="available", requested=3, available=2
    )


def test_units_of_a_lot_that_is_not_there_are_refused() -> None:
    assert refusal(pool_of(5), adjust("available", "lost", 1, lot=7)) == UnknownLot(lot=7)


def test_units_over_too_many_lots_are_refused() -> None:
    pool = pool_of(*[1] * (LOTS_MAX + 1))
    many = adjust("available", "damaged", LOTS_MAX + 1)

    assert refusal(pool, many) == TooManyLots(lots=LOTS_MAX + 1, limit=LOTS_MAX)


def test_units_past_their_date_do_not_become_available_again() -> None:
    pool = pool_of(received(4, expires_at_ms=SOON_MS))
    do(pool, adjust("available", "quarantined", 4))
    [event] = do(pool, adjust("quarantined", "available", 3), now_ms=SOON_MS)

    assert isinstance(event, UnitsAdjusted)
    assert event.changes == ((1, "quarantined", "expired", 3),)
    assert pool.balance().unallocatable == {"expired": 3, "quarantined": 1}


def test_expired_units_stay_so_and_no_row_says_that_they_changed() -> None:
    pool = pool_of(received(4, expires_at_ms=SOON_MS))
    do(pool, Wake(), now_ms=SOON_MS)
    [event] = do(pool, adjust("expired", "available", 3), now_ms=SOON_MS)

    assert isinstance(event, UnitsAdjusted)
    assert event.changes == ()
    assert pool.balance().unallocatable == {"expired": 4}


def test_expired_units_can_be_written_off() -> None:
    pool = pool_of(received(4, expires_at_ms=SOON_MS))
    do(pool, Wake(), now_ms=SOON_MS)
    do(pool, adjust("expired", None, 4), now_ms=SOON_MS)

    assert not pool.lots
    assert unbalanced(pool) == ""


def test_another_product_is_not_found_where_one_is() -> None:
    pool = Pool()
    found = Adjust(source=None, target="available", quantity=2, reason="count", product="tea")
    do(pool, found)
    other = Adjust(source=None, target="damaged", quantity=1, reason="count", product="pot")
    of_other = Adjust(source="available", target=None, quantity=1, reason="count", product="pot")

    assert refusal(pool, other) == Occupied(product="tea")
    assert refusal(pool, of_other) == InsufficientUnits(state="available", requested=1, available=0)


@pytest.mark.parametrize(
    ("quantity", "changes"),
    [
        (7, ((2, None, "available", 2),)),
        (5, ()),
        (1, ((1, "available", None, 4),)),
    ],
)
def test_a_state_is_set_absolutely(quantity: int, changes: object) -> None:
    pool = pool_of(5)
    [event] = do(pool, SetState(state="available", quantity=quantity, version=1, reason="count"))

    assert isinstance(event, UnitsAdjusted)
    assert event.changes == changes
    assert pool.balance().available == quantity


def test_a_state_is_not_set_on_what_was_read_before_the_last_event() -> None:
    pool = pool_of(5)
    do(pool, place(1))
    stale = SetState(state="available", quantity=5, version=1, reason="count")

    assert refusal(pool, stale) == VersionPassed(version=2)


def test_the_order_of_a_quarantined_lot_gets_units_of_others() -> None:
    """The units change places, and the order stays as it was promised."""
    pool = pool_of(4, 3)
    do(pool, place(3))
    do(pool, adjust("available", "quarantined", None, lot=1))
    events = settle(pool)

    assert events == [
        OrderRepicked(order=3, returned=((1, 3),), added=((2, 3),)),
        UnitsRecalled(lot=1, state="quarantined", quantity=3),
    ]
    assert pool.orders.get(3) == ((2, 3),)
    assert not is_flagged(pool, 3)

    balance = pool.balance()

    assert (balance.available, balance.ordered, balance.aside) == (0, 3, (("quarantined", 4),))


def test_an_order_that_cannot_be_repicked_is_flagged_and_does_not_leave() -> None:
    pool = pool_of(4)
    do(pool, place(3))
    [event] = do(pool, adjust("available", "quarantined", None, lot=1))

    assert isinstance(event, UnitsAdjusted)
    assert event.recalled == ((1, "quarantined", 3),)
    assert settle(pool) == []
    assert is_flagged(pool, 2)
    for command in (DispatchOrder(order=2), DispatchPart(order=2, quantity=1)):
        flagged = refusal(pool, command)

        assert isinstance(flagged, FlaggedUnits)
        assert flagged.available == 0


def test_a_flagged_order_comes_before_whoever_orders_next() -> None:
    pool = pool_of(4)
    do(pool, place(4))
    do(pool, adjust("available", "damaged", None, lot=1))
    do(pool, receive(5))

    assert wake_at(pool) == NOW_MS

    apply(pool, decide(pool, Wake(), now_ms=NOW_MS), now_ms=NOW_MS)

    assert refusal(pool, place(2)) == InsufficientStock(requested=2, available=1)
    assert not is_flagged(pool, 2)


def test_an_order_gets_in_parts_what_there_is() -> None:
    pool = pool_of(4, 1)
    do(pool, place(4))
    do(pool, adjust("available", "damaged", None, lot=1))
    settle(pool)

    assert pool.orders.get(3) == ((1, 3), (2, 1))
    assert is_flagged(pool, 3)
    assert isinstance(refusal(pool, DispatchOrder(order=3)), FlaggedUnits)

    do(pool, receive(3))
    settle(pool)

    assert pool.orders.get(3) == ((2, 1), (7, 3))
    assert not is_flagged(pool, 3)


def test_a_lot_that_is_released_takes_the_flag_away() -> None:
    pool = pool_of(4)
    do(pool, place(3))
    do(pool, adjust("available", "quarantined", None, lot=1))
    [event] = do(pool, adjust("quarantined", "available", None, lot=1))

    assert isinstance(event, UnitsAdjusted)
    assert event.recalled == ((1, "quarantined", -3),)
    assert event.changes == ((1, "quarantined", "available", 1),)
    assert not is_flagged(pool, 2)

    do(pool, DispatchOrder(order=2))

    assert pool.balance().available == 1


def test_a_flagged_order_that_is_cancelled_pays_what_its_lot_owes() -> None:
    pool = pool_of(4)
    do(pool, place(3))
    do(pool, adjust("available", "quarantined", None, lot=1))
    do(pool, CancelOrder(order=2))

    assert settle(pool) == [UnitsRecalled(lot=1, state="quarantined", quantity=3)]
    assert pool.balance().aside == (("quarantined", 4),)


def test_of_a_lot_that_is_bad_in_part_the_good_units_leave() -> None:
    """Whoever comes first gets them."""
    pool = pool_of(4)
    do(pool, place(2))
    do(pool, place(2))
    do(pool, adjust("available", "damaged", 2, lot=1))
    do(pool, DispatchOrder(order=2))

    assert isinstance(refusal(pool, DispatchOrder(order=3)), FlaggedUnits)


def test_what_a_cart_holds_is_neither_taken_nor_repicked_before_it_is_an_order() -> None:
    pool = pool_of(4, 3)
    do(pool, Hold(process=PROCESS, step=1, sent_at_ms=NOW_MS, quantity=2))
    do(pool, adjust("available", "quarantined", None, lot=1))

    assert settle(pool) == []
    assert pool.lots[1].held == 2

    do(pool, Confirm(process=PROCESS, step=2, sent_at_ms=NOW_MS))
    settle(pool)

    assert pool.orders.get(3) == ((2, 2),)
    assert pool.orders.is_led(3)
    assert pool.repicked == pool.version - 1


def test_what_a_process_has_decided_leaves_though_it_was_recalled() -> None:
    """It cannot be refused; so the lot does not owe those units any more."""
    pool = pool_of(4)
    do(pool, Hold(process=PROCESS, step=1, sent_at_ms=NOW_MS, quantity=3))
    do(pool, Confirm(process=PROCESS, step=2, sent_at_ms=NOW_MS))
    do(pool, adjust("available", "quarantined", None, lot=1))
    events = do(pool, DispatchOrder(order=2))

    assert events == (
        UnitsAdjusted(recalled=((1, "quarantined", -3),), reason="dispatched"),
        OrderDispatched(order=2, quantity=3, picks=((1, 3),)),
    )
    assert unbalanced(pool) == ""
    assert not pool.recalls


def test_no_order_gets_units_past_their_date() -> None:
    pool = pool_of(4, received(4, expires_at_ms=SOON_MS))
    do(pool, place(4))
    do(pool, place(4))
    do(pool, adjust("available", "quarantined", None, lot=1))
    do(pool, CancelOrder(order=3), now_ms=SOON_MS)

    assert settle(pool, now_ms=SOON_MS) == [LotExpired(lot=2, quantity=4)]
    assert is_flagged(pool, 4)


def test_one_message_waits_for_no_more_orders_than_a_limit() -> None:
    orders = REPICKS_MAX + 10
    pool = pool_of(orders)
    for _ in range(orders):
        do(pool, place(1))
    do(pool, adjust("available", "damaged", None, lot=1))
    do(pool, receive(orders))
    events = decide(pool, Wake(), now_ms=NOW_MS)

    assert isinstance(events, tuple)
    assert sum(isinstance(event, OrderRepicked) for event in events) == REPICKS_MAX

    settle(pool)

    assert pool.lots[1].aside == (("damaged", orders),)
    assert pool.available == 0


def test_what_comes_back_is_paid_though_many_orders_of_another_lot_wait() -> None:
    pool = pool_of(3 * REPICKS_MAX, 1)
    for _ in range(3 * REPICKS_MAX):
        do(pool, place(1))
    order = pool.version + 1
    do(pool, place(1))
    do(pool, adjust("available", "damaged", None, lot=1))
    do(pool, adjust("available", "damaged", None, lot=2))
    do(pool, receive(4 * REPICKS_MAX))

    do(pool, CancelOrder(order=order))
    do(pool, place(1))

    assert pool.lots[2].aside == (("damaged", 1),)
    assert not pool.lots[2].ordered


def test_what_a_lot_has_beyond_what_it_owes_is_for_the_orders_of_others_first() -> None:
    pool = pool_of(3, 1)
    do(pool, place(3))
    do(pool, place(1))
    do(pool, adjust("available", "damaged", 1, lot=1))
    do(pool, adjust("available", "damaged", 1, lot=2))
    do(pool, CancelOrder(order=3))

    do(pool, place(1))

    assert pool.lots[2].aside == (("damaged", 1),)
    assert not pool.recalls


def test_of_a_fed_pool_units_only_change_their_state() -> None:
    """What comes and goes there, the warehouse's own system says."""
    pool = pool_of(4)
    do(pool, place(1))
    feed = Reconcile(process=PROCESS, step=1, sent_at_ms=NOW_MS, as_of=1, turn=0, complete=True)
    stated = (Statement(orderable=4),)
    do(pool, msgspec.structs.replace(feed, lots=stated))
    set_state = SetState(state="available", quantity=9, version=pool.version, reason="count")
    asked = (
        adjust(None, "available", 1),
        adjust("available", None, 1),
        adjust("available", "damaged", None, lot=1),
        set_state,
    )

    assert [refusal(pool, command) for command in asked] == [IsFed()] * 4

    do(pool, adjust("available", "damaged", 2))

    assert pool.balance().aside == (("damaged", 2),)


def test_a_snapshot_knows_what_is_aside_and_recalled() -> None:
    pool = pool_of(4, 3)
    do(pool, place(5))
    do(pool, adjust("available", "damaged", 1))
    do(pool, adjust("available", "quarantined", None, lot=1))
    settle(pool)
    do(pool, CancelOrder(order=3))
    loaded = load_pool(dump_pool(pool))

    assert loaded.balance() == pool.balance()
    assert (loaded.recalls, loaded.repicked) == (pool.recalls, pool.repicked)
    assert dump_pool(loaded) == dump_pool(pool)
    assert wake_at(loaded) == wake_at(pool)
