"""Locations: places inside a warehouse, most of which hold one product at a time."""

import asyncio

import msgspec
import pytest

from tests.integration.api_shapes import Balance, Levels, Listing, Location, Order, Stock, Warehouse
from tests.integration.places import (
    another_product,
    emptied,
    levels,
    located,
    locations_of,
    moved,
    on_hand,
    unused,
)
from tests.integration.shop import Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Page(msgspec.Struct):
    """A page of a journal, of which only what happened counts here."""

    items: list["Happened"]


class Happened(msgspec.Struct):
    """Something that happened."""

    seq: int
    kind: str


async def test_a_location_is_in_a_warehouse_and_holds_one_product_unless_told(shop: Shop) -> None:
    """O1, O4: a place inside a warehouse, `single_product` by default."""
    code = unused()
    path = f"/locations/{code}"
    there = Location(code=code, name=code, warehouse=shop.warehouse, single_product=True)

    answer = await shop.put(path, {"warehouse": shop.warehouse})

    assert answer.read(Location, status=201) == there
    assert (await shop.put(path, {"warehouse": shop.warehouse})).read(Location) == there
    shown = (await shop.get(path)).read(Levels)
    assert shown == Levels(**msgspec.structs.asdict(there), levels=[], next_cursor=None)


async def test_a_location_may_be_called_otherwise(shop: Shop) -> None:
    code = await located(shop, name="Shelf 7")
    body = {"warehouse": shop.warehouse, "name": "Shelf 8"}

    assert (await shop.put(f"/locations/{code}", body)).read(Location).name == "Shelf 8"
    assert (await shop.get(f"/locations/{code}")).read(Levels).name == "Shelf 8"
    again = await shop.put(f"/locations/{code}", {"warehouse": shop.warehouse})
    assert again.read(Location).name == code


async def test_what_routes_is_fixed_for_ever(shop: Shop) -> None:
    """O4: nobody can make a location of many products out of one of one."""
    elsewhere = unused()
    (await shop.put(f"/warehouses/{elsewhere}", {"name": "Elsewhere"})).read(Warehouse, status=201)
    code = await located(shop)
    path = f"/locations/{code}"

    for body, said in (
        ({"warehouse": shop.warehouse, "single_product": False}, "one product at a time, for good"),
        ({"warehouse": elsewhere}, f"a location of {shop.warehouse}, and stays there"),
    ):
        problem = (await shop.put(path, body)).problem(409)
        assert problem.type == "/problems/conflict"
        assert problem.detail.startswith(code)
        assert problem.detail.endswith(said)
    assert (await shop.get(path)).read(Levels).single_product


async def test_warehouses_and_locations_share_their_names(shop: Shop) -> None:
    code = await located(shop)
    body = {"warehouse": shop.warehouse}

    taken = (await shop.put(f"/locations/{shop.warehouse}", body)).problem(409)
    renamed = (await shop.put(f"/warehouses/{code}", {"name": "Mine"})).problem(409)
    posted = await shop.refused(409, "/warehouses", {"code": code, "name": code})
    nested = (await shop.put(f"/locations/{unused()}", {"warehouse": code})).problem(422)

    assert taken.detail == f"{shop.warehouse} is a warehouse"
    assert renamed.detail == posted.detail == f"{code} is a location of {shop.warehouse}"
    assert nested.detail.startswith("locations are in warehouses, not in each other")
    assert f"/locations/{code}" in (await shop.get(f"/warehouses/{code}")).problem(404).detail
    everything = await shop.all_of(Warehouse, "/warehouses")
    assert code not in {each.code for each in everything}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "warehouse"),
        ({"warehouse": "no-such"}, "no such warehouse"),
        ({"warehouse": "a b"}, "warehouse"),
        ({"warehouse": None}, "warehouse"),
        ({"warehouse": "w", "single_product": "yes"}, "single_product"),
        ({"warehouse": "w", "single_product": 1}, "single_product"),
        ({"warehouse": "w", "name": ""}, "name"),
        ({"warehouse": "w", "parent": "w"}, "parent"),
    ],
)
async def test_a_location_of_nonsense_is_refused(
    shop: Shop, body: dict[str, object], said: str
) -> None:
    problem = (await shop.put(f"/locations/{unused()}", body)).problem(422)

    assert said in problem.detail


async def test_what_is_no_location_is_not_found(shop: Shop) -> None:
    for code in (unused(), shop.warehouse, "a%20b", "%00"):
        assert (await shop.get(f"/locations/{code}")).problem(404).detail == "no such location"
    body = {"warehouse": shop.warehouse}
    assert (await shop.put("/locations/a%20b", body)).problem(422).detail.startswith("code must be")


async def test_a_location_is_used_wherever_a_warehouse_is(shop: Shop) -> None:
    """O1: stock, orders, batches, lists and balances."""
    code = await located(shop)
    stock = await shop.received(quantity=10, warehouse=code)
    order = await shop.placed(quantity=3, warehouse=code)
    [line] = await shop.batch(shop.wanted(warehouse=code, quantity=2))
    assert line.order is not None
    assert (await shop.dispatch(order)).read(Order).status == "dispatched"
    assert (await shop.cancel(line.order)).read(Order).status == "cancelled"

    assert [(each.product, each.warehouse) for each in order.lines] == [(shop.product, code)]
    assert await shop.shown(line.order) == msgspec.structs.replace(line.order, status="cancelled")
    assert (await shop.stock(stock)).available == 7
    await shop.projected()
    listed = (await shop.get(f"/stocks?warehouse={code}")).read(Listing[Stock]).items
    assert listed == [msgspec.structs.replace(stock, available=7)]
    orders = (await shop.get(f"/orders?warehouse={code}")).read(Listing[Order]).items
    assert [each.id for each in orders] == [order.id, line.order.id]


async def test_a_warehouse_does_not_count_what_its_locations_have(shop: Shop) -> None:
    """O5: each place has a level of its own."""
    code = await located(shop)
    await shop.received(quantity=4)
    await shop.received(quantity=7, warehouse=code)

    assert (await shop.balance()).on_hand == 4
    assert [each.on_hand for each in await levels(shop, code)] == [7]


async def test_a_level_is_there_as_soon_as_what_made_it(shop: Shop) -> None:
    """O5: a location of one product is never stale."""
    code = await located(shop)
    for quantity in range(1, 20):
        await shop.received(warehouse=code)

        [level] = await levels(shop, code)
        assert (level.product, level.warehouse) == (shop.product, code)
        assert (level.available, level.on_hand, level.version) == (quantity, quantity, quantity)


async def test_a_location_shows_zeros_of_every_other_product(shop: Shop) -> None:
    """O4: asked about another product it is empty, and what is asked of it is refused."""
    code = await located(shop)
    await shop.received(quantity=5, warehouse=code)
    other = await another_product(shop)

    answer = await other.get(f"/stock-balances/{code}/{other.product}")
    assert answer.read(Balance).numbers == (0, 0, 0, 0)
    former = await other.get(f"/stock-balances/{code}/{other.product}?version=1")
    assert former.read(Balance).numbers == (0, 0, 0, 0)
    order = await other.refused(409, "/orders", other.wanted(warehouse=code))
    assert (order.type, order.available) == ("/problems/insufficient-stock", 0)
    stock = await other.refused(409, "/stocks", other.wanted(warehouse=code))
    assert (stock.type, stock.product) == ("/problems/location-occupied", shop.product)
    [line] = await other.batch(other.wanted(warehouse=code))
    assert line.status == 409
    assert await on_hand(shop, code) == 5


async def test_an_empty_location_is_free_for_another_product(shop: Shop) -> None:
    """O4: one type of product at any instant; each order and stock knows its own for ever."""
    code = await located(shop)
    first = await shop.received(warehouse=code)
    sold = await shop.placed(warehouse=code)
    other = await another_product(shop)
    await other.refused(409, "/stocks", other.wanted(warehouse=code))
    await shop.dispatch(sold)

    second = await other.received(quantity=2, warehouse=code)

    assert [each.product for each in await levels(shop, code)] == [other.product]
    assert await on_hand(shop, code) == 0
    assert (await shop.stock(first)).product == shop.product
    assert (await shop.stock(second)).product == other.product
    assert (await shop.shown(sold)).lines[0].product == shop.product
    await shop.projected()
    for each in (shop, other):
        path = f"/orders?warehouse={code}&product={each.product}"
        listed = (await each.get(path)).read(Listing[Order]).items
        assert [one.id for one in listed] == ([sold.id] if each is shop else [])


async def test_two_hundred_products_race_into_one_location_and_one_is_in(shop: Shop) -> None:
    """O4: exactly one of them wins, whoever they are."""
    code = await located(shop)
    others = await asyncio.gather(*(another_product(shop) for _ in range(200)))

    answers = await asyncio.gather(*(each.receive(warehouse=code) for each in others))

    won = [each for each, answer in zip(others, answers, strict=True) if answer.status == 201]
    assert sorted(answer.status for answer in answers) == [201] + [409] * 199
    assert [each.product for each in await levels(shop, code)] == [won[0].product]


async def test_the_website_holds_any_number_of_products(shop: Shop) -> None:
    """O5, O7: everything at the location "website" can be bought; levels page by product."""
    website = await located(shop, single_product=False, name="website")
    shops = [shop, *[await another_product(shop) for _ in range(4)]]
    for number, each in enumerate(shops, start=1):
        await each.received(quantity=number, warehouse=website)
        assert (await each.placed(warehouse=website)).status == "new"
    await shop.projected()

    found: list[Balance] = []
    cursor = ""
    while True:
        page = (await shop.get(f"/locations/{website}?limit=2{cursor}")).read(Levels)
        assert len(page.levels) <= 2
        found += page.levels
        if page.next_cursor is None:
            break
        cursor = f"&cursor={page.next_cursor}"

    assert [each.product for each in found] == sorted(each.product for each in shops)
    assert {each.product: (each.available, each.ordered) for each in found} == {
        each.product: (number - 1, 1) for number, each in enumerate(shops, start=1)
    }


async def test_the_levels_of_a_whole_warehouse_are_a_list(shop: Shop) -> None:
    """O5: every location of it, by code."""
    empty, shelf = await located(shop), await located(shop)
    website = await located(shop, single_product=False)
    await shop.received(quantity=3, warehouse=shelf)
    await moved(shop, shelf, website, 1)

    found = {each.code: each for each in await locations_of(shop)}

    assert list(found) == sorted([empty, shelf, website])
    numbers = {
        code: [(one.product, one.warehouse, one.on_hand) for one in each.levels]
        for code, each in found.items()
    }
    assert numbers == {
        empty: [],
        shelf: [(shop.product, shelf, 2)],
        website: [(shop.product, website, 1)],
    }
    path = f"/locations?warehouse={shop.warehouse}"
    first = (await shop.get(f"{path}&limit=2")).read(Listing[Levels])
    rest = (await shop.get(f"{path}&limit=2&cursor={first.next_cursor}")).read(Listing[Levels])
    assert [each.code for each in first.items + rest.items] == list(found)
    assert rest.next_cursor is None


async def test_sales_and_moves_are_one_history_of_a_location(shop: Shop) -> None:
    """O3, O14: what came, what was sold and what moved on, in the order in which it happened."""
    shelf, website = await located(shop), await located(shop, single_product=False)
    await shop.received(quantity=5)
    await moved(shop, shop.warehouse, shelf, 4)
    order = await shop.placed(quantity=1, warehouse=shelf)
    await shop.dispatch(order)
    await moved(shop, shelf, website, 3)
    await emptied(shop, shelf)

    page = (await shop.get(f"/journal?warehouse={shelf}")).body

    kinds = [each.kind for each in msgspec.json.decode(page, type=Page).items]
    assert [kind for kind in kinds if kind != "process_let_go"] == [
        "product_expected",
        "units_taken",
        "order_placed",
        "order_dispatched",
        "units_sent",
    ]
    same = await shop.get(f"/journal?warehouse={shelf}&product={shop.product}")
    assert msgspec.json.decode(same.body, type=Page) == msgspec.json.decode(page, type=Page)


async def test_a_journal_needs_a_product_where_there_are_many(shop: Shop) -> None:
    website, shelf = await located(shop, single_product=False), await located(shop)

    for place in (website, shop.warehouse):
        problem = (await shop.get(f"/journal?warehouse={place}")).problem(422)
        assert "whose journal" in problem.detail
    for place in (shelf, unused()):
        assert (await shop.get(f"/journal?warehouse={place}")).status == 200
    (await shop.get(f"/journal?product={shop.product}")).problem(422)
