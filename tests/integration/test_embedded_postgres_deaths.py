"""The embedded PostgreSQL after every death of it and of its server that we could think of."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest

from allocator.persistence import embedded_process, embedded_server
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.embedded_account import Account
from allocator.persistence.embedded_errors import PostgresFailedError
from tests.integration.embedded_support import (
    IMPORTS,
    SERVE,
    WAIT,
    another_process,
    ask,
    children_of,
    end_all_below,
    heard,
    is_alive,
    kill,
    postmaster_of,
    until,
    working_below,
)

# Stores a number that was never stored before.
STORE = "INSERT INTO kept DEFAULT VALUES RETURNING number"
RECALL = "SELECT max(number) FROM kept"

DRAIN_ON_CTRL_C = """
import signal
signal.signal(signal.SIGINT, lambda *_: print("draining", flush=True))
"""

FORK = """
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
print(child, flush=True)
"""

# Whoever is process 1 of a container inherits its orphans, and cannot tell which of the dead
# are his to bury: a postmaster that was killed keeps its number there.
NEVER_BURY = """
import ctypes
PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
"""

ENSURE_WHEN_TOLD = """
print("ready", flush=True)
sys.stdin.readline()
server.ensure_running()
"""

# Keeps its backend busy until the backend is told to end: a lost postmaster goes unnoticed.
BUSY = """
import asyncio, asyncpg, sys
async def run():
    connection = await asyncpg.connect(sys.argv[1])
    print(connection.get_server_pid(), flush=True)
    await connection.execute("DO $$ BEGIN LOOP END LOOP; END $$")
asyncio.run(run())
"""


@pytest.fixture
def data_dir(stopped_data_dir: Path) -> Iterator[Path]:
    """One directory for all that happens here: what is survived once is survived again."""
    yield stopped_data_dir
    end_all_below(stopped_data_dir)


class Orphan(NamedTuple):
    """A server whose process was killed, and what had been stored before."""

    postmaster: int
    stored: str


@contextmanager
def orphaned(data_dir: Path) -> Iterator[Orphan]:
    """Have a server store something and its process die."""
    with another_process(data_dir) as process:
        assert heard(process) == "ready"
        stored = ask(EmbeddedPostgres(data_dir).dsn, STORE)
        kill(process.pid)
        yield Orphan(postmaster_of(data_dir), stored)


def kill_both(data_dir: Path) -> str:
    """Have a server store something and die, its postmaster too; say what was stored."""
    with orphaned(data_dir) as orphan:
        kill(orphan.postmaster)
    until(lambda: not working_below(data_dir))
    return orphan.stored


@contextmanager
def busy_backend(dsn: str) -> Iterator[int]:
    """A backend in the middle of a statement that does not end."""
    with another_process(dsn, script=BUSY) as client:
        backend = int(heard(client))
        question = f"SELECT state FROM pg_stat_activity WHERE pid = {backend}"
        until(lambda: ask(dsn, question) == "active")
        yield backend


@contextmanager
def stranger(*, account: Account) -> Iterator[int]:
    """A process that has nothing to do with PostgreSQL, and must outlive the test."""
    other = account.is_other
    process = subprocess.Popen(
        ["/bin/sleep", "600"],
        user=account.uid if other else None,
        group=account.gid if other else None,
        extra_groups=[] if other else None,
    )
    try:
        yield process.pid
        assert process.poll() is None, "the stranger was killed"
    finally:
        process.kill()
        process.wait()


def record_pid(data_dir: Path, pid: int) -> None:
    """Have all that a killed server left behind name another process."""
    for name in ("cluster/postmaster.pid", "socket/.s.PGSQL.5432.lock"):
        lines = (data_dir / name).read_text().splitlines(keepends=True)
        (data_dir / name).write_text("".join([f"{pid}\n", *lines[1:]]))


def test_a_server_whose_process_was_killed_is_adopted_with_its_data(data_dir: Path) -> None:
    with orphaned(data_dir) as orphan, EmbeddedPostgres(data_dir) as server:
        recalled = ask(server.dsn, RECALL)
        adopted = postmaster_of(data_dir)

    assert recalled == orphan.stored
    assert adopted == orphan.postmaster
    assert not is_alive(orphan.postmaster)


def test_a_killed_postmaster_is_replaced_and_its_data_is_there(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        stored = ask(server.dsn, STORE)
        kill(postmaster_of(data_dir))
        server.ensure_running()

        assert ask(server.dsn, RECALL) == stored


def test_the_data_of_a_process_and_a_postmaster_that_were_both_killed_is_there(
    data_dir: Path,
) -> None:
    stored = kill_both(data_dir)
    with EmbeddedPostgres(data_dir) as server:
        assert ask(server.dsn, RECALL) == stored


def test_a_server_that_runs_is_left_alone(data_dir: Path) -> None:
    async def backend_before_and_after() -> tuple[int, int]:
        connection = await asyncpg.connect(server.dsn)
        before = await connection.fetchval("SELECT pg_backend_pid()")
        await asyncio.to_thread(server.ensure_running)
        after = await connection.fetchval("SELECT pg_backend_pid()")
        await connection.close()
        return before, after

    with EmbeddedPostgres(data_dir) as server:
        before, after = asyncio.run(backend_before_and_after())

    assert before == after


def test_a_server_that_is_full_is_left_alone(data_dir: Path) -> None:
    async def fill() -> None:
        connections = [await asyncpg.connect(server.dsn) for _ in range(4)]
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await asyncpg.connect(server.dsn)
        await asyncio.to_thread(server.ensure_running)
        for connection in connections:
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()

    with EmbeddedPostgres(data_dir, settings={"max_connections": "4"}) as server:
        asyncio.run(fill())


def test_many_may_ask_at_once_for_a_server_that_died(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server, ThreadPoolExecutor(max_workers=8) as threads:
        kill(postmaster_of(data_dir))
        for asked in [threads.submit(server.ensure_running) for _ in range(8)]:
            asked.result()

        assert ask(server.dsn, "SELECT 1") == "1"


def test_an_orphan_that_runs_otherwise_than_asked_is_replaced(data_dir: Path) -> None:
    otherwise = {"work_mem": "9MB"}
    with orphaned(data_dir) as orphan, EmbeddedPostgres(data_dir, settings=otherwise) as server:
        assert not is_alive(orphan.postmaster)
        assert ask(server.dsn, "SHOW work_mem") == "9MB"
        assert ask(server.dsn, RECALL) == orphan.stored


def test_an_orphan_whose_socket_was_deleted_is_replaced(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_server, "_SILENCE_S", 0.2)
    with orphaned(data_dir) as orphan:
        (data_dir / "socket" / ".s.PGSQL.5432").unlink()
        with EmbeddedPostgres(data_dir) as server:
            assert ask(server.dsn, RECALL) == orphan.stored
            assert not is_alive(orphan.postmaster)


def test_an_orphan_that_waits_for_its_clients_to_stop_is_not_waited_for(data_dir: Path) -> None:
    def is_stopping() -> bool:
        return "stopping" in (data_dir / "cluster" / "postmaster.pid").read_text()

    with orphaned(data_dir) as orphan, busy_backend(EmbeddedPostgres(data_dir).dsn):
        os.kill(orphan.postmaster, signal.SIGTERM)
        until(is_stopping)
        with EmbeddedPostgres(data_dir) as server:
            assert ask(server.dsn, RECALL) == orphan.stored


def test_ctrl_c_does_not_reach_the_postmaster(data_dir: Path) -> None:
    with another_process(data_dir, script=IMPORTS + DRAIN_ON_CTRL_C + SERVE + WAIT) as process:
        assert heard(process) == "ready"
        os.killpg(process.pid, signal.SIGINT)
        assert heard(process) == "draining"

        assert os.getsid(postmaster_of(data_dir)) != process.pid
        assert ask(EmbeddedPostgres(data_dir).dsn, "SELECT 1") == "1"


def test_ctrl_c_does_not_reach_a_program_in_the_middle_of_its_work(reachable_dir: Path) -> None:
    fresh = reachable_dir / "data"
    with another_process(fresh, script=IMPORTS + DRAIN_ON_CTRL_C + SERVE + WAIT) as process:
        until(lambda: list(fresh.glob(".cluster-*/global")))
        os.killpg(process.pid, signal.SIGINT)

        assert heard(process) == "draining"
        assert heard(process) == "ready"


def test_a_forked_child_does_not_keep_the_directory_of_its_dead_parent(data_dir: Path) -> None:
    with another_process(data_dir, script=IMPORTS + SERVE + FORK + WAIT) as process:
        child = int(heard(process))
        kill(process.pid)
        with EmbeddedPostgres(data_dir) as server:
            assert is_alive(child)
            assert ask(server.dsn, "SELECT 1") == "1"


@pytest.mark.parametrize("whose", ["the cluster's", "our own"])
def test_a_stranger_with_the_number_of_a_dead_postmaster_is_left_alone(
    data_dir: Path, whose: str
) -> None:
    ours = Account(uid=os.geteuid(), gid=os.getegid())
    account = ours if whose == "our own" else Account.owning(data_dir / "cluster")
    stored = kill_both(data_dir)
    with stranger(account=account) as pid:
        record_pid(data_dir, pid)
        with EmbeddedPostgres(data_dir) as server:
            assert ask(server.dsn, RECALL) == stored
            kill(postmaster_of(data_dir))
            record_pid(data_dir, pid)
            server.ensure_running()


def test_a_postgres_of_another_directory_with_that_number_is_left_alone(
    data_dir: Path, postgres: EmbeddedPostgres
) -> None:
    other = postmaster_of(Path(ask(postgres.dsn, "SHOW data_directory")).parent)
    stored = kill_both(data_dir)
    record_pid(data_dir, other)
    with EmbeddedPostgres(data_dir) as server:
        assert ask(server.dsn, RECALL) == stored

    assert is_alive(other)
    assert ask(postgres.dsn, "SELECT 1") == "1"


def test_our_own_number_may_be_that_of_a_dead_postmaster(data_dir: Path) -> None:
    stored = kill_both(data_dir)
    record_pid(data_dir, os.getpid())
    with EmbeddedPostgres(data_dir) as server:
        assert ask(server.dsn, RECALL) == stored


def test_a_stop_after_the_postmaster_died_kills_no_stranger(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    server.start()
    kill(postmaster_of(data_dir))
    with stranger(account=Account.owning(data_dir / "cluster")) as pid:
        record_pid(data_dir, pid)
        server.stop()


def test_a_process_number_that_was_cut_off_does_not_block_the_start(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        stored = ask(server.dsn, STORE)
        for text in ("", "12", "nonsense\n", "-7\n"):
            kill(postmaster_of(data_dir))
            (data_dir / "cluster" / "postmaster.pid").write_text(text)
            server.ensure_running()

            assert ask(server.dsn, RECALL) == stored


def test_a_dead_postmaster_that_nobody_buries_is_replaced(data_dir: Path) -> None:
    script = IMPORTS + NEVER_BURY + SERVE + ENSURE_WHEN_TOLD + WAIT
    with another_process(data_dir, script=script) as process:
        assert heard(process) == "ready"
        stored = ask(EmbeddedPostgres(data_dir).dsn, STORE)
        postmaster = postmaster_of(data_dir)
        kill(postmaster)
        assert Path(f"/proc/{postmaster}").exists()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert heard(process) == "ready"

        assert ask(EmbeddedPostgres(data_dir).dsn, RECALL) == stored


def test_a_backend_that_outlived_its_postmaster_is_ended_before_a_start(data_dir: Path) -> None:
    with orphaned(data_dir) as orphan, busy_backend(EmbeddedPostgres(data_dir).dsn) as backend:
        kill(orphan.postmaster)
        assert is_alive(backend)
        with EmbeddedPostgres(data_dir) as server:
            assert not is_alive(backend)
            assert ask(server.dsn, RECALL) == orphan.stored


def test_postgresql_itself_still_sees_a_backend_that_we_overlook(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with orphaned(data_dir) as orphan, busy_backend(EmbeddedPostgres(data_dir).dsn) as backend:
        kill(orphan.postmaster)
        monkeypatch.setattr(embedded_process, "PROC", data_dir / "no such thing")
        with stranger(account=Account.owning(data_dir / "cluster")) as pid:
            record_pid(data_dir, pid)
            with pytest.raises(PostgresFailedError, match="shared memory"):
                EmbeddedPostgres(data_dir).start()

        assert is_alive(backend)


def test_without_proc_an_orphan_is_adopted_and_stopped_all_the_same(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with orphaned(data_dir) as orphan:
        monkeypatch.setattr(embedded_process, "PROC", data_dir / "no such thing")
        with EmbeddedPostgres(data_dir):
            adopted = postmaster_of(data_dir)

    assert adopted == orphan.postmaster
    assert not is_alive(orphan.postmaster)


@pytest.mark.parametrize(
    ("moment", "children_too"),
    [
        ("lock", False),
        (".cluster-*/global", False),
        (".cluster-*/global", True),
        ("cluster", False),
        ("cluster/postmaster.pid", True),
        ("socket/.s.*", False),
    ],
)
def test_a_first_start_may_be_killed_at_any_moment(
    reachable_dir: Path, moment: str, *, children_too: bool
) -> None:
    fresh = reachable_dir / "data"
    with another_process(fresh) as process:
        until(lambda: list(fresh.glob(moment)))
        with ExitStack() as deaths:
            for child in children_of(process.pid) if children_too else ():
                deaths.callback(kill, child)
            kill(process.pid)
    with EmbeddedPostgres(fresh) as server:
        assert ask(server.dsn, "SELECT current_database()") == "allocator"
    until(lambda: not working_below(fresh))
    with EmbeddedPostgres(fresh) as server:
        assert ask(server.dsn, "SELECT 1") == "1"
    assert list(fresh.glob(".cluster-*")) == []
