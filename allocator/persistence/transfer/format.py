"""What an export looks like: lines of JSON in blocks, each closed by a line that vouches for it.

The first block is the header; then come the tables, then the journal in commit order, then one
line that says that this was all. A block holds lines of one kind. The line that closes it counts
everything up to here and carries a digest over the digest of the block before it, the block's own
bytes and its own counts. So each block can be trusted as soon as it is read, the last one vouches
for the whole, and whoever stops can go on behind any block.

docs/export-format.md says it for those who read such files with other tools.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

import msgspec

from allocator.domain.positions import Position
from allocator.errors import AllocatorError

FORMAT: Final = 1
BLOCK_BYTES: Final = 2_000_000
"""About how much a block holds."""
_BLOCK_BYTES_MAX: Final = 512_000_000
_CLOSING: Final = b'{"block":'

_encode: Final = msgspec.json.Encoder().encode


class DamagedExportError(AllocatorError):
    """What was read is not what was once written, or not all of it.

    Attributes:
        line: The number of the first line that is wrong, from 1.
    """

    def __init__(self, *, line: int, why: str) -> None:
        super().__init__(f"line {line} {why}")
        self.line = line
        self.why = why


class DamagedBlockError(DamagedExportError):
    """A block is not as it was written; `content` may tell where."""

    def __init__(self, *, first: int, last: int, content: bytes) -> None:
        super().__init__(
            line=first, why=f"or one up to line {last} is not as it was written: the digest differs"
        )
        self.content = content


class UnreadableError(AllocatorError):
    """Bytes that were compressed cannot be made out."""


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: what this is an export of.

    Attributes:
        allocator_journal: The version of this format.
        release: Of allocator.
        era: With `xid` the cut: all of former eras, and of this one the transactions below.
        floors: Stands for what had been pruned; changes with the next prune.
        id_secret: Seals ids, in hexadecimal: whoever has it can forge and count them.
    """

    allocator_journal: int
    release: str
    era: int
    xid: int
    floors: str
    id_secret: str


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """The line that closes a block: everything up to here.

    Attributes:
        block: Number of the block, from 1; 0 before everything.
        lines: Of all blocks together, the closing ones included.
        rows: Of the journal.
        tables: Rows of the other tables.
        position: Of the last row of the journal; None before the first.
        digest: SHA-256 in hexadecimal, over the bytes of the former digest, of this block, and of
            this line up to here.
    """

    block: int = 0
    lines: int = 0
    rows: int = 0
    tables: dict[str, int] = {}
    position: str | None = None
    digest: str = ""

    @property
    def after(self) -> Position | None:
        """The position behind which the journal goes on, or None."""
        return None if self.position is None else Position.of(self.position)


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last line before the last closing one.

    Attributes:
        actor_numbers: The last number that was given to an actor, 0 if none was.
        revoked: Names of API keys that were revoked since the cut.
    """

    actor_numbers: int
    revoked: list[str] = []


class Ending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That line, as it stands there."""

    end: End


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What a block holds: lines of one kind, each with its end of line.

    Attributes:
        rows: How many rows of the journal.
        table: Which table the lines are of, or "".
        position: Of the last row of the journal, or None.
    """

    content: bytes
    rows: int = 0
    table: str = ""
    position: str | None = None

    @property
    def lines(self) -> int:
        """How many there are."""
        return self.content.count(b"\n")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A block that was read and is sound.

    Attributes:
        first_line: The number of its first line.
        size: In bytes, its closing line included.
    """

    content: bytes
    first_line: int
    reached: Reached
    size: int


def advanced(reached: Reached, piece: Piece, *, digest: str = "") -> Reached:
    """Return how far it is once a piece is there as well."""
    lines, tables = piece.lines, reached.tables
    if piece.table:
        tables = tables | {piece.table: tables.get(piece.table, 0) + lines}
    return Reached(
        block=reached.block + 1,
        lines=reached.lines + lines + 1,
        rows=reached.rows + piece.rows,
        tables=tables,
        position=piece.position or reached.position,
        digest=digest,
    )


def sealed(reached: Reached, piece: Piece) -> Reached:
    """Return the closing line of a piece that follows what was reached."""
    counted = advanced(reached, piece)
    digest = _digest(reached.digest, piece.content, line_of(counted))
    return msgspec.structs.replace(counted, digest=digest)


def line_of(thing: Header | Reached | Ending) -> bytes:
    """Return a line, with its end."""
    return _encode(thing) + b"\n"


def blocks_of(chunks: Iterable[bytes], *, after: Reached | None = None) -> Iterator[Block]:
    """Yield the blocks of an export, each of them sound.

    Args:
        chunks: Of its bytes, as they come.
        after: What came before them; None if nothing did.

    Raises:
        DamagedExportError: Something is wrong; all that was yielded before is right.
    """
    reached = after or Reached()
    try:
        for content, closing in _closed(chunks, first_line=reached.lines + 1):
            block = _opened(content, closing, after=reached)
            reached = block.reached
            yield block
    except UnreadableError as error:
        raise DamagedExportError(
            line=reached.lines + 1, why=f"or one soon after it {error}"
        ) from error


def _closed(chunks: Iterable[bytes], *, first_line: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield what stands before each closing line, and that line."""
    buffer, looked_at, lines = bytearray(), 0, first_line
    for chunk in chunks:
        buffer += chunk
        while (found := _closing_line(buffer, looked_at)) is not None:
            start, end = found
            content, closing = bytes(buffer[:start]), bytes(buffer[start:end])
            del buffer[:end]
            looked_at = 0
            lines += content.count(b"\n") + 1
            yield content, closing
        looked_at = max(0, buffer.rfind(b"\n"))
        if len(buffer) > _BLOCK_BYTES_MAX:
            raise DamagedExportError(
                line=lines, why="begins no block: this is no export of allocator"
            )
    if buffer:
        raise DamagedExportError(
            line=lines + buffer.count(b"\n"),
            why="is where it breaks off: the last block has no closing line",
        )


def _closing_line(buffer: bytearray, looked_at: int) -> tuple[int, int] | None:
    """Find the first whole closing line: where it starts, and where the next one does."""
    if buffer.startswith(_CLOSING):
        start = 0
    else:
        before = buffer.find(b"\n" + _CLOSING, looked_at)
        if before < 0:
            return None
        start = before + 1
    end = buffer.find(b"\n", start)
    return None if end < 0 else (start, end + 1)


def _opened(content: bytes, closing: bytes, *, after: Reached) -> Block:
    """Return a block if what closes it speaks true."""
    first, last = after.lines + 1, after.lines + content.count(b"\n") + 1
    try:
        reached = msgspec.json.decode(closing, type=Reached)
    except msgspec.DecodeError as error:
        raise DamagedExportError(line=last, why="does not close its block") from error
    if reached.block != after.block + 1:
        raise DamagedExportError(
            line=last, why=f"closes block {reached.block}, and block {after.block + 1} was due"
        )
    if reached.digest != _digest(after.digest, content, closing):
        raise DamagedBlockError(first=first, last=last, content=content)
    if reached.lines != last:
        raise DamagedExportError(line=last, why=f"says that it is line {reached.lines}")
    size = len(content) + len(closing)
    return Block(content=content, first_line=first, reached=reached, size=size)


def _digest(former: str, content: bytes, closing: bytes) -> str:
    digest = sha256(bytes.fromhex(former))
    digest.update(content)
    digest.update(closing[: closing.rfind(b',"digest":')])
    return digest.hexdigest()
