"""The archive: a file of lines that only grows, and is on disk before anything is removed."""

import mmap
import os
from pathlib import Path
from typing import Final

from backports import zstd

from allocator.errors import AllocatorError, UsageError

_BEGINNING: Final = b'{"era":'
"""With which every line begins."""
_FRAME: Final = b"\x28\xb5\x2f\xfd"
"""With which every frame of Zstandard begins (RFC 8878 §3.1.1)."""
_LOOKED_AT: Final = 1 << 20
_LEVEL: Final = 3


class ArchiveError(AllocatorError):
    """Lines could not be written: what they are copies of must stay where it is."""

    def __init__(self, *, path: Path, error: OSError) -> None:
        super().__init__(f"cannot write to the archive {path}: {error.strerror}")


class Archive:
    """A file that lines are added to; compressed if its name ends in .zst.

    One that was broken off is gone on with behind its last whole line, or frame.

    Args:
        path: Of the file, which need not be there yet.

    Raises:
        UsageError: Something else is in it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._compressor = zstd.ZstdCompressor(level=_LEVEL) if path.suffix == ".zst" else None
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.lseek(self._fd, self._cut(), os.SEEK_SET)
                _sync_directory(path)
            except BaseException:
                os.close(self._fd)
                raise
        except OSError as error:
            why = error.strerror
            raise UsageError(f"cannot write to the archive {path}: {why}") from error

    def write(self, lines: bytes) -> None:
        """Add lines, each with its end; they are not durable yet.

        Raises:
            ArchiveError: The disk is full, or worse.
        """
        if self._compressor is not None:
            lines = self._compressor.compress(lines)
        self._write(lines)

    def seal(self) -> None:
        """Have on disk whatever was written, readable whatever becomes of the rest.

        Raises:
            ArchiveError: It may not be there.
        """
        if self._compressor is not None:
            self._write(self._compressor.flush(zstd.ZstdCompressor.FLUSH_FRAME))
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise ArchiveError(path=self._path, error=error) from error

    def close(self) -> None:
        """Let go of the file; what was not sealed may be missing from it."""
        os.close(self._fd)

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise ArchiveError(path=self._path, error=error) from error

    def _cut(self) -> int:
        """Cut off what was broken off; return how much there is."""
        size = os.fstat(self._fd).st_size
        if not size:
            return 0
        with mmap.mmap(self._fd, size, prot=mmap.PROT_READ) as content:
            end = _end_of_lines(content) if self._compressor is None else _end_of_frames(content)
        if end is None:
            raise UsageError(
                f"{self._path} is there and no archive of allocator: name another file"
            )
        os.ftruncate(self._fd, end)
        return end


def _end_of_lines(content: mmap.mmap) -> int | None:
    """Return where the last whole line ends, or None if these are none of ours."""
    start = content[: len(_BEGINNING)]
    return content.rfind(b"\n") + 1 if start == _BEGINNING[: len(start)] else None


def _end_of_frames(content: mmap.mmap) -> int | None:
    """Return where the last whole frame ends, or None if there are not our lines in them."""
    end = 0
    with memoryview(content) as view:
        while end < len(view):
            try:
                end += zstd.get_frame_size(view[end:])
            except zstd.ZstdError:
                break
    if not end:  # broken off in the first frame, or something else
        start = content[: len(_FRAME)]
        return 0 if start == _FRAME[: len(start)] else None
    first = zstd.ZstdDecompressor().decompress(content[:_LOOKED_AT], max_length=len(_BEGINNING))
    return end if first == _BEGINNING else None


def _sync_directory(path: Path) -> None:
    """Have the name of the file on disk as well."""
    directory = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
