"""Who may write: incarnations, heartbeats and shards.

Safety is the lock on a `workers` row and nothing else. Every append share-locks its own, so the
update that fences it waits until nothing of that incarnation is in flight, and afterwards
nothing can be. Heartbeats only say when it is worth trying.

A shard is free when it has no owner. Whoever fences an incarnation frees its shards in the same
transaction, or takes them along if it is its own; so a fenced incarnation owns nothing, ever.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID, uuid4

import structlog

from allocator.domain.shares import Peer, Survey, room, wants
from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Borrowed, Connection, Pool, borrowed
from allocator.persistence.statements import statement

log = structlog.get_logger()

_PATIENCE_S: Final = 0.5
"""After so long a wait for a lock, its holder is presumed to be without a client."""

_CLAIM_LOCK: Final = 0x616C6C6F
"""Advisory lock that makes claims take turns."""

_FROZEN_MS: Final = 1_000
"""A process that sends nothing for so long in the middle of a take-over is not waited for."""

_FORGET_MAX: Final = 100
"""Rows of incarnations long gone that one claim removes."""


class Ownership:
    """The lives of one worker process.

    Args:
        pool: Connections other than that of the appends.
        name: Of the process, for people.
        server: What its workers, and nobody else, have in common.
        address: Path of the Unix socket on which we take requests of our peers; "" for none.
        dead_after_ms: An incarnation without a heartbeat for so long may be fenced by others;
            0 means every other, for a caller who knows that no other process can be alive.
    """

    def __init__(
        self, pool: Pool, *, name: str, server: str, address: str, dead_after_ms: int
    ) -> None:
        self._pool = pool
        self._name = name
        self._server = server
        self._address = address
        self._dead_after_ms = dead_after_ms
        # The present one last. Before it stand those of renewals whose commit is unknown: any
        # of them may own our shards, so the next renewal fences them all.
        self._mine: list[UUID] = []
        self._endings: set[asyncio.Task[None]] = set()

    async def renew(self, keep: frozenset[int] | None = None) -> tuple[UUID, frozenset[int]]:
        """Fence the present incarnation, if any, and open another that keeps its shards.

        Args:
            keep: Only these move along, the others are free; None: all.

        Returns:
            The new incarnation, and the shards that moved along.

        Raises:
            JournalError: Whether it happened is unknown; calling again is safe.
        """
        opened = uuid4()
        former = self._mine
        self._mine = [*former, opened]
        kept = None if keep is None else sorted(keep)
        async with self._taking_over(former) as connection:
            await connection.execute(statement("fence_self"), former)
            rows = await connection.fetch(
                statement("open_incarnation"),
                *(opened, self._name, self._server, self._address),
                *(former, kept),
            )
        self._mine = [opened]
        return opened, frozenset(row["id"] for row in rows)

    async def claim(self, *, dead: Sequence[str] = ()) -> frozenset[int]:
        """Fence whoever is dead, and take free shards up to a fair share of them.

        Nothing is taken while another server owns a shard.

        Args:
            dead: Incarnations whose process is known to have ended. Those that seem dead for
                want of a heartbeat are found without being named.

        Returns:
            All shards that are ours afterwards; none if we have been fenced.
        """
        mine, ended = self._mine[-1], [UUID(each) for each in dead]
        gone = (self._dead_after_ms, ended)
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("stale_incarnations"), mine, *gone)
        stale = [row["incarnation"] for row in rows]
        async with self._taking_over(stale) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _CLAIM_LOCK)
            if await connection.fetchval(statement("hold_own"), mine) is None:
                return frozenset()
            await connection.execute(statement("fence_dead"), stale, *gone)
            await connection.execute(statement("free_shards"))
            await self._take(connection, mine)
            await connection.execute(statement("forget_workers"), _FORGET_MAX)
            rows = await connection.fetch(statement("owned_shards"), mine)
        return frozenset(row["id"] for row in rows)

    async def survey(self) -> Survey:
        """Return who serves what, as far as heartbeats tell."""
        async with borrowed(self._pool) as connection:
            return await self._survey(connection, dead_after_ms=self._dead_after_ms)

    async def beat(self) -> bool:
        """Say that we live; return whether we may still write.

        While a renewal is under way nothing is said against it: its incarnation may be about to
        be, and the former is fenced on purpose.
        """
        mine = self._mine
        async with borrowed(self._pool) as connection:
            alive = bool(await connection.fetchval(statement("beat"), mine[-1]))
        return alive or len(mine) > 1 or self._mine is not mine

    async def resign(self) -> None:
        """Fence the present incarnation; whoever claims next has its shards."""
        async with self._taking_over(self._mine) as connection:
            await connection.execute(statement("fence_self"), self._mine)
            await connection.execute(statement("free_shards"))
        self._mine = []

    async def _take(self, connection: Borrowed, mine: UUID) -> None:
        """Claim what is free, in a transaction in which nobody else does.

        Whoever is not fenced by now counts as alive, whatever its heartbeat: what it owns is not
        free, and it may own it for long.
        """
        survey = await self._survey(connection, dead_after_ms=None)
        owned = frozenset(shard for shard, owner in enumerate(survey.owners) if owner == str(mine))
        if wants(survey, owned):
            await connection.execute(statement("claim_shards"), mine, room(survey, owned))

    async def _survey(self, connection: Borrowed, *, dead_after_ms: int | None) -> Survey:
        row = await connection.fetchrow(
            statement("survey"), self._mine[-1] if self._mine else None, self._server, dead_after_ms
        )
        assert row is not None, "an aggregate has a row"
        columns = zip(row["incarnations"], row["names"], row["addresses"], strict=True)
        return Survey(
            peers=tuple(
                Peer(incarnation=incarnation, name=name, address=address)
                for incarnation, name, address in columns
            ),
            owners=tuple(row["owners"]),
            foreign=row["foreign"],
        )

    @asynccontextmanager
    async def _taking_over(self, deposed: Sequence[UUID]) -> AsyncIterator[Borrowed]:
        """Lend a connection in a transaction that may have to wait for these writers' locks."""
        impatience = asyncio.create_task(self._end_sessions_of(deposed))
        try:
            async with borrowed(self._pool) as connection, connection.transaction():
                await connection.execute(statement("begin_taking"), str(_FROZEN_MS))
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


async def fence_all(connection: Connection) -> None:
    """Fence every incarnation and free every shard: for whoever knows that no worker lives.

    Sessions that dead workers left behind are ended, and waited for.

    Raises:
        JournalError: The database does not answer; calling again is safe.
    """
    try:
        rows = await connection.fetch(statement("unfenced_incarnations"))
        left = [str(row["incarnation"]) for row in rows]
        async with connection.transaction():
            await connection.execute(statement("terminate"), left)
            await connection.execute(statement("fence_all"))
            await connection.execute(statement("free_shards"))
    except FAILURES as error:
        raise JournalError(f"fence all: {type(error).__name__}: {error}") from error
