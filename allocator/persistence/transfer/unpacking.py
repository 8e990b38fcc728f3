"""From lines to what COPY takes, each row checked on the way: a plain computation.

A row of the journal must come after the one before it in the order of the tail, and follow the
row before it in its actor's chain. So a line that was edited, left out or moved is found where it
stands, whatever the digests around it say.
"""

import time
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias, TypeVar

import msgspec

from allocator.domain.positions import Position
from allocator.domain.records import GENESIS, chain
from allocator.persistence.transfer.format import DamagedExportError, Ending, Header
from allocator.persistence.transfer.tables import CARRIED

COLUMNS: Final = (
    "actor_id",
    "seq",
    "at",
    "era",
    "xid",
    "version",
    "kind",
    "principal",
    "idempotency_key",
    "request_digest",
    "digest",
    "body",
)
"""Of the journal, in the order of `Unpacked.rows`."""
DELIMITER: Final = "\x1f"
QUOTE: Final = "\x01"
"""JSON has no control characters: a body in one line needs neither quotes nor escapes."""
_EMPTY: Final = QUOTE + QUOTE
_BYTES: Final = "\\x"
_HEADS_MAX: Final = 100_000

Head: TypeAlias = tuple[int, bytes]
"""Seq and digest of an actor's last row."""
_NO_HEAD: Final[Head] = (0, GENESIS)

_T = TypeVar("_T")


class Row(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """A line of the journal."""

    era: int
    xid: int
    actor_id: int
    seq: int
    at_ms: int
    kind: str
    version: int
    digest: str
    principal: str = ""
    idempotency_key: str | None = None
    request_digest: str | None = None
    body: msgspec.Raw = msgspec.Raw()
    text: str | None = None

    @property
    def stored_body(self) -> str:
        """The body as it is stored, to the byte."""
        return str(self.body, "utf-8") if self.text is None else self.text


class TableRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of another table."""

    table: str
    row: msgspec.Raw


class TableRows(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one table.

    Attributes:
        columns: Those that the rows have.
        array: The rows, as a JSON array.
    """

    table: str
    columns: tuple[str, ...]
    array: str


_header: Final = msgspec.json.Decoder(Header)
_ending: Final = msgspec.json.Decoder(Ending)
_row: Final = msgspec.json.Decoder(Row)
_table_row: Final = msgspec.json.Decoder(TableRow)
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def header_of(content: bytes) -> Header:
    """Return the header of an export, which is its first block.

    Raises:
        DamagedExportError: It is none.
    """
    return _decoded(_header, content, line=1, what="the header of an export")


def ending_of(content: bytes, *, line: int) -> Ending:
    """Return the last block of an export.

    Raises:
        DamagedExportError: It is none.
    """
    return _decoded(_ending, content, line=line, what="the end of an export")


def rows_of(content: bytes, *, first_line: int) -> list[Row]:
    """Return the lines of a block of the journal.

    Raises:
        DamagedExportError: One is none.
    """
    return _all_decoded(_row, content, first_line=first_line, what="a row of the journal")


def table_rows_of(content: bytes, *, first_line: int) -> TableRows:
    """Return the lines of a block of another table.

    Raises:
        DamagedExportError: One is none, or it is of another table.
    """
    rows = _all_decoded(_table_row, content, first_line=first_line, what="a row of a table")
    table, columns = rows[0].table, tuple(_members.decode(rows[0].row))
    if table not in CARRIED:
        raise DamagedExportError(
            line=first_line, why=f"is of a table {table!r}, which this release does not know"
        )
    for line, row in enumerate(rows, first_line):
        if row.table != table:
            raise DamagedExportError(line=line, why=f"is of the table {row.table} amid {table}")
    array = b"[" + b",".join([bytes(row.row) for row in rows]) + b"]"
    return TableRows(table=table, columns=columns, array=array.decode())


class Rows:
    """The journal on its way in, as far as it has been checked.

    It remembers where the actors that were last seen stand, and must be told of others.
    """

    def __init__(self, *, heads_max: int = _HEADS_MAX) -> None:
        self._heads_max = heads_max
        self._heads: dict[int, Head] = {}
        self._older_heads: dict[int, Head] = {}
        self._last = (0, 0, 0, 0)

    def go_on(self, after: Position) -> None:
        """Expect only what comes behind a position."""
        self._last = (after.era, after.xid, after.actor_id, after.seq)

    def missing(self, rows: Collection[Row]) -> list[int]:
        """Return the actors whose heads must be told before these rows can be checked."""
        heads, older = self._heads, self._older_heads
        return [
            actor_id
            for actor_id in {row.actor_id for row in rows if row.seq > 1}
            if actor_id not in heads and actor_id not in older
        ]

    def told(self, heads: Mapping[int, Head]) -> None:
        """Remember where actors stand."""
        self._heads.update(heads)

    def checked(self, rows: Collection[Row], *, first_line: int) -> bytes:
        """Return the rows as COPY takes them, once they have proved to follow.

        Raises:
            DamagedExportError: One does not.
        """
        lines: list[str] = []
        at = _Times()
        for line, row in enumerate(rows, first_line):
            try:
                body = row.stored_body
                self._take(row, body, line)
            except ValueError as error:
                raise DamagedExportError(
                    line=line, why=f"is no row of the journal: {error}"
                ) from error
            lines.append(_copy_line(row, body, at.text(row.at_ms)))
        if len(self._heads) > self._heads_max:
            self._older_heads, self._heads = self._heads, {}
        return "".join(lines).encode()

    def _take(self, row: Row, body: str, line: int) -> None:
        actor_id, seq = row.actor_id, row.seq
        place = (row.era, row.xid, actor_id, seq)
        if place <= self._last:
            raise DamagedExportError(
                line=line, why="is out of order: it belongs before the last one"
            )
        head = self._heads.get(actor_id) or self._older_heads.get(actor_id) or _NO_HEAD
        if seq != head[0] + 1:
            raise DamagedExportError(
                line=line,
                why=f"is row {seq} of actor {actor_id}, and row {head[0] + 1} was to come first",
            )
        asked = row.request_digest
        digest = chain(
            head[1],
            actor_id=actor_id,
            seq=seq,
            at_ms=row.at_ms,
            kind=row.kind,
            version=row.version,
            body=body,
            principal=row.principal,
            idempotency_key=row.idempotency_key,
            request_digest=None if asked is None else bytes.fromhex(asked),
        )
        if digest.hex() != row.digest:
            raise DamagedExportError(
                line=line,
                why=f"is not as it was written: row {seq} of actor {actor_id} does not bear out "
                "its digest",
            )
        self._heads[actor_id] = (seq, digest)
        self._last = place


class _Times:
    """Milliseconds of Unix time as PostgreSQL reads them; rows often share a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, at_ms: int) -> str:
        second, ms = divmod(at_ms, 1000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
        return f"{self._text}.{ms:03}Z"


def _copy_line(row: Row, body: str, at: str) -> str:
    key, asked, principal = row.idempotency_key, row.request_digest, row.principal
    # U+001F is the delimiter, spelled out: a constant would cost as much as a column.
    return (
        f"{row.actor_id}\x1f{row.seq}\x1f{at}\x1f{row.era}\x1f{row.xid}\x1f{row.version}\x1f"
        f"{_quoted(row.kind)}\x1f{_quoted(principal) if principal else _EMPTY}\x1f"
        f"{'' if key is None else _quoted(key)}\x1f{'' if asked is None else _BYTES + asked}\x1f"
        f"\\x{row.digest}\x1f{body if row.text is None else _quoted(body)}\n"
    )


def _quoted(text: str) -> str:
    """Return a text so that COPY takes it for nothing else: not for NULL, nor for two."""
    if text and text.isprintable():
        return text
    return QUOTE + text.replace(QUOTE, QUOTE + QUOTE) + QUOTE


def _all_decoded(
    decoder: "msgspec.json.Decoder[_T]", content: bytes, *, first_line: int, what: str
) -> list[_T]:
    try:
        return decoder.decode_lines(content)
    except msgspec.DecodeError:
        lines = content.splitlines(keepends=True)
    return [
        _decoded(decoder, text, line=line, what=what) for line, text in enumerate(lines, first_line)
    ]


def _decoded(decoder: "msgspec.json.Decoder[_T]", text: bytes, *, line: int, what: str) -> _T:
    try:
        return decoder.decode(text)
    except msgspec.DecodeError as error:
        raise DamagedExportError(line=line, why=f"is not {what}: {error}") from error
