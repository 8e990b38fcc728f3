"""A real PostgreSQL for every test that asks: one server a session, one database a test."""

import asyncio
import secrets
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from allocator.persistence.embedded import EmbeddedPostgres
from bench.databases import scratch_directory
from tests.integration.embedded_support import end_all_below


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """Have what tests start end at Ctrl-C, also where they run in the background of a script.

    There a shell has SIGINT be ignored, and by whatever is started from there too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One running server for the whole session."""
    with (
        scratch_directory(in_memory=True) as directory,
        EmbeddedPostgres(directory / "data") as server,
    ):
        yield server


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The DSN of a fresh, empty database of this test's own."""
    name = f"test_{secrets.token_hex(8)}"
    _execute(postgres.dsn, f"CREATE DATABASE {name}")

    yield postgres.dsn.replace("/allocator?", f"/{name}?")

    _execute(postgres.dsn, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def reachable_dir() -> Iterator[Path]:
    """An empty directory that every account can reach; whatever still runs in it is ended."""
    with scratch_directory(in_memory=True) as directory:
        yield directory
        end_all_below(directory)


@pytest.fixture(scope="session")
def stopped_data_dir() -> Iterator[Path]:
    """A data directory that was served once and stopped; a test leaves it servable."""
    with scratch_directory(in_memory=True) as directory:
        with EmbeddedPostgres(directory / "data") as server:
            _execute(server.dsn, "CREATE TABLE kept (number int GENERATED ALWAYS AS IDENTITY)")
        yield directory / "data"


@pytest.fixture
def data_dir(reachable_dir: Path, stopped_data_dir: Path) -> Path:
    """A data directory that was served once and stopped, for this test to do as it likes with."""
    copy = reachable_dir / "data"
    subprocess.run(["/bin/cp", "-a", str(stopped_data_dir), str(copy)], check=True)
    return copy


def _execute(dsn: str, sql: str) -> None:
    """Run one statement in a thread of its own: the test's may have an event loop."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, run()).result()
