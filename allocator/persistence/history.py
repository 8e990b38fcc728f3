"""The history of one actor, or of one order or lot in it, for people: whole rows, oldest first."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from allocator.domain.kinds import State
from allocator.domain.records import Record
from allocator.persistence.connections import Borrowed, Pool, borrowed, open_pool
from allocator.persistence.installation import Installation, find_installation
from allocator.persistence.reader import JournalReader, record_of
from allocator.persistence.statements import statement

_PAGE_ROWS: Final = 2_000
_LOOKED_AT_ROWS: Final = 50_000
"""Rows that PostgreSQL searches in one go: a tenth of a second's work."""
_CLOCKS_APART_MS: Final = 60_000
"""By how much the times of rows of several workers may disagree with what came first."""


class History:
    """What the journal holds about single things.

    Every method raises `JournalError` when the database does not answer.
    """

    def __init__(self, pool: Pool, installation: Installation) -> None:
        self.installation = installation
        self._pool = pool
        self._reader = JournalReader(pool)

    async def actor_of(self, key: str) -> int | None:
        """Return the actor of a key, or None if there is none."""
        async with borrowed(self._pool) as connection:
            found = await connection.fetchval(statement("actor_of"), key)
        return None if found is None else int(found)

    async def key_of(self, actor_id: int) -> str | None:
        """Return the key of an actor, or None if there is none of this id."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("actor_keys"), [actor_id])
        return str(rows[0]["key"]) if rows else None

    async def record(self, actor_id: int, seq: int) -> Record | None:
        """Return one row, or None if there is none."""
        found = await self._reader.page(actor_id, after_seq=seq - 1, limit=1)
        return found[0] if found and found[0].seq == seq else None

    async def beginning(self, actor_id: int) -> State:
        """Return the state of an actor before the first row that is kept of it."""
        floor = await self._reader.floor(actor_id)
        return await self._reader.state(actor_id, below=floor + 1)

    async def pruned_thing(self, actor_id: int, seq: int) -> str | None:
        """Say what a row that was pruned had made: "order", "stock", "move", or None if nothing."""
        async with borrowed(self._pool) as connection:
            thing = await connection.fetchval(statement("pruned_thing"), actor_id, seq)
        return None if thing is None else str(thing)

    async def records(self, actor_id: int, *, after: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the rows of an actor above a seq, in chunks; none is empty."""
        while rows := await self._reader.page(actor_id, after_seq=after, limit=_PAGE_ROWS):
            yield rows
            after = rows[-1].seq

    async def mentions(
        self, actor_id: int, seq: int, *, after: int
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield row `seq` and all later ones that may be about what it made, above a seq.

        Others may be among them; chunks may be empty, and hold 50,000 rows at most.
        """
        async with borrowed(self._pool) as connection:
            last = await connection.fetchval(statement("last_seq"), actor_id)
        for low in range(max(seq - 1, after), last, _LOOKED_AT_ROWS):
            high = low + _LOOKED_AT_ROWS
            async with borrowed(self._pool) as connection:
                rows = await connection.fetch(statement("mentions"), actor_id, seq, low, high)
            yield [record_of(row) for row in rows]

    async def asked_by(
        self, process: int, actor_id: int, *, from_ms: int, to_ms: int | None
    ) -> list[Record]:
        """Return what an actor did for a process between two times, in order: a few hundred rows.

        Args:
            process: Its actor.
            actor_id: Of whom it asked something.
            from_ms: Nothing of it happened before.
            to_ms: Likewise after; None if it is not over.
        """
        async with borrowed(self._pool) as connection:
            low = await _version_at(connection, actor_id, from_ms - _CLOCKS_APART_MS)
            high = await connection.fetchval(statement("last_seq"), actor_id)
            if to_ms is not None:
                high = await _version_at(connection, actor_id, to_ms + _CLOCKS_APART_MS) or high
        found: list[Record] = []
        for after in range(low, high, _LOOKED_AT_ROWS):
            up_to = min(after + _LOOKED_AT_ROWS, high)
            async with borrowed(self._pool) as connection:
                rows = await connection.fetch(
                    statement("asked_by"), actor_id, str(process), after, up_to
                )
            found += [record_of(row) for row in rows]
        return found


@asynccontextmanager
async def open_history(url: str) -> AsyncIterator[History]:
    """Have the histories of a database's things.

    Raises:
        JournalError: The database does not answer.
        UsageError: There is no journal in it.
    """
    pool = await open_pool(url, size=1)
    try:
        async with borrowed(pool) as connection:
            installation = await find_installation(connection)
        yield History(pool, installation)
    finally:
        pool.terminate()


async def _version_at(connection: Borrowed, actor_id: int, at_ms: int) -> int:
    """Return the last seq of an actor by a time; 0 if rows are missing where one would look."""
    row = await connection.fetchrow(statement("version_at"), actor_id, at_ms)
    return 0 if row is None or row["version"] is None else int(row["version"])
