"""Who may write: incarnations, heartbeats and shards.

Safety is the lock on a `workers` row and nothing else. Every append share-locks its own, so the
update that fences it waits until nothing of that incarnation is in flight, and afterwards
nothing can be. Heartbeats only say when it is worth trying.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid4

import structlog

from allocator.errors import JournalError
from allocator.persistence.connections import Borrowed, Pool, borrowed
from allocator.persistence.statements import statement

log = structlog.get_logger()

_PATIENCE_S: Final = 0.5
"""After so long a wait for a lock, its holder is presumed to be without a client."""

_CLAIM_LOCK: Final = 0x616C6C6F
"""Advisory lock that makes claims take turns."""


class Ownership:
    """The lives of one worker process.

    Args:
        pool: Connections other than that of the appends.
        name: Of the process, for people.
        dead_after_ms: An incarnation without a heartbeat for so long may be fenced by others;
            0 means every other, for a caller who knows that no other process can be alive.
    """

    def __init__(self, pool: Pool, *, name: str, dead_after_ms: int) -> None:
        self._pool = pool
        self._name = name
        self._dead_after_ms = dead_after_ms
        # The present one last. Before it stand those of renewals whose commit is unknown: any
        # of them may own our shards, so the next renewal fences them all.
        self._mine: list[UUID] = []
        self._endings: set[asyncio.Task[None]] = set()

    async def renew(self) -> tuple[UUID, frozenset[int]]:
        """Fence the present incarnation, if any, and open another that keeps its shards.

        Raises:
            JournalError: Whether it happened is unknown; calling again is safe.
        """
        opened = uuid4()
        former = self._mine
        self._mine = [*former, opened]
        async with self._taking_over(former) as connection:
            await connection.execute(statement("fence_self"), former)
            rows = await connection.fetch(statement("open_incarnation"), opened, self._name, former)
        self._mine = [opened]
        return opened, frozenset(row["id"] for row in rows)

    async def claim(self) -> frozenset[int]:
        """Take the shards that are free or whose owner seems dead.

        Returns:
            All shards that are ours afterwards; none if we have been fenced.
        """
        mine, patience_ms = self._mine[-1], self._dead_after_ms
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("stale_incarnations"), mine, patience_ms)
        stale = [row["incarnation"] for row in rows]
        async with self._taking_over(stale) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _CLAIM_LOCK)
            await connection.execute(statement("fence_dead"), stale, patience_ms)
            await connection.execute(statement("claim_shards"), mine)
            rows = await connection.fetch(statement("owned_shards"), mine)
        return frozenset(row["id"] for row in rows)

    async def beat(self) -> bool:
        """Say that we live; return whether we may still write."""
        async with borrowed(self._pool) as connection:
            return bool(await connection.fetchval(statement("beat"), self._mine[-1]))

    async def resign(self) -> None:
        """Fence the present incarnation; whoever claims next has its shards."""
        async with self._taking_over(self._mine) as connection:
            await connection.execute(statement("fence_self"), self._mine)
        self._mine = []

    @asynccontextmanager
    async def _taking_over(self, deposed: Sequence[UUID]) -> AsyncIterator[Borrowed]:
        """Lend a connection in a transaction that may have to wait for these writers' locks."""
        impatience = asyncio.create_task(self._end_sessions_of(deposed))
        try:
            async with borrowed(self._pool) as connection, connection.transaction():
                yield connection
        finally:
            impatience.cancel()

    async def _end_sessions_of(self, deposed: Sequence[UUID]) -> None:
        while deposed:
            await asyncio.sleep(_PATIENCE_S)
            ending = asyncio.create_task(self._end_sessions([str(each) for each in deposed]))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            # Whoever waits for the lock may give up in this very moment, again and again: what
            # was begun is done all the same, and the next attempt finds the lock free.
            await asyncio.shield(ending)

    async def _end_sessions(self, incarnations: list[str]) -> None:
        log.warning("ownership.ending_sessions", incarnations=incarnations)
        try:
            async with borrowed(self._pool) as connection:
                await connection.execute(statement("terminate"), incarnations)
        except JournalError as error:
            log.warning("ownership.cannot_end_sessions", error=str(error))
