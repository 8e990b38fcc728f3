"""Units that come back where promised ones are missing: rows say that these became nobody's."""

from collections.abc import Sequence

import msgspec
import pytest

from allocator.domain import laws
from allocator.domain.adjustments import Adjust, OrderRepicked
from allocator.domain.holds import Hold
from allocator.domain.kinds import Event
from allocator.domain.messages import CancelOrder, Command, Wake
from allocator.domain.missing import Freeing
from allocator.domain.pool import Pool
from allocator.domain.transfers import LetGo, TakeIn, Transfer
from tests.builders import NOW_MS, do, place, pool_of
from tests.unit.test_reconcile_rules import batch, fed, says, short, there

CART = 7


def hold(quantity: int, *, step: int) -> Hold:
    return Hold(process=CART, step=step, sent_at_ms=NOW_MS, quantity=quantity)


def take_in(*quantities: int) -> TakeIn:
    """Return an ask to take in so many units of batch A, each a lot."""
    lots = tuple(
        Transfer(quantity=units, origin=(9, lot), received_at_ms=NOW_MS, code="A")
        for lot, units in enumerate(quantities, 1)
    )
    return TakeIn(process=99, step=2, sent_at_ms=NOW_MS, lots=lots, product=None)


def short_pool() -> Pool:
    """Return a pool with three ordered, three held and three damaged units, of which four miss."""
    pool = fed(A=9)
    do(pool, place(3))
    do(pool, hold(3, step=1))
    do(pool, Adjust(source="available", target="damaged", quantity=3, reason="wet"))
    do(pool, says(pool, batch("A", 5), as_of=11))
    assert short(pool) == 4
    return pool


def missing(events: Sequence[Event]) -> list[tuple[tuple[int, int], ...]]:
    """Return what each row says."""
    assert all(isinstance(event, Freeing) for event in events)
    return [event.missing for event in events if isinstance(event, Freeing)]


@pytest.mark.parametrize(
    ("command", "gone"),
    [
        (CancelOrder(order=3), 3),
        (hold(1, step=2), 2),
        (LetGo(process=CART, step=2, sent_at_ms=NOW_MS), 3),
        (Adjust(source="damaged", target="available", quantity=2, reason="dried"), 2),
    ],
    ids=["cancelled", "held less", "let go", "adjusted"],
)
def test_units_that_come_back_stand_for_missing_ones_and_their_row_says_so(
    command: Command, gone: int
) -> None:
    pool = short_pool()

    assert missing(do(pool, command)) == [((2, gone),)]
    assert (pool.available, short(pool)) == (0, 4 - gone)


def test_what_is_more_than_was_missing_becomes_available() -> None:
    pool = fed(A=10)
    do(pool, place(5))
    do(pool, place(5))
    do(pool, says(pool, batch("A", 7), as_of=11))

    assert missing(do(pool, CancelOrder(order=3))) == [((2, 3),)]
    assert there(pool) == {"A": (2, 5)}
    assert missing(do(pool, CancelOrder(order=4))) == [()]
    assert there(pool) == {"A": (7, 0)}


def test_units_that_arrive_stand_for_missing_ones_lot_by_lot() -> None:
    pool = fed(A=10)
    do(pool, place(8))
    do(pool, says(pool, batch("A", 6), as_of=11))

    rows = do(pool, take_in(1, 5))

    assert missing(rows) == [((pool.version - 1, 1),), ((pool.version, 1),)]
    assert (pool.available, short(pool)) == (4, 0)
    assert pool.version - 1 not in pool.lots


def test_several_orders_that_get_others_stand_for_no_more_than_is_missing() -> None:
    pool = fed(A=6)
    for _ in range(3):
        do(pool, place(2))
    do(pool, says(pool, batch("A", 3), batch("B", 9), as_of=11))

    rows = do(pool, Wake())

    assert rows == ()  # what was due came before
    assert there(pool) == {"A": (0, 3), "B": (6, 3)}
    assert short(pool) == 0


def test_a_pool_that_is_short_of_nothing_says_nothing() -> None:
    pool = pool_of(5)
    do(pool, place(2))

    (event,) = do(pool, CancelOrder(order=2))

    assert b"missing" not in msgspec.json.encode(event)


@pytest.mark.parametrize("said", [(), ((2, 1),), ((2, 4),), ((3, 3),), ((2, 0), (2, 3))])
def test_the_law_knows_rows_that_say_something_else_of_missing_units(
    said: tuple[tuple[int, int], ...],
) -> None:
    pool = short_pool()
    (event,) = do(short_pool(), CancelOrder(order=3))

    assert not laws.unlawful(pool, event)
    assert "missing ones" in laws.unlawful(pool, msgspec.structs.replace(event, missing=said))


def test_the_law_knows_units_that_stand_for_missing_ones_of_a_pool_that_was_never_fed() -> None:
    pool = pool_of(5)
    do(pool, place(2))
    (event,) = do(pool_of(5), place(2))
    bad = OrderRepicked(order=2, returned=((1, 1),), added=((1, 1),), missing=((1, 1),))

    assert not laws.unlawful(pool_of(5), event)
    assert "missing ones" in laws.unlawful(pool, bad)
