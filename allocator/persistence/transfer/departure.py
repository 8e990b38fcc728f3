"""Reading an installation as it was at a cut, in pieces, beside whoever serves from it.

The tables come first, all from one snapshot, then the journal in short looks, the next one under
way while the last one is dealt with. PostgreSQL makes the lines: nothing here knows what an
event says. What has changed in the tables since the cut is taken back by what the journal says of
it, so that both are of one moment.

All transactions are reading ones, which hold nobody's tail back.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import msgspec

from allocator.domain.kinds import wake_at
from allocator.domain.positions import START, Position
from allocator.domain.replay import replay
from allocator.errors import JournalError, UsageError
from allocator.persistence.connections import FAILURES, Connection, connect, open_pool
from allocator.persistence.cuts import Cut, settled, settled_soon
from allocator.persistence.installation import find_installation
from allocator.persistence.leadership import Role
from allocator.persistence.migrate import refuse_other_schema
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement
from allocator.persistence.transfer.format import (
    BLOCK_BYTES,
    FORMAT,
    End,
    Ending,
    Header,
    Piece,
    Reached,
    line_of,
)
from allocator.persistence.transfer.tables import CARRIED

_TIMEOUT_S: Final = 3_600.0
_ROWS_FIRST: Final = 5_000
_TABLE_ROWS_FIRST: Final = 10
_ROWS_MAX: Final = 50_000

# Every look must find its way through an index, whatever is believed of the table's size; and
# rows in their order need no second process to sort them.
_PLANNING: Final = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off;"
    "SET max_parallel_workers_per_gather = 0; SET plan_cache_mode = force_custom_plan"
)
# Outside of its strings, a line feed in JSON says no more than a space.
_TABLE_LINES: Final = """
SELECT '{"table":"%s","row":' || translate(row_to_json(carried)::text, E'\\n\\r', '  ') || '}'
FROM (%s) AS carried
"""
_ESTIMATE: Final = """
SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'journal'::regclass
"""
_NUMBERS: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM actor_numbers"
_PARAMETER: Final = re.compile(r"\$(\d)")

_place: Final = msgspec.json.Decoder(Position)


class Departure:
    """An installation, ready to be read; see `open_departure`.

    Attributes:
        header: What it is.
        cut: Which moment of it.
        left_out: How many rows were committed before, and are held back by a transaction that is
            older and still running.
        rows_about: How many rows of the journal to expect, as far as PostgreSQL knows.
    """

    def __init__(  # noqa: PLR0913 (what is known of it)
        self,
        url: str,
        connection: Connection,
        *,
        header: Header,
        cut: Cut,
        left_out: int,
        rows_about: int,
    ) -> None:
        self.header = header
        self.cut = cut
        self.left_out = left_out
        self.rows_about = rows_about
        self._url = url
        self._connection = connection
        self._moment = (cut.era, str(cut.xid))
        self._is_whole = header.floors.startswith("0-")

    async def pieces(self, after: Reached | None = None) -> AsyncGenerator[Piece, None]:
        """Yield all of it, or what is missing behind the last row of the journal.

        Raises:
            JournalError: The database does not answer.
        """
        position = None if after is None else after.after
        try:
            if position is None:
                yield Piece(content=line_of(self.header))
                async for piece in self._tables():
                    yield piece
            async for piece in self._rows(position or START):
                yield piece
            yield Piece(content=line_of(await self._ending()))
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error

    async def _tables(self) -> AsyncIterator[Piece]:
        # One snapshot: what refers to a row of another table must find it there.
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            woken = await self._woken()
            parameters = (*self._moment, [*woken], [*woken.values()])
            for table in CARRIED:
                carry = _code(f"carry_{table}")
                used = max((int(number) for number in _PARAMETER.findall(carry)), default=0)
                lines = await self._connection.cursor(
                    _TABLE_LINES % (table, carry), *parameters[:used]
                )
                limit = _TABLE_ROWS_FIRST
                while rows := await lines.fetch(limit):
                    content = "".join([f"{line}\n" for (line,) in rows]).encode()
                    limit = min(_fitting(len(content) // len(rows)), 10 * limit)
                    yield Piece(content=content, table=table)

    async def _woken(self) -> dict[int, int | None]:
        """Say when those that have changed since the cut wanted to be woken at the cut."""
        changed = await self._connection.fetch(statement("changed_since"), *self._moment)
        if not changed:
            return {}
        pool = await open_pool(self._url, size=2)
        try:
            reader, woken = JournalReader(pool), dict[int, int | None]()
            for actor_id, version in changed:
                woken[actor_id] = await _wake_of(reader, actor_id, version=version)
        finally:
            pool.terminate()
        return woken

    async def _rows(self, after: Position) -> AsyncIterator[Piece]:
        limit = _ROWS_FIRST
        upcoming = asyncio.create_task(self._look(after, limit))
        try:
            while content := await upcoming:
                rows = content.count(b"\n")
                after = _last_position(content)
                is_last, limit = rows < limit, _fitting(len(content) // rows)
                if not is_last:
                    upcoming = asyncio.create_task(self._look(after, limit))
                yield Piece(content=content, rows=rows, position=str(after))
                if is_last:
                    return
        finally:
            upcoming.cancel()

    async def _look(self, after: Position, limit: int) -> bytes:
        """Return the lines of the next rows; empty if there are none."""
        chunks: list[bytes] = []

        async def keep(chunk: bytes) -> None:
            chunks.append(bytes(chunk))  # the driver may use its buffer again

        await self._connection.copy_from_query(
            _code("export_rows"),
            after.era,
            str(after.xid),
            after.actor_id,
            after.seq,
            *self._moment,
            limit,
            self._is_whole,
            output=keep,
            format="csv",
            # A line is one column, and no text in JSON can make PostgreSQL quote it.
            delimiter="\x02",
            quote="\x01",
        )
        return b"".join(chunks)

    async def _ending(self) -> Ending:
        revoked = await self._connection.fetch(statement("revoked_since"), *self._moment)
        numbers = await self._connection.fetchval(_NUMBERS)
        return Ending(end=End(actor_numbers=numbers, revoked=[row["name"] for row in revoked]))


@asynccontextmanager
async def open_departure(url: str, *, cut: Cut | None = None) -> AsyncIterator[Departure]:
    """Have an installation ready to be read, as it was at a cut or else as it is settled now.

    Raises:
        JournalError: The database does not answer.
        UsageError: There is no installation in it, of this release; or the cut has not settled,
            or what belongs to it has been pruned.
    """
    connection = await connect(url, application_name="allocator export", timeout_s=_TIMEOUT_S)
    try:
        try:
            installation = await find_installation(connection)
            await refuse_other_schema(connection)
            await connection.execute(_PLANNING)
            await _keep_whole(connection)
            cut, left_out = await _settled_cut(connection, cut)
            await _refuse_pruned(connection, cut)
            header = Header(
                allocator_journal=FORMAT,
                release=version("allocator"),
                era=cut.era,
                xid=cut.xid,
                floors=await connection.fetchval(statement("floors_print")),
                id_secret=installation.id_secret.hex(),
            )
            rows_about = await connection.fetchval(_ESTIMATE)
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error
        yield Departure(
            url, connection, header=header, cut=cut, left_out=left_out, rows_about=rows_about
        )
    finally:
        connection.terminate()


async def _settled_cut(connection: Connection, cut: Cut | None) -> tuple[Cut, int]:
    """Return the cut to take, and how many rows it lacks that were committed before it."""
    if cut is None:
        return await settled_soon(connection)
    present = await settled(connection)
    if (cut.era, cut.xid) > (present.era, present.xid):
        raise UsageError(
            "this moment has not settled yet: a transaction that is still running may belong to "
            "it; try again when it has ended"
        )
    return cut, 0


async def _keep_whole(connection: Connection) -> None:
    """Let nobody prune what is being read, for as long as the connection lasts."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock_shared($1)", Role.PRUNING):
        raise UsageError(
            "`allocator journal prune` is at work on this database, or its read models are being "
            "rebuilt: try again when that has ended"
        )


async def _refuse_pruned(connection: Connection, cut: Cut) -> None:
    row = await connection.fetchrow(statement("floor_after"), cut.era, str(cut.xid), cut.at_ms)
    if row is not None:
        raise UsageError(
            f"rows up to {row['seq']} of actor {row['actor_id']} were pruned, and it is not "
            "certain that all of them had been written by then: choose a later moment"
        )


async def _wake_of(reader: JournalReader, actor_id: int, *, version: int) -> int | None:
    """Return when an actor wanted to be woken at a version."""
    state = await reader.state(actor_id, below=version + 1)
    if state.version < version:
        async for records in reader.records(actor_id, after_seq=state.version):
            replay(state, records[: version - state.version])
            if state.version == version:
                break
    return wake_at(state)


def _code(name: str) -> str:
    """Return a statement without what is said about it."""
    lines = statement(name).splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def _last_position(content: bytes) -> Position:
    return _place.decode(content[content.rfind(b"\n", 0, -1) + 1 :])


def _fitting(row_bytes: int) -> int:
    """Return how many rows of a size make a block."""
    return max(1, min(BLOCK_BYTES // max(1, row_bytes), _ROWS_MAX))
