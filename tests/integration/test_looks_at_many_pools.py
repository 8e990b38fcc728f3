"""What is looked at of a large warehouse costs what is looked at, and not what there is."""

from collections.abc import Iterator
from typing import TypeAlias

import asyncpg
import msgspec
import pytest

from allocator.domain.positions import START
from allocator.feeding.ports import Settling
from allocator.persistence.connections import open_pool
from allocator.persistence.statements import statement
from allocator.persistence.wms import PostgresFeeds
from tests.integration.shop import database
from tests.integration.tails import MAIN, journal_in, settled, write

POOLS = 4_000
FIRST = 1 << 40
FEED = FIRST - 1
ROWS = 3
SETTLING = Settling(run=7, as_of=12, applied_through=3)
SOME = list(range(FIRST + 500, FIRST + 600))

_MANY = f"""
WITH made AS (
    INSERT INTO actors (id, kind, key)
    SELECT {FIRST} + number, 'pool', 'pool:main/many-' || number
    FROM generate_series(0, {POOLS} - 1) AS number
    RETURNING id, substr(key, 11) AS sku
), things AS (
    INSERT INTO actors (id, kind, key)
    SELECT id + {POOLS}, 'product', 'product:' || sku FROM made
    RETURNING id
), named AS (
    INSERT INTO products (sku, name, actor_id, version, digest, created_at)
    SELECT sku, sku, id + {POOLS}, 1, '', now() FROM made
    RETURNING sku
)
INSERT INTO pools (actor_id, warehouse, product) SELECT id, 'main', sku FROM made
"""
_FED = f"""
WITH actor AS (
    INSERT INTO actors (id, kind, key) VALUES ({FEED}, 'feed', 'feed:main') RETURNING id
), feed AS (
    INSERT INTO wms_feeds (actor_id, warehouse, position, numbers)
    SELECT id, 'main', '{START}', 'ours' FROM actor
    RETURNING actor_id
)
INSERT INTO wms_pools (feed, actor_id)
SELECT feed.actor_id, pools.actor_id FROM feed, pools WHERE warehouse = 'main'
"""


class _Node(msgspec.Struct):
    """A node of a plan that was carried out, as PostgreSQL describes it."""

    table: str = msgspec.field(default="", name="Relation Name")
    index: str = msgspec.field(default="", name="Index Name")
    rows: float = msgspec.field(default=0, name="Actual Rows")
    removed: float = msgspec.field(default=0, name="Rows Removed by Filter")
    loops: float = msgspec.field(default=0, name="Actual Loops")
    below: "list[_Node]" = msgspec.field(default_factory=list, name="Plans")


class _Plan(msgspec.Struct):
    top: _Node = msgspec.field(name="Plan")


_Argument: TypeAlias = str | int | list[int] | list[str] | None


def _nodes(node: _Node) -> Iterator[_Node]:
    yield node
    for each in node.below:
        yield from _nodes(each)


async def rows_read(
    connection: asyncpg.Connection, name: str, *arguments: _Argument, of: tuple[str, ...]
) -> float:
    """How many rows of tables a statement reads."""
    sql = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement(name)}"
    [plan] = msgspec.json.decode(await connection.fetchval(sql, *arguments), type=list[_Plan])
    read = (each for each in _nodes(plan.top) if each.table in of or each.index.startswith(of))
    return sum((each.rows + each.removed) * each.loops for each in read)


async def test_whoever_follows_a_warehouse_does_not_read_all_its_pools_at_each_look(
    database_url: str,
) -> None:
    async with journal_in(database_url) as tail, database(database_url) as connection:
        await connection.execute(_MANY)
        await connection.execute("ANALYZE pools")
        await write(connection, (FIRST + 7, 1), (FIRST + 8, 1), (MAIN, 1))
        await settled(tail, ROWS)
        await connection.execute("SET enable_seqscan = off")  # as the tail is read
        read = await rows_read(
            connection,
            "tail",
            *(0, "0", 0, 0, 1, 2_000),
            *("main", None, None, None),
            of=("pools", "warehouses"),
        )

        assert read <= 2 * ROWS


@pytest.mark.parametrize("statistics", ["new", "old"])
async def test_a_run_reads_only_the_pools_that_it_looks_at(
    database_url: str, statistics: str
) -> None:
    async with journal_in(database_url), database(database_url) as connection:
        await connection.execute(_MANY)
        await connection.execute(_FED)
        if statistics == "new":
            await connection.execute("ANALYZE pools; ANALYZE wms_pools")
        opened = await open_pool(database_url, size=1)
        await PostgresFeeds(opened).begin_settling(FEED, SETTLING)
        opened.terminate()
        read = await rows_read(
            connection,
            "wms_statements",
            *(FEED, 1, 0, FIRST + POOLS // 2, 100),
            of=("pools", "wms_pools"),
        )

        assert read <= 2 * 100


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("wms_accounts", (FEED, "main", SOME)),
        ("wms_settle", (FEED, 0, SOME, ["{}"] * len(SOME), [1] * len(SOME))),
        ("wms_unsettle", (FEED, SOME)),
    ],
)
async def test_what_is_said_of_some_pools_is_noted_without_reading_the_others(
    database_url: str, name: str, arguments: tuple[_Argument, ...]
) -> None:
    async with journal_in(database_url), database(database_url) as connection:
        await connection.execute(_MANY)
        await connection.execute(_FED)
        read = await rows_read(connection, name, *arguments, of=("pools", "wms_pools"))

        assert read <= 4 * len(SOME)


async def test_a_run_asks_pools_though_they_cannot_be_counted(database_url: str) -> None:
    async with journal_in(database_url), database(database_url) as connection:
        await connection.execute(_MANY)
        await connection.execute(_FED)
        opened = await open_pool(f"{database_url}&lock_timeout=100", size=1)
        feeds = PostgresFeeds(opened)
        async with connection.transaction():
            await connection.execute("LOCK TABLE pools IN ACCESS EXCLUSIVE MODE")
            await feeds.begin_settling(FEED, SETTLING)
        settling = await feeds.settling(FEED)
        opened.terminate()

        assert settling == SETTLING
