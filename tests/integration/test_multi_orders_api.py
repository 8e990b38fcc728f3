"""Orders of several lines, and of parts, as clients see them."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from tests.integration.api_shapes import Answer, Balance, Order, ShortLine, Stock
from tests.integration.moving import placed_in
from tests.integration.multi_orders import beside, dispatch, lines, ordered, placed, settled, two
from tests.integration.shop import Shop, database, opened, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Line(msgspec.Struct, frozen=True):
    """What was wanted, and has left."""

    warehouse: str
    quantity: int
    dispatched: int


def short(shop: Shop, requested: int, available: int) -> ShortLine:
    return ShortLine(
        product=shop.product,
        warehouse=shop.warehouse,
        requested=requested,
        available=available,
    )


def short_of(answer: Answer) -> list[ShortLine]:
    problem = answer.problem(409)
    assert problem.type == "/problems/insufficient-stock"
    assert problem.lines is not None
    return problem.lines


def told(order: Order) -> set[Line]:
    return {Line(line.warehouse, line.quantity, line.dispatched) for line in order.lines}


async def numbers(*shops: Shop) -> list[tuple[int, int, int, int]]:
    """Available, ordered, held and on hand of each, when nothing is held any more."""

    async def nothing_held() -> bool:
        return not any([(await shop.balance()).held for shop in shops])

    await until(nothing_held)
    balances = [await shop.balance() for shop in shops]
    return [(each.available, each.ordered, each.held, each.on_hand) for each in balances]


async def test_an_order_of_several_lines_has_all_of_them(shop: Shop) -> None:
    """N1, O8: and is found by its id at once."""
    here, there = await two(shop)
    answer = await ordered(here, (here, 2), (there, 3))
    order = answer.read(Order, status=201)

    assert answer.headers["Location"] == f"/orders/{order.id}"
    assert (order.status, order.customer) == ("new", here.product)
    assert told(order) == {Line(here.warehouse, 2, 0), Line(there.warehouse, 3, 0)}
    assert [sum(pick.quantity for pick in line.stocks) for line in order.lines] == [
        line.quantity for line in order.lines
    ]
    assert await shop.shown(order) == order
    assert await numbers(here, there) == [(3, 2, 0, 5), (2, 3, 0, 5)]


async def test_a_refusal_names_every_line_that_failed_and_leaves_no_trace(shop: Shop) -> None:
    """N1, Q2."""
    here, there = await two(shop)
    third = await beside(here, stock=9)
    answer = await ordered(here, (third, 1), (here, 6), (there, 7))

    assert sorted(short_of(answer), key=lambda each: each.requested) == [
        short(here, 6, 5),
        short(there, 7, 5),
    ]
    assert await numbers(here, there, third) == [(5, 0, 0, 5), (5, 0, 0, 5), (9, 0, 0, 9)]
    await shop.projected()
    assert await shop.all_of(Order, "/orders", customer=here.product) == []


async def test_two_lines_of_one_product_that_together_exceed_the_stock_are_refused(
    shop: Shop,
) -> None:
    """N1: alone or beside another line."""
    here, there = await two(shop)
    for others in ((), ((there, 1),)):
        answer = await ordered(here, (here, 3), (here, 3), *others)

        assert short_of(answer) == [short(here, 6, 5)]
    assert await numbers(here, there) == [(5, 0, 0, 5), (5, 0, 0, 5)]


async def test_lines_that_come_down_to_one_are_an_order_of_its_pool(shop: Shop) -> None:
    """One message, one row; the same key with the same order spelled otherwise is a repeat."""
    here, _ = await two(shop)
    order = await placed(here, (here, 2), (here, 1), key=f"k-{here.product}")
    again = await placed(here, (here, 3), key=f"k-{here.product}")

    assert told(order) == {Line(here.warehouse, 3, 0)}
    assert again == order
    assert [event.kind for event in await here.journal()] == ["stock_received", "order_placed"]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_repeat_gets_the_first_answer_whatever_became_of_the_order(
    shop: Shop, count: int
) -> None:
    here, there = await two(shop)
    key = secrets.token_hex(8)
    wanted = ((here, 1), (there, 1))[:count]
    order = await placed(here, *wanted, key=key)
    left = (await dispatch(here, order, (here, 1), key=key + "d")).read(Order)
    await dispatch(here, order)

    assert await placed(here, *reversed(wanted), key=key) == order
    assert (await dispatch(here, order, (here, 1), key=key + "d")).read(Order) == left
    for other in (((here, 2), (there, 1)), ((there, 1),)):
        assert (await ordered(here, *other, key=key)).problem(422).type == "/problems/key-reused"
    assert (await numbers(here))[0][:2] == (4, 0)


async def test_a_refused_order_of_several_lines_is_kept_with_its_key(shop: Shop) -> None:
    here, there = await two(shop)
    key = secrets.token_hex(8)
    first = await ordered(here, (here, 1), (there, 6), key=key)
    await there.received(quantity=5)
    again = await ordered(here, (here, 1), (there, 6), key=key)

    assert short_of(again) == short_of(first) == [short(there, 6, 5)]


async def test_thirty_orders_of_two_pools_of_five_sell_five(shop: Shop) -> None:
    """Q1, Q5: asked in both orders, five at a time in the end, never less."""
    here, there = await two(shop)
    answers = await asyncio.gather(
        *(
            ordered(here, *((here, 1), (there, 1))[:: 1 if number % 2 else -1])
            for number in range(30)
        )
    )

    assert Counter(answer.status for answer in answers) == {201: 5, 409: 25}
    assert await numbers(here, there) == [(0, 5, 0, 5), (0, 5, 0, 5)]


async def test_parts_of_an_order_of_several_lines_leave_and_add_up(shop: Shop) -> None:
    here, there = await two(shop)
    order = await placed(here, (here, 3), (there, 2))
    part = order
    for left in (1, 2):
        part = (await dispatch(here, order, (here, 1))).read(Order)
        assert part.status == "partly_dispatched"
        assert told(part) == {Line(here.warehouse, 3, left), Line(there.warehouse, 2, 0)}
    assert await shop.shown(order) == part
    assert await numbers(here, there) == [(2, 1, 0, 3), (3, 2, 0, 5)]

    too_much = await dispatch(here, order, (here, 1), (here, 1))
    assert too_much.problem(409).left == 1
    assert too_much.problem(409).type == "/problems/not-so-much-left"
    cancelled = await shop.cancel(order)
    assert cancelled.problem(409).type == "/problems/order-not-open"
    gone = (await dispatch(here, order)).read(Order)

    assert gone.status == "dispatched"
    assert told(gone) == {Line(here.warehouse, 3, 3), Line(there.warehouse, 2, 2)}
    assert await shop.shown(order) == gone
    await settled(shop)
    assert await numbers(here, there) == [(2, 0, 0, 2), (3, 0, 0, 3)]


async def test_parts_of_an_order_of_one_line_leave_and_add_up(shop: Shop) -> None:
    """Of two clients who let two of three units leave each, one hears that it is too many."""
    here, _ = await two(shop)
    order = await here.placed(quantity=3)
    answers = await asyncio.gather(*(dispatch(here, order, (here, 2)) for _ in range(2)))

    assert sorted(answer.status for answer in answers) == [200, 409]
    shown = await shop.shown(order)
    assert shown.status == "partly_dispatched"
    assert told(shown) == {Line(here.warehouse, 3, 2)}
    assert shown.lines[0].stocks == order.lines[0].stocks
    assert (await shop.cancel(order)).problem(409).type == "/problems/order-not-open"
    assert await numbers(here) == [(2, 1, 0, 3)]
    gone = (await dispatch(here, order, (here, 1))).read(Order)
    assert (gone.status, told(gone)) == ("dispatched", {Line(here.warehouse, 3, 3)})
    assert await numbers(here) == [(2, 0, 0, 2)]


@pytest.mark.parametrize("count", [1, 2])
async def test_only_lines_of_the_order_can_leave(shop: Shop, count: int) -> None:
    here, there = await two(shop)
    third = await beside(here)
    order = await placed(here, *((here, 1), (there, 1))[:count])
    problem = (await dispatch(here, order, (third, 1))).problem(422)

    assert (problem.product, problem.warehouse) == (third.product, third.warehouse)
    assert await shop.shown(order) == order


async def test_a_cancelled_order_of_several_lines_gives_everything_back(shop: Shop) -> None:
    here, there = await two(shop)
    order = await placed(here, (here, 3), (there, 2))
    cancelled = (await shop.cancel(order, key=f"c-{order.id}")).read(Order)

    assert cancelled.status == "cancelled"
    assert told(cancelled) == {Line(here.warehouse, 3, 0), Line(there.warehouse, 2, 0)}
    assert (await shop.cancel(order, key=f"c-{order.id}")).read(Order) == cancelled
    assert (await dispatch(here, order)).problem(409).type == "/problems/order-not-open"
    await settled(shop)
    assert await numbers(here, there) == [(5, 0, 0, 5), (5, 0, 0, 5)]


async def test_the_list_finds_orders_by_any_of_their_lines(shop: Shop) -> None:
    here, there = await two(shop, stock=9)
    single = await here.placed(quantity=1, customer=here.product)
    parted = await here.placed(quantity=3, customer=here.product)
    both = [await placed(here, (here, 1), (there, 1)) for _ in range(3)]
    alone = await placed(here, (there, 1))
    parted = (await dispatch(here, parted, (here, 1))).read(Order)
    both[0] = (await dispatch(here, both[0], (there, 1))).read(Order)
    both[1] = (await dispatch(here, both[1])).read(Order)
    await settled(shop)
    await shop.projected()

    async def listed(**wanted: str) -> list[Order]:
        found = await shop.all_of(Order, "/orders", limit=2, **wanted)
        assert len({each.id for each in found}) == len(found)
        return sorted(found, key=lambda each: each.id)

    def by_id(orders: Sequence[Order]) -> list[Order]:
        return sorted(orders, key=lambda each: each.id)

    assert await listed(customer=here.product) == by_id([single, parted, *both, alone])
    assert await listed(product=here.product) == by_id([single, parted, *both, alone])
    assert await listed(warehouse=there.warehouse) == by_id([*both, alone])
    assert await listed(warehouse=here.warehouse) == by_id([single, parted, *both])
    for status, expected in [
        ("partly_dispatched", [parted, both[0]]),
        ("dispatched", [both[1]]),
        ("new", [single, both[2], alone]),
        ("cancelled", []),
    ]:
        found = await listed(product=here.product, status=status)
        assert found == by_id(expected), status


async def test_an_order_is_shown_as_it_stood(shop: Shop) -> None:
    """Before it was placed there was none; before a part left nothing had."""
    here, there = await two(shop)
    moments = [await moment(shop)]
    several = await placed(here, (here, 3), (there, 2))
    single = await here.placed(quantity=2)
    moments.append(await moment(shop))
    parts = [(await dispatch(here, order, (here, 1))).read(Order) for order in (several, single)]
    await settled(shop)
    moments.append(await moment(shop))
    gone = [(await dispatch(here, order)).read(Order) for order in (several, single)]
    await settled(shop)
    moments.append(await moment(shop))

    stages = ([several, single], parts, gone)
    for number, order in enumerate((several, single)):
        path = f"/orders/{order.id}?at="
        assert (await shop.get(path + moments[0])).status == 404
        for at, stage in zip(moments[1:], stages, strict=True):
            assert (await shop.get(path + at)).read(Order) == stage[number]


async def test_stocks_and_balances_of_the_lists_know_what_is_held_and_has_left(shop: Shop) -> None:
    """Q3: once they have caught up, they say what the actors say."""
    here, there = await two(shop)
    order = await placed(here, (here, 3), (there, 2))
    await ordered(here, (here, 1), (there, 6))
    await dispatch(here, order, (here, 1))
    await settled(shop)
    await shop.projected()

    for each in (here, there):
        [stock] = await shop.all_of(Stock, "/stocks", warehouse=each.warehouse)
        balance = await each.balance()
        assert stock.available == balance.available
        assert stock == await each.stock(stock)
        wanted = {"warehouse": each.warehouse}
        assert await shop.all_of(Balance, "/stock-balances", **wanted) == [balance]
    assert await numbers(here, there) == [(2, 2, 0, 4), (3, 2, 0, 5)]


async def test_lines_of_a_batch_may_be_orders_of_several_lines(shop: Shop) -> None:
    here, there = await two(shop)
    key = secrets.token_hex(8)
    results = await here.batch(
        here.wanted(quantity=1),
        {"lines": lines((here, 2), (there, 2)), "key": key},
        {"lines": lines((here, 9), (there, 1))},
        {"lines": lines((here, 9))},
        {"lines": lines((here, 2), (there, 2)), "key": key},
        {"lines": []},
        here.wanted(quantity=1),
    )

    assert [each.status for each in results] == [201, 201, 409, 409, 201, 422, 201]
    assert results[1].order is not None
    assert results[1].order == results[4].order == await shop.shown(results[1].order)
    assert await numbers(here, there) == [(1, 4, 0, 5), (3, 2, 0, 5)]


async def test_many_orders_of_several_lines_fit_into_one_batch(shop: Shop) -> None:
    here, there = await two(shop, stock=100)
    results = await here.batch(*[{"lines": lines((here, 1), (there, 1))} for _ in range(300)])

    assert Counter(each.status for each in results) == {201: 100, 409: 200}
    assert await numbers(here, there) == [(0, 100, 0, 100), (0, 100, 0, 100)]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"lines": []}, "length >= 1"),
        ({"lines": [{"product": "tea"}]}, "missing required field `warehouse`"),
        ({"lines": [{"product": "tea", "warehouse": "main", "quantity": 0}]}, ">= 1"),
        ({"lines": [{"product": "tea", "warehouse": "main"}] * 101}, "length <= 100"),
        ({"lines": [], "product": "tea", "warehouse": "main"}, "not both"),
        ({"lines": [], "quantity": 1}, "not both"),
        ({"lines": 1}, "array"),
        ({"product": "tea"}, "missing required field `warehouse`"),
        ({"lines": [{"product": "tea", "warehouse": "nowhere-at-all"}]}, "no such warehouse"),
    ],
)
async def test_what_makes_no_sense_is_refused_and_named(
    shop: Shop, body: dict[str, object], says: str
) -> None:
    problem = await shop.refused(422, "/orders", body)

    assert says in problem.detail


async def test_lines_may_not_have_more_units_together_than_one_could(shop: Shop) -> None:
    here, _ = await two(shop)
    problem = (await ordered(here, (here, 1_000_000_000), (here, 1))).problem(422)

    assert "together" in problem.detail


async def test_a_location_of_one_product_at_a_time_gives_a_line_of_one(shop: Shop) -> None:
    """O4: the product in it is asked for by name, and two of it make no sense."""
    here, there = await two(shop)
    bin_ = await placed_in(here, f"bin-{here.product}")
    await bin_.received(quantity=2)
    mug = Shop(shop.server, shop.client)
    mug.warehouse = bin_.warehouse
    assert (await shop.put(f"/products/{mug.product}", {"name": "Mug"})).status == 201

    order = await placed(here, (bin_, 1), (there, 1))
    other = await ordered(here, (mug, 1), (there, 1))
    both = await ordered(here, (mug, 1), (bin_, 1))

    assert told(order) == {Line(bin_.warehouse, 1, 0), Line(there.warehouse, 1, 0)}
    assert short_of(other) == [short(mug, 1, 0)]
    assert "one product at a time" in both.problem(422).detail
    await dispatch(here, order)
    await settled(shop)
    assert await numbers(bin_) == [(1, 0, 0, 1)]


async def test_an_id_of_a_declined_order_names_nothing(
    shop: Shop, module_database_url: str
) -> None:
    here, there = await two(shop)
    await ordered(here, (here, 1), (there, 6), key=(key := secrets.token_hex(8)))
    async with database(module_database_url) as looking:
        rows = "SELECT actor_id FROM journal WHERE idempotency_key = $1"
        actor_id = await looking.fetchval(rows, key)
    sealed = shop.server.context.ids.seal(actor_id, 1)

    for method, path in [("GET", ""), ("POST", "/dispatch"), ("POST", "/cancel")]:
        assert (await shop.send(method, f"/orders/{sealed}{path}")).status == 404
    stray = shop.server.context.ids.seal(actor_id, 2)
    assert (await shop.get(f"/orders/{stray}")).status == 404


async def test_orders_by_two_servers_of_one_database_share_what_there_is(database_url: str) -> None:
    """Q5, Q7: a restart between request and look changes nothing."""
    async with opened(database_url) as shop:
        here, there = await two(shop)
        order = await placed(here, (here, 2), (there, 2), key="k")
    async with opened(database_url) as later:
        here, there = here.elsewhere(later), there.elsewhere(later)

        assert await later.shown(order) == order
        assert await placed(here, (here, 2), (there, 2), key="k") == order
        assert await numbers(here, there) == [(3, 2, 0, 5), (3, 2, 0, 5)]


async def moment(shop: Shop) -> str:
    """A time between what has happened and what will."""
    await asyncio.sleep(0.002)
    at = shop.time_in(milliseconds=0).replace("+00:00", "Z")
    await asyncio.sleep(0.002)
    return at
