"""Each claim about a flash sale, holding for a fair one and failing for one that is not."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bench import sale_proof
from bench.messages import Balance, Order, OrderLine
from bench.sale_proof import CLAIMS, EventBody, Evidence, JournalEvent, Wish

_OPENED = datetime(2026, 12, 12, tzinfo=UTC)


def wish(key: str, *, quantity: int = 1, asked: int, answered: int | None, status: int) -> Wish:
    return Wish(
        key=key,
        customer=f"customer of {key}",
        quantity=quantity,
        asked_ns=asked,
        answered_ns=answered,
        status=None if answered is None else status,
        order_ids={f"id of {key}"} if status == 201 and answered is not None else set(),
    )


def placed(seq: int, key: str, *, quantity: int = 1, second: int | None = None) -> JournalEvent:
    return JournalEvent(
        seq=seq,
        at=_OPENED + timedelta(seconds=seq if second is None else second),
        kind="order_placed",
        idempotency_key=key,
        body=EventBody(quantity=quantity, customer=f"customer of {key}"),
    )


def shown(key: str, *, quantity: int = 1) -> Order:
    line = OrderLine(product="tea", warehouse="main", quantity=quantity)
    return Order(
        id=f"id of {key}",
        status="new",
        created_at="",
        lines=[line],
        customer=f"customer of {key}",
    )


def fair_sale() -> Evidence:
    """Three units: one bought, two by a customer who walked away, and one customer too late."""
    return Evidence(
        units=3,
        wishes=[
            wish("early", asked=10, answered=20, status=201),
            wish("gone", quantity=2, asked=30, answered=None, status=201),
            wish("late", asked=40, answered=50, status=409),
        ],
        events=[
            JournalEvent(
                seq=1,
                at=_OPENED,
                kind="stock_received",
                idempotency_key=None,
                body=EventBody(quantity=3),
            ),
            placed(2, "early"),
            placed(3, "gone", quantity=2),
        ],
        orders={"id of early": shown("early")},
        balance=Balance(available=0, ordered=3, held=0, on_hand=3),
    )


def altered(**changes: object) -> Evidence:
    return msgspec.structs.replace(fair_sale(), **changes)


def test_every_claim_holds_for_a_fair_sale() -> None:
    assert {claim(fair_sale()) for claim in CLAIMS} == {""}


def test_a_unit_too_many_is_seen() -> None:
    oversold = altered(events=[*fair_sale().events, placed(4, "late")])

    assert sale_proof.exactly_the_stock_was_sold(oversold) == "4 units were sold of 3"
    assert sale_proof.nobody_refused_was_sold_to(oversold) == "late has an order"


def test_a_unit_too_few_is_seen() -> None:
    undersold = altered(events=fair_sale().events[:-1])

    assert sale_proof.exactly_the_stock_was_sold(undersold) == "1 units were sold of 3"


def test_a_key_with_two_orders_is_seen() -> None:
    twice = altered(events=[*fair_sale().events, placed(4, "early")])

    assert sale_proof.no_key_bought_twice(twice) == "early: 2 orders"


@pytest.mark.parametrize("stray", [placed(4, "stranger"), placed(4, "late", quantity=2)])
def test_an_order_that_nobody_wished_for_is_seen(stray: JournalEvent) -> None:
    strange = altered(events=[*fair_sale().events, stray])

    assert sale_proof.every_order_was_wished_for(strange) == "seq 4 is nobody's order"


def test_an_acknowledged_order_that_is_lost_is_seen() -> None:
    lost = altered(events=[fair_sale().events[0], placed(2, "gone", quantity=2)])

    claim = sale_proof.every_acknowledged_order_is_in_the_journal
    assert claim(lost) == "early is missing"


@pytest.mark.parametrize("found", [None, shown("early", quantity=2), shown("gone")])
def test_an_id_that_shows_nothing_or_another_order_is_seen(found: Order | None) -> None:
    misled = altered(orders={"id of early": found})

    claim = sale_proof.every_acknowledged_order_is_found_by_its_id
    assert claim(misled).startswith("early: id of early shows")


def test_a_repeat_that_was_told_another_id_is_seen() -> None:
    two_faced = fair_sale()
    two_faced.wishes[0].order_ids.add("another")

    assert sale_proof.one_key_had_one_order_id(two_faced).startswith("early had")


def test_an_id_that_two_keys_were_told_is_seen() -> None:
    shared = fair_sale()
    shared.wishes[1].order_ids.add("id of early")

    assert sale_proof.one_key_had_one_order_id(shared) == "id of early was given to 2 keys"


def test_a_refusal_before_the_stock_was_sold_out_is_seen() -> None:
    hasty = fair_sale()
    hasty.wishes[2].answered_ns = 25

    claim = sale_proof.nobody_was_refused_while_there_was_enough
    assert claim(hasty) == "1 were refused too early"


def test_a_large_wish_may_be_refused_while_a_small_one_is_granted() -> None:
    picky = fair_sale()
    picky.wishes[2] = wish("late", quantity=3, asked=22, answered=25, status=409)

    assert sale_proof.nobody_was_refused_while_there_was_enough(picky) == ""


@pytest.mark.parametrize(
    "balance",
    [
        Balance(available=1, ordered=3, held=0, on_hand=4),
        Balance(available=0, ordered=2, held=1, on_hand=3),
        Balance(available=0, ordered=3, held=0, on_hand=3, unallocatable={"expired": 1}),
    ],
)
def test_a_balance_that_does_not_add_up_is_seen(balance: Balance) -> None:
    assert sale_proof.the_balance_adds_up(altered(balance=balance)) == str(balance)


def test_a_gap_in_the_sequence_numbers_is_seen() -> None:
    first, second, _ = fair_sale().events
    gap = altered(events=[first, second, placed(4, "gone", quantity=2)])

    claim = sale_proof.sequence_numbers_have_no_gap_and_times_no_way_back
    assert claim(gap) == "seq 4 where 3 should be"


def test_a_time_that_goes_back_is_seen() -> None:
    first, second, _ = fair_sale().events
    back = altered(events=[first, second, placed(3, "gone", quantity=2, second=1)])

    claim = sale_proof.sequence_numbers_have_no_gap_and_times_no_way_back
    assert claim(back) == "seq 3 is older than 2"


def test_a_customer_who_was_overtaken_is_seen() -> None:
    first = fair_sale().events[0]
    overtaken = altered(events=[first, placed(2, "gone", quantity=2), placed(3, "early")])

    assert sale_proof.first_come_first_served(overtaken) == "1 customers were overtaken"


def test_customers_who_asked_at_the_same_time_may_stand_in_either_order() -> None:
    together = altered(
        events=[fair_sale().events[0], placed(2, "gone", quantity=2), placed(3, "early")]
    )
    together.wishes[1].asked_ns = 15

    assert sale_proof.first_come_first_served(together) == ""
