"""Whatever is changed behind the server's back is found and named, and mended where it can be."""

from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest
import pytest_asyncio

from allocator.errors import JournalError
from allocator.persistence import rebuilding, windows
from tests.integration.damages import DERIVED, JOURNAL, TABLES, tea
from tests.integration.shop import database
from tests.integration.verifying import Said, contents, faults, fill

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
            await connection.execute(
                f"INSERT INTO public.{table} OVERRIDING SYSTEM VALUE TABLE kept.{table}"
            )
        await connection.execute("SELECT setval('actor_numbers', 100000)")


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

    found = await faults(url, repair=True)

    assert found
    if expected:
        assert sorted(map(Said.by, found)) == sorted(expected)
    assert all(fault.repaired for fault in found)
    assert await faults(url) == []
    assert await contents(url) == before


@pytest.mark.parametrize("what", [name for name in DERIVED if "ticket option" in name])
async def test_a_ticket_option_is_held_to_the_event_that_opened_it(url: str, what: str) -> None:
    await damage(url, DERIVED[what].sql)

    found = [(fault.kind, fault.table, fault.seq) for fault in await faults(url)]

    assert found == [("ticket_option", "ticket_options", 1)]


SMALL = (
    "an order ended at another time",
    "a used-up stock is there again",
    "a snapshot is another state, with its digest",
    "everything that is derived is gone",
)


@pytest.mark.parametrize("what", SMALL)
async def test_windows_of_any_size_show_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await damage(url, DERIVED[what].sql)
    found = await faults(url)

    monkeypatch.setattr(windows, "WINDOW_ROWS", 2)
    monkeypatch.setattr(windows, "LARGE_STATE_BYTES", 10)

    assert sorted(map(Said.by, await faults(url))) == sorted(map(Said.by, found))
    assert all(fault.repaired for fault in await faults(url, repair=True))
    assert await faults(url) == []


async def test_a_pool_that_is_rebuilt_in_many_parts_is_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await contents(url)
    await damage(url, DERIVED["everything that is derived is gone"].sql)
    monkeypatch.setattr(rebuilding, "_ROWS", 1)

    await faults(url, repair=True)

    assert await contents(url) == before


async def test_what_is_passed_while_a_pool_is_rebuilt_is_added_in_parts(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await contents(url)
    await damage(url, DERIVED["everything that is derived is gone"].sql)
    begin = rebuilding.Rebuilding._begin  # noqa: SLF001

    async def begin_early(each: rebuilding.Rebuilding, actor_id: int) -> object:
        position = await begin(each, actor_id)
        return msgspec.structs.replace(position, era=0)

    monkeypatch.setattr(rebuilding, "_ROWS", 1)
    monkeypatch.setattr(rebuilding.Rebuilding, "_begin", begin_early)
    await faults(url, repair=True)

    assert await contents(url) == before


async def test_an_interrupted_repair_is_named_and_goes_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await contents(url)
    await damage(url, DERIVED["an order is gone"].sql)

    async def killed(*_: object) -> bool:
        raise JournalError

    with monkeypatch.context() as during:
        during.setattr(rebuilding.Rebuilding, "_end", killed)
        with pytest.raises(JournalError):
            await faults(url, repair=True)

    assert tea("quarantine", "quarantined_projections") in map(Said.by, await faults(url))
    await faults(url, repair=True)
    assert await contents(url) == before


async def test_read_models_that_are_behind_are_no_fault(url: str) -> None:
    await damage(
        url,
        "UPDATE projections SET era = 0, xid = '0';DELETE FROM orders;DELETE FROM stocks;"
        "DELETE FROM balances;DELETE FROM ticket_options",
    )

    assert await faults(url) == []
