"""What is said of a pool before it is known which row attached it waits, and is not lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import pytest_asyncio

from allocator.http.feed_shapes import ShownDryRun
from tests.integration.shop import Shop, database, until
from tests.integration.test_feeds_api import NATURE, Fed, fed_by
from tests.integration.test_wms_tells import HOUR_S, Telling

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def telling(shop: Shop) -> AsyncIterator[Telling]:
    async with fed_by(shop, NATURE) as fed:
        yield Telling(fed)


@asynccontextmanager
async def unsettled(database_url: str) -> AsyncIterator[None]:
    """Have nothing that is committed inside be settled: an older transaction might yet commit."""
    async with database(database_url) as connection, connection.transaction():
        await connection.execute("SELECT pg_current_xact_id()")
        yield


async def begun(fed: Fed, *, poll_s: float) -> None:
    """Have ten units be there, attached just now."""
    fed.wms.truth.receive((fed.shop.product, "L7"), 10)
    await fed.put(poll_s=HOUR_S)

    async def is_heard() -> bool:
        return (await fed.shown()).completed is not None

    await until(is_heard)
    await fed.put(poll_s=poll_s)


async def test_a_snapshot_waits_for_it(telling: Telling, module_database_url: str) -> None:
    as_of = telling.fed.wms.truth.as_of + 10
    async with unsettled(module_database_url):
        await begun(telling.fed, poll_s=0)
        await telling.pushed(as_of=as_of, items=[telling.item(orderable=8)])

        async def is_begun() -> bool:
            run = (await telling.fed.shown()).run
            return run is not None and run.as_of == as_of

        await until(is_begun)
        assert await telling.fed.available() == 10

    await telling.becomes(8)


async def test_an_event_waits_for_it(telling: Telling, module_database_url: str) -> None:
    async with unsettled(module_database_url):
        await begun(telling.fed, poll_s=HOUR_S)
        refused = await _refused(telling.shop)
        telling.fed.wms.truth.damage((telling.shop.product, "L7"), 3)
        assert (await telling.tell(telling.event())).taken == 1

        async def is_refused() -> bool:
            return await _refused(telling.shop) > refused

        await until(is_refused)
        assert await telling.fed.available() == 10

    await telling.becomes(7)


async def test_a_dry_run_waits_for_it(telling: Telling, module_database_url: str) -> None:
    fed = telling.fed
    async with unsettled(module_database_url):
        await begun(fed, poll_s=0)
        fed.wms.truth.damage((fed.shop.product, "L7"), 3)
        requests = await _requests(fed)
        asked = asyncio.create_task(fed.shop.post(f"{fed.path}/poll?dry_run=true"))

        async def is_heard() -> bool:
            return await _requests(fed) > requests

        await until(is_heard)
        assert not asked.done()

    found = msgspec.json.decode((await asked).body, type=ShownDryRun)
    assert [each.change for each in found.items] == [-3]


async def _refused(shop: Shop) -> int:
    """How often pools have said that it is not known what attached them."""
    figures = await shop.server.context.figures()
    return sum(each.refusals.get("turn_unknown", 0) for each in figures.values() if each)


async def _requests(fed: Fed) -> float:
    """How often the warehouse system was asked."""
    labels = f'{{outcome="answered",warehouse="{fed.shop.warehouse}"}}'
    return await fed.shop.metric(f"allocator_feed_requests_total{labels}")
