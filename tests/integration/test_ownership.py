"""Ownership in PostgreSQL: what locks, frozen processes, lost answers and long lives do to it."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio

from allocator.domain.ids import SHARDS
from allocator.errors import JournalError
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import Ownership, fence_all
from allocator.persistence.statements import statement
from tests.integration.serving import HANG_S
from tests.integration.shop import database, until

CHECKOUT = Path(__file__).parents[2]
ALL = frozenset(range(SHARDS))
PATIENCE_MS = 60_000

CLAIMER = """
import asyncio, sys
from allocator.persistence.connections import open_pool
from allocator.persistence.ownership import Ownership

async def main():
    pool = await open_pool(sys.argv[1], size=4)
    ownership = Ownership(pool, name="", server="frozen", address="", dead_after_ms=60_000)
    await ownership.renew()
    print(flush=True)
    sys.stdin.readline()
    await ownership.claim()

asyncio.run(main())
"""
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND datname = current_database()
"""
UNFENCED = "SELECT incarnation FROM workers WHERE NOT fenced"
OWNERS = "SELECT DISTINCT incarnation FROM shards"


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections to a database without any worker."""
    async with database(database_url) as connection:
        await migrate(connection)
    opened = await open_pool(database_url, size=8)
    yield opened
    opened.terminate()


def ownership_on(pool: Pool, *, server: str = "ours") -> Ownership:
    return Ownership(pool, name="test", server=server, address="", dead_after_ms=PATIENCE_MS)


async def values(pool: Pool, sql: str) -> list[object]:
    return [row[0] for row in await pool.fetch(sql)]


async def waits_for_a_lock(pool: Pool, *, how_many: int = 1) -> bool:
    return bool(await pool.fetchval(WAITING) >= how_many)


async def test_a_process_that_freezes_in_a_claim_does_not_stop_the_others(
    pool: Pool, database_url: str
) -> None:
    """It holds the lock with which claims take turns, and cannot be asked for it."""
    ours = ownership_on(pool)
    await ours.renew()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLAIMER, database_url), cwd=CHECKOUT, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        async with database(database_url) as blocking, blocking.transaction():
            await blocking.execute("LOCK TABLE shards IN EXCLUSIVE MODE")
            process.stdin.write(b"\n")
            await until(lambda: waits_for_a_lock(pool))
            os.kill(process.pid, signal.SIGSTOP)

        assert await asyncio.wait_for(ours.claim(), HANG_S) == ALL
    finally:
        process.kill()
        await process.communicate()


async def test_a_renewal_fences_what_one_before_it_opened_while_it_waited(
    pool: Pool, database_url: str
) -> None:
    """The answer of the first was lost, its commit was not: what it opened is nobody's."""
    first, lost, third = uuid4(), uuid4(), uuid4()
    rest = ("test", "ours", "")
    async with database(database_url) as one, database(database_url) as other:
        await one.execute(statement("open_incarnation"), first, *rest, [], None)
        await one.execute("UPDATE shards SET incarnation = $1", first)
        transaction = one.transaction()
        await transaction.start()
        await one.execute(statement("fence_self"), [first])
        await one.execute(statement("open_incarnation"), lost, *rest, [first], None)
        async with other.transaction():
            fencing = asyncio.create_task(other.execute(statement("fence_self"), [first, lost]))
            await until(lambda: waits_for_a_lock(pool))
            await transaction.commit()
            await fencing
            kept = await other.fetch(
                statement("open_incarnation"), third, *rest, [first, lost], None
            )

    assert {row["id"] for row in kept} == ALL
    assert await values(pool, UNFENCED) == [third]
    assert await values(pool, OWNERS) == [third]


async def test_a_claim_passes_over_shards_that_a_renewal_is_moving(
    pool: Pool, database_url: str
) -> None:
    ours = ownership_on(pool)
    incarnation, _ = await ours.renew()
    async with database(database_url) as moving, moving.transaction():
        await moving.execute("SELECT FROM shards WHERE id < 100 FOR UPDATE")

        assert await asyncio.wait_for(ours.claim(), HANG_S) == ALL - frozenset(range(100))

    assert await ours.claim() == ALL
    assert await values(pool, OWNERS) == [incarnation]


async def test_of_servers_that_claim_at_once_one_gets_something(
    pool: Pool, database_url: str
) -> None:
    workers = {server: [ownership_on(pool, server=server) for _ in range(2)] for server in "ab"}
    everyone = [each for peers in workers.values() for each in peers]
    for each in everyone:
        await each.renew()
    async with database(database_url) as blocking, blocking.transaction():
        await blocking.execute("LOCK TABLE workers IN SHARE MODE")
        claiming = asyncio.gather(*(each.claim() for each in everyone))
        await until(lambda: waits_for_a_lock(pool, how_many=len(everyone)))
    await claiming
    shares = {
        server: frozenset().union(*[await each.claim() for each in peers])
        for server, peers in workers.items()
    }

    assert sorted(map(len, shares.values())) == [0, SHARDS]


async def test_whoever_resigns_owns_nothing_any_more(pool: Pool) -> None:
    ours = ownership_on(pool)
    await ours.renew()
    await ours.claim()
    await ours.resign()

    assert await values(pool, OWNERS) == [None]
    assert await values(pool, UNFENCED) == []


async def test_incarnations_long_gone_are_forgotten_a_few_at_a_time(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO workers (incarnation, name, started_at, fenced)"
        " SELECT gen_random_uuid(), 'gone', now() - interval '61 minutes', true"
        " FROM generate_series(1, 150)"
    )
    await pool.execute("INSERT INTO heartbeats SELECT incarnation FROM workers")
    recent, old = uuid4(), uuid4()
    for each, minutes, fenced in ((recent, 59, True), (old, 61, False)):
        await pool.execute(
            "INSERT INTO workers (incarnation, name, server, started_at, fenced)"
            " VALUES ($1, 'kept', 'ours', now() - $2 * interval '1 minute', $3)",
            *(each, minutes, fenced),
        )
        await pool.execute("INSERT INTO heartbeats VALUES ($1)", each)
    ours = ownership_on(pool)
    incarnation, _ = await ours.renew()
    left = []
    for _ in range(3):
        await ours.claim()
        left.append(await pool.fetchval("SELECT count(*) FROM workers"))

    assert left == [53, 3, 3]
    assert set(await values(pool, "SELECT incarnation FROM workers")) == {incarnation, recent, old}
    assert await pool.fetchval("SELECT count(*) FROM heartbeats") == 3


async def test_whoever_was_forgotten_is_as_good_as_fenced(pool: Pool) -> None:
    forgotten, heir = ownership_on(pool), ownership_on(pool)
    await forgotten.renew()
    former, _ = await forgotten.renew()
    await heir.renew()
    await heir.claim(dead=[str(former)])
    await pool.execute("UPDATE workers SET started_at = now() - interval '2 hours'")
    await heir.claim()

    assert former not in await values(pool, "SELECT incarnation FROM workers")
    assert not await forgotten.beat()
    assert await forgotten.claim() == frozenset()
    renewed, shards = await forgotten.renew()
    assert shards == frozenset()
    assert renewed in await values(pool, UNFENCED)


async def test_fencing_all_ends_the_sessions_that_the_dead_left_behind(
    pool: Pool, database_url: str
) -> None:
    ours, theirs = ownership_on(pool), ownership_on(pool, server="theirs")
    for each in (ours, theirs):
        await each.renew()
    incarnation, _ = await ours.renew()
    await ours.claim()
    stuck = await connect(database_url, application_name=str(incarnation))
    await stuck.execute("BEGIN; SELECT FROM workers FOR SHARE")
    async with database(database_url) as connection:
        await asyncio.wait_for(fence_all(connection), HANG_S)

    assert await values(pool, UNFENCED) == []
    assert await values(pool, OWNERS) == [None]
    assert not await ours.beat()
    await until(lambda: is_closed(stuck))
    await ours.renew()
    assert await ours.claim() == ALL


async def is_closed(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return connection.is_closed()


async def test_fencing_all_without_a_database_says_so(pool: Pool, database_url: str) -> None:
    connection = await connect(database_url, application_name="test")
    connection.terminate()

    with pytest.raises(JournalError, match="fence all"):
        await fence_all(connection)

    assert await values(pool, UNFENCED) == []


async def test_an_incarnation_is_named_in_full(pool: Pool) -> None:
    """A survey, and whoever names the dead by it, mean the very same."""
    ours = ownership_on(pool)
    incarnation, _ = await ours.renew()
    [peer] = (await ours.survey()).peers

    assert UUID(peer.incarnation) == incarnation
