"""The projection: it keeps the read models up with the journal.

It reads the tail in commit order, whole transactions below the oldest one still running, and
applies them set by set in SQL: the numbers never pass through Python, so a hot product costs the
serving process nothing. Rows and position change in one transaction, so every event is applied
once. An actor whose rows the tables refuse is quarantined; the others go on.

Of all processes on a database one does this; were it two, each batch would only be waited for
twice.
"""

import asyncio
import re
from functools import cache
from typing import Final

import asyncpg
import msgspec
import structlog

from allocator.domain.codec import VERSIONS
from allocator.errors import JournalError
from allocator.persistence.connections import (
    FAILURES,
    Connection,
    Executor,
    Pool,
    borrowed,
    connect,
)
from allocator.persistence.floors import restore_floors
from allocator.persistence.leadership import Role, lead
from allocator.persistence.statements import statement

log = structlog.get_logger()

STEPS: Final = (
    "project_ticket_options",
    "project_orders",
    "project_departures",
    "project_order_ends",
    "project_stocks",
    "project_stock_changes",
    "project_repicks",
    "project_order_lines",
    "project_cart_lines",
    "project_order_parts",
    "project_checkouts",
    "project_checkout_ends",
)
"""In this order. A step names in its statement every kind of row that it is about."""

COUNTING_STEPS: Final = (
    "project_moves",
    "project_carts",
    "project_cart_orders",
    "project_process_orders",
    "project_balances",
)
"""After those; each returns how many events it applied, and together they apply all."""

_QUOTED: Final = re.compile("'([a-z_]+)'")

BATCH_EVENTS: Final = 10_000
_PAUSE_S: Final = 0.2
_RETRY_S: Final = 1.0
_FORGETTING_S: Final = 3_600.0


class _Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Transactions of one era: above `after_xid`, up to and including `up_to_xid`."""

    era: int
    after_xid: str
    up_to_xid: str


class Projection:
    """Applies the tail of the journal to the read models.

    Args:
        url: It has a connection of its own.
        era: The present one.
        pause_s: How long it rests after each batch; longer means fewer, cheaper batches.
    """

    def __init__(self, *, url: str, era: int, pause_s: float = _PAUSE_S) -> None:
        self._url = url
        self._era = era
        self._pause_s = pause_s

    async def run(self) -> None:
        """Keep the read models up to date for ever, while no other does; cancel to stop."""
        while True:
            try:
                connection = await self._open()
                try:
                    await lead(connection, Role.PROJECTION)
                    log.info("projection.leading")
                    await self._follow(connection)
                finally:
                    connection.terminate()
            except JournalError as error:
                log.warning("projection.interrupted", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def catch_up(self) -> int:
        """Apply everything that is settled now, whoever leads; return how many events that was.

        Raises:
            JournalError: The database does not answer.
        """
        connection = await self._open()
        try:
            applied = 0
            while events := await self._step(connection):
                applied += events
        finally:
            connection.terminate()
        return applied

    async def _open(self) -> Connection:
        connection = await connect(self._url, application_name="allocator projection")
        try:
            # A plan made while a table was empty reads all of it in every batch, once it is full.
            await connection.execute("SET plan_cache_mode = force_custom_plan")
        except FAILURES as error:
            connection.terminate()
            raise JournalError(f"projection: {type(error).__name__}: {error}") from error
        except asyncio.CancelledError:
            connection.terminate()
            raise
        return connection

    async def _follow(self, connection: Connection) -> None:
        while True:
            events = await self._step(connection)
            if events < BATCH_EVENTS:
                await asyncio.sleep(self._pause_s)

    async def _step(self, connection: Connection) -> int:
        """Apply one batch; return how many events it had, 0 if there is nothing to do."""
        try:
            try:
                return await self._apply_all(connection)
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
                log.warning("projection.refused", error=str(error))
                return await self._apply_each(connection)
        except FAILURES as error:
            raise JournalError(f"projection: {type(error).__name__}: {error}") from error

    async def _apply_all(self, connection: Connection) -> int:
        async with connection.transaction():
            batch = await self._next_batch(connection)
            if batch is None:
                return 0
            kinds = await _kinds_in(connection, batch)
            events = await _apply(connection, batch, kinds, actor_id=None)
            await _advance(connection, batch, events)
        return max(events, 1)

    async def _apply_each(self, connection: Connection) -> int:
        """Apply a batch actor by actor, and quarantine those whose rows are refused."""
        events = 0
        async with connection.transaction():
            batch = await self._next_batch(connection)
            if batch is None:
                return 0
            kinds = await _kinds_in(connection, batch)
            rows = await connection.fetch(statement("project_actors"), *_range(batch))
            for row in rows:
                try:
                    async with connection.transaction():
                        actor_id = row["actor_id"]
                        events += await _apply(connection, batch, kinds, actor_id=actor_id)
                except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
                    await _quarantine(connection, batch, row["actor_id"], str(error))
            await _advance(connection, batch, events)
        return max(events, 1)

    async def _next_batch(self, connection: Connection) -> _Batch | None:
        row = await connection.fetchrow(statement("project_claim"), self._era, BATCH_EVENTS)
        if row is None:
            return None
        return _Batch(era=row["era"], after_xid=row["after_xid"], up_to_xid=row["up_to_xid"])


async def forget_read_models(pool: Pool) -> None:
    """Take the read models back to the beginning; the projection builds them again.

    Where nothing was pruned that is quick. Else it is one transaction that may take a while, for
    whose end everybody who follows the journal waits.

    Raises:
        JournalError: The database does not answer.
        DamagedFloorError: What stands for pruned rows cannot be read; all is as it was.
    """
    async with borrowed(pool) as connection, connection.transaction():
        lock = "SELECT pg_advisory_xact_lock($1)"
        await connection.execute(lock, Role.PRUNING, timeout=_FORGETTING_S)
        if not await connection.fetchval(statement("has_floors")):
            await connection.execute(statement("project_forget"))
            return
        await connection.execute(statement("project_forget_above"), timeout=_FORGETTING_S)
        await restore_floors(connection)


async def _kinds_in(connection: Executor, batch: _Batch) -> frozenset[str]:
    rows = await connection.fetch(statement("project_kinds"), *_range(batch))
    return frozenset([row["kind"] for row in rows])


async def _apply(
    connection: Executor, batch: _Batch, kinds: frozenset[str], *, actor_id: int | None
) -> int:
    """Take every step for which there is anything: each of them reads all rows of the batch."""
    for step in STEPS:
        if not kinds.isdisjoint(kinds_of(step)):
            await connection.execute(statement(step), *_range(batch), actor_id)
    events = 0
    for step in COUNTING_STEPS:
        if not kinds.isdisjoint(kinds_of(step)):
            events += await connection.fetchval(statement(step), *_range(batch), actor_id)
    return events


@cache
def kinds_of(step: str) -> frozenset[str]:
    """Return the kinds of rows that a step is about: those that its statement names."""
    named = frozenset(_QUOTED.findall(statement(step)))
    return named.intersection(VERSIONS)


async def _advance(connection: Executor, batch: _Batch, events: int) -> None:
    await connection.execute(statement("project_advance"), batch.era, batch.up_to_xid, events)


async def _quarantine(connection: Executor, batch: _Batch, actor_id: int, why: str) -> None:
    log.error("projection.quarantined", actor=actor_id, error=why)
    await connection.execute(
        statement("project_quarantine"), actor_id, batch.era, batch.after_xid, why
    )


def _range(batch: _Batch) -> tuple[int, str, str]:
    return batch.era, batch.after_xid, batch.up_to_xid
