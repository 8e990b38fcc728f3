"""The projection: every committed event once, none too early, and one bad actor stops no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest_asyncio

from allocator.persistence.leadership import Role, lead
from allocator.persistence.projection import Projection
from allocator.persistence.statements import statement
from tests.integration.api_shapes import Balance, Order, Stock
from tests.integration.shop import Shop, database, opened, until

TABLES = ("orders", "stocks", "balances")
ERA = 1
EVENTS = 7
BEHIND = "allocator_projection_lag_events"
HELD_BACK = "allocator_projection_held_back_events"
QUARANTINED = "allocator_quarantined_projections"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND application_name = 'allocator projection'
  AND datname = current_database()
"""
LEADERS = """
SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name = 'allocator projection'
  AND datname = current_database()
"""
ASKED = """
SELECT query_start FROM pg_stat_activity
WHERE application_name = 'allocator projection' AND datname = current_database()
  AND query LIKE '%pg_try_advisory_lock%'
"""
SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'allocator projection' AND datname = current_database()
"""


@pytest_asyncio.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    """A shop whose server leaves the read models to the test."""
    async with opened(database_url, projection=False) as shop:
        yield shop


async def trade(shop: Shop) -> dict[str, str]:
    """Have `EVENTS` events, of which a lot leaves whole; return the status of every order."""
    for _ in range(2):
        await shop.received(quantity=5)
    spanning = await shop.placed(quantity=6, customer="ada")
    waiting, given_back = await shop.placed(quantity=2), await shop.placed()
    await shop.dispatch(spanning)
    await shop.cancel(given_back)
    return {spanning.id: "dispatched", waiting.id: "new", given_back.id: "cancelled"}


async def contents(database_url: str) -> dict[str, list[asyncpg.Record]]:
    """All rows of the read models."""
    async with database(database_url) as connection:
        return {
            table: await connection.fetch(f"SELECT * FROM {table} ORDER BY 1, 2")
            for table in TABLES
        }


async def execute(database_url: str, sql: str) -> None:
    async with database(database_url) as connection:
        await connection.execute(sql)


async def listed(shop: Shop) -> list[Balance]:
    """The balance of this shop in the list; empty if it is not there."""
    return await shop.all_of(Balance, "/stock-balances", product=shop.product)


async def test_the_lists_tell_what_the_actors_know(shop: Shop, database_url: str) -> None:
    statuses = await trade(shop)

    assert await Projection(url=database_url, era=ERA).catch_up() == EVENTS

    orders = await shop.all_of(Order, "/orders", product=shop.product)
    assert {order.id: order.status for order in orders} == statuses
    assert orders == [await shop.shown(order.id) for order in orders]
    [stock] = await shop.all_of(Stock, "/stocks", product=shop.product)
    assert stock == await shop.stock(stock)
    assert stock.available == 2
    assert await listed(shop) == [await shop.balance()]


async def test_projections_that_meet_take_turns(shop: Shop, database_url: str) -> None:
    await trade(shop)
    projections = [Projection(url=database_url, era=ERA).catch_up() for _ in range(3)]

    async with database(database_url) as looking, database(database_url) as blocking:
        async with blocking.transaction():
            await blocking.execute("LOCK TABLE orders IN EXCLUSIVE MODE")
            working = asyncio.gather(*projections)
            await until(lambda: all_wait(looking, len(projections)))
            at_work = await looking.fetchval(f"{WAITING} AND wait_event = 'relation'")
        applied = await working

    assert at_work == 1
    assert sorted(applied) == [0, 0, EVENTS]
    assert await shop.metric(QUARANTINED) == 0
    assert await listed(shop) == [await shop.balance()]


async def all_wait(looking: "asyncpg.Connection[asyncpg.Record]", count: int) -> bool:
    """Whether so many projections wait for a lock."""
    return bool(await looking.fetchval(WAITING) == count)


async def test_read_models_that_were_dropped_are_built_again_the_same(
    shop: Shop, database_url: str
) -> None:
    await trade(shop)
    projection = Projection(url=database_url, era=ERA)
    await projection.catch_up()
    before = await contents(database_url)
    assert all(before.values())

    await execute(database_url, statement("project_forget"))
    assert not any((await contents(database_url)).values())
    await projection.catch_up()

    assert await contents(database_url) == before


async def test_what_follows_a_running_transaction_waits_for_it(
    shop: Shop, database_url: str
) -> None:
    """Its own rows, which nobody sees yet, may come before those that everybody sees."""
    await shop.received(quantity=5)
    projection = Projection(url=database_url, era=ERA)
    await projection.catch_up()
    async with database(database_url) as running:
        transaction = running.transaction()
        await transaction.start()
        await running.execute("SELECT pg_current_xact_id()")
        await shop.placed()

        assert await projection.catch_up() == 0
        assert (await shop.metric(BEHIND), await shop.metric(HELD_BACK)) == (1, 1)

        await transaction.commit()

    assert await shop.metric(HELD_BACK) == 0
    assert await projection.catch_up() == 1
    assert await shop.metric(BEHIND) == 0


async def test_numbers_that_do_not_fit_stop_the_lists_of_that_actor_alone(
    shop: Shop, database_url: str
) -> None:
    other = Shop(shop.server, shop.client)
    await other.open()
    for each in (shop, other):
        await each.received(quantity=5)
    projection = Projection(url=database_url, era=ERA)
    await projection.catch_up()
    await execute(
        database_url,
        "UPDATE balances SET available = 0 FROM pools"
        f" WHERE pools.actor_id = balances.actor_id AND pools.product = '{shop.product}'",
    )

    spoiled, sound = await shop.placed(), await other.placed()
    await projection.catch_up()

    assert await shop.metric(QUARANTINED) == 1
    assert await shop.all_of(Order, "/orders", product=shop.product) == []
    assert await shop.all_of(Order, "/orders", product=other.product) == [sound]
    assert (await shop.dispatch(spoiled)).status == 200
    assert (await shop.shown(spoiled)).status == "dispatched"
    assert (await shop.balance()).available == 4

    await execute(database_url, statement("project_forget"))
    await projection.catch_up()
    assert await shop.metric(QUARANTINED) == 0
    assert await listed(shop) == [await shop.balance()]


@asynccontextmanager
async def running(database_url: str, *, projections: int) -> AsyncIterator[None]:
    """So many projections, which follow the journal until the context is left."""
    tasks = [
        asyncio.create_task(Projection(url=database_url, era=ERA, pause_s=0.01).run())
        for _ in range(projections)
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


async def test_of_several_projections_one_works_and_another_takes_over_when_it_ends(
    shop: Shop, database_url: str
) -> None:
    """N16: and the read models are what the journal says, each event applied once."""
    async with database(database_url) as looking, running(database_url, projections=3):

        async def all_there() -> bool:
            return bool(await looking.fetchval(SESSIONS) == 3)

        async def all_settled() -> bool:
            """Nobody connects any more: the context may be left."""
            return len(await looking.fetch(ASKED)) == 2 and await led_by_another()

        async def led_by_another() -> bool:
            return bool({row["pid"] for row in await looking.fetch(LEADERS)} - led)

        led: set[int] = set()
        for _ in range(3):
            await until(all_there)
            await until(led_by_another)
            [leader] = await looking.fetch(LEADERS)
            await trade(shop)
            await shop.projected()
            led = {leader["pid"]}
            await looking.execute("SELECT pg_terminate_backend($1)", leader["pid"])
            await trade(shop)
            await shop.projected()

        assert await listed(shop) == [await shop.balance()]
        assert await shop.metric(QUARANTINED) == 0
        await until(all_settled)
        applied = "SELECT events FROM projections WHERE name = 'read models'"
        assert await looking.fetchval(applied) == 6 * EVENTS
    before = await contents(database_url)

    await execute(database_url, statement("project_forget"))
    assert await Projection(url=database_url, era=ERA).catch_up() == 6 * EVENTS
    assert await contents(database_url) == before


async def test_a_projection_that_waits_projects_nothing(shop: Shop, database_url: str) -> None:
    async with database(database_url) as leading, database(database_url) as looking:
        await lead(leading, Role.PROJECTION)
        await trade(shop)
        async with running(database_url, projections=1):

            async def has_asked_and_asks_again() -> bool:
                asked = await looking.fetch(ASKED)
                times.update(row["query_start"] for row in asked)
                return len(times) > 1

            times: set[object] = set()
            await until(has_asked_and_asks_again)
            assert await listed(shop) == []

            await leading.execute("SELECT pg_advisory_unlock_all()")
            await shop.projected()
            assert await listed(shop) == [await shop.balance()]
