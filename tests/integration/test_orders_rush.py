"""Crowds: whatever many clients do at once, the numbers are those of one after another."""

import asyncio
from collections import Counter

import pytest

from tests.integration.api_shapes import Order
from tests.integration.shop import Shop

CLIENTS = 40

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_of_many_dispatches_at_once_exactly_one_succeeds(shop: Shop) -> None:
    """C11: N at once: exactly one succeeds."""
    await shop.received(quantity=9)
    order = await shop.placed(quantity=3)
    answers = await asyncio.gather(*(shop.dispatch(order) for _ in range(CLIENTS)))

    assert Counter(answer.status for answer in answers) == {200: 1, 409: CLIENTS - 1}
    assert (await shop.balance()).numbers == (6, 0, 0, 6)


async def test_of_dispatches_and_cancels_at_once_exactly_one_succeeds(shop: Shop) -> None:
    """C11: an order ends one way only, whoever asks at the same time."""
    await shop.received(quantity=9)
    order = await shop.placed(quantity=3)
    asks = [shop.dispatch(order) if n % 2 else shop.cancel(order) for n in range(CLIENTS)]
    answers = await asyncio.gather(*asks)
    [ended] = [answer.read(Order) for answer in answers if answer.status == 200]

    left = {"dispatched": 6, "cancelled": 9}[ended.status]
    assert (await shop.balance()).numbers == (left, 0, 0, left)
    assert await shop.shown(order) == ended


async def test_many_orders_for_one_unit_give_exactly_one_success(shop: Shop) -> None:
    """C16: no race conditions: N orders for one unit give exactly one success."""
    await shop.received(quantity=1)
    answers = await asyncio.gather(*(shop.order() for _ in range(CLIENTS)))

    assert Counter(answer.status for answer in answers) == {201: 1, 409: CLIENTS - 1}
    assert (await shop.balance()).numbers == (0, 1, 0, 1)


async def test_a_crowd_that_meets_a_new_pair_sells_what_is_there(shop: Shop) -> None:
    """C16: the same when the very first requests for a pair arrive together."""
    asks = [shop.receive(quantity=3), *(shop.order() for _ in range(CLIENTS))]
    answers = await asyncio.gather(*asks)
    sold = [answer.read(Order, status=201) for answer in answers[1:] if answer.status == 201]

    assert {answer.status for answer in answers[1:]} <= {201, 409}
    assert (await shop.balance()).numbers == (3 - len(sold), len(sold), 0, 3)
    assert len({order.id for order in sold}) == len(sold) <= 3


async def test_simultaneous_orders_of_several_units_are_each_checked_anew(shop: Shop) -> None:
    """Q5: simultaneous orders for one product: stock is checked anew for each."""
    await shop.received(quantity=10)
    answers = await asyncio.gather(*(shop.order(quantity=4) for _ in range(CLIENTS)))
    refused = [answer.problem(409) for answer in answers if answer.status != 201]

    assert len(answers) - len(refused) == 2
    assert {problem.available for problem in refused} == {2}
    assert (await shop.balance()).numbers == (2, 8, 0, 10)


async def test_a_thousand_orders_of_a_crowd_all_succeed(shop: Shop) -> None:
    """C6: order creations without a failure; how many a second is the benchmark's to say."""
    await shop.received(quantity=1_000)

    async def buy(times: int) -> set[int]:
        return {(await shop.order()).status for _ in range(times)}

    statuses = await asyncio.gather(*(buy(25) for _ in range(CLIENTS)))
    assert set().union(*statuses) == {201}
    assert (await shop.balance()).numbers == (0, 1_000, 0, 1_000)


async def test_the_reported_quantity_is_right_at_every_moment_of_a_rush(shop: Shop) -> None:
    """Q3: available and ordered always add up to what is there, during the event too.

    Q2: no quantity is ever negative.
    """
    await shop.received(quantity=60)
    buying = asyncio.gather(*(shop.order(quantity=1 + n % 3) for n in range(CLIENTS)))
    seen = []
    while not buying.done():
        seen.append(await shop.balance())
    sold = [answer.read(Order, status=201) for answer in await buying if answer.status == 201]
    units = sum(order.lines[0].quantity for order in sold)

    assert all(balance.available + balance.ordered == 60 for balance in seen)
    assert all(min(balance.numbers) >= 0 for balance in seen)
    assert [balance.version for balance in seen] == sorted(balance.version for balance in seen)
    assert (await shop.balance()).numbers == (60 - units, units, 0, 60)


async def test_no_quantity_is_negative_whatever_a_crowd_does(shop: Shop) -> None:
    """Q2: orders, dispatches, cancels and arrivals at once never make a number negative."""
    await shop.received(quantity=5)

    async def trade(number: int) -> None:
        for turn in range(6):
            if (number + turn) % 5 == 0:
                await shop.receive(quantity=1)
            answer = await shop.order(quantity=1 + number % 2)
            balance = await shop.balance()
            assert min(balance.numbers) >= 0
            available, ordered, expired, on_hand = balance.numbers
            assert available + ordered + expired == on_hand
            if answer.status == 201:
                order = answer.read(Order, status=201)
                end = shop.dispatch if (number + turn) % 3 else shop.cancel
                assert (await end(order)).status == 200

    await asyncio.gather(*(trade(number) for number in range(12)))
    received = 5 + sum(1 for n in range(12) for turn in range(6) if (n + turn) % 5 == 0)
    await shop.projected()
    dispatched = await shop.all_of(Order, "/orders", warehouse=shop.warehouse, status="dispatched")
    left = received - sum(order.lines[0].quantity for order in dispatched)
    assert (await shop.balance()).numbers == (left, 0, 0, left)


async def test_what_was_accepted_is_never_taken_away(shop: Shop) -> None:
    """Q1: no accepted order is cancelled later for missing stock."""
    await shop.received(quantity=CLIENTS // 2)
    answers = await asyncio.gather(*(shop.order() for _ in range(CLIENTS)))
    accepted = [answer.read(Order, status=201) for answer in answers if answer.status == 201]
    ended = await asyncio.gather(*(shop.dispatch(order) for order in accepted))

    assert len(accepted) == CLIENTS // 2
    assert {answer.status for answer in ended} == {200}
    assert (await shop.balance()).numbers == (0, 0, 0, 0)


async def test_orders_of_one_product_are_numbered_in_the_order_of_their_decision(
    shop: Shop,
) -> None:
    """Q6: processed one after another, FIFO, and the sequence numbers prove it.

    Who was refused came after the last unit, and the lots were used up strictly in turn.
    """
    lots = [await shop.received(quantity=5) for _ in range(4)]
    results = await shop.batch(*(shop.wanted(customer=str(number)) for number in range(30)))
    events = await shop.journal()
    placed = [event for event in events if event.kind == "order_placed"]

    assert [result.status for result in results] == [201] * 20 + [409] * 10
    assert [event.body["customer"] for event in placed] == [str(n) for n in range(20)]
    assert [event.seq for event in events] == list(range(1, 25))
    used = [picks(result.order) for result in results if result.order is not None]
    assert used == [[(lot.id, 1)] for lot in lots for _ in range(5)]


async def test_orders_decided_alone_are_numbered_as_they_were_answered(shop: Shop) -> None:
    """Q6: who is answered before another asks comes before him."""
    await shop.received(quantity=3)
    for customer in ("first", "second", "third"):
        await shop.placed(customer=customer)

    placed = [event.body["customer"] for event in (await shop.journal())[1:]]
    assert placed == ["first", "second", "third"]


def picks(order: Order) -> list[tuple[str, int]]:
    """The stocks that an order of one line took, and how many units of each."""
    [line] = order.lines
    return [(pick.id, pick.quantity) for pick in line.stocks]
