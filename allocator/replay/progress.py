"""Shows how far a replay is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

LINES_PER_PHASE = 10
TROUBLE_EVERY_S = 5.0
"""Sixty-four clients of a dead server would otherwise say so many times a second."""


class Progress(Protocol):
    """Whoever wants to know how far the replay is."""

    def phase(self, name: str, *, total: int) -> None:
        """A phase of `total` things to do begins; the one before is over."""

    def advance(self) -> None:
        """One thing of this phase is done."""

    def trouble(self, reason: str) -> None:
        """A request went unanswered and will be repeated."""


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """Show progress on `console` for as long as the context lasts."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("{task.description:<17}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield _Bar(bars, console)


class _Trouble:
    """Says that requests are repeated, but not for each of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._quiet_until = 0.0

    def trouble(self, reason: str) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + TROUBLE_EVERY_S
            text = f"no answer yet ({reason}); repeating"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Lines(_Trouble):
    """A line whenever another tenth of a phase is done."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._name = ""
        self._total = 0
        self._done = 0

    def phase(self, name: str, *, total: int) -> None:
        self._name, self._total, self._done = name, total, 0

    def advance(self) -> None:
        tenths_before = self._done * LINES_PER_PHASE // self._total
        self._done += 1
        if self._done * LINES_PER_PHASE // self._total > tenths_before:
            text = f"{self._name}: {self._done:,} of {self._total:,}"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bar(_Trouble):
    """A bar for each phase."""

    def __init__(self, bars: Bars, console: Console) -> None:
        super().__init__(console)
        self._bars = bars
        self._task: TaskID | None = None

    def phase(self, name: str, *, total: int) -> None:
        self._task = self._bars.add_task(name, total=total)

    def advance(self) -> None:
        assert self._task is not None, "a phase begins before anything in it is done"
        self._bars.advance(self._task)
