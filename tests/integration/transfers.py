"""Installations that move from one database to another, and whether they arrive as they were."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from allocator.journal.command import Source
from allocator.journal.exporting import run_export
from allocator.journal.importing import run_import
from allocator.persistence.connections import connect
from allocator.persistence.cuts import Cut, settled
from allocator.persistence.installation import find_installation
from allocator.persistence.projection import Projection
from allocator.persistence.transfer import departure
from allocator.persistence.transfer.arrival import open_arrival
from allocator.persistence.transfer.departure import open_departure
from allocator.persistence.transfer.format import advanced
from allocator.persistence.transfer.tables import APART, CARRIED, DERIVED, PARTLY
from tests.integration.shop import database, until


async def export(url: str, file: Path) -> None:
    """Run `journal export`."""
    assert await asyncio.to_thread(run_export, str(file), _source(url), as_json=False) == 0


async def import_(file: Path, url: str, *, start_over: bool = False) -> None:
    """Run `journal import`."""
    run = asyncio.to_thread(
        run_import, str(file), _source(url), start_over=start_over, as_json=False
    )
    assert await run == 0


async def restore(source: str, target: str, cut: Cut, *, pieces: int | None = None) -> None:
    """Do what `restore` does once it knows the cut; or so many pieces of it, and no more."""
    async with (
        open_departure(source, cut=cut) as leaving,
        open_arrival(target, principal="cli:test") as arrival,
    ):
        await arrival.begin(leaving.header, start_over=False)
        reached = arrival.reached
        async with aclosing(leaving.pieces()) as all_pieces:
            async for piece in all_pieces:
                first_line, reached = reached.lines + 1, advanced(reached, piece)
                await arrival.take(piece.content, first_line=first_line, reached=reached)
                if reached.block == pieces:
                    return
        await arrival.finish(is_copy=True)


async def everything(url: str) -> dict[str, list[str]]:
    """All that an installation is: every row that travels, its secret and its numbers."""
    async with database(url) as connection:
        found = {
            table: [
                row[0]
                for row in await connection.fetch(f"SELECT t::text FROM {table} t ORDER BY 1")
            ]
            for table in {*CARRIED, "journal"} - PARTLY
        }
        found["secret"] = [await connection.fetchval("SELECT id_secret::text FROM installation")]
        found["numbers"] = [
            await connection.fetchval("SELECT last_value || ' ' || is_called FROM actor_numbers")
        ]
    return found


async def project(url: str) -> None:
    """Have the read models know everything."""
    connection = await connect(url, application_name="test")
    try:
        era = (await find_installation(connection)).era
    finally:
        connection.terminate()
    await Projection(url=url, era=era).catch_up()


async def now(url: str) -> Cut:
    """The cut of this moment, once everything that has committed by now is in it."""
    connection = await connect(url, application_name="test")
    try:
        latest = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")

        async def settles() -> bool:
            return (await settled(connection)).xid >= int(latest)

        await until(settles)
        return await settled(connection)
    finally:
        connection.terminate()


@asynccontextmanager
async def another(url: str) -> AsyncIterator[str]:
    """Have an empty database in the same PostgreSQL."""
    name = f"other_{secrets.token_hex(8)}"
    async with database(url) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
    base, _, query = url.partition("?")
    yield f"{base.rpartition('/')[0]}/{name}?{query}"
    async with database(url) as connection:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def empty(url: str) -> None:
    """Take everything out that an installation is: quicker than another database."""
    async with database(url) as connection, connection.transaction():
        tables = ", ".join({*CARRIED, *DERIVED, *APART, "imports"} - {"projections"})
        await connection.execute(f"TRUNCATE {tables} CASCADE")
        await connection.execute("UPDATE projections SET era = 0, xid = '0', events = 0")


def small_blocks(patch: pytest.MonkeyPatch) -> None:
    """Make blocks of a few lines, so that little has many."""
    patch.setattr(departure, "BLOCK_BYTES", 1_500)
    patch.setattr(departure, "_ROWS_FIRST", 5)


async def columns_of(connection: "asyncpg.Connection[asyncpg.Record]", sql: str) -> set[str]:
    """The names of what a statement returns."""
    prepared = await connection.prepare(sql)
    return {attribute.name for attribute in prepared.get_attributes()}


def _source(url: str) -> Source:
    return Source(database_url=url, data_dir=None)
