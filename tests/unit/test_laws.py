"""What no journal may hold: each breach of a law is told, and nothing that the rules do is one."""

import pytest

from allocator.domain.laws import unbalanced, unlawful
from allocator.domain.messages import (
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.pool import Pool
from allocator.domain.rules import evolve
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transfer,
    UnitsSent,
    UnitsTaken,
)


def pool_after(*events: Event) -> Pool:
    pool = Pool()
    for event in events:
        assert unlawful(pool, event) == ""
        evolve(pool, event, at_ms=1)
    return pool


RECEIVED = StockReceived(quantity=5)
SPANNING = OrderPlaced(quantity=6, picks=((1, 5), (2, 1)))


def stocked() -> Pool:
    """Two lots of five, of which order 3 holds six units."""
    return pool_after(RECEIVED, RECEIVED, SPANNING)


def test_what_a_pool_goes_through_is_lawful_and_balanced() -> None:
    pool = pool_after(
        RECEIVED,
        RECEIVED,
        SPANNING,
        OrderPlaced(quantity=1, picks=((2, 1),)),
        OrderCancelled(order=4, quantity=1, picks=((2, 1),)),
        LotExpired(lot=2, quantity=4),
        OrderDispatched(order=3, quantity=6, picks=((1, 5), (2, 1))),
    )

    assert unbalanced(pool) == ""


def moved(units: int, *, lot: int) -> Transfer:
    return Transfer(quantity=units, origin=(9, lot), received_at_ms=1)


def test_what_processes_ask_is_lawful_and_balanced() -> None:
    pool = pool_after(
        RECEIVED,
        SendRefused(process=7, step=2, requested=6, available=5),
        ProductExpected(process=8, step=1, product="tea"),
        UnitsTaken(process=8, step=3, lot=moved(4, lot=2), last=True),
        UnitsSent(process=9, step=2, quantity=6, lots=(moved(5, lot=1), moved(1, lot=4))),
        *(ProcessLetGo(process=process, step=4) for process in (7, 8, 9)),
    )

    assert unbalanced(pool) == ""
    assert pool.balance().available == 3


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (
            UnitsSent(process=7, step=2, quantity=5, lots=(moved(5, lot=2),)),
            "5 units are taken from lot 2, which has 4",
        ),
        (
            UnitsSent(process=7, step=2, quantity=2, lots=(moved(1, lot=2),)),
            "2 units are ordered and 1 taken from lots",
        ),
        (
            UnitsTaken(process=7, step=3, lot=moved(0, lot=2), last=True),
            "0 units are no stock",
        ),
        (StockReceived(quantity=0), "0 units are no stock"),
        (OrderPlaced(quantity=5, picks=((2, 5),)), "5 units are taken from lot 2, which has 4"),
        (OrderPlaced(quantity=1, picks=((1, 1),)), "1 units are taken from lot 1, which has 0"),
        (OrderPlaced(quantity=1, picks=((9, 1),)), "1 units are taken from lot 9, which has 0"),
        (OrderPlaced(quantity=0, picks=((2, 0),)), "0 units are taken from lot 2, which has 4"),
        (OrderPlaced(quantity=2, picks=((2, 1),)), "2 units are ordered and 1 taken from lots"),
        (OrderPlaced(quantity=0, picks=()), "0 units are ordered and 0 taken from lots"),
        (OrderPlaced(quantity=2, picks=((2, 1), (2, 1))), "a lot is named twice"),
        (OrderDispatched(order=4, quantity=1, picks=((2, 1),)), "order 4 ends, which is not open"),
        (
            OrderCancelled(order=3, quantity=6, picks=((1, 4), (2, 2))),
            "order 3 ends with the picks ((1, 4), (2, 2)), and it holds ((1, 5), (2, 1))",
        ),
        (
            OrderDispatched(order=3, quantity=5, picks=((1, 5), (2, 1))),
            "order 3 ends with 5 units of 6",
        ),
        (LotExpired(lot=2, quantity=5), "5 units expire of lot 2, which has 4"),
        (LotExpired(lot=1, quantity=1), "1 units expire of lot 1, which has 0"),
    ],
)
def test_what_cannot_have_happened_is_told(event: Event, why: str) -> None:
    assert unlawful(stocked(), event) == why


def test_an_order_ends_once() -> None:
    pool = stocked()
    end = OrderDispatched(order=3, quantity=6, picks=((1, 5), (2, 1)))
    evolve(pool, end, at_ms=1)

    assert unlawful(pool, end) == "order 3 ends, which is not open"


def test_numbers_that_do_not_add_up_are_told() -> None:
    pool = stocked()
    pool.available += 1
    assert unbalanced(pool) == "5 units are available, and in lots 4"

    pool = stocked()
    pool.lots[2].ordered -= 1
    assert unbalanced(pool) == "lot 2 has other units ordered than orders have picked"

    pool = stocked()
    pool.lots[2].available += 9
    assert unbalanced(pool) == "lot 2 has 14 units on hand of 5"

    pool = stocked()
    del pool.lots[1]
    assert unbalanced(pool) == "orders hold units of lot 1, of which nothing is there"
