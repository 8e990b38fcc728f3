"""`allocator journal show`: all that happened to one thing, and what had become of it."""

from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from allocator.persistence.history import open_history
from tests.integration.api_shapes import Order, Stock
from tests.integration.journal_command import Told, journal
from tests.integration.shop import Shop, database, opened, until
from tests.integration.test_feeds_api import NATURE, fed_by

OTHERS_ID = "6eced5c5-1bc1-8158-8237-bcf084e55943"


@pytest_asyncio.fixture
async def shop(database_url: str) -> AsyncIterator[Shop]:
    async with opened(database_url, projection=False) as shop:
        yield shop


async def trade(shop: Shop) -> tuple[Stock, Stock, Order, Order]:
    """Two lots; an order of both that is dispatched, one that is cancelled, and others."""
    first, second = await shop.received(quantity=5), await shop.received(quantity=10)
    both = await shop.placed(quantity=7, customer="ada", key="ada-1")
    given_back = await shop.placed(quantity=3)
    await shop.dispatch(both)
    await shop.cancel(given_back)
    await shop.placed(quantity=1, customer="12")
    return first, second, both, given_back


def ends_of(told: Told) -> list[str]:
    """The number of each line's row, what happened, and the state after it."""
    assert told.code == 0, told.errors
    parts = [line.split("  ") for line in told.lines]
    return [f"{part[2]} {part[3].split()[0]} {part[-1]}" for part in parts]


async def test_an_order_is_told_from_its_placing_to_its_end(shop: Shop, database_url: str) -> None:
    _, _, both, given_back = await trade(shop)

    assert ends_of(await journal("show", both.id, "--database-url", database_url)) == [
        "#3 ordered → new",
        "#5 dispatched → dispatched",
    ]
    assert ends_of(await journal("show", given_back.id, "--database-url", database_url)) == [
        "#4 ordered → new",
        "#6 cancelled → cancelled",
    ]


async def test_what_only_mentions_the_same_number_is_not_told(
    shop: Shop, database_url: str
) -> None:
    await shop.received(quantity=50)
    second = await shop.placed(quantity=1, customer="2")
    for end in (shop.dispatch, shop.cancel):
        await end(await shop.placed(quantity=2, customer="2"))

    assert ends_of(await journal("show", second.id, "--database-url", database_url)) == [
        "#2 ordered → new"
    ]


async def test_a_stock_is_told_with_its_own_part_of_every_order(
    shop: Shop, database_url: str
) -> None:
    first, second, _, _ = await trade(shop)

    assert ends_of(await journal("show", first.id, "--database-url", database_url)) == [
        "#1 received → 5 available, 5 on hand",
        "#3 ordered → 5 ordered, 5 on hand",
        "#5 dispatched → 0 on hand",
    ]
    told = await journal("show", second.id, "--database-url", database_url)
    assert ends_of(told) == [
        "#2 received → 10 available, 10 on hand",
        "#3 ordered → 8 available, 2 ordered, 10 on hand",
        "#4 ordered → 5 available, 5 ordered, 10 on hand",
        "#5 dispatched → 5 available, 3 ordered, 8 on hand",
        "#6 cancelled → 8 available, 8 on hand",
        "#7 ordered → 7 available, 1 ordered, 8 on hand",
    ]


async def test_a_batch_that_a_warehouse_system_named_is_told_like_any_stock(
    shop: Shop, database_url: str
) -> None:
    async with fed_by(shop, NATURE) as fed:
        await fed.begun(10)
        order = await shop.placed(quantity=3)
        [stock] = order.lines[0].stocks
        told = ends_of(await journal("show", stock.id, "--database-url", database_url))

    assert told[0].endswith("L7: → 10 available, 10 on hand")
    assert told[-1].endswith("ordered → 7 available, 3 ordered, 10 on hand")


async def test_units_that_were_found_are_told_like_any_stock(shop: Shop, database_url: str) -> None:
    body = {"product": shop.product, "warehouse": shop.warehouse, "delta": 4, "reason": "found"}
    answer = await shop.post("/adjustments", body)
    found = msgspec.json.decode(answer.body)["changes"][0]["stock"]
    await shop.placed(quantity=1)

    assert ends_of(await journal("show", found, "--database-url", database_url)) == [
        "#1 adjusted → 4 available, 4 on hand",
        "#2 ordered → 3 available, 1 ordered, 4 on hand",
    ]


async def test_a_stock_that_expires_is_told_so(shop: Shop, database_url: str) -> None:
    expires_at = shop.time_in(milliseconds=1_500)
    stock = await shop.received(quantity=5, expires_at=expires_at)
    await shop.placed(quantity=2)

    async def has_expired() -> bool:
        return (await shop.balance()).unallocatable["expired"] > 0

    await until(has_expired)
    told = await journal("show", stock.id, "--database-url", database_url)

    assert ends_of(told)[-1] == "#3 expired → 2 ordered, 3 expired, 5 on hand"


async def test_a_pool_is_told_whole_and_ends_in_its_balance(shop: Shop, database_url: str) -> None:
    await trade(shop)
    pair = f"{shop.warehouse}/{shop.product}"

    words = await journal("show", pair, "--database-url", database_url)
    told = (await journal("show", pair, "--database-url", database_url, "--json")).objects

    assert ends_of(words)[-1] == "#7 ordered → 7 available, 1 ordered, 8 on hand"
    assert [each["seq"] for each in told] == [1, 2, 3, 4, 5, 6, 7]
    balance = await shop.balance()
    assert told[-1]["after"] == {
        "available": balance.available,
        "ordered": balance.ordered,
        "held": 0,
        "expired": 0,
        "on_hand": balance.on_hand,
    }
    assert "position" not in told[-1]


async def test_a_ticket_option_is_told_whole_and_ends_in_what_is_left(
    shop: Shop, database_url: str
) -> None:
    body = {"name": "Gig", "desc": "", "allocation": 5}
    path = (await shop.post("/ticket_options", body)).headers["Location"]
    user = "406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"
    await shop.post(f"{path}/purchases", {"quantity": 2, "user_id": user})
    option = path.rpartition("/")[2]

    told = await journal("show", option, "--database-url", database_url)

    assert ends_of(told) == [
        "#1 opened → 5 available, 5 on hand",
        "#2 ordered → 3 available, 2 ordered, 5 on hand",
    ]
    assert all(f"  ticket option {option}  " in line for line in told.lines)
    assert f" for {user}: 2 of #1" in told.lines[1]


async def test_the_state_of_an_order_and_a_stock_is_in_json_too(
    shop: Shop, database_url: str
) -> None:
    first, _, both, _ = await trade(shop)

    order = await journal("show", both.id, "--database-url", database_url, "--json")
    stock = await journal("show", first.id, "--database-url", database_url, "--json")

    assert [each["after"] for each in order.objects] == [
        {"status": "new"},
        {"status": "dispatched"},
    ]
    assert stock.objects[0]["after"] == {
        "available": 5,
        "ordered": 0,
        "held": 0,
        "expired": 0,
        "on_hand": 5,
    }


async def test_a_long_history_is_searched_piece_by_piece(
    shop: Shop, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allocator.persistence.history._LOOKED_AT_ROWS", 3)
    monkeypatch.setattr("allocator.persistence.history._PAGE_ROWS", 3)
    await trade(shop)
    async with open_history(database_url) as history:
        actor_id = await history.actor_of(f"pool:{shop.warehouse}/{shop.product}")
        assert actor_id is not None
        mentions = [
            [row.seq for row in rows] async for rows in history.mentions(actor_id, 2, after=0)
        ]
        records = [[row.seq for row in rows] async for rows in history.records(actor_id, after=0)]

    assert [seq for seqs in mentions for seq in seqs] == [2, 3, 4, 5, 6, 7]
    assert len(mentions) == 2
    assert records == [[1, 2, 3], [4, 5, 6], [7]]


async def test_a_damaged_row_is_shown_as_it_is_and_no_state_after_it(
    shop: Shop, database_url: str
) -> None:
    await trade(shop)
    async with database(database_url) as connection:
        await connection.execute("UPDATE journal SET body = '{\"quantity\": []}' WHERE seq = 4")

    told = await journal("show", f"{shop.warehouse}/{shop.product}", "--database-url", database_url)

    assert told.code == 0, told.errors
    assert [line.count("→") for line in told.lines] == [1, 1, 1, 0, 0, 0, 0]
    assert told.lines[3].endswith('order_placed version 2: "{\\"quantity\\": []}"')


async def test_behind_a_missing_row_no_state_is_told(shop: Shop, database_url: str) -> None:
    await trade(shop)
    async with database(database_url) as connection:
        await connection.execute("DELETE FROM journal WHERE seq = 4")

    told = await journal("show", f"{shop.warehouse}/{shop.product}", "--database-url", database_url)

    assert [line.count("→") for line in told.lines] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        (
            "tea",
            2,
            "'tea' is neither the id of an order, a stock, a move, a cart or a ticket option",
        ),
        ("main/tea/7", 2, "is neither the id of an order, a stock"),
        (OTHERS_ID[:-1], 2, "is neither the id of an order, a stock"),
        (OTHERS_ID, 1, f"{OTHERS_ID} is not an id that this installation has given out"),
        ("main/tea", 1, "nothing has ever happened to product tea at main"),
    ],
)
@pytest.mark.usefixtures("shop")
async def test_what_is_no_id_or_not_of_here_is_said(
    database_url: str, asked: str, code: int, sentence: str
) -> None:
    told = await journal("show", asked, "--database-url", database_url)

    assert (told.code, told.lines) == (code, [])
    assert sentence in told.errors
    assert told.errors.startswith("allocator: ")
    assert told.errors.count("\n") == 1


async def test_an_id_of_what_an_older_copy_has_not_is_told_from_a_foreign_one(
    shop: Shop, database_url: str
) -> None:
    *_, order = await trade(shop)
    async with database(database_url) as connection:
        await connection.execute("DELETE FROM journal WHERE seq >= 4")

    told = await journal("show", order.id, "--database-url", database_url)

    assert told.code == 1
    assert "is an id of this installation, and its event is not in this database" in told.errors
