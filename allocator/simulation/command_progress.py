"""Shows how far the runs are: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from allocator.simulation.command_runs import Report
from allocator.simulation.history import Verdict

_LINES = 10


class Tally(msgspec.Struct):
    """What came of all runs so far."""

    runs: int = 0
    operations: int = 0
    steps: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    failed: list[Verdict] = []

    def add(self, report: Report) -> None:
        """Count a chunk."""
        self.runs += report.chunk.count
        self.operations += report.operations
        self.steps += report.steps
        self.virtual_s += report.virtual_s
        self.cpu_s += report.cpu_s
        self.failed += report.failed

    @property
    def pace(self) -> str:
        """Runs a minute and core, in words."""
        per_minute = 60 * self.runs / self.cpu_s if self.cpu_s else 0
        return f"{per_minute:,.0f} a minute and core"


class Watch(Protocol):
    """Whoever wants to know how far the runs are."""

    def show(self, tally: Tally) -> None:
        """More runs have ended."""


@contextmanager
def watch_on(console: Console, what: str, *, total: int) -> Iterator[Watch]:
    """Show progress on `console` for as long as the context lasts."""
    if not console.is_terminal:
        yield _Lines(console, what, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[failures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(what, total=total, pace="", failures="")
        yield _Bar(bars, task)


class _Lines:
    """A line whenever another tenth of the runs has ended."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._tenths = 0
        self._began_s = time.monotonic()

    def show(self, tally: Tally) -> None:
        tenths = tally.runs * _LINES // self._total
        if tenths > self._tenths:
            self._tenths = tenths
            left_s = (time.monotonic() - self._began_s) * (self._total / tally.runs - 1)
            text = (
                f"{self._what}: {tally.runs:,} of {self._total:,}, {tally.pace}, "
                f"{_failures(tally)}, {left_s:.0f} s to go"
            )
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, tally: Tally) -> None:
        self._bars.update(
            self._task, completed=tally.runs, pace=tally.pace, failures=_failures(tally)
        )


def _failures(tally: Tally) -> str:
    count = len(tally.failed)
    return f"{count:,} failure{'' if count == 1 else 's'}"
