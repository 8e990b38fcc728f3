"""`kill -9` at every step of a sync: whether the step was stored or not, both sides agree."""

import asyncio
import os
from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio

from allocator.wms.simulator_nature import Nature
from tests.integration.fed import Fed, feeding
from tests.integration.serving import order_of, serving, until
from tests.integration.traps import Spot, Trap, trapping
from tests.integration.truth import query

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKUS = ("tea", "cup", "pot")
UNITS = 200
EVERYTHING = os.environ.get("ALLOCATOR_FEED_KILLS") == "all"
NATURE = Nature(batch_s=0.2, rate_per_s=80.0, burst=20, lost_rate=0.1, seed=3)

AN_ORDER = Spot("journal", "INSERT", "NEW.kind = 'order_placed'")
STEPS = {
    "a poll is begun": Spot("journal", "INSERT", "NEW.kind = 'poll_begun'"),
    "a run is begun": Spot("journal", "INSERT", "NEW.kind = 'run_begun'"),
    "what was applied is folded": Spot("wms_feeds", "UPDATE", "NEW.applied > OLD.applied"),
    "a page is kept": Spot("wms_lots", "INSERT OR UPDATE", "true"),
    "pools have followed": Spot("journal", "INSERT", "NEW.kind = 'lot_reconciled'"),
    "a run has ended": Spot("journal", "INSERT", "NEW.kind = 'run_ended'"),
    "an order leaves": Spot("journal", "INSERT", "NEW.kind = 'order_dispatched'"),
    "pushes are numbered": Spot("wms_pushes", "INSERT", "true"),
    "they are acknowledged": Spot("wms_feeds", "UPDATE", "NEW.acknowledged > OLD.acknowledged"),
}
SOME = [
    ("pools have followed", False),
    ("pushes are numbered", True),
    ("they are acknowledged", False),
]
KILLS = [(step, stored) for step in STEPS for stored in (True, False)] if EVERYTHING else SOME
"""With ALLOCATOR_FEED_KILLS=all, both ways at each step; without, some."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fed(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fed]:
    """One server, which all tests here kill and start again."""
    log = tmp_path_factory.mktemp("fed") / "log"
    async with (
        serving("--database-url", module_database_url, log=log) as server,
        feeding(server, NATURE, skus=SKUS, units=UNITS) as fed,
    ):
        yield fed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trap(fed: Fed, module_database_url: str) -> AsyncIterator[Trap]:
    """A trap in its database."""
    assert fed.skus
    async with trapping(module_database_url) as trap:
        yield trap


async def has_work(fed: Fed, dice: Random, *, key: str) -> None:
    """Give everybody something to do: units come and go, orders come, leave and go away."""
    skus = dice.sample(SKUS, 2)
    fed.wms.truth.receive((skus[0], dice.choice(("L1", "L2", "L3"))), 3)
    for number, what in enumerate(("dispatch", "cancel", None)):
        wanted = skus[: number % 2 + 1]
        order = await fed.buy(*wanted, quantity=2, key=f"{key} {number}")
        assert order is not None
        fed.wms.run_batch()
        if what is not None:
            await fed.end(order, what, *wanted, quantity=2)


async def killed(fed: Fed, trap: Trap, step: str, *, stored: bool, dice: Random) -> None:
    """Have the server die in the middle of a commit, and be started again."""
    await trap.set(STEPS[step])
    work = asyncio.create_task(has_work(fed, dice, key=f"{step}, {stored}"))
    await trap.sprung()
    fed.server.crash()
    await trap.open(stored=stored)
    await fed.server.start_ready()
    await work


@pytest.mark.timeout(900)
async def test_n16_a_feed_whose_server_is_killed_at_any_step_tells_everything_once(
    fed: Fed, trap: Trap
) -> None:
    """N1, N3, N10, N11, N12, N16: numbers without gaps, each applied once, and both sides agree."""
    dice = Random(5)
    for step, stored in KILLS:
        await killed(fed, trap, step, stored=stored, dice=dice)
        await fed.agreed()


async def test_n16_an_order_whose_answer_a_kill_cuts_off_stays_and_is_told_once(
    fed: Fed, trap: Trap
) -> None:
    """N2, N5, N16: accepted, and killed before the reply, in a fed warehouse."""
    await fed.agreed()
    before = (await fed.server.balance("tea")).available
    lot = fed.wms.truth.batch(("tea", "L1"))
    allocated = fed.theirs("tea")[1]
    assert lot.orderable > 0
    body = {"product": "tea", "warehouse": "main", "quantity": 4}
    await trap.set(AN_ORDER)
    asked = asyncio.create_task(fed.insist("/orders", body, key="cut off"))
    await trap.sprung()
    fed.server.crash()
    await trap.open(stored=True)
    assert not asked.done()
    await fed.server.start_ready()

    assert (await fed.server.balance("tea")).available == before - 4
    first = await asked
    again = await fed.insist("/orders", body, key="cut off")
    assert (first.status, again.body) == (201, first.body)
    fed.promised["tea"] += 4
    await fed.agreed()
    assert fed.theirs("tea")[1] == allocated + 4
    assert (await fed.server.shown(order_of(first).id)).status == "new"


async def test_a_feed_whose_server_is_killed_while_it_ends_lets_go_of_every_pool(
    fed: Fed, trap: Trap, module_database_url: str
) -> None:
    """And takes back what is open, once."""
    await fed.agreed()
    await trap.set(Spot("journal", "INSERT", "NEW.kind = 'feed_detached'"))
    assert (await fed.server.ask("DELETE", "/wms/feeds/main")).status == 202
    await trap.sprung()
    fed.server.crash()
    await trap.open(stored=True)
    await fed.server.start_ready()

    async def is_taken_back() -> bool:
        return all(fed.theirs(sku)[1] == 0 for sku in SKUS)

    await until(is_taken_back)
    detached = await query(
        module_database_url, "SELECT count(*) FROM journal WHERE kind = 'feed_detached'"
    )
    assert detached[0]["count"] == len(SKUS)
    assert fed.wms.truth.mistakes == []
    assert (await fed.shown()).status == "deleted"
