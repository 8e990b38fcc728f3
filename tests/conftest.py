"""A real PostgreSQL for every test that asks: one server a session, one database a test."""

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from allocator.persistence.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One running server for the whole session."""
    with tempfile.TemporaryDirectory(prefix="allocator-tests-") as directory:
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
