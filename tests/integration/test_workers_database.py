"""PostgreSQL under several workers: it dies, it is stopped in order, and one does what one must."""

import os
import signal
from pathlib import Path

from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.leadership import Role
from tests.integration.crowd import crowd, promised
from tests.integration.embedded_support import is_alive, kill, postmaster_of, working_below
from tests.integration.serving import until
from tests.integration.truth import books_of, check, check_read_models, query
from tests.integration.workers import PATIENT, settled, several

STOCK = {"hot": 100_000, "warm": 300, "scarce": 20}

LEADERS = """
SELECT count(*) AS leaders FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND granted AND datname = current_database() AND objid = $1::bigint
"""


async def test_service_resumes_by_itself_when_its_postgresql_was_killed(
    data_dir: Path, tmp_path: Path
) -> None:
    """C13, N16, Q1, Q2, Q3, Q7."""
    async with several("--data-dir", str(data_dir), log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told:
            for _ in range(2):
                await promised(told, more=100)
                kill(postmaster_of(data_dir))
                await promised(told, more=100)
        await until(server.is_ready)

        await check(server, EmbeddedPostgres(data_dir).dsn, told)
        assert told.unavailable > 0
        assert told.lost == 0


async def test_a_server_under_load_is_drained_with_all_its_workers(
    data_dir: Path, tmp_path: Path
) -> None:
    """C13, Q1, Q7: exit code 0, its PostgreSQL stopped in order, and the next start is clean."""
    for former in (data_dir / "log").glob("postgresql-*.log"):
        former.unlink()  # the directory is a copy of one in which other tests killed servers
    log = tmp_path / "log"
    async with several("--data-dir", str(data_dir), log=log, patience=PATIENT) as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told:
            for _ in range(2):
                await promised(told, more=150)
                workers = server.workers()
                assert await server.terminate() == 0
                assert not any(is_alive(pid) for pid in workers)
                assert working_below(data_dir) == []
                await server.start_ready()

        books = await check(server, EmbeddedPostgres(data_dir).dsn, told)
        written = {order.tag for book in books.values() for order in book.orders.values()}
        assert told.unknown == 0
        assert not told.unsure & written, "written down, and nobody was told"
        assert server.complaints() == []
    said = "".join(log.read_text() for log in (data_dir / "log").glob("postgresql-*.log"))
    assert "database system was shut down at" in said
    assert "not properly shut down" not in said


async def test_a_server_whose_database_is_gone_stops_all_the_same(
    data_dir: Path, tmp_path: Path
) -> None:
    """Its workers repair themselves until then, and do not wait for the end of it."""
    with EmbeddedPostgres(data_dir) as database:
        async with several("--database-url", database.dsn, log=tmp_path / "log") as server:
            await server.open_shop(tea=10)
            kill(postmaster_of(data_dir))
            assert (await server.order("tea")).is_unavailable
            assert await server.terminate() == 0


async def test_one_worker_projects_and_one_folds_and_others_do_so_when_it_dies(
    database_url: str, tmp_path: Path
) -> None:
    """C14, Q7: whichever it was, the lists catch up."""

    async def led_by_one() -> bool:
        roles = Role.PROJECTION, Role.FOLDING, Role.WEBHOOKS
        rows = [await query(database_url, LEADERS, role) for role in roles]
        return [row["leaders"] for [row] in rows] == [1, 1, 1]

    async with several("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=100)
        for former in await settled(database_url, server):
            await until(led_by_one)
            os.kill(former, signal.SIGKILL)
            await settled(database_url, server)
            await server.placed("tea")
            await check_read_models(server, database_url, await books_of(database_url))
        await until(led_by_one)

        assert len(server.logged("projection.leading")) >= 2
        assert len(server.logged("folding.leading")) >= 2
