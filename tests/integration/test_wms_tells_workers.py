"""What a warehouse system (WMS) tells, or somebody asks of it, reaches the feed from any worker."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from allocator.http.feed_shapes import ShownDryRun
from allocator.wms.simulator_nature import Nature
from tests.integration.fed import Fed, feeding
from tests.integration.serving import until
from tests.integration.wms import NEVER_S
from tests.integration.workers import settled, several

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKUS = tuple(f"tea-{number}" for number in range(8))
UNITS = 20
NATURE = Nature(batch_s=NEVER_S, rate_per_s=200.0, burst=50)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fed(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Fed]:
    """One server with two workers, whose WMS is not polled any more."""
    log = tmp_path_factory.mktemp("fed") / "log"
    async with (
        several("--database-url", module_database_url, log=log) as server,
        feeding(server, NATURE, skus=SKUS, units=UNITS) as fed,
    ):
        await settled(module_database_url, server)
        fed.polls["poll_s"] = 0
        await fed.put()
        yield fed


async def sent(fed: Fed, path: str, body: object = None) -> bytes:
    """Send something on a connection of its own, which is any worker's; return the answer."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, headers=fed.server.headers) as client,
        client.post(f"{fed.server.url}/wms/feeds/main/{path}", json=body) as response,
    ):
        content = await response.read()
        assert response.status in {200, 202}, content
        return content


async def test_n12_events_reach_the_feed_whichever_worker_takes_them(fed: Fed) -> None:
    for sku in SKUS:
        fed.wms.truth.damage((sku, "L1"), 3)
        batch = fed.wms.truth.batch((sku, "L1"))
        event = {
            "id": sku,
            "type": "adjustment",
            "sku": sku,
            "batch": "L1",
            "orderable": batch.orderable,
            "as_of": fed.wms.truth.as_of,
            "applied_through": fed.wms.truth.applied_through,
        }
        await sent(fed, "events", {"events": [event]})

    async def is_heard() -> bool:
        found = [(await fed.server.balance(sku)).available for sku in SKUS]
        return found == [UNITS - 3] * len(SKUS)

    await until(is_heard)


async def test_a_dry_run_is_found_out_whichever_worker_is_asked(fed: Fed) -> None:
    for sku in SKUS:
        fed.wms.truth.receive((sku, "L2"), 2)

    answers = await asyncio.gather(*(sent(fed, "poll?dry_run=true") for _ in range(8)))

    found = [msgspec.json.decode(answer, type=ShownDryRun) for answer in answers]
    assert {each.failure for each in found} == {None}
    assert {each.more for each in found} == {2 * len(SKUS)}
