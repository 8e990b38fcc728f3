"""The archive: it only grows, and what was broken off is gone on with."""

import os
from pathlib import Path

import pytest
from backports import zstd

from allocator.errors import UsageError
from allocator.journal.archive import Archive, ArchiveError

NAMES = ("rows.ndjson", "rows.ndjson.zst")


def line(number: int) -> bytes:
    return b'{"era":1,"seq":%d,"noise":"%b"}\n' % (number, os.urandom(200).hex().encode())


def archive_with(path: Path, *sealed: bytes) -> None:
    """Add lines, each sealed by itself, as one prune does."""
    archive = Archive(path)
    for lines in sealed:
        archive.write(lines)
        archive.seal()
    archive.close()


def content_of(path: Path) -> bytes:
    content = path.read_bytes()
    return zstd.decompress(content) if path.suffix == ".zst" else content


@pytest.mark.parametrize("name", NAMES)
def test_an_archive_is_added_to_by_every_prune(tmp_path: Path, name: str) -> None:
    lines = [line(number) for number in range(4)]
    archive_with(tmp_path / name, *lines[:2])
    archive_with(tmp_path / name, *lines[2:])

    assert content_of(tmp_path / name) == b"".join(lines)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", NAMES)
def test_wherever_it_was_broken_off_what_was_sealed_stays_and_more_is_added(
    tmp_path: Path, name: str
) -> None:
    first, second, third = line(1), line(2), line(3)
    archive_with(tmp_path / "whole" if name == NAMES[0] else tmp_path / "whole.zst", first)
    sealed = (tmp_path / "whole" if name == NAMES[0] else tmp_path / "whole.zst").stat().st_size
    path = tmp_path / name
    archive_with(path, first, second)
    whole = path.read_bytes()
    for size in {*range(0, len(whole), 29), sealed - 1, sealed, len(whole) - 1, len(whole)}:
        path.write_bytes(whole[:size])
        archive_with(path, third)

        kept = b"" if size < sealed else first if size < len(whole) else first + second
        assert content_of(path) == kept + third, size


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "content", [b"Dear diary", b'{"name": 1}\n', zstd.compress(b"Dear diary")], ids=repr
)
def test_a_file_that_is_something_else_is_left_alone(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="is there and no archive of allocator: name another file"):
        Archive(tmp_path / name)

    assert (tmp_path / name).read_bytes() == content


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        Archive(tmp_path / "nowhere" / "rows")
    with pytest.raises(UsageError, match="Is a directory"):
        Archive(tmp_path)


def test_a_full_disk_is_told_before_anything_counts_as_archived() -> None:
    with pytest.raises(ArchiveError, match="No space left on device"):
        Archive(Path("/dev/full")).write(line(1))
