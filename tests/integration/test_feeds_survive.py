"""Feeds through lost answers and crashes: in the end both sides say the same."""

import asyncio
import os
from pathlib import Path
from random import Random

import msgspec
import pytest

from allocator.http.feed_shapes import ShownFeed
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_nature import Nature
from tests.integration.serving import Server, order_of, until
from tests.integration.wms import simulated

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOAK_S = float(os.environ.get("ALLOCATOR_FEED_SOAK_S", "2"))
RATE = 40.0
NATURE = Nature(
    batch_s=0.3,
    rate_per_s=RATE,
    burst=20,
    stale=True,
    lost_rate=0.1,
    seed=7,
)
SKUS = ("tea", "cup", "pot")
UNITS = 40


async def fed(server: Server, url: str, simulator: Simulator) -> None:
    """Have the warehouse be fed with some units of each product, in two batches."""
    await server.open_shop(**dict.fromkeys(SKUS, 0))
    for sku in SKUS:
        simulator.truth.receive((sku, "L1"), UNITS // 2)
        simulator.truth.receive((sku, "L2"), UNITS // 2)
    body = {"url": url, "poll_s": 0.1, "rate_per_s": RATE, "burst": 10}
    await server.ok("PUT", "/wms/feeds/main", body)

    async def is_there() -> bool:
        found = [(await server.balance(sku)).available for sku in SKUS]
        return found == [UNITS] * len(SKUS)

    await until(is_there)


async def shown(server: Server) -> ShownFeed:
    answer = await server.ask("GET", "/wms/feeds/main")
    return msgspec.json.decode(answer.body, type=ShownFeed)


async def agreed(server: Server, simulator: Simulator) -> None:
    """Wait until the WMS has applied everything, and both sides say the same; then nothing else."""

    async def is_settled() -> bool:
        feed = await shown(server)
        through = simulator.truth.applied_through
        return feed.pushes.numbered == through == feed.pushes.applied and through > 0

    async def is_agreed() -> bool:
        if not await is_settled():
            return False
        for sku in SKUS:
            ours = await server.balance(sku)
            theirs = [each for each in simulator.truth.batches() if each.sku == sku]
            if ours.available != sum(each.orderable for each in theirs):
                return False
            if ours.ordered != sum(each.allocated for each in theirs):
                return False
        return True

    await until(is_agreed, within_s=60.0)
    assert simulator.truth.mistakes == []
    assert simulator.truth.gaps == 0


async def trade(server: Server, simulator: Simulator, dice: Random, *, seconds: float) -> int:
    """Order, cancel, dispatch and receive for a while; return how many orders there were."""
    loop = asyncio.get_running_loop()
    until_s, orders, open_orders = loop.time() + seconds, 0, list[str]()
    while loop.time() < until_s:
        answer = await server.order(dice.choice(SKUS), dice.randint(1, 3))
        if answer.status == 201:
            orders += 1
            open_orders.append(order_of(answer).id)
        if open_orders and dice.random() < 0.6:
            one = open_orders.pop(dice.randrange(len(open_orders)))
            what = dice.choice(("dispatch", "cancel"))
            assert (await server.ask("POST", f"/orders/{one}/{what}", {})).status == 200
        if dice.random() < 0.3:
            simulator.truth.receive((dice.choice(SKUS), dice.choice(("L1", "L2", "L3"))), 3)
    return orders


async def test_n3_n4_n15_nothing_is_oversold_lost_or_told_twice_and_no_limit_is_broken(
    database_url: str, tmp_path: Path
) -> None:
    server = Server("--database-url", database_url, "--port", "0", log=tmp_path / "log")
    async with simulated(NATURE) as (simulator, url):
        try:
            await server.start_ready()
            await fed(server, url, simulator)
            orders = await trade(server, simulator, Random(1), seconds=SOAK_S)
            simulator.entrance.close(0)
            await agreed(server, simulator)
        finally:
            await server.close()
        limited = simulator.entrance.counts
    assert orders > 20
    assert limited.total() > 0
    assert [count for how, count in limited.items() if how.name == "LIMITED" and count] == []


async def test_n16_a_server_that_is_killed_during_a_sync_goes_on_where_it_was(
    database_url: str, tmp_path: Path
) -> None:
    server = Server("--database-url", database_url, "--port", "0", log=tmp_path / "log")
    async with simulated(NATURE) as (simulator, url):
        try:
            await server.start_ready()
            await fed(server, url, simulator)
            for seed in range(2):
                await trade(server, simulator, Random(seed), seconds=0.5)
                server.crash()
                await server.start_ready()
            simulator.entrance.close(0)
            await agreed(server, simulator)
        finally:
            await server.close()


async def test_nothing_is_moved_into_a_warehouse_that_its_own_system_feeds(
    database_url: str, tmp_path: Path
) -> None:
    """It would be for sale there before that system has seen it."""
    server = Server("--database-url", database_url, "--port", "0", log=tmp_path / "log")
    async with simulated(NATURE) as (simulator, url):
        try:
            await server.start_ready()
            await fed(server, url, simulator)
            await server.ok("PUT", "/warehouses/away", {"name": "Away"})
            stock = {"product": "tea", "warehouse": "away", "quantity": 5}
            await server.ok("POST", "/stocks", stock)
            move = {"product": "tea", "from": "away", "to": "main", "quantity": 5}
            answer = await server.ask("POST", "/moves", move)
        finally:
            await server.close()

    assert answer.status == 409
    assert b"warehouse-fed" in answer.body
