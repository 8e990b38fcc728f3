"""Of all that could lead, one does; and another when its session or its process ends."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from allocator.errors import JournalError
from allocator.persistence.connections import connect
from allocator.persistence.leadership import Role, lead
from tests.integration.serving import HANG_S
from tests.integration.shop import database, opened, until

CHECKOUT = Path(__file__).parents[2]
EVENTS = 3
LEADERS = """
SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name = 'allocator folding'
  AND datname = current_database()
"""
SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'allocator folding' AND datname = current_database()
"""
SNAPSHOTS = "SELECT count(*) FROM snapshots"


@asynccontextmanager
async def folding(database_url: str) -> AsyncIterator[Process]:
    """A folding process, killed in the end unless it has ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "allocator.persistence.folding", str(EVENTS), "warning"),
        stdin=PIPE,
        stdout=DEVNULL,
        cwd=CHECKOUT,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(f"{database_url}\n".encode())
        yield process
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def trade(database_url: str) -> None:
    """Have so many events that a snapshot is due, and leave no server behind."""
    async with opened(database_url) as shop:
        await shop.received(quantity=EVENTS)
        for _ in range(EVENTS):
            await shop.placed()
        await shop.projected()


async def test_when_the_process_that_folds_is_killed_another_folds(database_url: str) -> None:
    """N16, Q7."""
    await trade(database_url)
    async with database(database_url) as looking:

        async def yields(sql: str, number: int) -> bool:
            return bool(await looking.fetchval(sql) == number)

        async def folded() -> bool:
            return await yields(SNAPSHOTS, 1)

        await looking.execute("DELETE FROM snapshots")
        async with folding(database_url) as first:
            await until(folded)
            [leader] = await looking.fetch(LEADERS)
            async with folding(database_url):
                await until(lambda: yields(SESSIONS, 2))
                assert await looking.fetch(LEADERS) == [leader]

                first.kill()
                await first.wait()
                await looking.execute("DELETE FROM snapshots")
                await until(folded)

                [heir] = await looking.fetch(LEADERS)
                assert heir != leader


async def test_a_folding_process_whose_session_ended_waits_for_its_turn_again(
    database_url: str,
) -> None:
    await trade(database_url)
    async with database(database_url) as looking, folding(database_url):
        led: list[object] = []

        async def led_by_a_new_session() -> bool:
            return await looking.fetch(LEADERS) not in ([], led)

        await until(led_by_a_new_session)
        led = list(await looking.fetch(LEADERS))
        await looking.execute(f"SELECT pg_terminate_backend(pid) FROM ({LEADERS}) AS leader")
        await until(led_by_a_new_session)

        assert await looking.fetchval(SESSIONS) == 1


async def test_one_session_plays_a_role_until_it_ends(database_url: str) -> None:
    first, second = [await connect(database_url, application_name="test") for _ in range(2)]
    await lead(first, Role.FOLDING)
    await lead(second, Role.PROJECTION)
    waiting = asyncio.create_task(lead(second, Role.FOLDING))
    async with database(database_url) as looking:

        async def has_been_refused() -> bool:
            asked = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle' AND query LIKE $1"
            return bool(await looking.fetchval(f"{asked} AND pid = {second_pid}", "%try_advisory%"))

        second_pid = second.get_server_pid()
        await until(has_been_refused)
        assert not waiting.done()

        first.terminate()
        await asyncio.wait_for(waiting, HANG_S)
    second.terminate()


async def test_whoever_waits_hears_that_the_database_has_gone(database_url: str) -> None:
    connection = await connect(database_url, application_name="test")
    connection.terminate()

    with pytest.raises(JournalError, match="projection"):
        await lead(connection, Role.PROJECTION)
