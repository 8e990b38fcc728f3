"""Journals of several workers on one database, in memory and in PostgreSQL."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Final, Protocol

from allocator.actors.ports import Journal
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import Ownership
from tests.memory_journal import MemoryJournal

HOUR_MS: Final = 3_600_000
_TIMEOUT_S: Final = 10.0


class Journals(Protocol):
    """Those of all workers on one database."""

    async def open(self, *, server: str = "", address: str = "") -> Journal:
        """Return the journal of one more worker, its first incarnation open.

        Args:
            server: That the worker is of; "" for one of its own.
            address: Of the worker.
        """

    async def silence(self, journal: Journal) -> None:
        """Have a worker's last heartbeat be an hour ago."""


class MemoryJournals:
    """Over one `MemoryDatabase`."""

    def __init__(self, *, dead_after_ms: int) -> None:
        self._database = MemoryDatabase(
            clock=lambda: time.time_ns() // 1_000_000, dead_after_ms=dead_after_ms
        )

    async def open(self, *, server: str = "", address: str = "") -> Journal:
        journal = MemoryJournal(self._database, server=server, address=address)
        await journal.renew()
        return journal

    async def silence(self, journal: Journal) -> None:
        assert isinstance(journal, MemoryJournal)
        assert journal.incarnation is not None
        self._database.workers[journal.incarnation].beat_ms -= HOUR_MS


class PostgresJournals:
    """Over one database in PostgreSQL, that holds these actors."""

    def __init__(
        self, url: str, looking: Pool, stack: AsyncExitStack, *, era: int, dead_after_ms: int
    ) -> None:
        self._url = url
        self._looking = looking
        self._stack = stack
        self._era = era
        self._dead_after_ms = dead_after_ms
        self._servers = count(1)

    async def open(self, *, server: str = "", address: str = "") -> Journal:
        pool = await open_pool(self._url, size=3)
        self._stack.callback(pool.terminate)
        ownership = Ownership(
            pool,
            name="contract",
            server=server or f"server {next(self._servers)}",
            address=address,
            dead_after_ms=self._dead_after_ms,
        )
        journal = PostgresJournal(
            url=self._url,
            timeout_s=_TIMEOUT_S,
            pool=pool,
            ownership=ownership,
            era=self._era,
            revive=_nothing,
        )
        await journal.renew()
        self._stack.push_async_callback(journal.resign)
        return journal

    async def silence(self, journal: Journal) -> None:
        assert isinstance(journal, PostgresJournal)
        await self._looking.execute(
            "UPDATE heartbeats SET at = at - interval '1 hour' WHERE incarnation = $1",
            journal.incarnation,
        )


@asynccontextmanager
async def in_postgres(
    url: str, *actor_ids: int, dead_after_ms: int
) -> AsyncIterator[PostgresJournals]:
    """Bring an empty database up to date, and create these actors."""
    async with AsyncExitStack() as stack:
        connection = await connect(url, application_name="contract", timeout_s=_TIMEOUT_S)
        stack.callback(connection.terminate)
        await migrate(connection)
        installation = await open_installation(connection)
        await connection.executemany(
            "INSERT INTO actors (id, kind, key) VALUES ($1, 'pool', $2)",
            [(actor_id, str(actor_id)) for actor_id in actor_ids],
        )
        looking = await open_pool(url, size=1)
        stack.callback(looking.terminate)
        yield PostgresJournals(
            url, looking, stack, era=installation.era, dead_after_ms=dead_after_ms
        )


async def _nothing() -> None:
    """Nothing ever has to be started again."""
