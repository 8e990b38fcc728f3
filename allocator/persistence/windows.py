"""Windows on everything that is stored: rows of the journal and what was derived from them.

A **window** is a stretch of addresses (actor id, seq), read in one short transaction that writes
nothing: all of it was true at the same moment, and neither the tail nor anybody's vacuum waits for
it for long. Windows that follow each other cover a range of actors without a gap, so that rows
of actors that nobody knows turn up as well.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import asyncpg
import msgspec

from allocator.domain.kinds import kind_of, load
from allocator.domain.rows import Address
from allocator.domain.snapshots import SCHEMA_VERSION
from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Connection, connect
from allocator.persistence.installation import find_installation, refuse_unfinished_import
from allocator.persistence.leadership import Role, forbid
from allocator.persistence.migrate import refuse_other_schema
from allocator.persistence.statements import statement

WINDOW_ROWS: Final = 8_192
"""Rows of one table that are in memory at once."""
LARGE_STATE_BYTES: Final = 65_536
NOBODY: Final = -(1 << 63)
"""An actor id below all others."""
EVERYBODY: Final = (1 << 63) - 1
"""An actor id, or a seq, above all others."""
_LATE_MS: Final = 9_000_000_000_000
_TIMEOUT_S: Final = 120.0
_ACTORS_AT_ONCE: Final = 5_000
_TRANSITS_AT_ONCE: Final = 500
_HOLDS_AT_ONCE: Final = 2_000

Row: TypeAlias = asyncpg.Record
Rows: TypeAlias = Sequence[asyncpg.Record]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored behind one address and up to another, as it was at one moment.

    Attributes:
        after: The address behind which it begins.
        end: The last address in it.
        journal, orders, stocks, snapshots: Rows by address; of orders and stocks those above
            their actor's floor.
        actors: What is known of actors, by id.
        things: Rows of ordinary tables whose changes are journaled, by actor.
        floors: By actor, of those that have one in this window: they begin there, even if they
            began in another window and were pruned meanwhile.
        below: By such an actor, orders at or below its floor that were open there, or may have
            been.
        live: Stocks with something on hand of actors that begin in this window, and do not end
            in it or have a floor.
        is_last: Whether the range ends with it.
    """

    after: Address
    end: Address
    journal: Rows
    orders: Rows
    stocks: Rows
    snapshots: Rows
    actors: dict[int, Row]
    things: dict[int, Row]
    floors: dict[int, Row]
    below: dict[int, Rows]
    live: dict[int, Rows]
    is_last: bool


class Measured(msgspec.Struct, frozen=True):
    """An actor and how many events it has, about."""

    actor_id: int
    events: int


class Windows:
    """Reads windows of one database.

    Every method raises `JournalError` when the database does not answer.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def measure(self) -> AsyncIterator[Sequence[Measured]]:
        """Yield all actors, ascending, some at a time."""
        after = NOBODY
        while rows := await self._fetch("verify_ranges", after, _ACTORS_AT_ONCE):
            yield [Measured(row["id"], row["events"]) for row in rows]
            after = rows[-1]["id"]

    async def over(self, first: int, last: int) -> AsyncIterator[Window]:
        """Yield windows that cover all addresses of the actors from `first` to `last`."""
        after: Address = (first - 1, EVERYBODY) if first > NOBODY else (NOBODY, NOBODY)
        while True:
            try:
                async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                    window = await self._window(after, last)
            except FAILURES as error:
                raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error
            yield window
            if window.is_last:
                return
            after = window.end

    async def state(self, actor_id: int, seq: int) -> bytes | None:
        """Return the state of a snapshot, None if it is not there any more."""
        rows = await self._fetch("verify_snapshot", actor_id, seq)
        return bytes(rows[0]["state"]) if rows else None

    async def rows(self, actor_id: int, *, after_seq: int) -> Rows:
        """Return the next rows of an actor, as many as a window holds at most."""
        return await self._fetch("records", actor_id, after_seq, WINDOW_ROWS)

    async def whole(self) -> Row:
        """Return the one row of `verify_whole`.

        Raises:
            UsageError: There is no journal in the database, or one of another release, or half
                of one.
        """
        installation = await find_installation(self._connection)
        await refuse_other_schema(self._connection)
        await refuse_unfinished_import(self._connection)
        return (await self._fetch("verify_whole", installation.era))[0]

    async def transits(self) -> AsyncIterator[Rows]:
        """Yield what `verify_transit` finds, some at a time; all of it of one moment."""
        async for rows in self._stream("verify_transit", at_once=_TRANSITS_AT_ONCE):
            yield rows

    async def holds(self, *, part: int, parts: int) -> AsyncIterator[Rows]:
        """Yield what `verify_holds` reads, likewise."""
        async for rows in self._stream("verify_holds", part, parts, at_once=_HOLDS_AT_ONCE):
            yield rows

    async def floored(self, actor_ids: Sequence[int]) -> frozenset[int]:
        """Return which of some actors have a floor."""
        rows = await self._fetch("verify_floored", list(actor_ids))
        return frozenset(row["actor_id"] for row in rows)

    async def _stream(self, name: str, *arguments: object, at_once: int) -> AsyncIterator[Rows]:
        try:
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                found = await self._connection.cursor(statement(name), *arguments)
                while rows := await found.fetch(at_once):
                    yield rows
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error

    async def _window(self, after: Address, last: int) -> Window:
        end: Address = (last, EVERYBODY)
        tables: dict[str, list[Row]] = {}
        rows = await self._fetch("verify_journal", *after, last, WINDOW_ROWS)
        tables["journal"], end = rows, _end(rows, end)
        for table in ("orders", "stocks"):
            rows = await self._fetch(f"verify_{table}", *after, *end, WINDOW_ROWS)
            tables[table], end = rows, _end(rows, end)
        kept = {table: _up_to(end, rows) for table, rows in tables.items()}
        between = (after[0] + 1 if after[1] == EVERYBODY else after[0], end[0])
        actors = {row["id"]: row for row in await self._fetch("verify_actors", *between)}
        floored = [
            id_ for id_, row in actors.items() if row["floor"] and (id_, row["floor"]) > after
        ]
        floors = {id_: (await self._fetch("verify_floor", id_))[0] for id_ in floored}
        goes_on = {end[0]} if end[1] != EVERYBODY and end[0] > after[0] else set()
        return Window(
            after=after,
            end=end,
            **kept,
            snapshots=await self._fetch(
                "verify_snapshots", *after, *end, SCHEMA_VERSION, LARGE_STATE_BYTES
            ),
            actors=actors,
            things={row["actor_id"]: row for row in await self._fetch("verify_things", *between)},
            floors=floors,
            below={
                id_: await self._fetch("verify_below_floor", id_, row["seq"], _time_of(row))
                for id_, row in floors.items()
            },
            live={
                id_: await self._fetch("verify_live_stocks", id_) for id_ in goes_on.union(floored)
            },
            is_last=end == (last, EVERYBODY),
        )

    async def _fetch(self, name: str, *arguments: object) -> list[Row]:
        try:
            return await self._connection.fetch(statement(name), *arguments)
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error


@asynccontextmanager
async def open_windows(url: str) -> AsyncIterator[Windows]:
    """Have windows on a database, on a connection of their own.

    Raises:
        JournalError: The database does not answer.
    """
    connection = await connect(url, application_name="allocator verify", timeout_s=_TIMEOUT_S)
    try:
        try:
            # A plan made while a table was empty would read all of it in every window.
            await connection.execute("SET plan_cache_mode = force_custom_plan")
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error
        await forbid(connection, Role.PRUNING)  # a history must not change between two windows
        yield Windows(connection)
    finally:
        connection.terminate()


def _end(rows: Rows, end: Address) -> Address:
    """Return where a window ends whose rows of one table may be cut short."""
    if len(rows) < WINDOW_ROWS:
        return end
    return rows[-1]["actor_id"], rows[-1]["seq"]


def _up_to(end: Address, rows: list[Row]) -> Rows:
    """Return the rows up to an address."""
    count = len(rows)
    while count and (rows[count - 1]["actor_id"], rows[count - 1]["seq"]) > end:
        count -= 1
    return rows[:count]


def _time_of(floor: Row) -> int:
    """Return when the event at a floor happened; of a damaged one, a time after all others."""
    try:
        return load(kind_of(floor["kind"]), floor["state"]).last_at_ms
    except (ValueError, msgspec.DecodeError):
        return _LATE_MS
