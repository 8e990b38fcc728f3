"""Stocks and balances: what arrives, what expires, and what the numbers say."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api_shapes import Balance, Stock
from tests.integration.shop import Shop, opened, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def soon(milliseconds: int) -> datetime:
    """A time in whole milliseconds: what the server keeps."""
    at = datetime.now(UTC) + timedelta(milliseconds=milliseconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def test_a_stock_is_one_unit_of_a_product_at_a_warehouse_unless_it_says_more(
    shop: Shop,
) -> None:
    """C3: a stock holds product, warehouse and quantity, which is 1 by default."""
    answer = await shop.receive()
    stock = answer.read(Stock, status=201)

    assert answer.headers["Location"] == f"/stocks/{stock.id}"
    assert (stock.product, stock.warehouse) == (shop.product, shop.warehouse)
    assert (stock.quantity, stock.available) == (1, 1)
    assert (stock.lot, stock.expires_at, stock.reference) == (None, None, None)
    assert abs(stock.received_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_stock_may_be_a_lot_with_a_code_an_expiry_and_a_reference(shop: Shop) -> None:
    """C3: an optional lot code and expiry make it a SKU-batch."""
    at = soon(3_600_000)
    stock = await shop.received(
        quantity=7, lot="Lösung 7", reference="PO/1", expires_at=at.isoformat()
    )

    assert (stock.quantity, stock.lot, stock.reference) == (7, "Lösung 7", "PO/1")
    assert stock.expires_at == at
    assert await shop.stock(stock) == stock


async def test_a_new_stock_makes_its_quantity_available(shop: Shop) -> None:
    """C12: available is more by the stock's quantity."""
    await shop.received(quantity=3)
    before = await shop.balance()
    await shop.received(quantity=4)

    assert before.numbers == (3, 0, 0, 3)
    assert (await shop.balance()).numbers == (7, 0, 0, 7)


async def test_stock_that_arrives_from_many_hands_at_once_is_counted_once_each(shop: Shop) -> None:
    """C12: concurrent arrivals add up."""
    stocks = await asyncio.gather(*(shop.received(quantity=n) for n in range(1, 31)))

    assert len({stock.id for stock in stocks}) == 30
    assert (await shop.balance()).numbers == (465, 0, 0, 465)


async def test_a_stock_shows_what_of_it_can_still_be_ordered(shop: Shop) -> None:
    stock = await shop.received(quantity=5)
    order = await shop.placed(quantity=2)

    assert (await shop.stock(stock)).available == 3
    await shop.dispatch(order)
    assert (await shop.stock(stock)).available == 3
    assert (await shop.stock(stock)).quantity == 5


async def test_a_balance_holds_warehouse_product_available_and_ordered(shop: Shop) -> None:
    """C4: and what cannot be sold, what is on hand, and the version that says so."""
    await shop.received(quantity=5)
    await shop.placed(quantity=2)
    balance = await shop.balance()

    assert (balance.warehouse, balance.product) == (shop.warehouse, shop.product)
    assert (balance.available, balance.ordered, balance.held) == (3, 2, 0)
    assert (balance.unallocatable["expired"], balance.on_hand, balance.version) == (0, 5, 2)


async def test_the_tag_of_a_balance_is_its_version(shop: Shop) -> None:
    path = f"/stock-balances/{shop.warehouse}/{shop.product}"
    assert (await shop.get(path)).headers["ETag"] == '"0"'
    await shop.received(quantity=5)
    await shop.placed()
    answer = await shop.get(path)

    assert answer.headers["ETag"] == '"2"'
    assert answer.read(Balance).version == 2
    await shop.refused(409, "/orders", shop.wanted(quantity=9))
    assert (await shop.get(path)).headers["ETag"] == '"2"'


async def test_a_pair_that_was_never_used_has_a_balance_of_zeros(shop: Shop) -> None:
    """C4: looking does not open anything."""
    before = await shop.metric("allocator_actors")
    balance = await shop.balance()

    assert (balance.numbers, balance.version) == ((0, 0, 0, 0), 0)
    assert (balance.warehouse, balance.product) == (shop.warehouse, shop.product)
    assert await shop.metric("allocator_actors") == before


@pytest.mark.parametrize("missing", ["warehouse", "product"])
async def test_an_unknown_name_in_a_path_is_not_found(shop: Shop, missing: str) -> None:
    names = {"warehouse": shop.warehouse, "product": shop.product, missing: "not-there"}
    answer = await shop.get(f"/stock-balances/{names['warehouse']}/{names['product']}")

    assert answer.problem(404).detail == f"no such {missing}"


@pytest.mark.parametrize("path", ["/orders", "/stocks"])
@pytest.mark.parametrize("missing", ["warehouse", "product"])
async def test_an_unknown_name_in_a_body_is_named(shop: Shop, path: str, missing: str) -> None:
    """C13: an unknown product or warehouse is 422 and says which."""
    problem = await shop.refused(422, path, shop.wanted(**{missing: "not-there"}))

    expected = {"warehouse": None, "product": None, missing: "not-there"}
    assert problem.detail == f"no such {missing}"
    assert {"warehouse": problem.warehouse, "product": problem.product} == expected


async def test_the_lists_of_stocks_and_balances_are_filtered(shop: Shop) -> None:
    """C4: balances of a product, of a warehouse, and of both."""
    other = Shop(shop.server, shop.client)
    await other.open()
    mine = await shop.received(quantity=1)
    elsewhere = await shop.received(quantity=2, warehouse=other.warehouse)
    others = await shop.received(quantity=3, product=other.product)
    await shop.projected()

    for wanted, expected in (
        ({"warehouse": shop.warehouse}, [mine, others]),
        ({"product": shop.product}, [mine, elsewhere]),
        ({"warehouse": shop.warehouse, "product": shop.product}, [mine]),
        ({"warehouse": other.warehouse, "product": other.product}, []),
    ):
        stocks = await shop.all_of(Stock, "/stocks", **wanted)
        balances = await shop.all_of(Balance, "/stock-balances", **wanted)
        assert sorted(s.quantity for s in stocks) == [s.quantity for s in expected]
        assert sorted(b.available for b in balances) == [s.quantity for s in expected]
    [listed] = await shop.all_of(Balance, "/stock-balances", **wanted_by(shop))
    assert listed == await shop.balance()


async def test_the_lists_of_stocks_and_balances_are_walked_in_pages(shop: Shop) -> None:
    others = [Shop(shop.server, shop.client) for _ in range(5)]
    for other in others:
        await other.open()
        await shop.received(product=other.product)
        await shop.received(product=other.product)
    await shop.projected()

    for limit in (1, 2, 3, 5, 10, 200):
        stocks = await shop.all_of(Stock, "/stocks", limit=limit, warehouse=shop.warehouse)
        assert len({stock.id for stock in stocks}) == len(stocks) == 10
        balances = await shop.all_of(
            Balance, "/stock-balances", limit=limit, warehouse=shop.warehouse
        )
        assert {balance.product for balance in balances} == {other.product for other in others}
        assert len(balances) == 5


async def test_the_lists_follow_orders_dispatches_cancels_and_expiry(shop: Shop) -> None:
    """C4: the read model ends where the actor does."""
    await shop.received(quantity=10)
    lot = await shop.received(quantity=4, expires_at=soon(300).isoformat())
    spanning = await shop.placed(quantity=6)
    kept, gone = await shop.placed(quantity=2), await shop.placed(quantity=1)
    await shop.dispatch(spanning)
    await shop.cancel(gone)
    late = await shop.received(quantity=3, expires_at=soon(400).isoformat())
    await expired(shop, quantity=3)
    await shop.projected()
    [listed] = await shop.all_of(Balance, "/stock-balances", **wanted_by(shop))
    stocks = await shop.all_of(Stock, "/stocks", **wanted_by(shop))

    assert listed == await shop.balance()
    assert listed.numbers == (6, 2, 3, 11)
    assert [stock.id for stock in stocks] == [kept.lines[0].stocks[0].id, late.id]
    assert stocks == [await shop.stock(stock) for stock in stocks]
    assert lot.id not in {stock.id for stock in stocks}


async def test_without_its_projection_a_server_lists_nothing_and_says_how_much(
    database_url: str,
) -> None:
    async with opened(database_url, projection=False) as shop:
        assert "projection" not in {task.get_name() for task in shop.server.background}
        await shop.received(quantity=2)
        stock = await shop.received(quantity=3)
        await shop.placed(quantity=4)

        assert await shop.all_of(Stock, "/stocks") == []
        assert await shop.all_of(Balance, "/stock-balances") == []
        assert (await shop.balance()).numbers == (1, 4, 0, 5)
        assert (await shop.stock(stock)).available == 1
        # Two names, two arrivals and an order.
        assert await shop.metric("allocator_projection_lag_events") == 5


def wanted_by(shop: Shop) -> dict[str, str]:
    return {"warehouse": shop.warehouse, "product": shop.product}


async def expired(shop: Shop, *, quantity: int) -> None:
    """Wait until the journal tells that so many units of a lot expired."""

    async def is_told() -> bool:
        events = await shop.journal()
        return any(
            event.kind == "lot_expired" and event.body["quantity"] == quantity for event in events
        )

    await until(is_told)
