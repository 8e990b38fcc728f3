"""The database in PostgreSQL, as it is compared: emptied between two sequences."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, cast

from allocator.actors.ports import Journal
from allocator.persistence.connections import Connection, Pool, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.memory.transaction import PATIENCE_S
from allocator.persistence.migrate import migrate
from allocator.persistence.ownership import Ownership
from allocator.persistence.reader import record_of
from tests.integration.fidelity_player import (
    DEAD_AFTER_MS,
    POOL,
    SESSION,
    Outcome,
    Stored,
    batch_of,
)
from tests.integration.fidelity_steps import ACTORS, WORKERS_MAX, Blocked

_TIMEOUT_S: Final = 10.0
_SETTLE_MAX_S: Final = 8.0
_ENDLESS_S: Final = 60.0
_POLL_S: Final = 0.001


class _LastingPool:
    """Connections that outlive renewals: opening them anew would take most of the time."""

    def __init__(self, pool: Pool) -> None:
        self.acquire = pool.acquire

    async def expire_connections(self) -> None:
        """Keep them: nothing here breaks any."""


class PostgresSide:
    """One database in PostgreSQL, emptied by `reset`.

    Args:
        pools: One for each worker.
        looking: For whatever no worker does.
        blocking: Holds the locks that are in the way.
        be_patient: Says how long whoever fences waits before it ends sessions, seconds: on a
            busy machine nothing else may take as long.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        url: str,
        *,
        pools: Sequence[Pool],
        looking: Connection,
        blocking: Connection,
        be_patient: Callable[[float], None],
        era: int,
    ) -> None:
        self._url = url
        self._be_patient = be_patient
        self._pools = pools
        self._looking = looking
        self._blocking = blocking
        self._era = era

    async def reset(self) -> None:
        """Have nothing stored, and nobody alive."""
        self._be_patient(_ENDLESS_S)
        await self._looking.execute(_EMPTY)

    async def open(self, worker: int, server: str) -> Journal:
        pool = self._pools[worker]
        ownership = Ownership(
            pool,
            name=f"worker {worker}",
            server=server,
            address="",
            dead_after_ms=DEAD_AFTER_MS,
        )
        return PostgresJournal(
            url=self._url,
            timeout_s=_TIMEOUT_S,
            pool=pool,
            ownership=ownership,
            era=self._era,
            revive=_nothing,
        )

    def incarnation(self, journal: Journal) -> str | None:
        assert isinstance(journal, PostgresJournal)
        return None if journal.incarnation is None else str(journal.incarnation)

    async def silence(self, incarnation: str) -> None:
        await self._looking.execute(
            "UPDATE heartbeats SET at = at - interval '1 hour' WHERE incarnation = $1", incarnation
        )

    async def age(self) -> None:
        await self._looking.execute(
            "UPDATE workers SET started_at = started_at - interval '2 hours' WHERE fenced"
        )

    async def block(self, blocked: Blocked, incarnation: str) -> None:
        self._be_patient(PATIENCE_S if blocked.late else _ENDLESS_S)
        await self._blocking.execute("BEGIN")
        match blocked.by:
            case "row":
                [row] = [blocked.row]
                await self._blocking.execute(
                    _INSERT, row.actor_id, row.seq, self._era, *_said(blocked)
                )
            case "fence":
                await self._blocking.execute(
                    "UPDATE workers SET fenced = true WHERE incarnation = $1", incarnation
                )
                await self._blocking.execute(
                    "UPDATE shards SET incarnation = NULL WHERE incarnation = $1", incarnation
                )
            case _:
                await self._blocking.execute(
                    "SELECT FROM workers WHERE incarnation = $1 FOR SHARE", incarnation
                )

    async def release(self, *, commits: bool) -> None:
        await self._blocking.execute("COMMIT" if commits else "ROLLBACK")
        self._be_patient(_ENDLESS_S)

    async def settle(self, calls: list[asyncio.Task[Outcome]]) -> None:
        async with asyncio.timeout(_SETTLE_MAX_S):
            while True:
                left = [call.get_name() for call in calls if not call.done()]
                waiting = await self._looking.fetchrow(_WAITING)
                assert waiting is not None
                if not left or (
                    waiting[SESSION] >= left.count(SESSION) and waiting[POOL] >= left.count(POOL)
                ):
                    return
                await asyncio.sleep(_POLL_S)

    async def tables(self) -> Stored:
        looking = self._looking
        rows = await looking.fetch("SELECT * FROM journal ORDER BY era, xid, actor_id, seq")
        wakes = await looking.fetch("SELECT id, wake_at FROM actors WHERE wake_at IS NOT NULL")
        snapshots = await looking.fetch("SELECT actor_id, seq, state FROM snapshots")
        workers = await looking.fetch("SELECT incarnation::text, fenced, server FROM workers")
        owners = await looking.fetch(
            "SELECT coalesce(incarnation::text, '') FROM shards ORDER BY id"
        )
        return Stored(
            rows=[record_of(row) for row in rows],
            wakes=sorted((row[0], row[1]) for row in wakes),
            snapshots=sorted((row[0], row[1], row[2]) for row in snapshots),
            workers=[(row[0], row[1], row[2]) for row in workers],
            owners=[row[0] for row in owners],
        )


@asynccontextmanager
async def in_postgres(
    url: str, *, be_patient: Callable[[float], None]
) -> AsyncIterator[PostgresSide]:
    """Bring an empty database up to date, for one sequence after the other."""
    async with AsyncExitStack() as stack:
        looking = await connect(url, application_name="looking", timeout_s=_TIMEOUT_S)
        stack.callback(looking.terminate)
        await migrate(looking)
        installation = await open_installation(looking)
        await looking.executemany(
            "INSERT INTO actors (id, kind, key) VALUES ($1, 'pool', $2)",
            [(actor_id, str(actor_id)) for actor_id in ACTORS],
        )
        blocking = await connect(url, application_name="blocking", timeout_s=_TIMEOUT_S)
        stack.callback(blocking.terminate)
        pools: list[Pool] = []
        for _ in range(WORKERS_MAX):
            pool = await open_pool(url, size=4)
            stack.callback(pool.terminate)
            pools.append(cast("Pool", _LastingPool(pool)))
        yield PostgresSide(
            url,
            pools=pools,
            looking=looking,
            blocking=blocking,
            be_patient=be_patient,
            era=installation.era,
        )


_EMPTY: Final = """
UPDATE shards SET incarnation = NULL WHERE incarnation IS NOT NULL;
DELETE FROM workers;
DELETE FROM journal;
DELETE FROM snapshots;
UPDATE actors SET wake_at = NULL WHERE wake_at IS NOT NULL;
"""

_INSERT: Final = """
INSERT INTO journal (actor_id, seq, era, at, kind, version, body, digest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

_WAITING: Final = f"""
SELECT count(*) FILTER (WHERE application_name <> 'allocator') AS {SESSION},
       count(*) FILTER (WHERE application_name = 'allocator') AS {POOL}
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND wait_event_type = 'Lock'
"""


def _said(blocked: Blocked) -> tuple[int, str, int, str, bytes]:
    """Return what the row of a blocking insert says besides its address."""
    batch = batch_of((blocked.row,), {})
    return batch.ats_ms[0], batch.kinds[0], batch.versions[0], batch.bodies[0], batch.digests[0]


async def _nothing() -> None:
    """Nothing ever has to be started again."""
