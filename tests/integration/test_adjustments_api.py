"""N9: units that are counted, set aside, recalled: what a client sees, and what stays behind."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import msgspec
import pytest
import pytest_asyncio

from tests.integration.api_shapes import Answer, Listing, Order, Shape, Stock, Time
from tests.integration.shop import Shop, opened
from tests.integration.verifying import faults


class Change(Shape, frozen=True, kw_only=True):
    """Units of one stock that came to another state."""

    stock: str
    source: str | None = msgspec.field(name="from")
    target: str | None = msgspec.field(name="to")
    quantity: int


class Recall(Shape, frozen=True, kw_only=True):
    """Units of one stock that are to come to a state."""

    stock: str
    state: str
    quantity: int


class Adjustment(Shape, frozen=True, kw_only=True):
    """What was adjusted."""

    id: str
    product: str
    warehouse: str
    at: Time
    reason: str
    reference: str | None
    changes: list[Change]
    recalled: list[Recall]
    version: int

    @property
    def moved(self) -> list[tuple[str, str | None, str | None, int]]:
        """Each change as (stock, from, to, quantity)."""
        return [(each.stock, each.source, each.target, each.quantity) for each in self.changes]


Wanted: TypeAlias = str | int | None


async def try_to_adjust(shop: Shop, *, key: str | None = None, **members: Wanted) -> Answer:
    """Send an adjustment of this shop."""
    named = {{"source": "from", "target": "to"}.get(name, name): it for name, it in members.items()}
    return await shop.post("/adjustments", shop.wanted(**{"reason": "count"} | named), key=key)


async def adjusted(shop: Shop, *, key: str | None = None, **members: Wanted) -> Adjustment:
    """Adjust successfully."""
    return (await try_to_adjust(shop, key=key, **members)).read(Adjustment, status=201)


async def set_state(shop: Shop, state: str, quantity: int, *, match: str | None = None) -> Answer:
    """Set a state absolutely, on the balance with that ETag."""
    path = f"/stock-balances/{shop.warehouse}/{shop.product}/{state}"
    headers = {} if match is None else {"If-Match": match}
    return await shop.send("PUT", path, {"quantity": quantity}, headers=headers)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_shop(module_database_url: str) -> AsyncIterator[Shop]:
    """The first shop of a server with a state of its own."""
    async with opened(module_database_url, states="in_repair") as shop:
        yield shop


async def same_in_lists(shop: Shop) -> None:
    """Find in the lists what is told by name and by id."""
    await shop.projected()
    stocks = await shop.all_of(Stock, "/stocks", product=shop.product)

    assert stocks == [await shop.stock(stock) for stock in stocks]

    orders = await shop.all_of(Order, "/orders", product=shop.product)

    assert orders == [await shop.shown(order.id) for order in orders]


async def test_units_come_to_states_and_back(shop: Shop, module_database_url: str) -> None:
    """Each step shows in the balance at once, and in the end everything adds up."""
    stock = await shop.received(quantity=10)
    damaged = await adjusted(shop, target="damaged", quantity=3, reference="report 9")

    assert damaged.moved == [(stock.id, "available", "damaged", 3)]
    assert (damaged.reason, damaged.reference, damaged.version) == ("count", "report 9", 2)

    await adjusted(shop, source="damaged", target="in_repair", quantity=2)
    await adjusted(shop, source="in_repair", quantity=1)
    await adjusted(shop, delta=-1, state="damaged")
    found = await adjusted(shop, delta=4)
    more = await adjusted(shop, delta=2, state="lost", stock=stock.id)
    balance = await shop.balance()

    assert balance.unallocatable == {"expired": 0, "in_repair": 1, "lost": 2}
    assert (balance.available, balance.on_hand) == (12, 15)
    assert found.changes[0].stock != stock.id
    assert more.changes[0].stock == stock.id

    shown = await shop.stock(stock)

    assert (shown.quantity, shown.available) == (12, 8)
    assert shown.unallocatable == {"in_repair": 1, "lost": 2}

    await same_in_lists(shop)
    listed = await shop.all_of(Adjustment, "/adjustments", warehouse=shop.warehouse)

    assert [each.version for each in listed] == [2, 3, 4, 5, 6, 7]
    assert listed[0] == damaged
    assert await faults(module_database_url) == []


async def test_a_repeat_with_the_key_adjusts_once(shop: Shop) -> None:
    await shop.received(quantity=10)
    first = await adjusted(shop, key="count-1", delta=-2)

    assert await adjusted(shop, key="count-1", delta=-2) == first
    assert (await try_to_adjust(shop, key="count-1", delta=-3)).status == 422
    assert (await shop.balance()).available == 8


async def test_what_is_not_in_the_state_is_refused_by_name_and_number(shop: Shop) -> None:
    await shop.received(quantity=3)
    await shop.placed(quantity=2)
    problem = (await try_to_adjust(shop, target="damaged", quantity=2)).problem(409)

    assert problem.type == "/problems/insufficient-units"
    assert "2 units were to leave the state available, which has 1" in problem.detail
    assert (await shop.balance()).version == 2


SENSELESS: list[dict[str, Wanted]] = [
    {"delta": 0},
    {"delta": 1, "quantity": 1},
    {"delta": 1, "state": "expired"},
    {"delta": 1, "state": "shiny"},
    {"delta": 1, "stock": "00000000-0000-8000-8000-000000000000"},
    {"quantity": 1},
    {"target": "damaged"},
    {"source": "expired", "quantity": 1},
    {"target": "expired", "quantity": 1},
    {"target": "damaged", "state": "lost", "quantity": 1},
    {"target": "damaged", "quantity": 1, "reason": ""},
]


async def test_what_makes_no_sense_is_refused(shop: Shop) -> None:
    await shop.received(quantity=3)
    answers = [await try_to_adjust(shop, key=None, **members) for members in SENSELESS]

    assert [answer.status for answer in answers] == [422] * len(SENSELESS)


async def test_a_state_is_set_on_the_balance_that_was_read(shop: Shop) -> None:
    """428 without a version, 412 with a stale one."""
    stock = await shop.received(quantity=10)
    assert (await set_state(shop, "available", 8)).problem(428).type.endswith("version-required")
    counted = (await set_state(shop, "available", 8, match='"1"')).read(Adjustment, status=200)

    assert counted.moved == [(stock.id, "available", None, 2)]
    assert counted.reason == "correction"

    stale = (await set_state(shop, "available", 9, match='"1"')).problem(412)

    assert stale.type == "/problems/version-passed"
    assert (await set_state(shop, "available", 9, match="W/x")).status == 422
    assert (await set_state(shop, "shiny", 9, match='"2"')).status == 404
    assert (await set_state(shop, "expired", 9, match='"2"')).status == 409

    answer = await set_state(shop, "damaged", 3, match='"2"')

    assert answer.headers["ETag"] == '"3"'
    assert (await shop.balance()).unallocatable == {"expired": 0, "damaged": 3}


async def test_the_order_of_a_quarantined_stock_gets_units_of_another(
    shop: Shop, module_database_url: str
) -> None:
    """And is shown with these, wherever one looks."""
    bad, good = await shop.received(quantity=4), await shop.received(quantity=4)
    order = await shop.placed(quantity=3)
    recalled = await adjusted(shop, target="quarantined", stock=bad.id)

    assert recalled.moved == [(bad.id, "available", "quarantined", 1)]
    assert [(each.state, each.quantity) for each in recalled.recalled] == [("quarantined", 3)]

    shown = await shop.shown(order.id)

    assert [(pick.id, pick.quantity) for pick in shown.lines[0].stocks] == [(good.id, 3)]
    assert not shown.flagged

    balance = await shop.balance()

    assert (balance.available, balance.ordered, balance.on_hand) == (1, 3, 8)
    assert balance.unallocatable == {"expired": 0, "quarantined": 4}

    await same_in_lists(shop)
    dispatched = (await shop.dispatch(order)).read(Order)

    assert [pick.id for pick in dispatched.lines[0].stocks] == [good.id]
    assert await shop.shown(order.id) == dispatched

    await same_in_lists(shop)

    assert await faults(module_database_url) == []


async def test_an_order_that_nothing_else_is_there_for_is_flagged_until_something_is(
    shop: Shop, module_database_url: str
) -> None:
    bad = await shop.received(quantity=4)
    order = await shop.placed(quantity=3)
    await adjusted(shop, target="quarantined", stock=bad.id)

    assert (await shop.shown(order.id)).flagged
    assert (await shop.stock(bad)).recalled == 3

    await same_in_lists(shop)
    refused = (await shop.post(f"/orders/{order.id}/dispatch")).problem(409)

    assert refused.type == "/problems/units-recalled"

    good = await shop.received(quantity=4)
    assert (await shop.order(quantity=2)).status == 409  # the flagged order comes first
    shown = await shop.shown(order.id)

    assert not shown.flagged
    assert [pick.id for pick in shown.lines[0].stocks] == [good.id]

    await shop.dispatch(order)
    await same_in_lists(shop)

    assert await faults(module_database_url) == []


async def test_orders_of_several_lines_are_flagged_and_repicked_too(
    shop: Shop, module_database_url: str
) -> None:
    bad = await shop.received(quantity=4)
    lines = {"lines": [shop.wanted(quantity=3)]}
    order = (await shop.post("/orders", lines)).read(Order, status=201)
    await adjusted(shop, target="damaged", stock=bad.id)

    assert (await shop.shown(order.id)).flagged
    refused = (await shop.post(f"/orders/{order.id}/dispatch")).problem(409)
    assert refused.type == "/problems/units-recalled"

    await same_in_lists(shop)
    good = await shop.received(quantity=3)
    shown = await shop.shown(order.id)

    assert not shown.flagged
    assert [(pick.id, pick.quantity) for pick in shown.lines[0].stocks] == [(good.id, 3)]

    await same_in_lists(shop)
    await shop.dispatch(order)
    await same_in_lists(shop)

    assert await faults(module_database_url) == []


async def test_nobody_adjusts_what_another_product_is(shop: Shop) -> None:
    stock = await shop.received(quantity=2)
    other = Shop(shop.server, shop.client)
    await other.open()

    assert (await try_to_adjust(other, target="damaged", stock=stock.id)).status == 422
    listing = (await shop.get(f"/adjustments?product={other.product}")).read(
        Listing[Adjustment], status=200
    )
    assert listing.items == []
