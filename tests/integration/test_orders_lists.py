"""Lists of orders: every order once, page by page, by any of their members."""

from itertools import combinations

import pytest

from tests.integration.api_shapes import Listing, Order
from tests.integration.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_list_of_orders_has_every_order_once_over_several_pages(shop: Shop) -> None:
    results = await shop.batch(*(shop.wanted() for _ in range(3)))
    assert {result.status for result in results} == {409}
    await shop.received(quantity=1_000)
    results = await shop.batch(*(shop.wanted(customer=f"c{n}") for n in range(450)))
    placed = [result.order for result in results if result.order is not None]
    await shop.projected()

    assert len(placed) == 450
    for limit in (200, 150, 199):
        assert await shop.all_of(Order, "/orders", limit=limit, warehouse=shop.warehouse) == placed
    first = await shop.get(f"/orders?warehouse={shop.warehouse}")
    assert first.read(Listing[Order]).items == placed[:50]


async def test_orders_are_filtered_by_every_combination_of_their_members(shop: Shop) -> None:
    other = Shop(shop.server, shop.client)
    await other.open()
    customers = ["Ada", "Bob & Co", "Žofie"]
    pairs = [
        (w, p) for w in (shop.warehouse, other.warehouse) for p in (shop.product, other.product)
    ]
    orders = []
    for warehouse, product in pairs:
        await shop.receive(warehouse=warehouse, product=product, quantity=9)
        for number, customer in enumerate(customers):
            order = await shop.placed(warehouse=warehouse, product=product, customer=customer)
            if number:
                end = shop.dispatch if number == 1 else shop.cancel
                order = (await end(order)).read(Order)
            orders.append(order)
    await shop.projected()

    def members(order: Order) -> dict[str, str]:
        [line] = order.lines
        assert order.customer is not None
        return {
            "warehouse": line.warehouse,
            "product": line.product,
            "status": order.status,
            "customer": order.customer,
        }

    mine = {order.id for order in orders}
    for order in (orders[0], orders[4], orders[-1]):
        for names in combinations(members(order), 3):
            wanted = {name: members(order)[name] for name in names}
            found = await shop.all_of(Order, "/orders", **wanted)
            expected = [o for o in orders if wanted.items() <= members(o).items()]
            assert {o.id for o in found if o.id in mine} == {o.id for o in expected}
            assert all(wanted.items() <= members(o).items() for o in found)


async def test_a_filter_that_fits_nothing_finds_nothing(shop: Shop) -> None:
    await shop.received()
    await shop.placed()
    await shop.projected()

    for wanted in ({"customer": "nobody"}, {"status": "cancelled"}, {"product": "none"}):
        query = {"warehouse": shop.warehouse} | wanted
        assert await shop.all_of(Order, "/orders", **query) == []
