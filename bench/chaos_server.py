"""A server that is made to suffer: found by process id, killed, started again, and cleaned up."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg

from allocator.persistence.embedded import EmbeddedPostgres
from bench.chaos_processes import PROC, Process, children_of, process_of
from bench.databases import DatabaseError
from bench.messages import WAREHOUSE
from bench.processes import ServerError, start, stop

_POLL_S = 0.05
_START_AGAIN_WITHIN_S = 60.0
_GONE_WITHIN_S = 10.0
_ASK_WITHIN_S = 5.0
_UNEXPLAINED_MAX = 3
_NOT_WORKERS = b"allocator.persistence.folding"

_END_SESSIONS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < $1
"""

_PRODUCTS_OF = """
SELECT product FROM pools
JOIN shards ON shards.id = pools.actor_id & 255 JOIN workers USING (incarnation)
WHERE warehouse = $1 AND name LIKE '%:' || $2
"""


class Victim:
    """`allocator serve` in a directory of its own.

    Args:
        settings: More arguments of its command line.
        database: The URL of a database that is not to suffer; else it has a PostgreSQL in its
            directory.

    Attributes:
        unexplained_ends: Ends that nobody had caused.
        starts_repeated: Starts that had to wait for what a killed one had left.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        workers: int,
        settings: Sequence[str] = (),
        database: str | None = None,
    ) -> None:
        self.port = port
        self.unexplained_ends: list[str] = []
        self.starts_repeated = 0
        self.log = directory / "server.log"
        self._data_dir = directory / "data"
        self._is_embedded = database is None
        self._url = EmbeddedPostgres(self._data_dir).dsn if database is None else database
        where = ("--data-dir", str(self._data_dir))
        if database is not None:
            where = ("--database-url", database)
        self._arguments = [
            *("allocator", "serve", "--host", "127.0.0.1", "--port", str(port)),
            *where,
            *("--workers", str(workers)),
            *settings,
        ]
        self._count = workers
        self._known: set[Process] = set()
        self._killed_at_s = float("-inf")
        self.child: subprocess.Popen[bytes] = start(self._arguments, log=self.log)

    @property
    def url(self) -> str:
        """The database."""
        return self._url

    async def keep_up(self) -> None:
        """Start it again whenever it has ended, as an operator's supervisor would.

        Raises:
            ServerError: It does not come back.
        """
        while True:
            await asyncio.sleep(_POLL_S)
            self.workers()  # so that none is forgotten when their parent is gone
            if self.child.poll() is not None:
                self._note_end()
                self.child = start(self._arguments, log=self.log)

    def workers(self) -> list[Process]:
        """Return the processes that serve: children of the server, or the only one itself."""
        if self._count == 1:
            alone = process_of(self.child.pid) if self.child.poll() is None else None
            return [] if alone is None else [alone]
        found = [each for each in children_of(self.child.pid) if _is_worker(each.pid)]
        self._known.update(found)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether it has as many workers of its own as it should; orphans serve, and leave."""
        return len(self.workers()) >= self._count

    def kill(self) -> None:
        """Kill the server itself."""
        self._killed_at_s = time.monotonic()
        self.child.kill()

    def kill_everything(self) -> None:
        """Kill the server and all its workers, so that nobody serves on."""
        workers = self.workers()
        self.kill()
        for worker in workers:
            worker.signal(signal.SIGKILL)

    def postmaster(self) -> Process | None:
        """Return the PostgreSQL that works in our directory, if one does."""
        try:
            lines = (self._data_dir / "cluster" / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
            name = (PROC / str(pid) / "comm").read_text().strip()
        except (OSError, ValueError, IndexError):
            return None
        return process_of(pid) if name == "postgres" else None

    async def end_sessions(self, share: float) -> int:
        """End about this share of all sessions and return how many.

        Raises:
            DatabaseError: PostgreSQL is not there.
        """
        return int(str((await self._ask(_END_SESSIONS, share))[0][0]))

    async def products_of(self, worker: Process) -> list[str]:
        """Return the products whose pools a worker serves.

        Raises:
            DatabaseError: PostgreSQL is not there.
        """
        rows = await self._ask(_PRODUCTS_OF, WAREHOUSE, str(worker.pid))
        return [str(row["product"]) for row in rows]

    def close(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        self.workers()
        for each in self._known:
            each.signal(signal.SIGCONT)
        self.child.send_signal(signal.SIGCONT)
        stop(self.child)
        for each in self._known:
            each.signal(signal.SIGTERM)  # an orphan serves on until it is told
        deadline = time.monotonic() + _GONE_WITHIN_S
        while (left := [each for each in self._known if each.is_alive]) and (
            time.monotonic() < deadline
        ):
            time.sleep(_POLL_S)
        for each in left:
            each.signal(signal.SIGKILL)
        if self._is_embedded and (self.child.returncode or self.postmaster() is not None):
            # A PostgreSQL that outlived its server, or the remains of one, is taken over.
            with EmbeddedPostgres(self._data_dir):
                pass

    def _note_end(self) -> None:
        code = self.child.returncode
        since_s = time.monotonic() - self._killed_at_s
        if code == -signal.SIGKILL and since_s < _START_AGAIN_WITHIN_S:
            return
        if since_s < _START_AGAIN_WITHIN_S:
            self.starts_repeated += 1
            return
        self.unexplained_ends.append(f"the server ended with exit code {code}")
        self._killed_at_s = time.monotonic()
        if len(self.unexplained_ends) > _UNEXPLAINED_MAX:
            raise ServerError(f"the server does not stay up: see {self.log}")

    async def _ask(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            connection = await asyncpg.connect(self._url, timeout=_ASK_WITHIN_S)
            try:
                return list(await connection.fetch(sql, *arguments, timeout=_ASK_WITHIN_S))
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseError(f"PostgreSQL does not answer: {error!r}") from error


@contextlib.contextmanager
def suffering(
    directory: Path,
    *,
    port: int,
    workers: int,
    settings: Sequence[str] = (),
    database: str | None = None,
) -> Iterator[Victim]:
    """Run a server inside the block; after it nothing is left of it but its files."""
    with _temporary_files_in(directory):
        victim = Victim(directory, port=port, workers=workers, settings=settings, database=database)
        try:
            yield victim
        finally:
            victim.close()


@contextlib.contextmanager
def _temporary_files_in(directory: Path) -> Iterator[None]:
    """Have our children keep theirs there: a killed one cannot remove its workers' sockets."""
    former = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = str(directory)
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        if former is not None:
            os.environ["TMPDIR"] = former


def _is_worker(pid: int) -> bool:
    try:
        command = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    program = command.partition(b"\0")[0].rpartition(b"/")[2]
    return program.startswith(b"python") and _NOT_WORKERS not in command
