"""Verification beside a server that goes on selling, and of what that server tells."""

import asyncio
from contextlib import suppress

import pytest

from allocator.journal.verify.job import Server
from allocator.journal.verify.server import NoAnswerError
from allocator.persistence import windows
from tests.integration.shop import Shop, database, opened, until
from tests.integration.verifying import Said, contents, faults

ROUNDS = 4


async def sell(shop: Shop, stopped: asyncio.Event) -> None:
    """Place, dispatch and cancel orders, and take stock in, until told to stop."""
    while not stopped.is_set():
        await shop.received(quantity=3)
        first, second, _ = [await shop.placed() for _ in range(3)]
        await asyncio.gather(shop.dispatch(first), shop.cancel(second))


async def test_beside_a_server_that_sells_nothing_is_wrong(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOW_ROWS", 64)
    stopped = asyncio.Event()
    async with opened(database_url, snapshot_events=100) as shop, asyncio.TaskGroup() as selling:
        server = Server(url=shop.url, key=None)
        other = Shop(shop.server, shop.client)
        await other.open()
        for each in (shop, shop, other):
            selling.create_task(sell(each, stopped))
        for _ in range(ROUNDS):
            assert await faults(database_url, server=server) == []
        stopped.set()


async def test_read_models_are_rebuilt_beside_a_server_that_sells(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allocator.persistence.rebuilding._ROWS", 8)
    stopped = asyncio.Event()
    async with opened(database_url) as shop:
        async with asyncio.TaskGroup() as selling:
            selling.create_task(sell(shop, stopped))
            for _ in range(ROUNDS // 2):
                await until(lambda: has_orders(database_url))
                async with database(database_url) as connection:
                    await connection.execute(
                        "UPDATE stocks SET reference = 'nonsense' WHERE seq < 60"
                    )
                repaired = await faults(database_url, repair=True)
                assert {(fault.kind, fault.repaired) for fault in repaired} == {("stock", True)}
            stopped.set()
        await shop.projected()
        rebuilt = await contents(database_url)
        assert await faults(database_url) == []
        async with database(database_url) as connection:
            await connection.execute("UPDATE projections SET era = 0, xid = '0'")
            for table in ("orders", "stocks", "balances"):
                await connection.execute(f"DELETE FROM {table}")
        await shop.projected()
        assert await contents(database_url) == rebuilt


async def has_orders(database_url: str) -> bool:
    async with database(database_url) as connection:
        return bool(await connection.fetchval("SELECT count(*) > 20 FROM stocks"))


async def test_a_server_that_knows_what_the_journal_does_not_is_named(database_url: str) -> None:
    async with opened(database_url, projection=False) as shop:
        await shop.received(quantity=5)
        await shop.placed()
        server = Server(url=shop.url, key=None)
        assert await faults(database_url, server=server) == []
        async with database(database_url) as connection:
            await connection.execute("DELETE FROM journal WHERE seq = 2")

        [fault] = await faults(database_url, server=server)

        place = f"{shop.warehouse}/{shop.product}"
        assert Said.by(fault) == Said("server", place, "server", 0)
        assert "the server is at version 2, which the journal does not have" in fault.message
        with suppress(AssertionError):
            await shop.received()  # it finds out that it cannot append, and repairs itself


async def test_a_server_that_does_not_answer_is_no_fault_of_the_journal(database_url: str) -> None:
    async with opened(database_url, projection=False) as shop:
        await shop.received(quantity=5)
        with pytest.raises(NoAnswerError, match="does not tell its balances"):
            await faults(database_url, server=Server(url="http://127.0.0.1:1", key=None))
