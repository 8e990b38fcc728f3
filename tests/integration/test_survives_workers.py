"""kill -9 of workers under load: the others serve on, and nobody is told anything wrong."""

import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.integration.crowd import crowd, promised
from tests.integration.serving import Server, until
from tests.integration.truth import check
from tests.integration.workers import settled, several, spread, strangers

STOCK = {"hot": 100_000, "warm": 300, "scarce": 20, "cold": 5_000}


async def until_told(server: Server, sku: str) -> None:
    """Wait until a balance is told, with requests that nobody repeats."""

    async def told() -> bool:
        try:
            return (await server.ask("GET", f"/stock-balances/main/{sku}")).status == 200
        except aiohttp.ClientError:  # the dead had accepted it
            return False

    await until(told)


@pytest.mark.parametrize(("workers", "victims"), [(2, 1), (3, 2), (2, 2)])
async def test_killed_workers_cost_repeats_and_nothing_else(
    database_url: str, tmp_path: Path, workers: int, victims: int
) -> None:
    """C13, C16, N16, Q1, Q2, Q3, Q6, Q7: again and again, one or several at once."""
    arguments = ("--database-url", database_url)
    async with several(*arguments, log=tmp_path / "log", workers=workers) as server:
        await server.open_shop(**STOCK)
        await settled(database_url, server)
        async with crowd(server, *STOCK) as told:
            for _ in range(2):
                await promised(told, more=150)
                for pid in server.workers()[:victims]:
                    os.kill(pid, signal.SIGKILL)
                await promised(told, more=150)
                await settled(database_url, server)

        await check(server, database_url, told)
        assert told.lost > 0


async def test_a_dead_workers_products_are_served_again_before_its_heartbeat_is_missed(
    database_url: str, tmp_path: Path
) -> None:
    """Q7: the loss of its line tells of a death, and its shards are taken at once."""
    patient = ("--heartbeat-ms", "500", "--dead-after-ms", "60000")
    arguments = ("--database-url", database_url)
    async with (
        several(*arguments, log=tmp_path / "log", workers=3, patience=patient) as server,
        strangers(server, tmp_path / "none") as stranger,
    ):
        await settled(database_url, server)
        products = await spread(server, database_url)
        async with crowd(server, *products.values(), clients=4) as told:
            await promised(told, more=50)
            dead, *_ = products
            os.kill(dead, signal.SIGKILL)
            await until_told(stranger, products[dead])
        await check(server, database_url, told)
        assert server.logged("peering.taking_over")
