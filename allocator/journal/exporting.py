"""`journal export`: a whole installation in one file."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from allocator.errors import UsageError
from allocator.journal.archives import PIPE, Draft, Stream, drafted
from allocator.journal.command import DONE, Source
from allocator.journal.output import Output
from allocator.journal.pace import Pace, pace_on
from allocator.journal.sources import database
from allocator.persistence.cuts import Cut
from allocator.persistence.transfer.departure import Departure, open_departure
from allocator.persistence.transfer.format import Reached

_encode: Final = msgspec.json.Encoder().encode


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        file: Its name, or `-`.
        events: Rows of the journal in the file.
        tables: Rows of the other tables, by name.
        era: With `xid` the moment: all of former eras, and of this one what is below.
        size: Of the file, in bytes.
        seconds: What it took this time.
        went_on: How many of the events were there from a former, interrupted time.
        left_out: How many had been committed when it began, and had not settled.
    """

    file: str
    events: int
    tables: dict[str, int]
    position: str | None
    era: int
    xid: int
    digest: str
    size: int
    seconds: float
    went_on: int
    left_out: int


def run_export(file: str, source: Source, *, as_json: bool) -> int:
    """Export everything that is settled; return the exit code.

    Raises:
        UsageError: The file cannot be written, or there is nothing to export.
        JournalError: The database does not answer.
    """
    output = Output(sys.stdout, sys.stderr)
    console = Console(stderr=True)
    with _target(file) as target, database(**msgspec.structs.asdict(source)) as url:
        try:
            with pace_on(console, "exporting") as pace:
                exported = asyncio.run(_export(url, target, file=file, pace=pace))
        except BrokenPipeError:
            output.close()
            return DONE
        except KeyboardInterrupt:
            if isinstance(target, Draft):
                output.warn(f"{file}.part keeps what is done: the same command goes on from there")
            raise
    if as_json and file != PIPE:
        output.show([_encode(exported).decode()])
    else:
        output.warn(_in_words(exported))
    if exported.left_out:
        output.warn(
            f"{exported.left_out:,} events that had been committed are NOT in it: an older "
            "transaction holds them back, which `allocator journal tail --follow` names"
        )
    return DONE


@contextmanager
def _target(file: str) -> Iterator[Draft | Stream]:
    if file == PIPE:
        yield Stream(sys.stdout.buffer)
        return
    with drafted(Path(file)) as draft:
        yield draft


async def _export(url: str, target: Draft | Stream, *, file: str, pace: Pace) -> Exported:
    began_s = time.monotonic()
    header = target.header if isinstance(target, Draft) else None
    cut = None if header is None else Cut(era=header.era, xid=header.xid)
    async with open_departure(url, cut=cut) as departure:
        if header is not None and header != departure.header:
            raise UsageError(
                f"{file}.part was begun by another release, of another installation, or before "
                "something was pruned: remove it to begin again"
            )
        went_on = target.reached.rows
        if not isinstance(target, Draft) or not target.is_whole:
            await _write(departure, target, pace=pace)
        await asyncio.to_thread(target.finish)
    reached = target.reached
    return Exported(
        file=file,
        events=reached.rows,
        tables=reached.tables,
        position=reached.position,
        era=departure.cut.era,
        xid=departure.cut.xid,
        digest=reached.digest,
        size=target.size,
        seconds=round(time.monotonic() - began_s, 3),
        went_on=went_on,
        left_out=departure.left_out,
    )


async def _write(departure: Departure, target: Draft | Stream, *, pace: Pace) -> None:
    before: Reached = target.reached
    async with aclosing(departure.pieces(before)) as pieces:
        async for piece in pieces:
            await asyncio.to_thread(target.write, piece)
            pace.show(
                events=target.reached.rows - before.rows,
                done=target.reached.rows,
                total=departure.rows_about,
            )


def _in_words(exported: Exported) -> str:
    events, seconds = exported.events - exported.went_on, max(exported.seconds, 0.001)
    before = f", {exported.went_on:,} of them before" if exported.went_on else ""
    return (
        f"{exported.events:,} events{before} and {sum(exported.tables.values()):,} other rows "
        f"in {exported.file}: {exported.size / 1e6:,.1f} MB, {seconds:,.1f} s, "
        f"{events / seconds:,.0f} events/s. It holds the installation's secret and the digests of "
        "its keys: keep it as you keep the database"
    )
