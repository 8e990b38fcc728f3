"""Whatever is changed behind the server's back is found and named, and mended where it can be."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from tests.integration.damages import DERIVED, JOURNAL, TABLES
from tests.integration.shop import database
from tests.integration.verifying import Said, faults, fill

TEA = "(SELECT id FROM actors WHERE key = 'pool:main/tea')"
COFFEE = "(SELECT id FROM actors WHERE key = 'pool:main/coffee')"
PRODUCT = "(SELECT id FROM actors WHERE key = 'product:coffee')"
KEY = "(SELECT id FROM actors WHERE key = 'api_key:till')"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(module_database_url: str) -> str:
    """A database in which everything has happened, with a copy of every table beside it."""
    await fill(module_database_url)
    async with database(module_database_url) as connection:
        await connection.execute("CREATE SCHEMA kept")
        for table in await tables(connection):
            await connection.execute(f"CREATE TABLE kept.{table} AS TABLE public.{table}")
    return module_database_url


@pytest_asyncio.fixture(loop_scope="module")
async def url(filled: str) -> AsyncIterator[str]:
    """Its DSN, for one test to do as it likes."""
    yield filled
    async with database(filled) as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table in await tables(connection):
            await connection.execute(f"DELETE FROM public.{table}")
            await connection.execute(f"INSERT INTO public.{table} TABLE kept.{table}")
        await connection.execute("SELECT setval('actor_numbers', 1000)")


async def tables(connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    """All tables of the installation."""
    sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    return [row[0] for row in await connection.fetch(sql)]


async def damage(database_url: str, sql: str) -> None:
    """Do what no server does, and see to it that it did something."""
    async with database(database_url) as connection:
        for each in sql.format(TEA=TEA, COFFEE=COFFEE, PRODUCT=PRODUCT, KEY=KEY).split(";"):
            assert (await connection.execute(each)).split()[-1] != "0", each


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_nothing_is_wrong_where_nothing_was_changed(url: str) -> None:
    assert await faults(url) == []


@pytest.mark.parametrize("what", JOURNAL)
async def test_a_damaged_journal_is_named_and_nothing_is_made_of_it(url: str, what: str) -> None:
    expected = JOURNAL[what].faults
    await damage(url, JOURNAL[what].sql)

    found = await faults(url, repair=True)

    assert sorted(map(Said.by, found)) == sorted(expected)
    assert not any(fault.repaired for fault in found)
    assert await faults(url) == found


@pytest.mark.parametrize("what", TABLES)
async def test_tables_that_do_not_fit_are_named(url: str, what: str) -> None:
    expected = TABLES[what].faults
    await damage(url, TABLES[what].sql)

    found = sorted(map(Said.by, await faults(url)))

    if not expected:
        assert {(said.kind, said.actor) for said in found} == {("wrong_actor", "main/cocoa")}
    else:
        assert found == sorted(expected)


@pytest.mark.parametrize("what", DERIVED)
async def test_what_is_derived_and_wrong_is_named_and_made_again(url: str, what: str) -> None:
    expected = DERIVED[what].faults
    before = await contents(url)
    await damage(url, DERIVED[what].sql)

    found = await faults(url)
    assert found
    if expected:
        assert sorted(map(Said.by, found)) == sorted(expected)

    mended = await faults(url, repair=True)
    assert list(map(Said.by, mended)) == list(map(Said.by, found))
    assert all(fault.repaired for fault in mended)
    assert await faults(url) == []
    assert await contents(url) == before


async def contents(database_url: str) -> dict[str, list[object]]:
    """Everything that is derived, but for snapshots."""
    columns = {
        "orders": "to_jsonb(orders)",
        "stocks": "to_jsonb(stocks)",
        "balances": "to_jsonb(balances)",
        "quarantined_projections": "actor_id",
        "actors": "to_jsonb(actors)",
    }
    async with database(database_url) as connection:
        return {
            table: [
                row[0] for row in await connection.fetch(f"SELECT {what} FROM {table} ORDER BY 1")
            ]
            for table, what in columns.items()
        }
