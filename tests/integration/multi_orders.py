"""Requests about orders of several lines, and of parts, by clients of a shop."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from allocator.actors.errands import Office
from tests.integration.api_shapes import Answer, Order
from tests.integration.shop import Shop, until


async def beside(shop: Shop, *, stock: int = 0) -> Shop:
    """Another warehouse for the shop's product."""
    other = Shop(shop.server, shop.client)
    other.product = shop.product
    assert (await shop.put(f"/warehouses/{other.warehouse}", {"name": "Other"})).status == 201
    if stock:
        await other.received(quantity=stock)
    return other


async def two(shop: Shop, *, stock: int = 5) -> tuple[Shop, Shop]:
    """Two warehouses of a product that nobody else knows, with so many units in each."""
    first = Shop(shop.server, shop.client)
    await first.open()
    await first.received(quantity=stock)
    return first, await beside(first, stock=stock)


def lines(*wanted: tuple[Shop, int]) -> list[dict[str, object]]:
    return [shop.wanted(quantity=quantity) for shop, quantity in wanted]


async def ordered(shop: Shop, *wanted: tuple[Shop, int], key: str | None = None) -> Answer:
    """Try to place an order."""
    body = {"lines": lines(*wanted), "customer": shop.product}
    return await shop.post("/orders", body, key=key)


async def placed(shop: Shop, *wanted: tuple[Shop, int], key: str | None = None) -> Order:
    """Place an order that succeeds."""
    return (await ordered(shop, *wanted, key=key)).read(Order, status=201)


async def dispatch(shop: Shop, order: Order, *parts: tuple[Shop, int], key: str = "") -> Answer:
    body = {"lines": lines(*parts)} if parts else None
    return await shop.post(f"/orders/{order.id}/dispatch", body, key=key or None)


@contextmanager
def asked_one_by_one() -> Iterator[None]:
    """Have orders ask one pool after the other, as if these were another worker's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Office, "at_hand", lambda *_: None)
        yield


async def settled(shop: Shop) -> None:
    """Wait until no process asks anything any more."""

    async def nothing_outstanding() -> bool:
        return await shop.metric("allocator_outstanding_asks") == 0

    await until(nothing_outstanding)
