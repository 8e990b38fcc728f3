"""Pruning where orders have several lines, or have left in parts: what is shown stays."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from allocator.persistence.connections import open_pool
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.projection import forget_read_models
from tests.integration.api_shapes import Answer, Order
from tests.integration.long_ago import (
    actor_of,
    archived,
    caught_up,
    copied,
    opened_long_ago,
    pruned,
    snapshot_at,
    stored,
)
from tests.integration.multi_orders import asked_one_by_one, dispatch, ordered, placed, settled, two
from tests.integration.shop import Shop, opened
from tests.integration.transfers import another, export, import_
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = ("orders", "process_orders", "process_order_lines", "balances", "stocks")
LAST = "SELECT max(seq) FROM journal WHERE actor_id = $1"


class Story(msgspec.Struct):
    """What was ordered long ago of two pools.

    Attributes:
        ended: Of the orders of several lines and rows, how many were; one was declined.
    """

    here: Shop
    there: Shop
    orders: list[Order]
    ended: int

    async def shown(self, server: Shop) -> list[Answer]:
        """What a server says of all of it now."""
        paths = [f"/orders/{order.id}" for order in self.orders]
        paths += [f"/orders?product={self.here.product}"]
        for each in (self.here, self.there):
            paths.append(f"/stock-balances/{each.warehouse}/{each.product}")
        return [await server.get(path) for path in paths]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(module_database_url: str) -> Story:
    """What happened forty days ago in the database that tests get copies of."""
    async with opened_long_ago(module_database_url) as shop:
        here, there = await two(shop, stock=20)
        several = [await placed(here, (here, 2), (there, 2)) for _ in range(4)]
        singles = [await here.placed(quantity=3) for _ in range(3)]
        for order in (several[0], several[1], singles[0], singles[1]):
            await dispatch(here, order, (here, 1))
        for order in (several[0], singles[0]):
            await dispatch(here, order)
        await shop.cancel(several[2])
        with asked_one_by_one():
            assert (await ordered(here, (here, 1), (there, 99))).status == 409
        assert (await ordered(here, (here, 1), (there, 98))).status == 409
        await settled(shop)
        await shop.projected()
        for each in (here, there):
            actor_id = await actor_of(each)
            [[version]] = await stored(module_database_url, LAST, actor_id)
            assert isinstance(version, int)
            await snapshot_at(module_database_url, actor_id, version - 1, version)
    return Story(here, there, [*several, *singles], ended=3)


@pytest_asyncio.fixture(loop_scope="module")
async def database_url(
    postgres: EmbeddedPostgres,
    module_database_url: str,
    story: Story,  # noqa: ARG001 (it has to have happened)
) -> AsyncIterator[str]:
    """The DSN of a test's own copy of it."""
    async with copied(postgres, module_database_url) as url:
        yield url


async def derived(url: str) -> list[object]:
    sql = "SELECT to_jsonb(each)::text FROM {} AS each ORDER BY 1"
    return [await stored(url, sql.format(table)) for table in TABLES]


async def test_what_was_ordered_is_shown_as_before_when_its_rows_are_pruned(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url) as server:
        before, rows = await story.shown(server), await derived(database_url)
        report = await pruned(database_url, tmp_path / "rows")

        assert (report.pools, report.orders, report.unsound) == (2, story.ended, [])
        assert len(archived(tmp_path / "rows")) == report.rows
        assert await derived(database_url) == rows
        assert [each.body for each in await story.shown(server)] == [each.body for each in before]
        assert await faults(database_url) == []


async def test_orders_from_before_a_floor_go_on_above_it(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    async with opened(database_url) as server:
        for order in (story.orders[1], story.orders[5]):  # parts of both have left
            gone = (await dispatch(server, order)).read(Order)
            assert [line.dispatched for line in gone.lines] == [
                line.quantity for line in gone.lines
            ]
        await dispatch(server, story.orders[6], (story.here, 1))
        await settled(server)
        await server.projected()
        shown = [await server.shown(order) for order in story.orders]

        listed = await server.all_of(Order, "/orders", product=story.here.product)

        assert sorted(each.id for each in listed) == sorted(each.id for each in shown)
        assert {each.id: each for each in listed} == {each.id: each for each in shown}
    assert await faults(database_url) == []


async def test_read_models_are_the_same_when_made_again_from_floors(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await test_orders_from_before_a_floor_go_on_above_it(story, database_url, tmp_path)
    before = await derived(database_url)
    pool = await open_pool(database_url, size=1)
    try:
        await forget_read_models(pool)
    finally:
        pool.terminate()

    await caught_up(database_url)

    assert await derived(database_url) == before
    assert await faults(database_url) == []


async def test_what_was_pruned_travels(story: Story, database_url: str, tmp_path: Path) -> None:
    await pruned(database_url, tmp_path / "rows")
    async with opened(database_url) as server:
        before = await story.shown(server)
    async with another(database_url) as elsewhere:
        await export(database_url, tmp_path / "export")
        await import_(tmp_path / "export", elsewhere)
        async with opened(elsewhere) as server:
            await server.projected()
            after = await story.shown(server)

        assert [each.body for each in after] == [each.body for each in before]
        assert await faults(elsewhere) == []
