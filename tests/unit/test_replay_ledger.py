"""The book of one product, and the comparison of two."""

import msgspec
import pytest

from allocator.replay.ledger import Balance, Difference, Ledger, differences

STOCKED = Balance(available=3, ordered=2, held=0, unallocatable={}, on_hand=5)


def test_an_order_takes_exactly_what_is_there_and_not_one_more() -> None:
    ledger = Ledger()
    ledger.receive(5)

    assert not ledger.place(6)
    assert ledger.place(5)
    assert not ledger.place(1)
    assert ledger.balance() == Balance(available=0, ordered=5, held=0, unallocatable={}, on_hand=5)


def test_a_cancelled_order_gives_its_units_back() -> None:
    ledger = Ledger()
    ledger.receive(5)
    ledger.place(2)
    ledger.place(3)
    ledger.cancel(3)

    assert ledger.balance() == STOCKED


def test_equal_balances_do_not_differ() -> None:
    assert differences({"A": STOCKED}, {"A": STOCKED, "B": STOCKED}) == ()


def test_a_state_with_nothing_in_it_says_nothing() -> None:
    actual = msgspec.structs.replace(STOCKED, unallocatable={"expired": 0})

    assert differences({"A": STOCKED}, {"A": actual}) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"available": 4},
        {"ordered": 1},
        {"held": 1},
        {"on_hand": 6},
        {"unallocatable": {"damaged": 1}},
    ],
    ids=str,
)
def test_any_number_that_is_another_makes_a_difference(
    change: dict[str, int | dict[str, int]],
) -> None:
    actual = msgspec.structs.replace(STOCKED, **change)

    assert differences({"A": STOCKED, "B": STOCKED}, {"A": actual, "B": STOCKED}) == (
        Difference(sku="A", expected=STOCKED, actual=actual),
    )
