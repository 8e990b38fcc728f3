"""`journal import`: an installation out of a file."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import FileIO
from typing import Final

import msgspec
from rich.console import Console

from allocator.errors import AllocatorError, UsageError
from allocator.journal.archives import PIPE, chunks_of
from allocator.journal.command import DONE, Source
from allocator.journal.output import Output
from allocator.journal.pace import Pace, pace_on
from allocator.journal.sources import database
from allocator.persistence.transfer.arrival import open_arrival
from allocator.persistence.transfer.format import (
    FORMAT,
    Block,
    DamagedBlockError,
    DamagedExportError,
    Header,
    Reached,
    blocks_of,
)
from allocator.persistence.transfer.unpacking import header_of

_PRINCIPAL: Final = "cli:import"
SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter: rows are checked in one while others are sent."""
_encode: Final = msgspec.json.Encoder().encode


class _Format(msgspec.Struct, frozen=True):
    """What every version of the format begins with."""

    allocator_journal: int


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; see `Exported`.

    Attributes:
        is_new: Whether it was not imported before.
    """

    file: str
    events: int
    tables: dict[str, int]
    position: str | None
    era: int
    digest: str
    seconds: float
    went_on: int
    is_new: bool


class BadFileError(AllocatorError):
    """The file is not what an export left; nothing of the block that is wrong was stored."""

    def __init__(self, *, file: str, error: DamagedExportError) -> None:
        super().__init__(
            f"{file}: {error}. Nothing from there on is stored, and the database serves nobody: "
            "import a sound copy of the file to go on, or another with --start-over"
        )


def run_import(file: str, source: Source, *, start_over: bool, as_json: bool) -> int:
    """Import an export into an empty database; return the exit code.

    Raises:
        UsageError: There is no such file, or the database is not empty.
        BadFileError: The file is damaged.
        JournalError: The database does not answer.
    """
    output = Output(sys.stdout, sys.stderr)
    sys.setswitchinterval(SWITCH_S)
    with _opened(file) as opened, database(**msgspec.structs.asdict(source), may_make=True) as url:
        try:
            with pace_on(Console(stderr=True), "importing") as pace:
                imported = asyncio.run(
                    _import(url, opened, file=file, start_over=start_over, pace=pace)
                )
        except DamagedExportError as error:
            raise BadFileError(file=file, error=error) from error
        except KeyboardInterrupt:
            output.warn("what is stored stays: the same command goes on from there")
            raise
    if as_json:
        output.show([_encode(imported).decode()])
    else:
        output.warn(_in_words(imported))
    return DONE


@contextmanager
def _opened(file: str) -> Iterator[FileIO]:
    try:
        where = sys.stdin.fileno() if file == PIPE else file
        opened = open(where, "rb", buffering=0, closefd=file != PIPE)  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    with opened:
        yield opened


async def _import(url: str, opened: FileIO, *, file: str, start_over: bool, pace: Pace) -> Imported:
    began_s = time.monotonic()
    size = os.fstat(opened.fileno()).st_size  # 0 for a pipe
    blocks = blocks_of(chunks_of(opened))
    first = next(blocks, None)
    if first is None:
        raise DamagedExportError(line=1, why="is missing: there is nothing in the file")
    header = _header_of(first)
    async with open_arrival(url, principal=_PRINCIPAL) as arrival:
        is_new = await arrival.begin(header, start_over=start_over)
        before = arrival.reached
        if is_new:
            try:
                async for block in _after(before, first, blocks):
                    await arrival.take(
                        block.content, first_line=block.first_line, reached=block.reached
                    )
                    events = block.reached.rows - before.rows
                    pace.show(events=events, done=opened.tell() if size else 0, total=size)
            except DamagedBlockError as error:
                await arrival.examine(error)
                raise
            await arrival.finish(is_copy=False)
        reached = arrival.reached
    return Imported(
        file=file,
        events=reached.rows,
        tables=reached.tables,
        position=reached.position,
        era=header.era + 1,
        digest=reached.digest,
        seconds=round(time.monotonic() - began_s, 3),
        went_on=before.rows,
        is_new=is_new,
    )


def _header_of(block: Block) -> Header:
    version = _format_of(block)
    if version != FORMAT:
        raise UsageError(
            f"the file has format {version}, and this release knows format {FORMAT}: use the "
            "release that wrote it, or a newer one"
        )
    return header_of(block.content)


def _format_of(block: Block) -> int:
    try:
        return msgspec.json.decode(block.content, type=_Format).allocator_journal
    except msgspec.DecodeError:
        return FORMAT  # no header at all, as will be said


async def _after(before: Reached, first: Block, blocks: Iterator[Block]) -> AsyncIterator[Block]:
    """Yield the blocks behind what is stored already, reading one ahead.

    Raises:
        UsageError: What is stored came from another file.
    """
    block: Block | None = first
    upcoming = _next(blocks)
    try:
        while block is not None:
            if block.reached.block > before.block:
                yield block
            elif block.reached.block == before.block and block.reached != before:
                raise UsageError(
                    "what is stored came from another export of the same moment: go on with that "
                    "file, or begin with this one and --start-over"
                )
            block = await upcoming
            if block is not None:
                upcoming = _next(blocks)
    finally:
        upcoming.cancel()


def _next(blocks: Iterator[Block]) -> "asyncio.Task[Block | None]":
    return asyncio.create_task(asyncio.to_thread(next, blocks, None))


def _in_words(imported: Imported) -> str:
    if not imported.is_new:
        return f"{imported.file} was imported before, all {imported.events:,} events of it"
    events, seconds = imported.events - imported.went_on, max(imported.seconds, 0.001)
    before = f", {imported.went_on:,} of them before" if imported.went_on else ""
    return (
        f"{imported.events:,} events{before} and {sum(imported.tables.values()):,} other rows out "
        f"of {imported.file}, each as it was written: {seconds:,.1f} s, "
        f"{events / seconds:,.0f} events/s. `allocator serve` goes on from there, in era "
        f"{imported.era}"
    )
