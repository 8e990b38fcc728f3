"""The tail: the whole journal in the order in which it was committed, for whoever follows it.

Read models, event streams, webhooks and exports want every row, in one order, and to go on after
a crash where they had been. Three promises make that possible. A row once told is never preceded by
one that is told later: a transaction is told only when no older one is running any more, in any
database of the server. Of what is settled nothing is left out. And every row has a position,
from which anybody can go on at any time, in this era or a later one.

So what a reader has done and how far it says that it came should change in one transaction, or
it must be ready to be told a row twice.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import msgspec

from allocator.domain.positions import START, Position
from allocator.domain.records import Record
from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Connection, connect
from allocator.persistence.installation import Installation, find_installation
from allocator.persistence.reader import record_of
from allocator.persistence.statements import statement

CHUNK_ROWS: Final = 2_000
"""Rows that are looked at in one go: what a reader has in memory at once."""
# A plan made while the journal was empty would go on reading all of it at every look. So would one
# that takes the comparison of a position's four parts for a rare match, and then sorts everything.
_PLANNING: Final = (
    "SET plan_cache_mode = force_custom_plan; SET enable_seqscan = off;"
    "SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0"
)
_LOOK_BACK_ROWS: Final = 20_000
_COUNTED_MAX: Final = 10_000
_CLOCKS_APART_MS: Final = 60_000
"""By how much the times of rows may disagree with the order of their commits."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A row and where it stands."""

    era: int
    xid: int
    record: Record

    @property
    def position(self) -> Position:
        """From where to go on once this row is dealt with."""
        return Position(self.era, self.xid, self.record.actor_id, self.record.seq)


class Chunk(msgspec.Struct, frozen=True):
    """What one look at the tail found.

    Attributes:
        entries: What was wanted, in order; may be empty.
        reached: The last row that was looked at: everything up to it has been told.
        looked_at: How many rows were; if fewer than asked for, nothing was behind them.
    """

    entries: Sequence[Entry]
    reached: Position
    looked_at: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to tell; None means any.

    A product alone includes its own changes, as of its name, and so does a warehouse.

    Attributes:
        since_ms: The earliest time, milliseconds of Unix time, by the rows' own clocks.
    """

    warehouse: str | None = None
    product: str | None = None
    kinds: tuple[str, ...] | None = None
    since_ms: int | None = None


EVERYTHING: Final = Wanted()


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was committed at a moment.

    Attributes:
        xmax: Of this era, transactions from here on had not begun.
        running: Of those below, the ones that had not ended.
    """

    era: int
    xmax: int
    running: frozenset[int]

    def shows(self, position: Position) -> bool:
        """Whether a row was committed then."""
        if position.era != self.era:
            return position.era < self.era
        return position.xid < self.xmax and position.xid not in self.running


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """What is committed and must wait, and for whom.

    Attributes:
        events: How many rows wait; counting stops at 10,000.
        xid: Of the oldest running transaction.
        pid: Of its session; None if it has none, or we may not know.
        prepared: Its name, if it is a prepared transaction.
        lasted_ms: How long it has run, if we may know.
    """

    events: int
    xid: int
    pid: int | None
    role: str | None
    database: str | None
    application: str | None
    state: str | None
    prepared: str | None
    lasted_ms: int | None


class Tail:
    """The settled part of one database's journal.

    Every method is one statement, or several one after the other, on the one connection; so one
    of them at a time. All raise `JournalError` when the database does not answer: open another
    tail and go on from the last position.

    Args:
        connection: On which nothing else is done meanwhile; see `open_tail`.
        installation: Whose journal it is; all eras before its present one are complete.
    """

    def __init__(self, connection: Connection, installation: Installation) -> None:
        self.installation = installation
        self._connection = connection
        self._era = installation.era

    async def chunks(
        self, after: Position, *, wanted: Wanted = EVERYTHING, rows: int = CHUNK_ROWS
    ) -> AsyncIterator[Chunk]:
        """Yield everything that is settled after a position, and end; ask again for what comes.

        Args:
            after: `START`, or the position of any row that was ever told.
            wanted: What to tell of it. What is left out costs the reader nothing.
            rows: How many are looked at, and at most told, in one go.
        """
        while chunk := await self.chunk(after, wanted=wanted, rows=rows):
            after = chunk.reached
            yield chunk

    async def chunk(
        self, after: Position, *, wanted: Wanted = EVERYTHING, rows: int = CHUNK_ROWS
    ) -> Chunk | None:
        """Return the first of what `chunks` yields; None if nothing is settled after a position."""
        found = await self._fetch(
            "tail",
            *_columns(after),
            self._era,
            rows,
            wanted.warehouse,
            wanted.product,
            wanted.kinds,
            wanted.since_ms,
        )
        if not found:
            return None
        entries = [_entry_of(row) for row in found if row["wanted"]]
        return Chunk(entries, _position_of(found[-1]), looked_at=found[-1]["place"])

    async def before_last(self, count: int, *, wanted: Wanted = EVERYTHING) -> Position:
        """Return the position after which the last `count` settled rows stand, wanted ones.

        `START` if there are no more than that; the end of what is settled if `count` is 0. Times
        are not looked at.
        """
        before: Position | None = None
        rows = _LOOK_BACK_ROWS if count else 1
        while found := await self._fetch(
            "tail_back",
            *((None,) * 4 if before is None else _columns(before)),
            self._era,
            rows,
            wanted.warehouse,
            wanted.product,
            wanted.kinds,
        ):
            before = _position_of(found[-1])
            if not count:
                return before
            for row in found:
                count -= row["wanted"]
                if not count:
                    first = _position_of(row)
                    return msgspec.structs.replace(first, seq=first.seq - 1)
        return START

    async def before_time(self, at_ms: int) -> Position:
        """Return a position after which every row stands that happened at `at_ms` or later.

        It is a minute early, for clocks that disagree; rows of a clock that was further behind
        the order of the commits may stand before it. It costs a few dozen looks at an index.
        """
        at_ms -= _CLOCKS_APART_MS
        for era in range(self._era, 0, -1):
            if await self._is_before(at_ms, era=era, xid=0):
                return await self._first_not_before(era, at_ms)
        return START

    async def _first_not_before(self, era: int, at_ms: int) -> Position:
        low, high = 0, 1
        while await self._is_before(at_ms, era=era, xid=high):
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if await self._is_before(at_ms, era=era, xid=middle):
                low = middle
            else:
                high = middle
        return Position(era, high, 0, 0)

    async def _is_before(self, at_ms: int, *, era: int, xid: int) -> bool:
        """Say whether the first row of an era from a transaction on happened before a time."""
        found = await self._fetch("tail_probe", era, str(xid), self._era)
        return bool(found) and found[0]["at"] < at_ms

    async def seen(self) -> Seen:
        """Say what is committed now, settled or not."""
        [row] = await self._fetch("tail_seen")
        return Seen(era=self._era, xmax=row["xmax"], running=frozenset(row["running"]))

    async def is_whole_after(self, position: Position) -> bool:
        """Say whether nothing behind the position of a row has been pruned, as far as is known."""
        [row] = await self._fetch("tail_whole", *_columns(position))
        return bool(row["is_whole"])

    async def held_back(self) -> HeldBack | None:
        """Say what keeps committed rows from being settled, or None if nothing does."""
        [row] = await self._fetch("tail_held_back", self._era, _COUNTED_MAX)
        if not row["events"]:
            return None
        return HeldBack(
            events=row["events"],
            xid=row["xid"],
            pid=row["pid"],
            role=row["role"],
            database=row["database"],
            application=row["application_name"],
            state=row["state"],
            prepared=row["gid"],
            lasted_ms=None if row["since"] is None else row["now"] - row["since"],
        )

    async def keys(self, actor_ids: Collection[int]) -> dict[int, str]:
        """Return the keys of actors, by id: `pool:WAREHOUSE/PRODUCT` and the like."""
        rows = await self._fetch("actor_keys", list(actor_ids))
        return {row["id"]: row["key"] for row in rows}

    async def actor_of(self, key: str) -> int | None:
        """Return the actor of a key, or None if there is none."""
        rows = await self._fetch("actor_of", key)
        return rows[0]["id"] if rows else None

    def terminate(self) -> None:
        """Let go of the connection at once, whatever it is in the middle of."""
        self._connection.terminate()

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._connection.fetch(statement(name), *arguments)
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error


async def begin_tail(url: str, *, name: str) -> Tail:
    """Return the tail of a database's journal, on a connection of its own; terminate it.

    Args:
        url: Of the database.
        name: Of the reader, for people who look at the sessions of the database.

    Raises:
        JournalError: The database does not answer.
        UsageError: There is no journal in it.
    """
    connection = await connect(url, application_name=name)
    try:
        await connection.execute(_PLANNING)
        return Tail(connection, await find_installation(connection))
    except FAILURES as error:
        connection.terminate()
        raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error
    except BaseException:
        connection.terminate()
        raise


@asynccontextmanager
async def open_tail(url: str, *, name: str) -> AsyncIterator[Tail]:
    """Likewise, and terminate it at the end of the context."""
    tail = await begin_tail(url, name=name)
    try:
        yield tail
    finally:
        tail.terminate()


def _columns(position: Position) -> tuple[int, str, int, int]:
    return position.era, str(position.xid), position.actor_id, position.seq


def _position_of(row: asyncpg.Record) -> Position:
    return Position(row["era"], row["xid"], row["actor_id"], row["seq"])


def _entry_of(row: asyncpg.Record) -> Entry:
    return Entry(row["era"], row["xid"], record_of(row))
