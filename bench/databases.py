"""One PostgreSQL for a whole run, and a fresh database in it for each contender's turn."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from allocator.persistence.embedded import EmbeddedPostgres
from bench.errors import BenchError

_Result = TypeVar("_Result")

_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 4 << 30


class DatabaseError(BenchError):
    """PostgreSQL is not there, or refused."""


class Databases:
    """Makes and drops databases in one PostgreSQL."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[str]:
        """Yield the URL of an empty database that goes away afterwards.

        It begins with a checkpoint, so that no turn pays for the writes of the one before.
        """
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._execute(f"CREATE DATABASE {name}")
        self._execute("CHECKPOINT")
        try:
            yield urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))
        finally:
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def setting(self, name: str) -> str:
        """Return a setting as the server reports it."""
        return fetch_text(self._url, f"SHOW {name}")

    def _execute(self, statement: str) -> None:
        _on_connection(self._url, lambda connection: connection.execute(statement))


def fetch_count(url: str, query: str) -> int:
    """Return the one number that a query gives."""
    return int(fetch_text(url, f"SELECT ({query})::text"))


def fetch_text(url: str, query: str) -> str:
    """Return the one text that a query gives."""
    return str(_on_connection(url, lambda connection: connection.fetchval(query)))


@contextlib.contextmanager
def open_databases(url: str | None, *, in_memory: bool) -> Iterator[Databases]:
    """Use the PostgreSQL at `url`; without one, an embedded one that lives as long.

    Args:
        url: Where it is.
        in_memory: Have the files of our own one there, if they fit.
    """
    if url is not None:
        yield Databases(url)
        return
    with scratch_directory(in_memory=in_memory) as directory:
        postgres = EmbeddedPostgres(directory / "postgres")
        postgres.start()
        try:
            yield Databases(postgres.dsn)
        finally:
            postgres.stop()


@contextlib.contextmanager
def scratch_directory(*, in_memory: bool = False) -> Iterator[Path]:
    """Yield a directory that goes away, and that PostgreSQL's user may enter if we are root.

    Args:
        in_memory: Have it in memory if it fits there, where a commit waits for no disk.
    """
    parent = _MEMORY if in_memory and _has_room(_MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="allocator-scratch-", dir=parent) as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        yield directory


def _has_room(directory: Path) -> bool:
    """Whether a few PostgreSQLs fit, and programs may be run there."""
    if not os.access(directory, os.W_OK):
        return False
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize > _ROOM_BYTES and not found.f_flag & os.ST_NOEXEC


def _on_connection(url: str, ask: Callable[[asyncpg.Connection], Awaitable[_Result]]) -> _Result:
    async def once() -> _Result:
        connection = await asyncpg.connect(url)
        try:
            return await ask(connection)
        finally:
            await connection.close()

    try:
        return asyncio.run(once())
    except (OSError, asyncpg.PostgresError) as error:
        raise DatabaseError(f"PostgreSQL would not: {error}") from error
