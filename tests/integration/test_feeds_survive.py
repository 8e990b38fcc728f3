"""Feeds through outages, lost answers, wrong picks, losses and floods: nothing is oversold.

ALLOCATOR_FEED_SOAK_S=60 goes on for longer than CI does.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from random import Random

import msgspec
import pytest

from allocator.wms.simulator_entrance import Admission
from allocator.wms.simulator_nature import Nature
from tests.integration.fed import Fed, feeding
from tests.integration.serving import Order, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOAK_S = float(os.environ.get("ALLOCATOR_FEED_SOAK_S", "3"))
IS_LONG = SOAK_S >= 10
RATE = 10.0
TIMES = 20
"""So many orders come for each request that the WMS allows."""
AT_ONCE = 40
NATURE = Nature(
    batch_s=0.5,
    rate_per_s=RATE,
    burst=10,
    stale=True,
    swap_rate=0.05,
    latency_s=0.005,
    lost_rate=0.1,
    outage_every_s=2.0 if IS_LONG else 0.0,
    outage_s=0.3,
    duplicate_rate=0.2,
    disorder_rate=0.2,
    seed=51,  # of the first outage: no request is met with silence, which lasts for 30 s
)
SKUS = ("tea", "cup", "pot")
FRAGILE = ("pot",)
UNITS = 40
LONGER_MAX = 10
"""So many times the orders that were meant come, at most, until something has gone wrong."""
KEPT_MAX = 200
"""So many orders stay open for a while."""


class Said(msgspec.Struct):
    """What became of a line of a batch."""

    status: int
    order: Order | None = None


async def flood(fed: Fed, dice: Random, *, orders: int) -> Counter[int]:
    """Have so many orders come, at the pace of the flood; return how many had which status."""
    loop = asyncio.get_running_loop()
    began_s, statuses, kept = loop.time(), Counter[int](), list[tuple[str, str]]()
    for sent in count(AT_ONCE, AT_ONCE):
        wanted = [dice.choice(SKUS) for _ in range(AT_ONCE)]
        lines = [{"product": sku, "warehouse": "main"} for sku in wanted]
        said = [msgspec.json.decode(each, type=Said) for each in await fed.server.batch(*lines)]
        for sku, each in zip(wanted, said, strict=True):
            statuses[each.status] += 1
            if each.order is not None:
                fed.promise(sku, 1)
                kept.append((each.order.id, sku))
        await close(fed, dice, kept)
        happen(fed, dice)
        if sent >= orders and (misfortunes(fed) or sent >= orders * LONGER_MAX):
            return statuses
        if orders / 2 <= sent < orders / 2 + AT_ONCE:
            await outage(fed)
        due_s = began_s + sent / (RATE * TIMES)
        await asyncio.sleep(max(0, due_s - loop.time()))
    raise AssertionError


async def close(fed: Fed, dice: Random, kept: list[tuple[str, str]]) -> None:
    """Dispatch and cancel some orders."""
    ends = []
    while len(kept) > KEPT_MAX or (kept and dice.random() < 0.8):
        order, sku = kept.pop(dice.randrange(len(kept)))
        ends.append(
            fed.end(order, dice.choice(("dispatch", "dispatch", "cancel")), sku, quantity=1)
        )
    await asyncio.gather(*ends)


def happen(fed: Fed, dice: Random) -> None:
    """Have units arrive, fewer than are wanted, and some of one product be lost."""
    for _ in range(3):
        fed.receive(dice.choice(SKUS), dice.choice(("L1", "L2", "L3")), 7)
    if dice.random() < 0.3:
        fed.lose(dice.choice(FRAGILE), dice.choice(("L1", "L2")), dice.randint(1, 3))


async def outage(fed: Fed) -> None:
    """Have the WMS be gone until somebody has noticed."""
    counts = fed.wms.entrance.counts
    others = counts.total() - counts[Admission.LET_IN]
    fed.wms.entrance.close(60)
    await until(lambda: counts.total() - counts[Admission.LET_IN] > others, within_s=90.0)
    fed.wms.entrance.close(0)


def misfortunes(fed: Fed) -> int:
    """Say how often something went wrong by chance: on a slow machine there are fewer requests."""
    return fed.wms.answers_lost + fed.wms.truth.swaps


def lost(fed: Fed, skus: Sequence[str]) -> int:
    return sum(each.damaged for each in fed.wms.truth.batches() if each.sku in skus)


@pytest.mark.timeout(120 + 20 * SOAK_S)
async def test_n3_n4_n15_nothing_is_oversold_lost_or_told_twice_and_no_limit_is_broken(
    database_url: str, tmp_path: Path
) -> None:
    """N2, N3, N4, N5, N11, N12, N15: twenty times its limit in orders, and all that goes wrong."""
    orders = int(SOAK_S * RATE * TIMES)
    async with (
        serving("--database-url", database_url, log=tmp_path / "log") as server,
        feeding(server, NATURE, skus=SKUS, units=UNITS, rate_per_s=RATE, burst=8) as fed,
    ):
        statuses = await flood(fed, Random(1), orders=orders)
        await fed.agreed()

        assert statuses.keys() == {201, 409}
        assert sum(statuses.values()) >= orders
        assert fed.limited == 0
        assert misfortunes(fed) > 0
        assert fed.wms.webhooks.told > 0
        for sku in SKUS:
            missing = -min(0, fed.theirs(sku)[0])
            assert missing <= lost(fed, [sku])
        assert (await fed.shown()).shortfall == -min(0, fed.theirs("pot")[0])
        assert server.complaints() == []
