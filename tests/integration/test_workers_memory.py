"""A server starts at once, however many pools there are, and keeps in memory what is in use."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from allocator.domain.catalogue import pool_key, product_key
from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.ids import shard_of
from allocator.domain.records import GENESIS
from allocator.persistence.connections import connect
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from tests.builders import received
from tests.integration.serving import Server, until
from tests.integration.workers import several

POOLS = int(os.environ.get("POOLS", "20000"))
"""A million take some minutes to write, and as little time to start with as a thousand."""
ACTORS_MAX = 50
WORKERS = 2
ASKED = 600
UNITS = 5
AT_ONCE = 32
PROMPT_S = 60.0
"""Less than the time after which whatever is idle leaves memory anyway."""


async def stock_many(database_url: str, pools: int) -> list[str]:
    """Write products with stock straight into the tables; return their skus."""
    connection = await connect(database_url, application_name="test")
    try:
        await migrate(connection)
        era = (await open_installation(connection)).era
    finally:
        connection.terminate()
    writer = await asyncpg.connect(database_url)
    try:
        await _write(writer, [f"sku-{number}" for number in range(pools)], era)
    finally:
        await writer.close()
    return [f"sku-{number}" for number in range(pools)]


async def _write(
    connection: "asyncpg.Connection[asyncpg.Record]", skus: Sequence[str], era: int
) -> None:
    now, event = datetime.now(UTC), received(UNITS)
    warehouse, *products = _actor_ids(["warehouse:main", *map(product_key, skus)], first=1)
    pools = _actor_ids([pool_key("main", sku) for sku in skus], first=len(skus) + 2)
    actors = [(warehouse, "warehouse", "warehouse:main")]
    actors += [(a, "product", product_key(sku)) for a, sku in zip(products, skus, strict=True)]
    actors += [(a, "pool", pool_key("main", sku)) for a, sku in zip(pools, skus, strict=True)]
    kind = KINDS[type(event)]
    row = (1, now, era, VERSIONS[kind], kind, GENESIS, encode_event(event).decode())
    tables: list[tuple[str, list[str], list[tuple[object, ...]]]] = [
        ("actors", ["id", "kind", "key"], [*actors]),
        (
            "warehouses",
            ["code", "name", "actor_id", "version", "digest", "created_at"],
            [("main", "Main", warehouse, 1, GENESIS, now)],
        ),
        (
            "products",
            ["sku", "name", "actor_id", "version", "digest", "created_at"],
            [(sku, sku, a, 1, GENESIS, now) for a, sku in zip(products, skus, strict=True)],
        ),
        (
            "pools",
            ["actor_id", "warehouse", "product"],
            [(a, "main", sku) for a, sku in zip(pools, skus, strict=True)],
        ),
        (
            "journal",
            ["actor_id", "seq", "at", "era", "version", "kind", "digest", "body"],
            [(a, *row) for a in pools],
        ),
    ]
    async with connection.transaction():
        for table, columns, records in tables:
            await connection.copy_records_to_table(table, columns=columns, records=records)
        await connection.execute("SELECT setval('actor_numbers', $1)", 2 * len(skus) + 2)


def _actor_ids(keys: Sequence[str], *, first: int) -> list[int]:
    return [number << 8 | shard_of(key) for number, key in enumerate(keys, start=first)]


async def each_is_right(server: Server, skus: Sequence[str], *, available: int) -> None:
    """Read balances, some at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def read(sku: str) -> None:
        async with turn:
            assert (await server.balance(sku)).available == available

    await asyncio.gather(*(read(sku) for sku in skus))


@pytest.mark.parametrize("pools", [POOLS])
async def test_a_server_with_very_many_pools_holds_only_those_in_use(
    database_url: str, tmp_path: Path, pools: int
) -> None:
    """Starting reads none of them, and using some of them does not keep them for ever."""
    skus = await stock_many(database_url, pools)
    arguments = ("--database-url", database_url)
    frugal = ("--actors-max", str(ACTORS_MAX), "--idle-ms", "80000")
    async with several(*arguments, *frugal, log=tmp_path / "log", workers=WORKERS) as server:
        assert await server.metric("allocator_recoveries_total") == 0
        assert await server.metric("allocator_actors") == 0

        some = skus[:: pools // ASKED]
        await each_is_right(server, some, available=UNITS)
        assert await server.metric("allocator_recoveries_total") == len(some)

        async def within_bounds() -> bool:
            return await server.metric("allocator_actors") <= WORKERS * ACTORS_MAX

        await until(within_bounds, within_s=PROMPT_S)
        for sku in some[:10]:
            await server.placed(sku)
        await each_is_right(server, some[:10], available=UNITS - 1)
        await each_is_right(server, some[10:], available=UNITS)
