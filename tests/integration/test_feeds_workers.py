"""Feeds on several workers: who is replaced, hung up, or killed, and who competes for a unit."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from allocator.wms.simulator_nature import Nature
from tests.integration.fed import Fed, feeding
from tests.integration.serving import Server, until
from tests.integration.traps import Spot, trapping
from tests.integration.truth import query
from tests.integration.wms import NEVER_S
from tests.integration.workers import freeze, owner_of, settled, several, strangers, thaw

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKUS = ("tea", "cup", "pot", "jar")
UNITS = 100
EVERYTHING = os.environ.get("ALLOCATOR_FEED_KILLS") == "all"
CLIENTS = 4
NATURE = Nature(batch_s=NEVER_S, rate_per_s=80.0, burst=20, lost_rate=0.1, seed=11)

_OWNER = """
SELECT split_part(workers.name, ':', 2)::int AS pid
FROM actors JOIN shards ON shards.id = actors.id & 255 JOIN workers USING (incarnation)
WHERE NOT fenced AND actors.key = 'feed:main'
"""

RUNS = "SELECT count(*) FROM journal WHERE kind = 'run_ended' AND (body ->> 'complete')::boolean"
OF_POOL = "SELECT count(*) FROM journal JOIN pools USING (actor_id) WHERE product = $1"

Change = Callable[[Server, str], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fed(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fed]:
    """One server with two workers."""
    log = tmp_path_factory.mktemp("fed") / "log"
    async with (
        several("--database-url", module_database_url, log=log) as server,
        feeding(server, NATURE, skus=SKUS, units=UNITS) as fed,
    ):
        await settled(module_database_url, server)
        yield fed


async def owner(database_url: str) -> int:
    """Return the process in which the feed works."""
    found: list[int] = []

    async def is_owned() -> bool:
        found[:] = [row["pid"] for row in await query(database_url, _OWNER)]
        return len(found) == 1

    await until(is_owned)
    return found[0]


async def rows_of(database_url: str, counting: str, *arguments: str) -> int:
    return int((await query(database_url, counting, *arguments))[0]["count"])


async def another_than(former: int, database_url: str) -> None:
    async def is_replaced() -> bool:
        return await owner(database_url) != former

    await until(is_replaced)


async def hang(server: Server, database_url: str) -> None:
    """The feed's worker stands still until it is replaced, and goes on as if nothing had been."""
    former = await owner(database_url)
    freeze(former)
    await another_than(former, database_url)
    thaw(former)
    await settled(database_url, server)


async def kill(server: Server, database_url: str) -> None:
    """The feed's worker dies."""
    former = await owner(database_url)
    os.kill(former, signal.SIGKILL)
    await another_than(former, database_url)
    await settled(database_url, server)


async def roll(server: Server, database_url: str) -> None:
    """All workers are exchanged, one by one: the feed's shard is handed over."""
    former = set(server.workers())
    os.kill(server.pid, signal.SIGHUP)
    await until(lambda: not former & set(server.workers()))
    await settled(database_url, server)


async def test_n6_the_second_of_two_rapid_orders_is_blocked_by_the_live_count_not_the_wms(
    fed: Fed, tmp_path: Path
) -> None:
    """N2, N4, N5, N6: on several workers, while the WMS says that the last unit can be ordered."""
    async with strangers(fed.server, tmp_path / "none") as stranger:
        for sku in SKUS:
            rest = (await fed.server.balance(sku)).available - 1
            assert await fed.buy(sku, quantity=rest, key=f"all but one {sku}") is not None
            both = [stranger.order(sku, customer=str(number)) for number in range(2)]
            answers = await asyncio.gather(*both)

            assert sorted(answer.status for answer in answers) == [201, 409]
            fed.promised[sku] += 1
            assert fed.theirs(sku)[0] == UNITS  # that is what it says still
    run = (await fed.shown()).completed
    assert run is not None

    async def is_heard_again() -> bool:
        last = (await fed.shown()).completed
        return last is not None and last.as_of > run.as_of + 1

    await until(is_heard_again)
    for sku in SKUS:
        assert (await fed.server.order(sku)).status == 409
    await fed.agreed()


async def test_n4_what_a_worker_heard_before_it_hung_raises_nothing_when_it_goes_on(
    fed: Fed, module_database_url: str
) -> None:
    """N4: the page is older than what its heir has heard since, and did not have to note."""
    await fed.buy(SKUS[0], quantity=1, key="of what is there, if anything is")
    await fed.agreed()
    former = await owner(module_database_url)
    [far, *_] = [sku for sku in SKUS if await owner_of(module_database_url, sku) != former]
    available = (await fed.server.balance(far)).available
    async with trapping(module_database_url) as trap:
        await trap.set(Spot("wms_lots", "UPDATE", "NEW.orderable <> OLD.orderable"))
        fed.wms.truth.receive((far, "L1"), 3)
        await trap.sprung()
        freeze(former)
        fed.wms.truth.damage((far, "L1"), 3)
        await trap.open(stored=True)
    await another_than(former, module_database_url)
    runs = await rows_of(module_database_url, RUNS)

    async def is_heard_again() -> bool:
        return await rows_of(module_database_url, RUNS) > runs

    await until(is_heard_again)
    before = await rows_of(module_database_url, OF_POOL, far)
    thaw(former)
    await settled(module_database_url, fed.server)
    assert await rows_of(module_database_url, OF_POOL, far) == before
    assert (await fed.server.balance(far)).available == available


@pytest.mark.parametrize("change", [hang, roll, kill] if EVERYTHING else [hang, roll])
async def test_n11_a_feed_that_changes_its_worker_in_mid_work_tells_everything_once(
    fed: Fed, module_database_url: str, change: Change
) -> None:
    """N1, N3, N10 to N12: two workers believe that it is theirs, or none is there for a while."""
    called_off = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        clients = [tasks.create_task(fed.trade(Random(n), called_off)) for n in range(CLIENTS)]
        tasks.create_task(arrivals(fed, called_off))
        told = fed.wms.truth.received_through
        await until(lambda: fed.wms.truth.received_through > told + 2)
        await change(fed.server, module_database_url)
        told = fed.wms.truth.received_through
        await until(lambda: fed.wms.truth.received_through > told + 2)
        called_off.set()
    assert sum(client.result() for client in clients) > 0
    await fed.agreed()


async def arrivals(fed: Fed, called_off: asyncio.Event) -> None:
    """Have units arrive, and batches run, now and then."""
    dice = Random(2)
    while not called_off.is_set():
        fed.wms.truth.receive((dice.choice(SKUS), dice.choice(("L1", "L2", "L3"))), 5)
        if dice.random() < 0.2:
            fed.wms.run_batch()
        await asyncio.sleep(0.05)
