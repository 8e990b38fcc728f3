"""PostgreSQL goes away in the middle: clients hear 503, and the truth once it is back."""

import asyncio
from pathlib import Path

import pytest

from allocator.persistence.embedded import EmbeddedPostgres
from tests.integration.crowd import crowd, promised
from tests.integration.embedded_support import kill, postmaster_of
from tests.integration.serving import Server, problem_of, serving, until
from tests.integration.truth import appends_held, books_of, check, query

STOCK = {"hot": 100_000, "warm": 300, "scarce": 20}
PROMPT_S = 9.0
"""Even in trouble an answer comes within this; a slow machine is allowed for."""

TERMINATE_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

TERMINATE_APPEND = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '-- Append a batch of rows%'
  AND datname = current_database() AND pid <> pg_backend_pid()
"""


async def assert_it_keeps_its_head(server: Server) -> None:
    """Without its database it says so, at once, in the way that lets a client repeat."""
    answers = [await server.order("hot"), await server.order("hot", key="of nobody else")]
    answers.append(await server.ask("GET", "/stock-balances/main/hot"))
    answers.append(await server.ask("GET", "/readyz"))
    assert all(answer.is_unavailable for answer in answers), answers
    assert max(answer.took_s for answer in answers) < PROMPT_S
    assert (await server.ask("GET", "/healthz")).status == 200


async def test_a_server_whose_database_is_not_there_says_so_and_ends_with_1(
    tmp_path: Path,
) -> None:
    """2 is for what the operator has to change."""
    log = tmp_path / "log"
    server = Server("--database-url", "postgresql://postgres@127.0.0.1:1/none", log=log)
    with pytest.raises(AssertionError, match="cannot connect to PostgreSQL"):
        await server.start()

    assert await server.exit_code() == 1
    assert len(log.read_text().splitlines()) == 1
    await server.close()


async def test_terminated_connections_cost_repeats_and_nothing_else(
    database_url: str, tmp_path: Path
) -> None:
    """C13, Q1, Q3."""
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told:
            for _ in range(5):
                await promised(told, more=100)
                await query(database_url, TERMINATE_ALL)
            await promised(told, more=100)

        await check(server, database_url, told)
        assert told.unavailable > 0
        assert told.lost == 0
        assert told.slowest_s < PROMPT_S


async def test_an_append_whose_connection_is_terminated_is_unknown_and_never_half_done(
    database_url: str, tmp_path: Path
) -> None:
    """C13."""

    async def terminated() -> bool:
        return bool(await query(database_url, TERMINATE_APPEND))

    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        async with appends_held(database_url):
            asked = asyncio.create_task(server.order("tea", 4, key="one"))
            await until(terminated)
            answer = await asked
            assert answer.is_unavailable
            assert "unknown" in problem_of(answer).detail
        await until(server.is_ready)

        assert (await server.balance("tea")).available == 10
        await server.placed("tea", 4, key="one")
        await server.placed("tea", 4, key="one")
        assert (await server.balance("tea")).available == 6


async def test_a_commit_that_no_standby_confirmed_is_unknown_though_it_is_no_error(
    data_dir: Path, tmp_path: Path
) -> None:
    """C13: PostgreSQL only warns when the wait for a synchronous standby is given up."""
    give_up = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with EmbeddedPostgres(data_dir) as database:
        dsn = database.dsn

        async def given_up() -> bool:
            return bool(await query(dsn, give_up))

        async with serving("--database-url", dsn, log=tmp_path / "log") as server:
            await server.open_shop(tea=10)
            await query(dsn, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            await query(dsn, "SELECT pg_reload_conf()")
            asked = asyncio.create_task(server.order("tea", 4, key="one"))
            await until(lambda: asked.done() or given_up())
            answer = await asked
            await query(dsn, "ALTER SYSTEM RESET synchronous_standby_names")
            await query(dsn, "SELECT pg_reload_conf()")
            await until(server.is_ready)

            assert answer.is_unavailable
            assert "unknown" in problem_of(answer).detail
            assert (await books_of(dsn))["tea"].ordered == 4
            await server.placed("tea", 4, key="one")
            assert (await server.balance("tea")).available == 6


async def test_a_database_that_is_stopped_and_started_again_is_served_again(
    data_dir: Path, tmp_path: Path
) -> None:
    """C13, Q1, Q3, Q7."""
    with EmbeddedPostgres(data_dir) as database:
        async with serving("--database-url", database.dsn, log=tmp_path / "log") as server:
            await server.open_shop(**STOCK)
            async with crowd(server, *STOCK) as told:
                for _ in range(2):
                    await promised(told, more=100)
                    await asyncio.to_thread(database.stop)
                    await assert_it_keeps_its_head(server)
                    await asyncio.to_thread(database.start)
                    await until(server.is_ready)
                await promised(told, more=100)

            await check(server, database.dsn, told)
            assert told.unavailable > 0
            assert told.lost == 0
            assert told.slowest_s < PROMPT_S


async def test_a_killed_postgresql_of_its_own_is_started_again_by_the_server(
    data_dir: Path, tmp_path: Path
) -> None:
    """C13, Q1, Q3, Q7."""
    async with serving("--data-dir", str(data_dir), log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told:
            for _ in range(2):
                await promised(told, more=100)
                kill(postmaster_of(data_dir))
            await promised(told, more=100)

        await check(server, EmbeddedPostgres(data_dir).dsn, told)
        assert told.unavailable > 0
        assert told.lost == 0
        assert told.slowest_s < PROMPT_S


async def test_a_killed_postgresql_of_its_own_is_started_again_though_nobody_asks_anything(
    data_dir: Path, tmp_path: Path
) -> None:
    """Q7."""
    async with serving("--data-dir", str(data_dir), log=tmp_path / "log") as server:
        await server.open_shop(tea=10)
        dead = postmaster_of(data_dir)
        kill(dead)
        await until(lambda: server.logged("worker.repaired"))

        assert postmaster_of(data_dir) != dead
        assert (await server.balance("tea")).available == 10
