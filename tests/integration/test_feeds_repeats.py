"""Requests that were answered before their warehouse was fed are answered again as they were."""

import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.api_shapes import Answer
from tests.integration.shop import Shop, until
from tests.integration.test_feeds_api import NATURE, Fed, fed_by

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def is_closed(fed: Fed) -> None:
    """Have it be fed, and wait until nobody else may bring anything in."""
    await fed.put()

    async def is_refused() -> bool:
        return (await fed.shop.receive(quantity=1)).status == 409

    await until(is_refused)


async def test_a_receipt_from_before_is_answered_again_as_it_was(fed: Fed) -> None:
    shop, key = fed.shop, secrets.token_hex(8)
    first = await shop.receive(quantity=3, key=key)
    await is_closed(fed)

    again = await shop.receive(quantity=3, key=key)

    assert (again.status, again.body) == (first.status, first.body) == (201, first.body)
    assert (await shop.receive(quantity=4, key=key)).status == 422
    refused = await shop.receive(quantity=3, key=secrets.token_hex(8))
    assert refused.status == 409
    assert b"/problems/warehouse-fed" in refused.body


async def test_a_move_from_before_is_answered_again_as_it_was(fed: Fed) -> None:
    shop, source = fed.shop, f"w-{secrets.token_hex(6)}"
    assert (await shop.put(f"/warehouses/{source}", {"name": "Source"})).status == 201
    stock = {"product": shop.product, "warehouse": source, "quantity": 9}
    assert (await shop.post("/stocks", stock)).status == 201

    async def move(quantity: int, key: str | None) -> Answer:
        body = {"product": shop.product, "from": source, "to": shop.warehouse}
        return await shop.post("/moves", body | {"quantity": quantity}, key=key)

    key, other = secrets.token_hex(8), secrets.token_hex(8)
    first = await move(2, key)
    await is_closed(fed)

    again = await move(2, key)

    assert (again.status, again.body) == (201, first.body)
    assert (await move(3, key)).status == 422
    assert (await move(2, other)).status == 409
    assert (await move(2, other)).status == 409
    assert (await move(2, None)).status == 409
