"""A real PostgreSQL for every test that asks: one server a session, one database a test."""

import asyncio
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from allocator.persistence.embedded import EmbeddedPostgres
from tests.integration.embedded_support import end_all_below

_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 4 << 30


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One running server for the whole session."""
    with _scratch() as directory:
        # Run by root, PostgreSQL runs under another account, which must get in.
        Path(directory).chmod(0o755)
        with EmbeddedPostgres(Path(directory) / "data") as server:
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
    with _scratch() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory).resolve()
        end_all_below(Path(directory).resolve())


@pytest.fixture(scope="session")
def stopped_data_dir() -> Iterator[Path]:
    """A data directory that was served once and stopped; a test leaves it servable."""
    with _scratch() as directory:
        Path(directory).chmod(0o755)
        with EmbeddedPostgres(Path(directory) / "data") as server:
            _execute(server.dsn, "CREATE TABLE kept (number int GENERATED ALWAYS AS IDENTITY)")
        yield Path(directory).resolve() / "data"


@pytest.fixture
def data_dir(reachable_dir: Path, stopped_data_dir: Path) -> Path:
    """A data directory that was served once and stopped, for this test to do as it likes with."""
    copy = reachable_dir / "data"
    subprocess.run(["/bin/cp", "-a", str(stopped_data_dir), str(copy)], check=True)
    return copy


def _scratch() -> "tempfile.TemporaryDirectory[str]":
    """A directory for a PostgreSQL that nobody needs after the machine died: in memory if it fits.

    There a commit waits for no disk, so that a run of all tests takes half as long.
    """
    fits = False
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        room = os.statvfs(_MEMORY)
        fits = room.f_bavail * room.f_frsize > _ROOM_BYTES and not room.f_flag & os.ST_NOEXEC
    return tempfile.TemporaryDirectory(prefix="allocator-tests-", dir=_MEMORY if fits else None)


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
