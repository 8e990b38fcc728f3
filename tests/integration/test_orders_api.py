"""Orders: which stock they take, how they end, and what is left of them."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api_shapes import Order, Pick, Stock
from tests.integration.shop import Shop, database, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")


def picks(order: Order) -> list[tuple[str, int]]:
    """The stocks that an order of one line took, and how many units of each."""
    [line] = order.lines
    return [(pick.id, pick.quantity) for pick in line.stocks]


def in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def test_an_order_names_product_warehouse_stock_and_is_new(shop: Shop) -> None:
    """C5: an order holds warehouse, product, the automatically selected stock, and its status."""
    stock = await shop.received(quantity=3)
    answer = await shop.order(quantity=2, customer="Ada")
    order = answer.read(Order, status=201)

    assert answer.headers["Location"] == f"/orders/{order.id}"
    assert (order.status, order.customer) == ("new", "Ada")
    [line] = order.lines
    assert (line.warehouse, line.product, line.quantity) == (shop.warehouse, shop.product, 2)
    assert line.stocks == [Pick(id=stock.id, quantity=2)]
    assert (await shop.dispatch(order)).read(Order).status == "dispatched"


async def test_an_order_is_for_one_unit_of_nobody_unless_it_says_more(shop: Shop) -> None:
    await shop.received(quantity=2)
    order = await shop.placed()

    assert (order.lines[0].quantity, order.customer) == (1, None)
    assert abs(order.created_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_the_lot_that_expires_first_is_taken_first(shop: Shop) -> None:
    """C7: the first available stock is the one with the earliest expiry."""
    forever = await shop.received(quantity=1)
    late = await shop.received(quantity=1, expires_at=in_days(30))
    soon = await shop.received(quantity=1, expires_at=in_days(10))

    taken = [picks(await shop.placed()) for _ in range(3)]
    assert taken == [[(soon.id, 1)], [(late.id, 1)], [(forever.id, 1)]]


async def test_among_lots_of_one_date_the_earliest_received_is_taken_first(shop: Shop) -> None:
    """C7: of equal expiry, first means received first."""
    day = in_days(10)
    lots = [await shop.received(quantity=1, expires_at=day) for _ in range(3)]
    lots += [await shop.received(quantity=1) for _ in range(3)]

    taken = [picks(await shop.placed()) for _ in range(6)]
    assert taken == [[(lot.id, 1)] for lot in lots]


async def test_an_order_spans_lots_in_the_order_of_their_use(shop: Shop) -> None:
    """C7: an order larger than the first lot goes on with the next ones."""
    last = await shop.received(quantity=5)
    second = await shop.received(quantity=2, expires_at=in_days(20))
    first = await shop.received(quantity=3, expires_at=in_days(10))
    order = await shop.placed(quantity=7)

    assert picks(order) == [(first.id, 3), (second.id, 2), (last.id, 2)]
    assert [(await shop.stock(lot)).available for lot in (first, second, last)] == [0, 0, 3]
    assert await shop.shown(order) == order


async def test_only_stock_of_the_ordered_warehouse_is_taken(shop: Shop) -> None:
    """C7: the stock of that warehouse, whatever lies elsewhere."""
    other = Shop(shop.server, shop.client)
    await other.open()
    await shop.received(quantity=1)
    body = other.wanted(product=shop.product)

    problem = await shop.refused(409, "/orders", body)
    assert (problem.requested, problem.available) == (1, 0)


async def test_an_order_moves_units_from_available_to_ordered(shop: Shop) -> None:
    """C8: in the same step available is less and ordered is more by the quantity."""
    await shop.received(quantity=10)
    before = await shop.balance()
    await shop.placed(quantity=4)
    after = await shop.balance()

    assert before.numbers == (10, 0, 0, 10)
    assert after.numbers == (6, 4, 0, 10)
    assert after.version == before.version + 1


@pytest.mark.parametrize("quantity", [1, 3, 1_000_000_000])
async def test_more_than_is_available_is_refused_and_changes_nothing(
    shop: Shop, quantity: int
) -> None:
    """C9: an error message, no order, and the balance as it was."""
    await shop.received(quantity=2)
    await shop.placed(quantity=2)
    before = await shop.balance()
    problem = await shop.refused(409, "/orders", shop.wanted(quantity=quantity))

    assert problem.type == "/problems/insufficient-stock"
    assert (problem.requested, problem.available) == (quantity, 0)
    assert problem.detail == f"{quantity} requested, 0 available"
    assert await shop.balance() == before
    await shop.projected()
    assert len(await shop.all_of(Order, "/orders", warehouse=shop.warehouse)) == 1


async def test_a_part_of_what_was_asked_is_never_sold(shop: Shop) -> None:
    """C9: 5 of 4 is refused whole; the 4 are still for sale."""
    await shop.received(quantity=4)
    await shop.refused(409, "/orders", shop.wanted(quantity=5))

    assert (await shop.placed(quantity=4)).status == "new"


async def test_a_pair_without_any_stock_sells_nothing(shop: Shop) -> None:
    """C9: available is 0 where nothing ever arrived."""
    problem = await shop.refused(409, "/orders", shop.wanted())

    assert (problem.requested, problem.available) == (1, 0)
    assert (await shop.balance()).numbers == (0, 0, 0, 0)


async def test_a_dispatched_order_leaves_and_still_names_its_stock(shop: Shop) -> None:
    """C10: ordered is less, available unchanged; the order names the stock it consumed."""
    stock = await shop.received(quantity=5)
    order = await shop.placed(quantity=2)
    dispatched = (await shop.dispatch(order)).read(Order)

    assert dispatched.status == "dispatched"
    assert picks(dispatched) == picks(order) == [(stock.id, 2)]
    assert (await shop.balance()).numbers == (3, 0, 0, 3)
    assert await shop.shown(order) == dispatched
    assert dispatched.created_at == order.created_at


async def test_a_stock_that_left_whole_is_gone_from_the_list_and_readable_by_id(shop: Shop) -> None:
    """C10: the stock leaves the system, and the order still names it."""
    gone, kept = await shop.received(quantity=1), await shop.received(quantity=1)
    await shop.dispatch(await shop.placed())
    await shop.projected()

    listed = await shop.all_of(Stock, "/stocks", warehouse=shop.warehouse)
    assert [stock.id for stock in listed] == [kept.id]
    assert (await shop.stock(gone)).available == 0
    assert (await shop.stock(gone)).quantity == 1


@pytest.mark.parametrize("ending", ["dispatch", "cancel"])
@pytest.mark.parametrize("again", ["dispatch", "cancel"])
async def test_an_order_ends_once(shop: Shop, ending: str, again: str) -> None:
    """C11: to dispatch a dispatched order is an error, and nothing changes."""
    await shop.received(quantity=5)
    order = await shop.placed(quantity=2)
    ended = (await shop.post(f"/orders/{order.id}/{ending}")).read(Order)
    before = await shop.balance()
    problem = await shop.refused(409, f"/orders/{order.id}/{again}", None)

    assert problem.type == "/problems/order-not-open"
    assert await shop.balance() == before
    assert await shop.shown(order) == ended


async def test_a_cancelled_order_gives_each_lot_its_units_back(shop: Shop) -> None:
    second = await shop.received(quantity=5)
    first = await shop.received(quantity=2, expires_at=in_days(10))
    order = await shop.placed(quantity=4)
    cancelled = (await shop.cancel(order)).read(Order)

    assert cancelled.status == "cancelled"
    assert picks(cancelled) == [(first.id, 2), (second.id, 2)]
    assert (await shop.balance()).numbers == (7, 0, 0, 7)
    assert (await shop.stock(first)).available == 2
    assert (await shop.stock(second)).available == 5
    assert picks(await shop.placed(quantity=1)) == [(first.id, 1)]


@pytest.mark.parametrize("ending", ["dispatch", "cancel"])
async def test_an_end_accepts_an_empty_object_and_nothing_that_makes_no_sense(
    shop: Shop, ending: str
) -> None:
    await shop.received(quantity=1)
    order = await shop.placed()
    bodies: list[dict[str, object]] = [{"lines": []}, {"all": True}]
    for body in bodies:
        await shop.refused(422, f"/orders/{order.id}/{ending}", body)

    assert (await shop.shown(order)).status == "new"
    assert (await shop.post(f"/orders/{order.id}/{ending}", b"{}")).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 0},
        {"quantity": 1.5},
        {"unknown": 1},
        {"customer": ""},
        {"product": "not-there"},
        {"warehouse": "not-there"},
    ],
)
async def test_a_failed_creation_leaves_the_balance_unchanged(
    shop: Shop, changes: dict[str, object]
) -> None:
    """C13: a validation error, an unknown product or warehouse."""
    await shop.received(quantity=5)
    before = await shop.balance()
    for path in ("/orders", "/stocks"):
        if "customer" in changes and path == "/stocks":
            continue
        await shop.refused(422, path, shop.wanted(**changes))

    assert await shop.balance() == before


async def test_a_database_error_leaves_the_balance_unchanged(database_url: str) -> None:
    """C13: when the journal cannot be written, the answer is 503 and nothing has happened."""
    async with opened(database_url) as shop, database(database_url) as behind:
        await shop.received(quantity=5)
        before = await shop.balance()
        await behind.execute("ALTER TABLE journal RENAME TO journal_elsewhere")
        answer = await shop.order(quantity=2)
        problem = answer.problem(503)

        assert answer.headers["Retry-After"] == "1"
        assert problem.type == "/problems/try-again"

        await behind.execute("ALTER TABLE journal_elsewhere RENAME TO journal")
        await shop.ready()
        assert await shop.balance() == before
        assert (await shop.placed(quantity=2)).status == "new"
        assert (await shop.balance()).numbers == (3, 2, 0, 5)


async def test_the_five_requests_of_the_api_exist(shop: Shop) -> None:
    """C14: create stock, create order, dispatch order, get balance, get order."""
    assert (await shop.receive()).status == 201
    created = await shop.order()
    order = created.read(Order, status=201)

    assert (await shop.get(f"/stock-balances/{shop.warehouse}/{shop.product}")).status == 200
    assert (await shop.get(created.headers["Location"])).read(Order) == order
    assert (await shop.post(f"/orders/{order.id}/dispatch")).status == 200


async def test_what_was_accepted_survives_a_restart(database_url: str) -> None:
    """Q7: orders, their ends, stocks and balances are the same after a restart."""
    async with opened(database_url) as shop:
        stock = await shop.received(quantity=9, lot="L1", expires_at=in_days(9), reference="R1")
        orders = [await shop.placed(quantity=n, customer=f"c{n}") for n in (1, 2, 3)]
        orders[1] = (await shop.dispatch(orders[1])).read(Order)
        orders[2] = (await shop.cancel(orders[2])).read(Order)
        stock, balance = await shop.stock(stock), await shop.balance()

    async with opened(database_url) as another:
        shop = shop.elsewhere(another)
        assert [await shop.shown(order) for order in orders] == orders
        assert await shop.stock(stock) == stock
        assert await shop.balance() == balance
        assert (await shop.dispatch(orders[0])).status == 200


@pytest.mark.parametrize("projection", [True, False], ids=["projected", "not projected"])
async def test_an_order_by_id_is_never_stale(database_url: str, *, projection: bool) -> None:
    """C14: open, dispatched and cancelled orders, whether or not the read models know them."""
    async with opened(database_url, projection=projection) as shop:
        await shop.received(quantity=2)
        await shop.received(quantity=4)
        orders = [await shop.placed(quantity=n) for n in (3, 2, 1)]
        if projection:
            await shop.projected()
        orders[1] = (await shop.dispatch(orders[1])).read(Order)
        orders[2] = (await shop.cancel(orders[2])).read(Order)
        assert [await shop.shown(order) for order in orders] == orders

        if projection:
            await shop.projected()
        assert [await shop.shown(order) for order in orders] == orders
        assert [order.status for order in orders] == ["new", "dispatched", "cancelled"]
        listed = await shop.all_of(Order, "/orders", warehouse=shop.warehouse)
        assert listed == (orders if projection else [])
