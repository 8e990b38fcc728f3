"""A pool keeps its lots in the order of use and its sums equal to theirs."""

import pytest

from allocator.domain.pool import Lot, Pool
from tests.builders import HOUR_MS, NOW_MS, pool_of, received, units

SOON_MS = NOW_MS + HOUR_MS
LATER_MS = NOW_MS + 2 * HOUR_MS


def test_an_unused_pool_has_nothing_at_version_zero() -> None:
    balance = Pool().balance()

    assert balance.version == 0
    assert units(balance) == (0, 0, 0, 0)


def test_the_lot_that_expires_first_is_used_first_whenever_it_came() -> None:
    """C7: first means earliest expiry."""
    pool = pool_of(5, received(5, expires_at_ms=LATER_MS), received(5, expires_at_ms=SOON_MS))

    assert pool.pick(12) == ((3, 5), (2, 5), (1, 2))


def test_among_lots_of_one_expiry_the_one_received_first_is_used_first() -> None:
    """C7: then earliest received."""
    pool = pool_of(*(received(1, expires_at_ms=SOON_MS) for _ in range(3)), 1, 1)

    assert [lot for lot, _ in pool.pick(5)] == [1, 2, 3, 4, 5]


def test_a_pick_that_one_lot_can_serve_touches_no_other() -> None:
    assert pool_of(3, 3).pick(3) == ((1, 3),)


def test_picking_changes_nothing() -> None:
    pool = pool_of(3, 3)
    pool.pick(5)

    assert pool.pick(5) == ((1, 3), (2, 2))
    assert pool.available == 6


def test_a_lot_that_is_used_up_is_not_picked_from_again() -> None:
    pool = pool_of(2, 2)
    pool.take(1, 2)

    assert pool.pick(1) == ((2, 1),)


def test_units_given_back_to_a_used_up_lot_take_its_old_place() -> None:
    pool = pool_of(2, 2)
    lot = pool.take(1, 2)
    pool.give_back(lot, 1)

    assert pool.pick(3) == ((1, 1), (2, 2))
    assert pool.available == 3


def test_a_lot_in_the_middle_can_be_used_up_before_the_first() -> None:
    pool = pool_of(1, 1, 1)
    pool.take(2, 1)

    assert pool.pick(2) == ((1, 1), (3, 1))


def test_a_lot_goes_only_when_nothing_of_it_is_on_hand() -> None:
    pool = pool_of(2)
    lot = pool.take(1, 2)
    lot.ordered += 2
    pool.forget_if_gone(lot)

    assert set(pool.lots) == {1}

    lot.ordered -= 2
    pool.forget_if_gone(lot)

    assert not pool.lots


def test_lots_are_due_from_the_very_millisecond_of_their_expiry_and_in_order() -> None:
    pool = pool_of(1, received(1, expires_at_ms=LATER_MS), received(1, expires_at_ms=SOON_MS))

    assert pool.due(SOON_MS - 1) == []
    assert [lot.seq for lot in pool.due(SOON_MS)] == [3]
    assert [lot.seq for lot in pool.due(LATER_MS)] == [3, 2]


def test_a_pool_whose_lots_never_expire_has_no_next_expiry() -> None:
    assert pool_of(1).next_expiry_ms is None


def test_the_next_expiry_follows_the_first_lot_with_unsold_units() -> None:
    pool = pool_of(1, received(1, expires_at_ms=LATER_MS), received(1, expires_at_ms=SOON_MS))
    seen = [pool.next_expiry_ms]
    soonest = pool.take(3, 1)
    seen.append(pool.next_expiry_ms)
    pool.take(2, 1)
    seen.append(pool.next_expiry_ms)
    pool.give_back(soonest, 1)
    seen.append(pool.next_expiry_ms)

    assert seen == [SOON_MS, LATER_MS, None, SOON_MS]


def test_a_lot_without_unsold_units_is_never_due() -> None:
    pool = pool_of(received(1, expires_at_ms=SOON_MS))
    pool.take(1, 1)

    assert pool.due(LATER_MS) == []


@pytest.mark.parametrize("lots", [10, 1_023, 1_024, 1_025, 2_500])
def test_lots_used_up_by_the_thousand_leave_the_rest_in_order(lots: int) -> None:
    """The head of the queue moves, and what it leaves behind is cleared now and then."""
    pool = pool_of(*[1] * (lots + 3))
    for seq in range(1, lots + 1):
        pool.take(seq, 1)
    pool.give_back(pool.lots[1], 1)

    assert [lot for lot, _ in pool.pick(4)] == [1, lots + 1, lots + 2, lots + 3]
    assert pool.available == 4


def test_a_recovered_lot_brings_all_its_units_into_the_sums() -> None:
    pool = Pool()
    pool.put(
        Lot(
            seq=9,
            quantity=10,
            available=1,
            ordered=2,
            expired=3,
            received_at_ms=NOW_MS,
        )
    )

    assert units(pool.balance()) == (1, 2, 3, 6)
    assert pool.lots[9].on_hand == 6
