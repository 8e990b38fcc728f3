"""Pruning where carts were filled and paid for: what is shown stays, purchases above all."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from allocator.domain.checkouts import PaymentHeard
from allocator.persistence.connections import open_pool
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.projection import forget_read_models
from tests.integration.api_shapes import Answer, Checkout, Order
from tests.integration.carts import FICKLE, Till, paying
from tests.integration.long_ago import (
    actor_of,
    archived,
    caught_up,
    copied,
    days_ago,
    pruned,
    snapshot_at,
    spelled,
    stored,
)
from tests.integration.multi_orders import dispatch, settled
from tests.integration.shop import Shop, opened, until
from tests.integration.transfers import another, export, import_
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES = ("carts", "checkouts", "process_orders", "process_order_lines", "orders", "balances")
ROWS_OF_CARTS = """
SELECT array_agg(journal.kind ORDER BY seq)::text[] AS kinds FROM actors
JOIN journal ON actor_id = actors.id
WHERE actors.kind = 'cart' GROUP BY actors.id ORDER BY 1
"""
WAITING = "SELECT id FROM actors WHERE kind = 'cart' AND wake_at IS NOT NULL"
LAST = "SELECT max(seq) FROM journal WHERE actor_id = $1"


class Story(msgspec.Struct):
    """What was bought long ago, and what was not.

    Attributes:
        paths: Of all that clients know of it.
        failed: The checkout of a cart that was closed then.
        kept: An order that was paid for and has not left.
    """

    here: Shop
    there: Shop
    paths: list[str]
    failed: Checkout
    kept: str

    async def shown(self, server: Shop) -> list[Answer]:
        """What a server says of all of it now."""
        return [await server.get(path) for path in self.paths]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(module_database_url: str) -> Story:
    """What happened forty days ago in the database that tests get copies of."""
    url = module_database_url
    with days_ago(40):
        async with paying(url, FICKLE) as till:
            story = await _tell(till)
            for each in (story.here, story.there):
                actor_id = await actor_of(each)
                [[version]] = await stored(url, LAST, actor_id)
                assert isinstance(version, int)
                await snapshot_at(url, actor_id, version - 1, version)
    return story


async def _tell(till: Till) -> Story:
    here, there = await till.stocked(50), await till.stocked(50)
    paths: list[str] = []
    paid: list[str] = []
    failed: list[Checkout] = []
    while len(paid) < 3 or not failed:
        cart = await here.filled(1 + len(paid))
        await there.fill(cart, 2)
        checkout = await here.decided(await here.pay(cart))
        paths += [f"/carts/{cart.id}", f"/checkouts/{checkout.id}"]
        if checkout.order is None:
            failed.append(checkout)
            assert (await here.send("DELETE", f"/carts/{cart.id}")).status == 204
            continue
        paid.append(checkout.order)
        order = await here.shown(checkout.order)
        paths += [f"/orders/{order.id}", f"/purchases?customer={cart.customer}"]
        if len(paid) < 3:
            assert (await dispatch(here, order, (there, 1))).status == 200
            assert (await dispatch(here, order)).status == 200
    empty = await here.cart()
    assert (await here.send("DELETE", f"/carts/{empty.id}")).status == 204
    still_open = await here.filled(1)
    paths += [f"/carts/{each.id}" for each in (empty, still_open)]
    paths += ["/purchases", f"/orders?product={there.product}"]
    await settled(here)
    await till.projected()
    return Story(here, there, paths, failed[0], paid[2])


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


async def nobody_shops(url: str) -> bool:
    return await stored(url, WAITING) == []


async def bodies(story: Story, server: Shop) -> list[bytes]:
    return [answer.body for answer in await story.shown(server)]


async def test_what_was_bought_is_shown_as_before_when_its_rows_are_pruned(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    """O10: who purchased what, and what they paid, outlives the journal's rows."""
    async with opened(database_url) as server:  # where the cart that was open expires at last
        await until(partial(nobody_shops, database_url))
        await settled(server)
        await server.projected()
        before, rows = await bodies(story, server), await derived(database_url)
        counted = await pruned(database_url, tmp_path / "rows", dry_run=True)
        report = await pruned(database_url, tmp_path / "rows")

        assert (report.pools, report.unsound) == (2, [])
        assert (counted.carts, counted.rows) == (report.carts, report.rows)
        assert len(archived(tmp_path / "rows")) == report.rows
        assert await derived(database_url) == rows
        assert await bodies(story, server) == before
        assert await faults(database_url) == []
    async with opened(database_url) as server:  # recovered
        assert await bodies(story, server) == before
    left = [kinds for (kinds,) in await stored(database_url, ROWS_OF_CARTS)]
    assert [len(kinds) for kinds in left if isinstance(kinds, list)].count(1) == report.carts
    assert (await pruned(database_url, tmp_path / "again")).carts == 0


async def test_what_was_paid_for_and_has_not_left_keeps_its_rows(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    async with opened(database_url) as server:
        order = await server.shown(story.kept)
        assert order.status == "new"
        assert (await dispatch(server, order)).status == 200
        await settled(server)
    assert await faults(database_url) == []


async def test_money_that_is_heard_of_after_pruning_is_owed_back(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    async with opened(database_url) as server:
        context = server.server.context
        actor_id, attempt = context.ids.unseal(story.failed.id) or (0, 0)
        heard = PaymentHeard(attempt=attempt, outcome="paid")
        await context.asker.ask(actor_id, heard, principal="")
        await server.projected()

        shown = (await server.get(f"/checkouts/{story.failed.id}")).read(Checkout)
        assert shown.status == "refund_due"
    assert await faults(database_url) == []
    before = await derived(database_url)
    await forgotten(database_url)
    assert await derived(database_url) == before
    assert (await pruned(database_url, tmp_path / "again")).carts == 0


async def test_read_models_of_carts_are_made_again_from_floors(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    before = await derived(database_url)

    await forgotten(database_url)

    assert await derived(database_url) == before
    assert await faults(database_url) == []
    assert story.paths


async def test_purchases_travel_though_their_rows_are_pruned(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    async with opened(database_url) as server:
        await settled(server)
        before = await bodies(story, server)
    async with another(database_url) as elsewhere:
        await export(database_url, tmp_path / "export")
        await import_(tmp_path / "export", elsewhere)
        async with opened(elsewhere) as server:
            await server.projected()
            assert await bodies(story, server) == before
        assert await faults(elsewhere) == []


async def test_a_pruned_cart_that_lists_lack_is_repaired(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    before = await derived(database_url)
    await stored(database_url, "DELETE FROM carts WHERE status = 'closed'")
    await stored(database_url, "UPDATE checkouts SET amount = amount + 1")

    found = await faults(database_url, repair=True)

    assert {(fault.kind, fault.repaired) for fault in found} == {("cart", True)}
    assert await derived(database_url) == before
    assert story.paths


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("UPDATE checkouts SET amount = amount + 1 WHERE status = 'paid'", "its row in carts is"),
        ("UPDATE journal SET principal = 'x' WHERE kind = 'checkout_paid'", "is not as it was"),
    ],
)
async def test_a_purchase_that_is_not_sound_is_left_as_it_is(
    story: Story, database_url: str, tmp_path: Path, damage: str, why: str
) -> None:
    await stored(database_url, damage)

    report = await pruned(database_url, tmp_path / "rows")

    assert {(each.pool.split()[0], why in each.why) for each in report.unsound} == {("cart", True)}
    left = [str(kinds) for (kinds,) in await stored(database_url, ROWS_OF_CARTS)]
    assert sum("checkout_paid" in kinds for kinds in left) == 3
    assert story.paths


async def test_the_past_of_a_pruned_order_is_gone_and_says_so(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    async with opened(database_url) as server:
        path = next(path for path in story.paths if path.startswith("/orders/"))
        order = (await server.get(path)).read(Order)
        then = spelled(order.created_at)
        past = await server.get(f"{path}?at={then}")

        assert past.status == 410
        assert b"pruned" in past.body


async def forgotten(url: str) -> None:
    """Have all lists be made again."""
    pool = await open_pool(url, size=1)
    try:
        await forget_read_models(pool)
    finally:
        pool.terminate()
    await caught_up(url)
