"""What a run would change can be known before anything does."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from allocator.http.feed_shapes import ShownDryRun
from tests.integration.shop import Shop
from tests.integration.test_feeds_api import NATURE, Fed, fed_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_S = 3600.0


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def rarely_polled(fed: Fed, quantity: int) -> None:
    """Have units be there, heard once, and no poll for an hour."""
    await fed.begun(quantity)
    await fed.put(poll_s=HOUR_S)  # it is polled once more, now or soon
    polls = len([each for each in await fed.shop.journal() if each.kind == "lot_reconciled"])
    assert polls == 1
    await fed.put(poll_s=0)


async def would(fed: Fed) -> ShownDryRun:
    answer = await fed.shop.post(f"{fed.path}/poll?dry_run=true")
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=ShownDryRun)


async def test_a_dry_run_says_what_would_change_and_changes_nothing(fed: Fed) -> None:
    await rarely_polled(fed, 10)
    await fed.shop.placed(quantity=4)
    await fed.told(1)
    fed.wms.run_batch()
    place = (fed.shop.product, "L7")
    fed.wms.truth.damage(place, 7)
    fed.wms.truth.receive((fed.shop.product, "L8"), 2)
    fed.wms.truth.receive(("stranger", None), 1)
    before = await fed.shop.journal()

    found = await would(fed)

    assert (found.failure, found.differences, found.batches) == (None, 2, 3)
    assert (found.more, found.fewer, found.shortfall) == (2, 6, 1)
    assert found.unknown == ("stranger",)
    assert [(each.batch, each.change) for each in found.items] == [("L7", -6), ("L8", 2)]
    assert found.items[0].explanation == (
        "the WMS says -1 orderable and has applied 4 of ours, 3 together; we counted 10: "
        "6 fewer are available, and 1 unit that is promised or set aside is missing"
    )
    assert await fed.shop.journal() == before
    assert await fed.available() == 6


async def test_what_a_dry_run_said_is_what_the_next_run_does(fed: Fed) -> None:
    await rarely_polled(fed, 10)
    fed.wms.truth.damage((fed.shop.product, "L7"), 3)
    other = f"{fed.shop.product}-2"
    assert (await fed.shop.put(f"/products/{other}", {"name": "Other"})).status == 201
    fed.wms.truth.receive((other, "M1"), 5)
    found = await would(fed)

    await fed.put(poll_s=0.2)
    await fed.heard()

    assert {(each.product, each.batch): each.change for each in found.items} == {
        (fed.shop.product, "L7"): -3,
        (other, "M1"): 5,
    }
    assert await fed.available() == 7
    assert (await would(fed)).differences == 0


async def test_a_dry_run_says_why_it_cannot_know(fed: Fed) -> None:
    await rarely_polled(fed, 1)
    fed.wms.entrance.close(60)

    failure = (await would(fed)).failure

    assert failure is not None
    assert "WMS" in failure
    fed.wms.entrance.close(0)


async def test_a_dry_run_is_one_of_a_feed_that_is_on(fed: Fed) -> None:
    assert (await fed.shop.post(f"{fed.path}/poll?dry_run=true")).status == 404
    await fed.begun(1)
    assert (await fed.shop.post(f"{fed.path}/poll?dry_run=perhaps")).status == 422
    await fed.shop.send("DELETE", fed.path)
    assert (await fed.shop.post(f"{fed.path}/poll?dry_run=true")).status == 409


async def test_a_dry_run_at_a_wms_that_never_answered_says_so(fed: Fed) -> None:
    fed.wms.entrance.close(600)
    await fed.put()

    failure = (await would(fed)).failure

    assert failure is not None
    assert "WMS" in failure
