"""Every difference between a warehouse system (WMS) and us is explained."""

import os
import time
from collections.abc import AsyncIterator, Sequence

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from msgspec.structs import astuple

from allocator.feeding.history import Reconciliation
from allocator.http.feed_shapes import ShownReconciliation
from allocator.http.shapes import Listing
from allocator.persistence.connections import open_pool
from allocator.persistence.migrate import migrate
from allocator.persistence.reconciliations import PostgresReconciliations
from tests.integration.shop import Shop
from tests.integration.test_feeds_api import NATURE, Fed, fed_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = int(os.environ.get("ALLOCATOR_TEST_RECONCILIATIONS", "2000"))
FAST_MS = 20.0
"""The best of five; of so many as the environment has to ask for."""


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def found(fed: Fed, query: str = "") -> Listing[ShownReconciliation]:
    answer = await fed.shop.get(f"{fed.path}/reconciliations{query}")
    assert answer.status == 200, answer.body
    return msgspec.json.decode(answer.body, type=Listing[ShownReconciliation])


async def test_a_difference_has_both_sides_numbers_and_an_explanation(fed: Fed) -> None:
    await fed.begun(10)
    await fed.shop.placed(quantity=4)
    await fed.told(1)
    fed.wms.run_batch()
    fed.wms.truth.damage((fed.shop.product, "L7"), 7)
    await fed.heard()

    [loss, first] = (await found(fed)).items

    assert (loss.orderable, loss.applied, loss.counted) == (-1, 4, 10)
    assert (loss.change, loss.available, loss.shortfall) == (-6, 0, 1)
    assert loss.explanation == (
        "the WMS says -1 orderable and has applied 4 of ours, 3 together; we counted 10: "
        "6 fewer are available, and 1 unit that is promised or set aside is missing"
    )
    assert (first.product, first.batch, first.counted) == (fed.shop.product, "L7", 0)
    assert first.explanation == ("the WMS says 10 orderable; we counted 0: 10 more are available")
    assert first.as_of < loss.as_of


async def test_the_newest_come_first_page_by_page(fed: Fed) -> None:
    await fed.begun(1)
    for batch in ("L8", "L9"):
        fed.wms.truth.receive((fed.shop.product, batch), 2)
        await fed.heard()

    whole = await found(fed)
    pages = [await found(fed, "?limit=2")]
    pages.append(await found(fed, f"?limit=2&cursor={pages[0].next_cursor}"))

    assert [each.batch for each in whole.items] == ["L9", "L8", "L7"]
    assert [each for page in pages for each in page.items] == whole.items
    assert pages[1].next_cursor is None


async def test_those_of_one_product_can_be_asked_for(fed: Fed) -> None:
    other = f"{fed.shop.product}-2"
    assert (await fed.shop.put(f"/products/{other}", {"name": "Other"})).status == 201
    fed.wms.truth.receive((other, None), 3)
    await fed.begun(1)

    assert {each.product for each in (await found(fed)).items} == {fed.shop.product, other}
    assert [each.product for each in (await found(fed, f"?product={other}")).items] == [other]
    assert (await found(fed, "?product=stranger")).items == []


@pytest.mark.parametrize("query", ["?cursor=x", "?limit=0", "?batch=L7"])
async def test_a_list_that_makes_no_sense_is_refused(fed: Fed, query: str) -> None:
    await fed.begun(1)

    assert (await fed.shop.get(f"{fed.path}/reconciliations{query}")).status == 422


async def test_a_warehouse_that_was_never_fed_has_none(fed: Fed) -> None:
    assert (await fed.shop.get(f"{fed.path}/reconciliations")).status == 404


POOLS = """
    INSERT INTO pools (actor_id, warehouse, product)
    SELECT number << 8, 'main', 'p-' || number FROM generate_series(1, 1000) AS number
"""
MANY = """
    INSERT INTO journal (actor_id, seq, at, era, version, kind, digest, body)
    SELECT actor_id, seq, to_timestamp(1780000000 + seq), 1, 1, 'lot_reconciled', '',
           json_build_object('feed', 7, 'as_of', seq, 'code', 'L7', 'orderable', 1, 'applied', 0,
                             'before', 2, 'available', 1)
    FROM pools, generate_series(1, $1::int / 1000) AS seq
"""


async def filled(url: str) -> None:
    """A database with as many rows as are wanted, and nothing else."""
    connection = await asyncpg.connect(url)
    try:
        await migrate(connection)
        await connection.execute("SET session_replication_role = replica")  # no foreign keys
        await connection.execute(POOLS)
        await connection.execute(MANY, ROWS)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def test_many_are_listed_as_fast_as_few(database_url: str) -> None:
    """Of 100,000 (the environment says how many) a page takes less than 20 ms."""
    await filled(database_url)
    pool = await open_pool(database_url, size=1, plans_anew=True)
    try:
        history = PostgresReconciliations(pool)
        for actor_id in (None, 500 << 8):
            took_ms: list[float] = []
            rows: Sequence[Reconciliation] = ()
            for _ in range(5):
                begun = time.perf_counter()
                rows = await history.reconciliations(7, before=None, limit=50, pool=actor_id)
                took_ms.append((time.perf_counter() - begun) * 1000)
            places = [astuple(row.place) for row in rows]
            page = await history.reconciliations(7, before=rows[-1].place, limit=50, pool=actor_id)

            assert places == sorted(places, reverse=True)
            assert all(astuple(row.place) < places[-1] for row in page)
            assert ROWS < 100_000 or min(took_ms) < FAST_MS, took_ms
    finally:
        pool.terminate()
