"""Read models may lag, be tampered with or be lost; what is asked for by name stays right."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg
import msgspec
import pytest

from allocator.persistence.connections import open_pool
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.projection import forget_read_models
from tests.integration.crowd import crowd, promised
from tests.integration.serving import Balance, Order, Server, serving, until
from tests.integration.truth import appends_held, books_of, check, check_read_models, query

READ_MODELS = ("orders", "stocks", "balances")

HEARTBEATS = "SELECT at FROM heartbeats JOIN workers USING (incarnation) WHERE NOT fenced"
WAITS_S = 9.0
"""Less than PostgreSQL may take to answer by default."""


class Orders(msgspec.Struct):
    """A page of orders."""

    items: list[Order]


class Balances(msgspec.Struct):
    """A page of balances."""

    items: list[Balance]


@asynccontextmanager
async def long_transaction(dsn: str) -> AsyncIterator[None]:
    """One that has begun to write and does not end."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_current_xact_id()")
            yield
    finally:
        await connection.close()


async def until_caught_up(server: Server) -> None:
    """Wait until the read models have seen everything."""

    async def caught_up() -> bool:
        return await server.metric("allocator_projection_lag_events") == 0

    await until(caught_up)


async def listed_orders(server: Server) -> list[Order]:
    answer = await server.ok("GET", "/orders?limit=200")
    return msgspec.json.decode(answer.body, type=Orders).items


async def listed_balance(server: Server, sku: str) -> Balance:
    answer = await server.ok("GET", f"/stock-balances?product={sku}")
    [balance] = msgspec.json.decode(answer.body, type=Balances).items
    return balance


async def contents(database_url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all read models."""
    found = {}
    for table in READ_MODELS:
        rows = await query(database_url, f"SELECT t::text FROM {table} AS t ORDER BY 1")
        found[table] = [tuple(row) for row in rows]
    return found


async def forget(database_url: str) -> None:
    """Lose the read models."""
    pool = await open_pool(database_url, size=1)
    await forget_read_models(pool)
    await pool.close()


@pytest.mark.parametrize("where", ["the same database", "another database"])
async def test_a_long_transaction_elsewhere_makes_lists_lag_and_nothing_else(
    database_url: str, postgres: EmbeddedPostgres, tmp_path: Path, where: str
) -> None:
    """C5, C10, Q3."""
    dsn = database_url if "same" in where else postgres.dsn
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        await until_caught_up(server)
        async with long_transaction(dsn):
            orders = [await server.placed("tea", 2) for _ in range(3)]
            await server.ok("POST", f"/orders/{orders[0].id}/dispatch")
            await server.ok("POST", f"/orders/{orders[1].id}/cancel")
            for _ in range(2):
                statuses = [(await server.shown(order.id)).status for order in orders]
                assert statuses == ["dispatched", "cancelled", "new"]
                assert (await server.balance("tea")).available == 6
                assert await listed_orders(server) == []
                assert (await listed_balance(server, "tea")).available == 10
                assert await server.metric("allocator_projection_held_back_events") == 5
                server.crash()  # and what is recovered is as right as what was remembered
                await server.start_ready()

        await until_caught_up(server)
        statuses = [order.status for order in await listed_orders(server)]
        assert statuses == ["dispatched", "cancelled", "new"]
        assert await listed_balance(server, "tea") == await server.balance("tea")
        assert await server.metric("allocator_projection_held_back_events") == 0
        await check_read_models(server, database_url, await books_of(database_url))


async def test_lists_that_cannot_be_read_keep_no_order_waiting(
    database_url: str, tmp_path: Path
) -> None:
    """Q3: nor does a heartbeat wait behind them, or another server would take over."""
    arguments = ("--database-url", database_url, "--heartbeat-ms", "100")
    async with serving(*arguments, log=tmp_path / "log") as server:
        await server.open_shop(tea=1_000)
        async with appends_held(database_url, lock="LOCK TABLE orders"):
            lists = [asyncio.create_task(server.ask("GET", "/orders")) for _ in range(32)]
            beats: set[datetime] = set()
            async with asyncio.timeout(WAITS_S):
                while len(beats) < 10:
                    order = await server.placed("tea", key=f"{time.monotonic()}")
                    await server.ok("POST", f"/orders/{order.id}/dispatch")
                    beats |= {row["at"] for row in await query(database_url, HEARTBEATS)}
            assert not any(each.done() for each in lists)
        answers = await asyncio.gather(*lists)

        assert {answer.status for answer in answers} == {200}
        assert not server.logged("worker.repairing")


async def test_rows_that_the_tables_refuse_stop_the_lists_of_one_product_only(
    database_url: str, tmp_path: Path
) -> None:
    """Q3: and rebuilding the read models mends it."""
    tamper = """
        UPDATE balances SET available = 0 FROM pools
        WHERE pools.actor_id = balances.actor_id AND pools.product = 'tea'
    """
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=10, jam=10)
        await until_caught_up(server)
        await query(database_url, tamper)
        orders = [await server.placed("tea"), await server.placed("jam")]
        await server.ok("POST", f"/orders/{orders[0].id}/dispatch")
        await until(lambda: server.logged("projection.quarantined"))
        orders.append(await server.placed("jam"))
        await until_caught_up(server)

        assert await server.metric("allocator_quarantined_projections") == 1
        assert await listed_balance(server, "jam") == await server.balance("jam")
        assert {order.id for order in await listed_orders(server)} == {
            order.id for order in orders[1:]
        }
        assert (await server.shown(orders[0].id)).status == "dispatched"
        assert (await server.balance("tea")).available == 9

        await forget(database_url)
        await check_read_models(server, database_url, await books_of(database_url))
        assert await server.metric("allocator_quarantined_projections") == 0


async def test_read_models_that_were_lost_are_rebuilt_the_same(
    database_url: str, tmp_path: Path
) -> None:
    """Q3."""
    stock = {"hot": 100_000, "scarce": 20}
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(**stock)
        async with crowd(server, *stock) as told:
            await promised(told, more=300)
        await check(server, database_url, told)
        before = await contents(database_url)

        await forget(database_url)
        await check_read_models(server, database_url, await books_of(database_url))
        assert await contents(database_url) == before
        assert all(before.values())


async def test_read_models_may_be_lost_under_load(database_url: str, tmp_path: Path) -> None:
    """C10, Q3: closed orders are still found by their id, and nobody else notices."""
    stock = {"hot": 100_000, "scarce": 20}
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(**stock)
        async with crowd(server, *stock) as told:
            for _ in range(10):
                await promised(told, more=30)
                asked = asyncio.create_task(forget(database_url))
                while not asked.done():
                    tag, status = next(iter(told.closed.items()))
                    assert (await server.shown(told.placed[tag])).status == status
                await asked

        await check(server, database_url, told)
        assert told.unavailable == 0
        assert server.complaints() == []
        assert not server.logged("projection.interrupted")
