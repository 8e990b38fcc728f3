"""Cuts: moments to which an installation can be restored.

A row is in a cut if its transaction is below the oldest one that was still running. What a
transaction has seen had been committed before it, so it is in every cut that the transaction is
in; that makes any cut a state in which the installation could have stopped.
"""

import asyncio
from itertools import count
from typing import Final

import asyncpg
import msgspec

from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Connection, Executor, connect
from allocator.persistence.statements import statement

EVERY_S: Final = 1.0
_THIN_EVERY: Final = 3_600
"""Looks between two thinnings: an hour."""
_THINNED_MAX: Final = 10_000
_LOOK_AGAIN_S: Final = 0.05
_LOOKS_MAX: Final = 100


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of former eras, and of `era` the transactions below `xid`.

    Attributes:
        at_ms: When it was taken, milliseconds of Unix time; None if nobody wrote that down.
    """

    era: int
    xid: int
    at_ms: int | None = None


async def cut_at(connection: Executor, at_ms: int) -> Cut | None:
    """Return the newest recorded cut at or before a time, or None if there is none."""
    return _cut_of(await connection.fetchrow(statement("cut_at"), at_ms))


async def cut_for(connection: Executor, at_ms: int) -> Cut | None:
    """Return the cut to restore to for a time, or None if it is before the first one.

    That is the newest recorded one at or before the time; or the present, if nothing has
    happened since the time.
    """
    recorded, present = await cut_at(connection, at_ms), await settled(connection)
    since = recorded or Cut(era=0, xid=0)
    if await connection.fetchval(
        statement("happened_later"), since.era, str(since.xid), at_ms, present.era, str(present.xid)
    ):
        return recorded
    return present


async def first_cut(connection: Executor) -> Cut | None:
    """Return the oldest recorded cut, or None if there is none."""
    return _cut_of(await connection.fetchrow(statement("first_cut")))


async def settled(connection: Executor) -> Cut:
    """Return the cut of this moment, of an installation that is there."""
    cut = _cut_of(await connection.fetchrow(statement("settled")))
    assert cut is not None, "find the installation first"
    return cut


async def settled_soon(connection: Executor) -> tuple[Cut, int]:
    """Return the cut of this moment, once all that has committed by now is in it.

    For a transaction that is older, and does not end within some seconds, nobody waits longer.

    Returns:
        The cut, and how many committed rows it lacks, which that transaction holds back.
    """
    latest = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    for _ in range(_LOOKS_MAX):
        cut = await settled(connection)
        if cut.xid >= int(latest):
            return cut, 0
        await asyncio.sleep(_LOOK_AGAIN_S)
    cut = await settled(connection)
    return cut, await connection.fetchval(statement("left_out"), cut.era, str(cut.xid), latest)


async def record_cuts(url: str) -> None:
    """Record a cut a second for as long as something is committed; cancel to stop.

    Raises:
        JournalError: The database does not answer.
    """
    connection = await connect(url, application_name="allocator cuts")
    try:
        # A plan made while the journal was empty would read all of it, once it is full.
        await connection.execute("SET plan_cache_mode = force_custom_plan")
        for look in count():
            if look % _THIN_EVERY == 0:
                await thin(connection)
            await record(connection)
            await asyncio.sleep(EVERY_S)
    except FAILURES as error:
        raise JournalError(f"cuts: {type(error).__name__}: {error}") from error
    finally:
        connection.terminate()


async def record(connection: Connection) -> bool:
    """Record a cut of this moment; return whether there was anything to record."""
    return await connection.fetchval(statement("record_cut")) is not None


async def thin(connection: Connection) -> None:
    """Let cuts go that are older than a week, but for one a minute; after 90 days, one an hour."""
    await connection.execute(statement("thin_cuts"), _THINNED_MAX)


def _cut_of(row: asyncpg.Record | None) -> Cut | None:
    if row is None:
        return None
    return Cut(era=row["era"], xid=int(row["xid"]), at_ms=row["at"])
