"""Writing an installation into an empty database, in pieces that may be interrupted at any point.

A row of `imports` says what this is to become, and how far it has come; it changes in the
transaction of each piece. Until the last one, nobody can take the database for an installation:
its own row is stored at the very end, and `serve` refuses to start.

The journal's indexes are dropped meanwhile, all but the primary key, and made again at the end:
the journal grows twice as fast. Rows keep their eras and transaction ids, which order them; as all
of them belong to former eras then, the installation goes on in the next one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import msgspec

from allocator.domain.positions import START, Position
from allocator.errors import JournalError, UsageError
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.connections import FAILURES, Connection, connect, open_pool
from allocator.persistence.floors import restore_floors
from allocator.persistence.leadership import Role
from allocator.persistence.statements import statement
from allocator.persistence.transfer.format import (
    DamagedBlockError,
    DamagedExportError,
    End,
    Header,
    Piece,
    Reached,
    advanced,
    line_of,
)
from allocator.persistence.transfer.unpacking import (
    COLUMNS,
    DELIMITER,
    QUOTE,
    Row,
    Rows,
    TableRows,
    ending_of,
    header_of,
    rows_of,
    table_rows_of,
)
from allocator.persistence.transfer.vacancy import find_import, forget, prepare, refuse_another

_NAME: Final = "allocator import"
_TIMEOUT_S: Final = 3_600.0
_TRIES: Final = 20
_PAUSE_S: Final = 0.1
_ROWS_PREFIX: Final = b'{"era":'
_TABLE_PREFIX: Final = b'{"table":'

_REACH: Final = "UPDATE imports SET reached = $1"
_FINISH: Final = "UPDATE imports SET reached = $1, finished_at = now()"
_SILENT: Final = "restored from another installation: PUT the webhook again to have it told"
_COUNT: Final = "SELECT count(*) FROM journal WHERE era <= $1"
_NUMBERS: Final = "SELECT setval('actor_numbers', greatest($1::bigint, 1), $1::bigint > 0)"


class Arrival:
    """An empty database that becomes an installation; see `open_arrival`.

    While one piece is being stored, the next one is checked.

    Attributes:
        reached: How far it has come, as far as it is committed or about to be.
    """

    def __init__(
        self, url: str, connection: Connection, looking: Connection, *, principal: str
    ) -> None:
        self.reached = Reached()
        self._url = url
        self._connection = connection
        self._looking = looking
        self._principal = principal
        self._rows = Rows()
        self._header: Header | None = None
        self._end: End | None = None
        self._indexes: list[str] = []
        self._storing: asyncio.Task[None] | None = None

    async def begin(self, header: Header, *, start_over: bool) -> bool:
        """Begin, or go on where the same import was interrupted; `reached` says where.

        Args:
            header: Of what is to come.
            start_over: Whether to forget what an unfinished import has stored.

        Returns:
            False if this very import has finished before: there is nothing to do.

        Raises:
            UsageError: The database is not empty, or half of something else.
            JournalError: The database does not answer.
        """
        with _translated():
            found = await find_import(self._connection)
            if found is not None and start_over and not found["finished"]:
                await forget(self._connection)
                found = None
            if found is None:
                await self._prepare(header)
                return True
            refuse_another(found, header)
        self._header, self._indexes = header, found["indexes"]
        if found["reached"] is not None:
            self.reached = msgspec.json.decode(found["reached"], type=Reached)
            self._rows.go_on(self.reached.after or START)
        return not found["finished"]

    async def start_again(self) -> None:
        """Forget all that is stored, but not what this is to become."""
        assert self._header is not None, "begin first"
        with _translated():
            await forget(self._connection)
            await self._prepare(self._header)
            self.reached = Reached()

    async def take(self, content: bytes, *, first_line: int, reached: Reached) -> None:
        """Store one more piece; it is, at the latest, when `finish` returns.

        Args:
            content: Its lines.
            first_line: The number of the first.
            reached: How far this comes.

        Raises:
            DamagedExportError: It is not what it should be; nothing of it is stored.
            JournalError: The database does not answer.
        """
        piece, store = await self._unpacked(content, first_line=first_line)
        if msgspec.structs.replace(advanced(self.reached, piece), digest=reached.digest) != reached:
            raise DamagedExportError(
                line=reached.lines, why="counts other things than there are up to here"
            )
        await self._settle()
        self.reached = reached
        if self._end is not None:
            return  # `finish` notes it: until then, the end is still to come
        self._storing = asyncio.create_task(self._store(store, reached))

    async def examine(self, damaged: DamagedBlockError) -> None:
        """Find the line of a block that is wrong; return if none is by itself.

        Raises:
            DamagedExportError: This one is.
        """
        await self._settle()
        await self._unpacked(damaged.content, first_line=damaged.line)

    async def finish(self, *, is_copy: bool) -> None:
        """Make the database an installation.

        Args:
            is_copy: Whether the other one goes on: then webhooks are disabled here, for their
                receivers are its own.

        Raises:
            DamagedExportError: The end is missing.
            JournalError: The database does not answer.
        """
        await self._settle()
        header, end = self._header, self._end
        assert header is not None, "begin first"
        if end is None:
            raise DamagedExportError(
                line=self.reached.lines + 1, why="is missing, and so is the end of the export"
            )
        with _translated():
            stored = await self._connection.fetchval(_COUNT, header.era)
            if stored != self.reached.rows:
                raise JournalError(f"{stored} rows are stored, and {self.reached.rows} were sent")
            await self._revoke(header, end)
            async with self._connection.transaction():
                for definition in self._indexes:
                    await self._connection.execute(definition)
                await restore_floors(self._connection)
                if is_copy:
                    await self._connection.execute(statement("silence_webhooks"), _SILENT)
                await self._connection.execute(_NUMBERS, end.actor_numbers)
                secret = bytes.fromhex(header.id_secret)
                await self._connection.execute(statement("found_installation"), secret, header.era)
                await self._connection.execute(_FINISH, line_of(self.reached).decode())
            await self._connection.execute("ANALYZE")

    async def leave(self) -> None:
        """Let what is under way come to its end, whatever end that is."""
        if self._storing is not None:
            await asyncio.wait({self._storing})
            self._storing.exception()

    async def _prepare(self, header: Header) -> None:
        self._header, self._indexes = header, await prepare(self._connection, header)

    async def _unpacked(
        self, content: bytes, *, first_line: int
    ) -> tuple[Piece, bytes | TableRows | None]:
        """Return what a piece is, and what is to be stored of it."""
        if content.startswith(_ROWS_PREFIX):
            rows = await asyncio.to_thread(rows_of, content, first_line=first_line)
            await self._tell_heads(rows, first_line=first_line)
            copied = await asyncio.to_thread(self._rows.checked, rows, first_line=first_line)
            return _piece_of(content, rows), copied
        if content.startswith(_TABLE_PREFIX):
            table_rows = await asyncio.to_thread(table_rows_of, content, first_line=first_line)
            return Piece(content=content, table=table_rows.table), table_rows
        if self.reached.block == 0:
            if header_of(content) != self._header:
                raise DamagedExportError(line=1, why="is not the header that it was")
        else:
            self._end = ending_of(content, line=first_line).end
        return Piece(content=content), None

    async def _tell_heads(self, rows: list[Row], *, first_line: int) -> None:
        """Say where actors stand that have not been seen lately, and that the new ones exist."""
        with _translated():
            if missing := self._rows.missing(rows):
                heads = await self._looking.fetch(statement("heads"), missing)
                self._rows.told({row["id"]: (row["seq"], row["digest"]) for row in heads})
            begun = [row.actor_id for row in rows if row.seq == 1]
            strangers = await self._looking.fetch(statement("strangers"), begun) if begun else []
        if strangers:
            stranger = strangers[0]["id"]
            line = next(
                line for line, row in enumerate(rows, first_line) if row.actor_id == stranger
            )
            raise DamagedExportError(
                line=line, why=f"is of actor {stranger}, which is not among them"
            )

    async def _settle(self) -> None:
        """Wait until the former piece is stored."""
        if self._storing is not None:
            storing, self._storing = self._storing, None
            await storing

    async def _store(self, what: bytes | TableRows | None, reached: Reached) -> None:
        with _translated():
            async with self._connection.transaction():
                if isinstance(what, TableRows):
                    await self._insert(what)
                elif what is not None:
                    await self._copy(what)
                await self._connection.execute(_REACH, line_of(reached).decode())

    async def _copy(self, rows: bytes) -> None:
        await self._connection.copy_to_table(
            "journal",
            source=_once(rows),
            columns=COLUMNS,
            format="csv",
            delimiter=DELIMITER,
            quote=QUOTE,
        )

    async def _insert(self, rows: TableRows) -> None:
        columns = ", ".join(f'"{column}"' for column in rows.columns)
        await self._connection.execute(
            f"INSERT INTO {rows.table} ({columns}) "  # noqa: S608 (names of ours)
            f"SELECT {columns} FROM json_populate_recordset(NULL::{rows.table}, $1::json)",
            rows.array,
        )

    async def _revoke(self, header: Header, end: End) -> None:
        """Shut out again whoever was shut out since the cut, in the new era of the journal."""
        if not end.revoked:
            return
        pool = await open_pool(self._url, size=1)
        try:
            keys = PostgresApiKeys(pool, era=header.era + 1, clock=_now_ms)
            for name in end.revoked:
                await keys.revoke(name, principal=self._principal)
        finally:
            pool.terminate()


@asynccontextmanager
async def open_arrival(url: str, *, principal: str) -> AsyncIterator[Arrival]:
    """Have a database to write an installation into, which nobody else does meanwhile.

    Args:
        url: Of the database.
        principal: Who is to stand in the journal for what has to be journaled anew.

    Raises:
        JournalError: The database does not answer.
        UsageError: Somebody else writes one into it at this moment.
    """
    connection = await connect(url, application_name=_NAME, timeout_s=_TIMEOUT_S)
    try:
        with _translated():
            if not await _is_alone(connection):
                raise UsageError("another import or restore into this database is under way")
        looking = await connect(url, application_name=_NAME)
        arrival = Arrival(url, connection, looking, principal=principal)
        try:
            yield arrival
        finally:
            await arrival.leave()
            looking.terminate()
    finally:
        connection.terminate()


async def _is_alone(connection: Connection) -> bool:
    """Say whether nobody else writes here; the session of one that just ended lasts a moment."""
    for _ in range(_TRIES):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", Role.IMPORT):
            return True
        await asyncio.sleep(_PAUSE_S)
    return False


def _piece_of(content: bytes, rows: list[Row]) -> Piece:
    last = rows[-1]
    position = Position(last.era, last.xid, last.actor_id, last.seq)
    return Piece(content=content, rows=len(rows), position=str(position))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
