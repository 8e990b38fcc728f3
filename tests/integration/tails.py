"""Journals whose every transaction a test decides, and what is told of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from allocator.domain.positions import START, Position
from allocator.persistence.connections import connect
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.tail import EVERYTHING, Entry, Tail, Wanted, open_tail
from tests.builders import NOW_MS
from tests.integration.shop import database, until

Row: TypeAlias = tuple[int, int]
"""(actor id, seq)."""

TEA, MUG, FAR = 1 << 8, 2 << 8, 3 << 8
"""Pools: tea and mugs at main, tea at far."""

MAIN, TEA_ITSELF = 4 << 8, 5 << 8
"""The warehouse main, and the product tea."""

_CATALOGUE = f"""
INSERT INTO actors (id, kind, key) VALUES
    ({TEA}, 'pool', 'pool:main/tea'), ({MUG}, 'pool', 'pool:main/mug'),
    ({FAR}, 'pool', 'pool:far/tea'), ({MAIN}, 'warehouse', 'warehouse:main'),
    ({TEA_ITSELF}, 'product', 'product:tea'), (1536, 'product', 'product:mug'),
    (1792, 'warehouse', 'warehouse:far');
INSERT INTO warehouses (code, name, actor_id, version, digest, created_at) VALUES
    ('main', '', {MAIN}, 1, '', now()), ('far', '', 1792, 1, '', now());
INSERT INTO products (sku, name, actor_id, version, digest, created_at) VALUES
    ('tea', '', {TEA_ITSELF}, 1, '', now()), ('mug', '', 1536, 1, '', now());
INSERT INTO pools VALUES ({TEA}, 'main', 'tea'), ({MUG}, 'main', 'mug'), ({FAR}, 'far', 'tea')
"""
_WRITE = """
INSERT INTO journal (actor_id, seq, at, era, version, kind, digest, body)
SELECT actor_id, seq, 'epoch'::timestamptz + $3 * interval '1 ms', $4, 1, $5, '\\x00', '{}'
FROM unnest($1::bigint[], $2::bigint[]) AS rows (actor_id, seq)
"""
_WRITE_LONG_AGO = """
INSERT INTO journal (actor_id, seq, at, era, xid, version, kind, digest, body)
VALUES ($1, $2, 'epoch'::timestamptz + $3 * interval '1 ms', $4, $5::text::xid8, 1, 'x', '', '{}')
"""


@asynccontextmanager
async def journal_in(database_url: str) -> AsyncIterator[Tail]:
    """Have an empty journal with three pools, and its tail."""
    connection = await connect(database_url, application_name="test")
    await migrate(connection)
    await open_installation(connection)
    await connection.execute(_CATALOGUE)
    connection.terminate()
    async with open_tail(database_url, name="test tail") as tail:
        yield tail


async def write(
    connection: "asyncpg.Connection[asyncpg.Record]",
    *rows: Row,
    at_ms: int = NOW_MS,
    era: int = 1,
    kind: str = "order_placed",
) -> None:
    """Write rows, in the transaction that is open, or in one of their own."""
    actor_ids, seqs = [actor_id for actor_id, _ in rows], [seq for _, seq in rows]
    await connection.execute(_WRITE, actor_ids, seqs, at_ms, era, kind)


async def write_long_ago(database_url: str, row: Row, *, era: int, xid: int) -> None:
    """Write a row as it came from another cluster, with a transaction's number of that one."""
    async with database(database_url) as connection:
        await connection.execute(_WRITE_LONG_AGO, *row, NOW_MS, era, str(xid))


async def told(
    tail: Tail, after: Position = START, *, wanted: Wanted = EVERYTHING, rows: int = 100
) -> list[Entry]:
    """Everything that is settled now."""
    return [
        entry
        async for chunk in tail.chunks(after, wanted=wanted, rows=rows)
        for entry in chunk.entries
    ]


async def settled(tail: Tail, count: int) -> list[Entry]:
    """Wait until so many rows are: a passing transaction of PostgreSQL's own may be in the way."""
    found: list[Entry] = []

    async def all_there() -> bool:
        found[:] = await told(tail)
        return len(found) >= count

    await until(all_there)
    assert len(found) == count
    return found


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """Which rows they are."""
    return [(entry.record.actor_id, entry.record.seq) for entry in entries]
