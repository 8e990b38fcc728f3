"""The folding process: snapshots of hot pools, made from the journal, off the serving loop.

Under pipelining a live actor's memory is never exactly a committed state, and encoding a million
open orders would stall every request. So another process takes the last snapshot, folds the rows
above it, and stores the result.

It is run as `python -m allocator.persistence.folding EVENTS LOG_LEVEL`, is told the database's URL
in the first line of its standard input (a command line can be read by other users), and ends when
that input does: it never outlives the server that started it. Of all such processes on a database
one folds and the others wait. Should one that lost its lock fold a little longer, both make the
same snapshots.

The same process records the cuts to which the installation can be restored.
"""

import asyncio
import os
import signal
import sys
from typing import Final

import structlog

from allocator.domain.kinds import dump
from allocator.domain.records import StoredSnapshot
from allocator.domain.replay import replay
from allocator.errors import JournalError
from allocator.logs import configure_logs
from allocator.persistence.connections import Connection, Pool, borrowed, connect, open_pool
from allocator.persistence.cuts import record_cuts
from allocator.persistence.leadership import Role, lead
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement

log = structlog.get_logger()

_EVERY_S: Final = 2.0
_ACTORS_MAX: Final = 100
_NICENESS: Final = 10  # serving comes first


async def fold_due(pool: Pool, *, snapshot_events: int, damaged: set[int]) -> None:
    """Snapshot every pool that needs it.

    Args:
        pool: Of connections.
        snapshot_events: How many events make a snapshot due.
        damaged: Pools that cannot be replayed, to be left alone; those found are added.

    Raises:
        JournalError: The database does not answer.
    """
    async with borrowed(pool) as connection:
        rows = await connection.fetch(statement("due_snapshots"), snapshot_events, _ACTORS_MAX)
    reader = JournalReader(pool)
    for actor_id in [row["actor_id"] for row in rows if row["actor_id"] not in damaged]:
        try:
            await fold(reader, actor_id)
        except JournalError:
            raise
        except Exception:  # its journal cannot be replayed: the others still need their snapshots
            log.exception("folding.failed", actor=actor_id)
            damaged.add(actor_id)


async def fold(reader: JournalReader, actor_id: int) -> int:
    """Snapshot one actor as it is committed now; return the seq it stands on.

    Nothing is stored if nothing has happened since the newest sound one.

    Raises:
        JournalError: The database does not answer.
        GapError: Rows are missing.
        UnknownEventError: A newer release wrote some.
    """
    state = await reader.state(actor_id)
    begun = state.version
    async for records in reader.records(actor_id, after_seq=begun):
        replay(state, records)
    if state.version > begun:
        snapshot = StoredSnapshot(seq=state.version, state=dump(state))
        await reader.save_snapshot(actor_id, snapshot)
    return state.version


async def _run(url: str, *, snapshot_events: int) -> None:
    damaged: set[int] = set()
    while True:
        try:
            await _lead_and_fold(url, snapshot_events=snapshot_events, damaged=damaged)
        except JournalError as error:
            log.warning("folding.interrupted", error=str(error))
        await asyncio.sleep(_EVERY_S)


async def _lead_and_fold(url: str, *, snapshot_events: int, damaged: set[int]) -> None:
    session = await connect(url, application_name="allocator folding")
    try:
        await lead(session, Role.FOLDING)
        log.info("folding.leading")
        cutting = asyncio.create_task(_keep_cutting(url))
        try:
            await _fold_until_closed(session, url, snapshot_events=snapshot_events, damaged=damaged)
        finally:
            cutting.cancel()
    finally:
        session.terminate()
    raise JournalError("the session that held the lock has ended")


async def _fold_until_closed(
    session: Connection, url: str, *, snapshot_events: int, damaged: set[int]
) -> None:
    pool = await open_pool(url, size=1)
    try:
        while not session.is_closed():
            await fold_due(pool, snapshot_events=snapshot_events, damaged=damaged)
            await asyncio.sleep(_EVERY_S)
    finally:
        pool.terminate()


async def _keep_cutting(url: str) -> None:
    """Record cuts beside the folding, which may take long for a large pool."""
    while True:
        try:
            await record_cuts(url)
        except JournalError as error:
            log.warning("cuts.interrupted", error=str(error))
        await asyncio.sleep(_EVERY_S)


async def _until_input_ends(url: str, *, snapshot_events: int) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    folding = asyncio.create_task(_run(url, snapshot_events=snapshot_events))
    waiting = asyncio.create_task(ended.wait())
    await asyncio.wait({folding, waiting}, return_when=asyncio.FIRST_COMPLETED)
    folding.cancel()


def main() -> None:
    """Fold until standard input ends."""
    _, snapshot_events, log_level = sys.argv
    configure_logs(log_level)
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends us
    url = sys.stdin.readline().strip()
    asyncio.run(_until_input_ends(url, snapshot_events=int(snapshot_events)))


if __name__ == "__main__":
    main()
