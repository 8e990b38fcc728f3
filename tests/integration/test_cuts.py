"""Cuts: recorded while something is committed, thinned with age, and found by time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from allocator.persistence.connections import Connection, connect
from allocator.persistence.cuts import cut_at, first_cut, record, settled, thin
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate

DAY_MS = 86_400_000


@asynccontextmanager
async def prepared(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url, application_name="test")
    try:
        await migrate(connection)
        await open_installation(connection)
        yield connection
    finally:
        connection.terminate()


async def happen(connection: Connection, seq: int) -> None:
    """Commit a row, whatever it says."""
    await connection.execute(
        """INSERT INTO journal (actor_id, seq, at, era, version, kind, digest, body)
           VALUES (256, $1, now(), (SELECT era FROM installation), 1, 'any', '', '{}')""",
        seq,
    )


async def recorded(connection: Connection) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM cuts"))


async def test_a_cut_is_recorded_only_if_something_was_committed_since_the_last(
    database_url: str,
) -> None:
    async with prepared(database_url) as connection:
        before_everything = await record(connection)
        await happen(connection, 1)
        first = await record(connection)
        again = await record(connection)
        await happen(connection, 2)
        second = await record(connection)

        assert (before_everything, first, again, second) == (False, True, False, True)
        assert await recorded(connection) == 2


async def test_a_cut_leaves_out_what_an_older_transaction_may_yet_precede(
    database_url: str,
) -> None:
    async with prepared(database_url) as connection, prepared(database_url) as other:
        await happen(connection, 1)
        async with other.transaction():
            oldest = int(await other.fetchval("SELECT pg_current_xact_id()::text"))
            await happen(connection, 2)
            await record(connection)

            cut = await settled(connection)
            last = await cut_at(connection, cut.at_ms or 0)

        assert cut.xid == oldest
        assert last is not None
        assert (last.era, last.xid) == (cut.era, oldest)


async def test_a_new_era_begins_with_a_cut_of_its_own(database_url: str) -> None:
    async with prepared(database_url) as connection:
        await happen(connection, 1)
        await record(connection)
        await connection.execute("UPDATE installation SET era = era + 1")
        nothing_yet = await record(connection)
        await happen(connection, 2)

        assert not nothing_yet
        assert await record(connection)


async def test_a_clock_that_went_back_records_nothing_until_it_has_caught_up(
    database_url: str,
) -> None:
    async with prepared(database_url) as connection:
        await happen(connection, 1)
        await record(connection)
        await connection.execute("UPDATE cuts SET at = at + interval '1 hour'")
        await happen(connection, 2)

        assert not await record(connection)
        assert await recorded(connection) == 1


async def test_the_newest_cut_at_or_before_a_time_is_found(database_url: str) -> None:
    async with prepared(database_url) as connection:
        await connection.execute(
            """INSERT INTO cuts VALUES ('2026-11-21T10:00:00Z', 1, '100'),
                                       ('2026-11-21T10:00:01Z', 1, '200')"""
        )
        ten_ms = int(await connection.fetchval("SELECT extract(epoch FROM min(at))::bigint * 1000 "
                                               "FROM cuts"))  # fmt: skip

        found = [await cut_at(connection, ten_ms + offset) for offset in (-1, 0, 999, 1000)]
        oldest = await first_cut(connection)

        assert [cut and cut.xid for cut in found] == [None, 100, 100, 200]
        assert oldest == found[1]


@pytest.mark.parametrize(
    ("days", "kept"), [(1, 7_200), (8, 121), (91, 3)], ids=["a day", "a week", "a quarter"]
)
async def test_older_cuts_are_kept_more_sparsely(database_url: str, days: int, kept: int) -> None:
    async with prepared(database_url) as connection:
        await connection.execute(
            """INSERT INTO cuts
               SELECT date_trunc('hour', now()) - $1 * interval '1 day' + n * interval '1 second',
                      1, n::text::xid8 FROM generate_series(1, 7200) AS n""",
            days,
        )
        newest = await connection.fetchval("SELECT max(at) FROM cuts")

        await thin(connection)

        assert await recorded(connection) == kept
        assert await connection.fetchval("SELECT max(at) FROM cuts") == newest
