"""Whoever listens hears of units that are missing, by itself, and when that is over."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.shop import Shop, until
from tests.integration.test_feeds_api import NATURE, Fed, fed_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIND = "shortfall_changed"


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def said(fed: Fed, count: int) -> list[object]:
    """Wait until something was said so often; return what."""

    async def is_said() -> bool:
        return len([each for each in await fed.shop.journal() if each.kind == KIND]) >= count

    await until(is_said)
    return [each.body for each in await fed.shop.journal() if each.kind == KIND]


async def test_a_shortfall_is_said_when_it_appears_and_when_it_is_over(fed: Fed) -> None:
    await fed.begun(5)
    order = await fed.shop.placed(quantity=4)
    await fed.told(1)
    fed.wms.damage((fed.shop.product, "L7"), 3)

    assert await said(fed, 1) == [{"before": 0, "short": 2}]

    assert (await fed.shop.cancel(order)).status == 200

    assert await said(fed, 2) == [{"before": 0, "short": 2}, {"before": 2, "short": 0}]
    await fed.shop.projected()  # its rows are known to the read models as well


async def test_webhooks_can_be_told_of_shortfalls_alone(fed: Fed) -> None:
    body = {"url": "http://127.0.0.1:9/hooks", "kinds": [KIND]}

    answer = await fed.shop.put(f"/webhooks/{fed.shop.warehouse}", body)

    assert answer.status == 201
    assert (await fed.shop.send("DELETE", f"/webhooks/{fed.shop.warehouse}")).status < 300
