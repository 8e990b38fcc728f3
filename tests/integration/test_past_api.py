"""Looking back: balances and orders as they stood at a time, or at a version."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from allocator.domain.past import TooFarBack
from allocator.errors import OverloadedError
from allocator.persistence.connections import open_pool
from allocator.persistence.past import PostgresPast
from tests.integration.api_shapes import Answer, Balance, JournalEvent, Order
from tests.integration.long_ago import spelled
from tests.integration.moving import placed_in
from tests.integration.shop import Shop, database, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING = (0, 0, 0, 0)
A_MOMENT = timedelta(milliseconds=1)

COLUMNS = {
    "stock_received": (1, 0, 0, 1),
    "order_placed": (-1, 1, 0, 0),
    "order_dispatched": (0, -1, 0, -1),
    "order_cancelled": (1, -1, 0, 0),
    "lot_expired": (-1, 0, 1, 0),
}
"""What a unit of an event does to what is available, ordered, expired, and on hand."""


def booked(events: list[JournalEvent]) -> list[tuple[int, ...]]:
    """Add the journal up, row by row: the numbers at each version, from 0 on."""
    numbers: list[tuple[int, ...]] = [NOTHING]
    for event in events:
        units = event.body["quantity"]
        assert isinstance(units, int)
        changes = (units * sign for sign in COLUMNS[event.kind])
        numbers.append(tuple(map(sum, zip(numbers[-1], changes, strict=True))))
    return numbers


async def balance_of(shop: Shop, query: str) -> Answer:
    return await shop.get(f"/stock-balances/{shop.warehouse}/{shop.product}?{query}")


async def at(shop: Shop, time: datetime) -> Balance:
    return (await balance_of(shop, f"at={spelled(time)}")).read(Balance)


async def order_at(shop: Shop, order: Order, time: datetime) -> Answer:
    return await shop.get(f"/orders/{order.id}?at={spelled(time)}")


async def busy(shop: Shop, *, steps: int = 60) -> None:
    """Have everything happen that can, some of it at the same time."""
    dice = random.Random(steps)
    await shop.received(quantity=100)
    await shop.received(quantity=3, expires_at=Shop.time_in(milliseconds=400))
    orders: list[Order] = []
    for _ in range(steps // 4):
        tried = await asyncio.gather(*(shop.order(quantity=dice.randint(1, 9)) for _ in range(4)))
        orders += [each.read(Order, status=201) for each in tried if each.status == 201]
        dice.shuffle(orders)
        ends = [shop.dispatch, shop.cancel, shop.cancel][: len(orders)]
        await asyncio.gather(*(end(orders.pop()) for end in ends))
    await shop.received(quantity=2, expires_at=Shop.time_in(milliseconds=500))

    async def expired() -> bool:
        return "lot_expired" in [event.kind for event in await shop.journal()]

    await until(expired)


async def test_every_version_and_time_of_a_busy_while_is_what_the_journal_adds_up_to(
    shop: Shop,
) -> None:
    await busy(shop)
    events = await shop.journal()
    book = booked(events)

    for version, numbers in enumerate(book):
        answer = await balance_of(shop, f"version={version}")
        assert (answer.read(Balance).version, answer.read(Balance).numbers) == (version, numbers)
        assert answer.headers["ETag"] == f'"{version}"'
    for event in events:
        version = max(each.seq for each in events if each.at == event.at)
        assert (await at(shop, event.at)).numbers == book[version]
        before = max((each.seq for each in events if each.at < event.at), default=0)
        assert (await at(shop, event.at - A_MOMENT)).version == before


async def test_a_version_that_was_acknowledged_can_be_looked_at_at_once(shop: Shop) -> None:
    await shop.received(quantity=5)
    for version in range(2, 12):
        order = await shop.placed()
        await shop.cancel(order)
        answer = await balance_of(shop, f"version={2 * version - 2}")

        assert answer.read(Balance).numbers == (4, 1, 0, 5)


async def test_an_order_is_shown_as_it_stood(shop: Shop) -> None:
    await shop.received(quantity=5)
    order = await shop.placed(quantity=2, customer="Ada")
    kept = await shop.placed()
    await asyncio.sleep(0.002)  # so that it does not end in the millisecond that it began in
    closed = (await shop.dispatch(order)).read(Order)
    placed, _, dispatched = (await shop.journal())[1:]

    assert (await order_at(shop, order, placed.at)).read(Order) == order
    assert (await order_at(shop, order, dispatched.at - A_MOMENT)).read(Order) == order
    assert (await order_at(shop, order, dispatched.at)).read(Order) == closed
    assert (await order_at(shop, kept, dispatched.at)).read(Order) == kept
    await shop.projected()
    assert (await order_at(shop, order, dispatched.at - A_MOMENT)).read(Order) == order
    assert (await order_at(shop, order, dispatched.at)).read(Order) == closed
    problem = (await order_at(shop, order, placed.at - A_MOMENT)).problem(404)
    assert problem.detail == "no such order at that time: it was placed later"


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("at=2026-01-31T12:00:00Z&version=1", 422, "at and version exclude each other"),
        ("at=2026-01-31T12:00:00", 422, "at must be a time of RFC 3339 with its zone"),
        ("at=yesterday", 422, "at must be a time of RFC 3339 with its zone"),
        ("at=", 422, "at must be a time of RFC 3339 with its zone"),
        ("at=9999-12-31T23:59:59Z", 422, "at must lie in the past; this server's clock says"),
        ("version=-1", 422, "version must be a whole number from 0 to"),
        ("version=3", 404, "no such version 3 yet; the present one is 2"),
        ("when=now", 422, "unknown parameter 'when'; known are: at, version"),
    ],
)
async def test_what_is_no_moment_of_the_past_is_refused(
    shop: Shop, query: str, status: int, detail: str
) -> None:
    await shop.received(quantity=5)
    order = await shop.placed()

    assert (await balance_of(shop, query)).problem(status).detail.startswith(detail)
    if query.startswith("at=") and "version" not in query:
        assert (await shop.get(f"/orders/{order.id}?{query}")).status == status


async def test_a_pair_that_was_never_used_was_always_empty(shop: Shop) -> None:
    assert (await balance_of(shop, "version=0")).read(Balance).numbers == NOTHING
    assert (await at(shop, datetime(1, 1, 1, tzinfo=UTC))).numbers == NOTHING
    assert (await balance_of(shop, "version=1")).status == 404


async def test_what_would_take_too_long_is_refused_and_others_are_turned_away_at_once(
    shop: Shop, module_database_url: str
) -> None:
    await busy(shop, steps=20)
    async with database(module_database_url) as connection:
        pools = "SELECT actor_id FROM pools WHERE product = $1"
        actor_id = await connection.fetchval(pools, shop.product)
    pool = await open_pool(module_database_url, size=1)
    try:
        past = PostgresPast(pool, events_max=10)
        assert await past.balance(actor_id, version=11, product=None) == TooFarBack(
            events=11, limit=10
        )

        past = PostgresPast(pool, at_once=1, waiting_max=1)
        asked = [
            asyncio.ensure_future(past.balance(actor_id, version=11, product=None))
            for _ in range(3)
        ]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, OverloadedError) for each in told] == [False, False, True]
        assert told[0] == told[1] == await past.balance(actor_id, version=11, product=None)
    finally:
        await pool.close()


async def test_a_location_shows_zeros_of_any_other_product_than_it_held_then(shop: Shop) -> None:
    shelf = await placed_in(shop, f"{shop.warehouse}-bin")
    other = Shop(shop.server, shop.client)
    await other.open()
    other.warehouse = shelf.warehouse
    await shelf.received(quantity=2)
    await shelf.dispatch(await shelf.placed(quantity=2))
    await other.received(quantity=5)

    of_each = [
        [
            (await balance_of(each, f"version={version}")).read(Balance).numbers
            for version in range(5)
        ]
        for each in (shelf, other)
    ]

    assert of_each == [
        [NOTHING, (2, 0, 0, 2), (0, 2, 0, 2), NOTHING, NOTHING],
        [NOTHING, NOTHING, NOTHING, NOTHING, (5, 0, 0, 5)],
    ]
