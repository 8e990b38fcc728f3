"""The tail's contract: every row, once settled, in one order, from any position on."""

import asyncio
import random

import asyncpg
import pytest

from allocator.domain.positions import START, Position
from allocator.errors import UsageError
from allocator.persistence.connections import connect
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.installation import find_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.tail import Entry, Tail, Wanted, open_tail
from tests.builders import HOUR_MS, NOW_MS
from tests.integration.shop import database, until
from tests.integration.tails import (
    FAR,
    MAIN,
    MUG,
    TEA,
    TEA_ITSELF,
    journal_in,
    rows_of,
    settled,
    told,
    write,
    write_long_ago,
)

FOREVER_XID = 1 << 40
OWN_PID = "SELECT pg_backend_pid()"


async def test_rows_are_told_in_the_order_of_their_commits_then_by_actor_and_seq(
    database_url: str,
) -> None:
    async with journal_in(database_url) as tail, database(database_url) as writer:
        await write(writer, (MUG, 2), (TEA, 1), (MUG, 1))
        await write(writer, (FAR, 1))
        await write(writer, (TEA, 3), (TEA, 2))
        entries = await settled(tail, 6)

        assert rows_of(entries) == [(TEA, 1), (MUG, 1), (MUG, 2), (FAR, 1), (TEA, 2), (TEA, 3)]
        positions = [entry.position for entry in entries]
        assert positions == sorted(positions)
        assert entries[0].record.at_ms == NOW_MS


async def test_reading_goes_on_behind_any_row_in_steps_of_any_size(database_url: str) -> None:
    async with journal_in(database_url) as tail, database(database_url) as writer:
        for seq in range(1, 8, 3):
            await write(writer, *((actor, seq + n) for actor in (TEA, MUG) for n in range(3)))
        entries = await settled(tail, 18)

        for place, entry in enumerate(entries, start=1):
            for rows in (1, 2, 5, 18):
                assert await told(tail, entry.position, rows=rows) == entries[place:]


async def test_a_chunk_tells_how_far_it_has_looked_though_nothing_in_it_was_wanted(
    database_url: str,
) -> None:
    async with journal_in(database_url) as tail, database(database_url) as writer:
        await write(writer, *((TEA, seq) for seq in range(1, 6)))
        entries = await settled(tail, 5)
        chunks = [chunk async for chunk in tail.chunks(START, wanted=Wanted(kinds=("x",)), rows=2)]

        assert [list(chunk.entries) for chunk in chunks] == [[], [], []]
        assert [chunk.reached for chunk in chunks] == [
            entries[place].position for place in (1, 3, 4)
        ]


async def test_what_an_older_transaction_may_yet_precede_waits_for_it(database_url: str) -> None:
    async with (
        journal_in(database_url) as tail,
        database(database_url) as older,
        database(database_url) as newer,
    ):
        await write(newer, (TEA, 1))
        await settled(tail, 1)
        transaction = older.transaction()
        await transaction.start()
        await write(older, (MUG, 1))
        await write(newer, (TEA, 2))

        assert rows_of(await told(tail)) == [(TEA, 1)]
        held_back = await tail.held_back()
        assert held_back is not None
        assert (held_back.events, held_back.pid) == (1, await older.fetchval(OWN_PID))

        await transaction.commit()
        assert rows_of(await settled(tail, 3)) == [(TEA, 1), (MUG, 1), (TEA, 2)]
        assert await tail.held_back() is None


async def test_a_transaction_of_another_database_is_waited_for_and_named(
    database_url: str, postgres: EmbeddedPostgres
) -> None:
    async with (
        journal_in(database_url) as tail,
        database(postgres.dsn) as elsewhere,
        database(database_url) as writer,
    ):
        async with elsewhere.transaction():
            await elsewhere.execute("SET application_name = 'a report'")
            await elsewhere.execute("SELECT pg_current_xact_id()")
            await write(writer, (TEA, 1))

            assert await told(tail) == []
            held_back = await tail.held_back()
            assert held_back is not None
            assert held_back.pid == await elsewhere.fetchval(OWN_PID)
            assert (held_back.database, held_back.application) == ("allocator", "a report")
            assert held_back.lasted_ms is not None
        await settled(tail, 1)


async def test_a_transaction_that_was_rolled_back_is_not_told(database_url: str) -> None:
    async with journal_in(database_url) as tail, database(database_url) as writer:
        transaction = writer.transaction()
        await transaction.start()
        await write(writer, (TEA, 1))
        await transaction.rollback()
        await write(writer, (TEA, 1), (TEA, 2))

        assert rows_of(await settled(tail, 2)) == [(TEA, 1), (TEA, 2)]


async def test_of_writers_that_overlap_at_random_a_reader_misses_nothing(
    database_url: str,
) -> None:
    dice = random.Random(5)
    lengths = [[dice.random() / 50 for _ in range(15)] for _ in range(6)]

    async def write_all(actor: int, lengths: list[float]) -> None:
        async with database(database_url) as writer:
            for turn, length in enumerate(lengths):
                async with writer.transaction():
                    await write(writer, (actor, 2 * turn + 1))
                    await asyncio.sleep(length)  # not a wait: how long it is open
                    await write(writer, (actor, 2 * turn + 2))

    async with journal_in(database_url) as tail:
        writing = asyncio.gather(
            *(write_all(number << 8, each) for number, each in enumerate(lengths, start=1))
        )
        found: list[Entry] = []
        reached = START

        async def read_on() -> bool:
            nonlocal reached
            done = writing.done()
            async for chunk in tail.chunks(reached, rows=4):
                found.extend(chunk.entries)
                reached = chunk.reached
            return done and len(found) >= 6 * 30

        await until(read_on)
        await writing

        assert found == await told(tail)
        assert sorted(rows_of(found)) == [
            (number << 8, seq) for number in range(1, 7) for seq in range(1, 31)
        ]


async def test_former_eras_come_first_and_are_complete_whatever_is_running(
    database_url: str,
) -> None:
    await _start_in_another_cluster(database_url)
    await write_long_ago(database_url, (TEA, 1), era=1, xid=FOREVER_XID)
    await write_long_ago(database_url, (MUG, 1), era=1, xid=7)
    async with open_tail(database_url, name="test") as tail, database(database_url) as writer:
        await write(writer, (TEA, 2), era=2)
        await settled(tail, 3)
        async with writer.transaction():
            await writer.execute("SELECT pg_current_xact_id()")

            assert rows_of(await told(tail)) == [(MUG, 1), (TEA, 1), (TEA, 2)]
            [last] = await told(tail, Position(1, FOREVER_XID, TEA, 1))
            assert (last.era, last.record.seq) == (2, 2)


async def test_a_journal_that_moved_and_was_not_started_yet_is_complete(
    database_url: str,
) -> None:
    async with journal_in(database_url):
        pass
    await write_long_ago(database_url, (TEA, 1), era=1, xid=FOREVER_XID)
    async with database(database_url) as connection:
        await connection.execute("UPDATE installation SET system_identifier = 1")

    async with open_tail(database_url, name="test") as tail:
        assert rows_of(await told(tail)) == [(TEA, 1)]
    async with database(database_url) as connection:
        assert await connection.fetchval("SELECT era FROM installation") == 1


async def _start_in_another_cluster(database_url: str) -> None:
    """Have the present era be the second."""
    async with journal_in(database_url):
        pass
    async with database(database_url) as connection:
        await connection.execute("UPDATE installation SET era = 2")


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Wanted(), [(TEA, 1), (MUG, 1), (FAR, 1), (MAIN, 1), (TEA_ITSELF, 1)]),
        (Wanted(warehouse="main", product="tea"), [(TEA, 1)]),
        (Wanted(warehouse="main"), [(TEA, 1), (MUG, 1), (MAIN, 1)]),
        (Wanted(product="tea"), [(TEA, 1), (FAR, 1), (TEA_ITSELF, 1)]),
        (Wanted(product="nothing"), []),
        (Wanted(kinds=("order_placed", "lot_expired")), [(TEA, 1), (FAR, 1)]),
        (Wanted(since_ms=NOW_MS + 2), [(FAR, 1), (MAIN, 1), (TEA_ITSELF, 1)]),
        (Wanted(product="tea", kinds=("lot_expired",), since_ms=NOW_MS + 1), [(FAR, 1)]),
    ],
)
async def test_only_what_is_wanted_is_told(
    database_url: str, wanted: Wanted, rows: list[tuple[int, int]]
) -> None:
    async with journal_in(database_url) as tail, database(database_url) as writer:
        kinds = ["order_placed", "stock_received", "lot_expired", "warehouse_put", "product_put"]
        actors = [TEA, MUG, FAR, MAIN, TEA_ITSELF]
        for turn, (actor, kind) in enumerate(zip(actors, kinds, strict=True)):
            await write(writer, (actor, 1), kind=kind, at_ms=NOW_MS + turn)
        await settled(tail, 5)

        assert rows_of(await told(tail, wanted=wanted)) == rows


async def test_the_last_rows_are_found_from_the_end(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allocator.persistence.tail._LOOK_BACK_ROWS", 3)
    async with journal_in(database_url) as tail, database(database_url) as writer:
        for seq in range(1, 8):
            await write(writer, (TEA, seq), (MUG, seq))
        entries = await settled(tail, 14)

        for count in range(14):
            assert await _last(tail, count) == entries[14 - count :]
        assert await tail.before_last(15) == START
        mugs = Wanted(product="mug")
        assert rows_of(await told(tail, await tail.before_last(2, wanted=mugs), wanted=mugs)) == [
            (MUG, 6),
            (MUG, 7),
        ]
        assert await tail.before_last(1, wanted=Wanted(product="nothing")) == START


async def _last(tail: Tail, count: int) -> list[object]:
    return [*await told(tail, await tail.before_last(count))]


async def test_a_time_is_found_in_any_era(database_url: str) -> None:
    await _start_in_another_cluster(database_url)
    for hour in range(5):
        await write_long_ago(database_url, (TEA, hour + 1), era=1, xid=FOREVER_XID + hour)
    async with open_tail(database_url, name="test") as tail, database(database_url) as writer:
        await writer.execute("UPDATE journal SET at = at + seq * interval '1 hour'")
        for hour in range(6, 21):
            await write(writer, (TEA, hour), era=2, at_ms=NOW_MS + hour * HOUR_MS)
        await settled(tail, 20)

        for hour in range(21):
            after = await tail.before_time(NOW_MS + hour * HOUR_MS)
            assert rows_of(await told(tail, after)) == [
                (TEA, seq) for seq in range(max(hour, 1), 21)
            ]
        late = await tail.before_time(NOW_MS + 100 * HOUR_MS)
        assert await told(tail, late) == []
        await write(writer, (TEA, 21), era=2)
        await settled(tail, 21)
        assert rows_of(await told(tail, late)) == [(TEA, 21)]


async def test_a_clock_that_is_half_a_minute_behind_hides_nothing(database_url: str) -> None:
    async with journal_in(database_url) as tail, database(database_url) as writer:
        await write(writer, (TEA, 1), at_ms=NOW_MS - HOUR_MS)
        await write(writer, (TEA, 2), at_ms=NOW_MS)
        for seq in range(1, 51):
            await write(writer, (MUG, seq), at_ms=NOW_MS - HOUR_MS // 120)
        await write(writer, (TEA, 3), at_ms=NOW_MS + 1)
        await settled(tail, 53)
        after = await tail.before_time(NOW_MS)

        wanted = Wanted(since_ms=NOW_MS)
        assert rows_of(await told(tail, after, wanted=wanted)) == [(TEA, 2), (TEA, 3)]


async def test_rows_that_wait_are_not_read_again_at_every_look(database_url: str) -> None:
    """The index ends where the settled rows do."""
    async with (
        journal_in(database_url),
        database(database_url) as older,
        database(database_url) as writer,
        older.transaction(),
    ):
        await older.execute("SELECT pg_current_xact_id()")
        await write(writer, *((TEA, seq) for seq in range(1, 20_001)))
        before = await _rows_read(writer)
        reading = await connect(database_url, application_name="test")
        tail = Tail(reading, await find_installation(reading))
        for _ in range(10):
            assert await told(tail) == []
        await _rows_read(reading)
        reading.terminate()

        assert await _rows_read(writer) - before < 20_000


async def _rows_read(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """How many rows of the journal were read, by this session and all that have said so."""
    sql = """
    SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'journal'
    """
    await connection.execute("SELECT pg_stat_force_next_flush()")
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return int(await connection.fetchval(sql))


async def test_where_nothing_was_ever_stored_there_is_no_tail(database_url: str) -> None:
    with pytest.raises(UsageError, match="nothing is stored in this database yet"):
        async with open_tail(database_url, name="test"):
            pass
    connection = await connect(database_url, application_name="test")
    await migrate(connection)

    with pytest.raises(UsageError, match="nothing is stored"):
        await find_installation(connection)
    connection.terminate()
