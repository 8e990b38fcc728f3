"""`allocator journal verify`: from flags to a list of what is wrong and an exit code."""

import asyncio
import os
import sys
import time
from collections import Counter
from typing import Final

import msgspec
from rich.console import Console

from allocator.journal.command import Source
from allocator.journal.output import Output
from allocator.journal.sources import database
from allocator.journal.verify.faults import Fault, Faults, Kind
from allocator.journal.verify.job import Report, Server
from allocator.journal.verify.progress import watch_on
from allocator.journal.verify.ranges import Range, divided, total_events
from allocator.journal.verify.transit import audit_transit
from allocator.journal.verify.whole import audit_whole
from allocator.journal.verify.workers import Advance, Job, Workers
from allocator.persistence.windows import open_windows

SOUND: Final = 0
WRONG: Final = 1
_EVENTS_ALONE: Final = 50_000
"""So many are verified sooner than another process has started."""


class VerifyFlags(msgspec.Struct, frozen=True, kw_only=True):
    """What `journal verify` was asked for.

    Attributes:
        processes: None for as many as are of use.
        limit: Of the faults that are listed one by one.
    """

    repair: bool
    server: Server | None
    processes: int | None
    limit: int
    as_json: bool


class Summary(msgspec.Struct, kw_only=True):
    """What came of it: the last line of `--json`.

    Attributes:
        faults: How many things are wrong, by kind, those that were repaired included.
        repaired: Those of them that are no more.
    """

    events: int = 0
    actors: int = 0
    seconds: float = 0.0
    faults: Counter[Kind] = msgspec.field(default_factory=Counter)
    repaired: Counter[Kind] = msgspec.field(default_factory=Counter)

    @property
    def left(self) -> int:
        """How many things are wrong now."""
        return self.faults.total() - self.repaired.total()


def run_verify(flags: VerifyFlags, source: Source) -> int:
    """Hold everything that is stored to the journal; return the exit code.

    Raises:
        UsageError: There is no journal, or one of another release.
        AllocatorError: The database, or the server, does not answer.
    """
    output = Output(sys.stdout, sys.stderr)
    with database(database_url=source.database_url, data_dir=source.data_dir) as url:
        try:
            return _verify(flags, url, output)
        except KeyboardInterrupt:
            output.warn(_interrupted(flags))
            raise
        except BrokenPipeError:
            output.close()
            return WRONG


def _verify(flags: VerifyFlags, url: str, output: Output) -> int:
    began_s = time.monotonic()
    whole, ranges = asyncio.run(look_around(url))
    listing = _Listing(flags, output)
    listing.add(whole.told, whole.counts, whole.mended)
    total = total_events(ranges)
    processes = flags.processes or (len(os.sched_getaffinity(0)) if total > _EVENTS_ALONE else 0)
    job = Job(url=url, repair=flags.repair, server=flags.server)
    console = Console(stderr=True)
    has_moved = has_held = False
    with (
        Workers(job, processes=min(processes, len(ranges))) as workers,
        watch_on(console, total=total) as watch,
    ):
        audited = 0
        for said in workers.run(ranges):
            if isinstance(said, Advance):
                audited += said.events
                watch.show(audited, listing.summary.left)
            else:
                listing.add_report(said)
                has_moved = has_moved or said.has_moved
                has_held = has_held or said.has_held
        if has_held:
            for said in workers.run(workers.parts):
                if isinstance(said, Report):
                    listing.add_report(said)
    if has_moved:
        between = asyncio.run(look_between(url))
        listing.add(between.told, between.counts, between.mended)
    listing.summary.seconds = round(time.monotonic() - began_s, 3)
    listing.end()
    return WRONG if listing.summary.left else SOUND


async def look_around(url: str) -> tuple[Faults, list[Range]]:
    """Return what is wrong with the whole, and how to divide the rest.

    Raises:
        UsageError: There is no journal in the database, or one of another release.
    """
    async with open_windows(url) as windows:
        return await audit_whole(windows), await divided(windows.measure())


async def look_between(url: str) -> Faults:
    """Return what is wrong between actors, each of which has been audited.

    Raises:
        JournalError: The database does not answer.
    """
    async with open_windows(url) as windows:
        return await audit_transit(windows)


class _Listing:
    """Shows faults, the first ones of them one by one."""

    def __init__(self, flags: VerifyFlags, output: Output) -> None:
        self.summary = Summary()
        self._output = output
        self._as_json = flags.as_json
        self._left = flags.limit

    def add_report(self, report: Report) -> None:
        """Show what came of a range or a part."""
        self.summary.actors += report.actors
        self.summary.events += report.events
        self.add(report.told, report.counts, report.mended)

    def add(
        self,
        told: "tuple[Fault, ...] | list[Fault]",
        counts: dict[Kind, int],
        mended: dict[Kind, int],
    ) -> None:
        """Show faults, and count them."""
        shown = told[: self._left]
        self._left -= len(shown)
        words = _in_json if self._as_json else _in_words
        self._output.show([words(fault) for fault in shown])
        self.summary.faults.update(counts)
        self.summary.repaired.update(mended)

    def end(self) -> None:
        """Show how many there are."""
        summary = self.summary
        if self._as_json:
            self._output.show([msgspec.json.encode({"summary": summary}).decode()])
            return
        everything = f"{summary.events:,} events of {summary.actors:,} actors"
        lines = []
        if summary.faults:
            counts = ", ".join(
                f"{count:,} {kind}" for kind, count in sorted(summary.faults.items())
            )
            lines.append(f"{summary.faults.total():,} wrong: {counts}")
        if summary.repaired:
            lines.append(f"{summary.repaired.total():,} repaired, {summary.left:,} still wrong")
        if not summary.left:
            lines.append(f"{everything}, and all that is stored agrees with them")
        else:
            lines.append(everything)
        self._output.show(lines)


def _in_json(fault: Fault) -> str:
    return msgspec.json.encode(fault).decode()


def _in_words(fault: Fault) -> str:
    words = f"{fault.actor or 'installation'}: {fault.message}"
    if fault.expected is not None:
        words += f" (expected {fault.expected}, found {fault.found})"
    return f"{words}; repaired" if fault.repaired else words


def _interrupted(flags: VerifyFlags) -> str:
    if flags.repair:
        return (
            "stopped; what was being repaired may lack rows in its lists until "
            "`allocator journal verify --repair` runs again"
        )
    return "stopped; nothing was changed"
