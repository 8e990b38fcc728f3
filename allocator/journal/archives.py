"""Files that hold exports: how they are written so that nothing is lost, and how they are read.

An export grows in FILE.part, which only its owner may read, and becomes FILE when it is whole and
on disk. Each block is a frame of its own if the file is compressed, so that whoever goes on with
one that was interrupted cuts off what is broken behind the last whole block, and writes on.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from allocator.errors import UsageError
from allocator.persistence.transfer.format import (
    Block,
    DamagedExportError,
    Header,
    Piece,
    Reached,
    UnreadableError,
    blocks_of,
    line_of,
    sealed,
)
from allocator.persistence.transfer.unpacking import header_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIX: Final = ".zst"
PIPE: Final = "-"
_PART: Final = ".part"
_LEVEL: Final = 3
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_PLAIN_START: Final = b'{"allocator_journal":'
_READ_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 4 << 20
_SYNC_BYTES: Final = 64 << 20
"""What a power cut may cost."""


class Draft:
    """An export that is being written to a file; see `drafted`.

    Attributes:
        header: The one in the file, None if there is none yet.
        reached: How far it goes.
        is_whole: Whether its end is in it already.
        size: Of the file, in bytes.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.header: Header | None = None
        self.reached = Reached()
        self.is_whole = False
        self.size = 0
        self._path = path
        self._file = file
        self._is_compressed = path.suffix == SUFFIX
        self._unsynced = 0

    def look(self) -> None:
        """Find out what is there already, and cut off what cannot be gone on from.

        Without a row of the journal that is all of it: the tables are read again.

        Raises:
            UsageError: It is something else.
        """
        blocks = _compressed_blocks if self._is_compressed else _plain_blocks
        with suppress(DamagedExportError):  # where it was interrupted
            for block, end in blocks(self._file):
                if self.header is None:
                    self.header = header_of(block.content)
                self.reached, self.size = block.reached, end
                self.is_whole = block.content.startswith(b'{"end":')
        if self.header is None and not self._may_be_ours():
            raise UsageError(f"{self._path}{_PART} is no export: move it out of the way")
        if self.reached.position is None and not self.is_whole:
            self.header, self.reached, self.size = None, Reached(), 0
        self._file.truncate(self.size)
        self._file.seek(self.size)

    def write(self, piece: Piece) -> None:
        """Add a block."""
        self.reached = sealed(self.reached, piece)
        block = piece.content + line_of(self.reached)
        written = zstd.compress(block, level=_LEVEL) if self._is_compressed else block
        self._file.write(written)
        self.size += len(written)
        self._unsynced += len(written)
        if self._unsynced >= _SYNC_BYTES:
            self._sync()

    def finish(self) -> None:
        """Have it on disk, under its name."""
        self._sync()
        Path(f"{self._path}{_PART}").rename(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def _may_be_ours(self) -> bool:
        """Say whether this can be the beginning of an export, cut short."""
        self._file.seek(0)
        start = self._file.read(len(_PLAIN_START))
        expected = _MAGIC if self._is_compressed else _PLAIN_START
        return expected.startswith(start[: len(expected)])


@contextmanager
def drafted(path: Path) -> Iterator[Draft]:
    """Have the draft of a file, while the context is open; what is in it stays if it fails.

    Raises:
        UsageError: The file is there already, or cannot be written, or somebody else writes it.
    """
    if path.exists():
        raise UsageError(f"{path} is there already: name a file that is not")
    try:
        number = os.open(f"{path}{_PART}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"cannot write {path}{_PART}: {error.strerror}") from error
    with os.fdopen(number, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another export is writing {path}{_PART}") from error
        os.fchmod(number, 0o600)  # whatever it was before
        draft = Draft(path, file)
        draft.look()
        yield draft


class Stream:
    """An export that goes straight to whoever reads it, without a way back.

    Attributes:
        reached: How far it goes.
        size: What was written, in bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.reached = Reached()
        self.size = 0
        self._file = file

    def write(self, piece: Piece) -> None:
        """Add a block.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        self.reached = sealed(self.reached, piece)
        block = piece.content + line_of(self.reached)
        self._file.write(block)
        self._file.flush()
        self.size += len(block)

    def finish(self) -> None:
        """Nothing is left to do."""


def chunks_of(file: BinaryIO | FileIO) -> Iterator[bytes]:
    """Yield what a file says, compressed or not, as it comes.

    Args:
        file: Unbuffered, or a pipe would have to fill a buffer first.

    Raises:
        UnreadableError: It is compressed, and damaged.
    """
    start = b""
    while len(start) < len(_MAGIC) and (chunk := file.read(_READ_BYTES)):
        start += chunk
    if start.startswith(_MAGIC):
        for chunk, _ in _decompressed(file, start):
            yield chunk
        return
    yield start
    while chunk := file.read(_READ_BYTES):
        yield chunk


def _plain_blocks(file: BinaryIO) -> Iterator[tuple[Block, int]]:
    """Yield the blocks of a file, and where each ends in it."""
    end = 0
    for block in blocks_of(iter(lambda: file.read(_READ_BYTES), b"")):
        end += block.size
        yield block, end


def _compressed_blocks(file: BinaryIO) -> Iterator[tuple[Block, int]]:
    """Yield likewise the blocks of a file in which each is a frame."""
    reached, content, frames = Reached(), bytearray(), _decompressed(file, b"")
    try:
        for chunk, end in frames:
            content += chunk
            if end:
                for block in blocks_of([bytes(content)], after=reached):
                    reached = block.reached
                    yield block, end
                content.clear()
    except UnreadableError as error:
        raise DamagedExportError(line=reached.lines + 1, why=str(error)) from error


def _decompressed(file: BinaryIO | FileIO, start: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield what frames hold, each time with where the frame ends, or 0 if it goes on.

    Raises:
        UnreadableError: They are damaged.
    """
    decompressor, compressed, read = zstd.ZstdDecompressor(), start, len(start)
    while True:
        if not compressed and (decompressor.needs_input or decompressor.eof):
            compressed = file.read(_READ_BYTES)
            read += len(compressed)
            if not compressed:
                return
        if decompressor.eof:
            decompressor = zstd.ZstdDecompressor()
        try:
            chunk = decompressor.decompress(compressed, max_length=_CHUNK_BYTES)
        except zstd.ZstdError as error:
            raise UnreadableError(f"cannot be decompressed: {error}") from error
        compressed = decompressor.unused_data if decompressor.eof else b""
        yield chunk, read - len(compressed) if decompressor.eof else 0
