"""What is derived of orders of several lines and of parts: the same in every way, and verified."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from allocator.domain.kinds import dump, is_process
from allocator.persistence import windows
from allocator.persistence.projection import Projection
from allocator.persistence.rebuilding import open_rebuilding
from allocator.persistence.statements import statement
from tests.integration.api_shapes import Order
from tests.integration.multi_orders import (
    asked_one_by_one,
    beside,
    dispatch,
    ordered,
    placed,
    settled,
    two,
)
from tests.integration.shop import Shop, database, opened
from tests.integration.verifying import faults
from tests.integration.yard import folded

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = ("orders", "stocks", "balances", "process_orders", "process_order_lines")


async def busy_day(shop: Shop) -> None:
    """Orders of every status there is, of one line and of several."""
    here, there = await two(shop, stock=30)
    third = await beside(here, stock=3)
    kept = await placed(here, (here, 1), (there, 2))
    parted = await placed(here, (here, 3), (there, 2), (third, 1))
    gone = await placed(here, (there, 2), (here, 1))
    with asked_one_by_one():
        in_parts = await placed(here, (here, 2), (there, 2))
        cancelled = await placed(here, (third, 1), (there, 2))
        assert (await ordered(here, (third, 9), (there, 1))).status == 409
    assert (await ordered(here, (third, 8), (there, 1))).status == 409
    for order in (parted, in_parts, in_parts):
        assert (await dispatch(here, order, (here, 1))).status == 200
    for order in (gone, in_parts):
        assert (await dispatch(here, order)).status == 200
    assert (await shop.cancel(cancelled)).status == 200
    singles: list[Order] = [await here.placed(quantity=3) for _ in range(4)]
    for single in singles[:3]:
        assert (await dispatch(here, single, (here, 1))).status == 200
    assert (await dispatch(here, singles[0], (here, 1))).status == 200
    assert (await dispatch(here, singles[1])).status == 200
    assert (await shop.cancel(singles[3])).status == 200
    assert (await shop.shown(kept)).status == "new"
    await settled(shop)
    await shop.projected()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(module_database_url: str) -> str:
    """A database in which much was ordered, with a copy of what is derived beside it."""
    async with opened(module_database_url) as shop:
        await busy_day(shop)
    async with database(module_database_url) as connection:
        await connection.execute("CREATE SCHEMA kept")
        for table in TABLES:
            await connection.execute(f"CREATE TABLE kept.{table} AS TABLE public.{table}")
    return module_database_url


@pytest_asyncio.fixture(loop_scope="module")
async def url(filled: str) -> AsyncIterator[str]:
    """Its DSN, for one test to do as it likes with what is derived."""
    yield filled
    async with database(filled) as connection, connection.transaction():
        for table in TABLES:
            await connection.execute(f"DELETE FROM public.{table}")
            await connection.execute(f"INSERT INTO public.{table} TABLE kept.{table}")


async def derived(url: str) -> dict[str, list[object]]:
    async with database(url) as connection:
        sql = "SELECT to_jsonb(each) FROM {} AS each ORDER BY 1"
        rows = {table: await connection.fetch(sql.format(table)) for table in TABLES}
        quarantined = await connection.fetch("SELECT * FROM quarantined_projections")
    assert quarantined == []
    return {table: [row[0] for row in found] for table, found in rows.items()}


async def test_a_rebuilt_read_model_is_the_one_that_came_bit_by_bit(url: str) -> None:
    before = await derived(url)
    async with database(url) as connection:
        await connection.execute(statement("project_forget"))
    assert not any((await derived(url)).values())

    await Projection(url=url, era=1).catch_up()

    assert await derived(url) == before


@pytest.mark.parametrize("rows", [windows.WINDOW_ROWS, 2])
async def test_what_came_of_many_orders_is_sound(
    url: str, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(windows, "WINDOW_ROWS", rows)

    assert await faults(url) == []


DAMAGE = {
    "a line is of another product": (
        "UPDATE process_order_lines SET product = 'coffee' WHERE line = 1",
        "process_order",
    ),
    "a line is gone": ("DELETE FROM process_order_lines WHERE line = 0", "process_order"),
    "an order is gone": ("DELETE FROM process_orders", "process_order"),
    "more has left of a line": (
        "UPDATE process_order_lines SET dispatched = quantity",
        "process_order",
    ),
    "an order has another status": (
        "UPDATE process_orders SET status = 'new' WHERE status = 'cancelled'",
        "process_order",
    ),
    "an order is not over": (
        "UPDATE process_orders SET ended = false WHERE ended",
        "process_order",
    ),
    "an order is of somebody else": (
        "UPDATE process_orders SET customer = 'mallory'",
        "process_order",
    ),
    "less has left of a single line": (
        "UPDATE orders SET dispatched = 1 WHERE dispatched = 2",
        "order",
    ),
    "nothing has left of a single line": (
        "UPDATE orders SET dispatched = NULL, status = 'new' WHERE status = 'partly_dispatched'",
        "order",
    ),
    "something has left of a whole one": (
        "UPDATE orders SET dispatched = 1 WHERE status = 'cancelled'",
        "order",
    ),
    "more is held": ("UPDATE balances SET held = 1, available = available - 1", "balance"),
}


@pytest.mark.parametrize("what", DAMAGE)
async def test_what_is_derived_and_wrong_is_named_and_made_again(url: str, what: str) -> None:
    sql, kind = DAMAGE[what]
    before = await derived(url)
    async with database(url) as connection:
        assert (await connection.execute(sql)).split()[-1] != "0"

    found = await faults(url, repair=True)

    assert {fault.kind for fault in found} == {kind}
    assert all(fault.repaired for fault in found)
    assert await faults(url) == []
    assert await derived(url) == before


async def test_everything_that_was_derived_can_be_made_again_one_by_one(url: str) -> None:
    before = await derived(url)
    states = await folded(url)
    async with database(url) as connection:
        await connection.execute("DELETE FROM process_orders; DELETE FROM process_order_lines")
    async with open_rebuilding(url) as rebuilding:
        for actor_id, state in states.items():
            rebuild = rebuilding.order if is_process(state) else rebuilding.read_models
            assert dump(state)
            await rebuild(actor_id)

    assert await derived(url) == before
