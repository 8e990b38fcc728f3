"""Moves and single-product locations as they are told: by commands, and to whoever listens."""

import pytest

from tests.integration.api_shapes import Stock
from tests.integration.journal_command import journal
from tests.integration.listening import listening
from tests.integration.moving import all_ended, moved, not_moved, placed_in
from tests.integration.shop import Shop

ALL = "0.0.0.0"

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = [
    "move_requested",
    "product_expected",
    "move_expected",
    "units_sent",
    "move_sent",
    "units_taken",
    "move_done",
    "process_let_go",
    "process_let_go",
    "move_ended",
]


async def test_a_move_is_told_as_such_and_at_both_places(shop: Shop) -> None:
    bin_ = await placed_in(shop, f"{shop.warehouse}-bin")
    await shop.received(quantity=5)
    async with (
        listening(shop.url, after=ALL, product=shop.product) as product,
        listening(shop.url, after=ALL, warehouse=bin_.warehouse) as place,
        listening(shop.url, after=ALL, kind="move_requested,move_ended") as ends,
    ):
        move = await moved(shop, bin_, 2)
        of_product = [event.told for event in await product.take(7)]
        at_place = [event.told for event in await place.take(4)]
        ends_of_it = [each.told for each in await ends.take(2)]

    assert [told.kind for told in of_product[:2]] == ["product_put", "stock_received"]
    assert sorted(told.kind for told in of_product[2:]) == [
        "move_requested",
        "process_let_go",  # at the warehouse, which is of this product for ever
        "product_expected",
        "units_sent",
        "units_taken",
    ]  # rows of one transaction come actor by actor
    assert [(told.thing, told.id) for told in of_product[2:]] == [("move", move.id)] * 5
    [requested] = [told for told in of_product if told.kind == "move_requested"]
    assert (requested.warehouse, requested.product) == (None, shop.product)
    assert [(told.kind, told.thing, told.product) for told in at_place] == [
        ("location_put", "location", None),
        ("product_expected", "move", shop.product),
        ("units_taken", "move", shop.product),
        ("process_let_go", "move", None),
    ]
    assert {(told.thing, told.id) for told in ends_of_it} == {("move", move.id)}
    async with (
        listening(shop.url, after=ALL, product=shop.product) as product,
        listening(shop.url, after=ALL, warehouse=bin_.warehouse) as place,
        listening(shop.url, after=ALL, warehouse=bin_.warehouse, product=shop.product) as both,
    ):
        assert [event.told for event in await product.take(7)] == of_product
        assert [event.told for event in await place.take(4)] == at_place
        assert [event.told for event in await both.take(2)] == at_place[1:3]


async def test_a_move_is_shown_with_what_it_asked_of_both_places(
    shop: Shop, module_database_url: str
) -> None:
    bin_ = await placed_in(shop, f"{shop.warehouse}-bin")
    await shop.received(quantity=5)
    await moved(shop, bin_, 1)
    move = await moved(shop, bin_, 2)
    await all_ended(shop, module_database_url)

    told = await journal("show", move.id, "--database-url", module_database_url, "--json")
    words = await journal("show", move.id, "--database-url", module_database_url)

    assert [row["kind"] for row in told.objects] == KINDS
    assert {(row["thing"], row["id"]) for row in told.objects} == {("move", move.id)}
    assert [row["after"] for row in told.objects if "after" in row] == [
        {"status": "in_transit"},
        {"status": "in_transit"},
        {"status": "in_transit"},
        {"status": "done"},
        {"status": "done"},
    ]
    parts = [line.split("  ")[1:4] for line in words.lines]
    assert [part[0] for part in parts[:6]] == [
        f"move {move.id}",
        f"{shop.product}@{bin_.warehouse}",
        f"move {move.id}",
        f"{shop.product}@{shop.warehouse}",
        f"move {move.id}",
        f"{shop.product}@{bin_.warehouse}",
    ]
    assert parts[7][0] == f"{shop.product}@{shop.warehouse}"
    assert parts[8] == [f"location {bin_.warehouse}", "#6", "let go by a process that has ended"]


async def test_a_move_that_was_refused_is_shown_with_the_place_that_refused(
    shop: Shop, module_database_url: str
) -> None:
    bin_ = await placed_in(shop, f"{shop.warehouse}-bin")
    await shop.received(quantity=5)
    move = await not_moved(shop, bin_, 6)
    await all_ended(shop, module_database_url)

    told = await journal("show", move, "--database-url", module_database_url)

    said = [line.split("  ")[3] for line in told.lines]
    assert said[3:5] == ["does not send out 6: 5 available", "refused: 5 available"]
    assert said[-1] == "ended"
    assert [line.rpartition("→ ")[2] for line in told.lines][-1] == "refused"


async def test_a_location_is_shown_by_its_code_whichever_products_it_has_held(
    shop: Shop, module_database_url: str
) -> None:
    bin_ = await placed_in(shop, f"{shop.warehouse}-bin")
    other = Shop(shop.server, shop.client)
    await other.open()
    await shop.received(quantity=5)
    await moved(shop, bin_, 2)
    await bin_.dispatch(await bin_.placed(quantity=2))
    other.warehouse = bin_.warehouse
    await other.received(quantity=3)
    await all_ended(shop, module_database_url)

    url = ("--database-url", module_database_url)
    told = await journal("show", bin_.warehouse, *url)
    by_product = await journal("show", f"{bin_.warehouse}/{shop.product}", *url)
    named = await journal("show", shop.warehouse, *url)

    assert told.lines == by_product.lines
    places = [line.split("  ")[1] for line in told.lines]
    assert places.count(f"{shop.product}@{bin_.warehouse}") == 4
    assert places[-1] == f"{other.product}@{bin_.warehouse}"
    assert told.lines[-1].endswith("→ 3 available, 3 on hand")
    assert named.code == 1
    assert f"of any other place name the product as well, like {shop.warehouse}/tea" in named.errors


async def test_a_lot_that_was_moved_is_shown_where_it_came_from_and_where_it_went(
    shop: Shop, module_database_url: str
) -> None:
    bin_ = await placed_in(shop, f"{shop.warehouse}-bin")
    lot = await shop.received(quantity=5)
    await moved(shop, bin_, 2)
    await all_ended(shop, module_database_url)
    [arrived] = await shop.all_of(Stock, "/stocks", warehouse=bin_.warehouse)

    url = ("--database-url", module_database_url)
    source = await journal("show", lot.id, *url)
    destination = await journal("show", arrived.id, *url)

    assert [line.rpartition("→ ")[2] for line in source.lines] == [
        "5 available, 5 on hand",
        "3 available, 3 on hand",
    ]
    assert [line.rpartition("→ ")[2] for line in destination.lines] == ["2 available, 2 on hand"]


async def test_the_tail_names_moves_locations_and_the_products_in_them(
    shop: Shop, module_database_url: str
) -> None:
    bin_ = await placed_in(shop, f"{shop.warehouse}-bin")
    await shop.received(quantity=5)
    move = await moved(shop, bin_, 2)
    await all_ended(shop, module_database_url)

    url = ("--after", "start", "--database-url", module_database_url)
    of_product = await journal("tail", "--product", shop.product, *url)
    at_place = await journal("tail", "--warehouse", bin_.warehouse, *url)
    last = await journal("tail", "--limit", "1", "--product", shop.product, *url[2:])

    places = [line.split("  ")[1] for line in of_product.lines]
    assert sorted(places[2:]) == sorted(
        [
            f"move {move.id}",
            *[f"{shop.product}@{bin_.warehouse}"] * 2,
            *[f"{shop.product}@{shop.warehouse}"] * 2,
        ]
    )
    first = at_place.lines[0].split("  ")
    assert first[1] == f"location {bin_.warehouse}"
    assert first[3].endswith(f", in {shop.warehouse}, one product at a time")
    assert len(at_place.lines) == 4
    assert last.lines == of_product.lines[-1:]
