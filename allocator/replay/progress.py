"""Shows how far a replay is: a bar on a terminal, a line now and then elsewhere."""

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

from allocator.client.trouble import Troubled

LINES_PER_PHASE = 10


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


class _Lines(Troubled):
    """A line whenever another tenth of a phase is done."""

    def __init__(self, console: Console) -> None:
        super().__init__(lambda line: _print(console, line))
        self._console = console
        self._name = ""
        self._total = 0
        self._done = 0

    def phase(self, name: str, *, total: int) -> None:
        self._name, self._total, self._done = name, total, 0

    def advance(self) -> None:
        tenths_before = self._done * LINES_PER_PHASE // self._total
        self._done += 1
        if self._done * LINES_PER_PHASE // self._total > tenths_before:
            _print(self._console, f"{self._name}: {self._done:,} of {self._total:,}")


class _Bar(Troubled):
    """A bar for each phase."""

    def __init__(self, bars: Bars, console: Console) -> None:
        super().__init__(lambda line: _print(console, line))
        self._bars = bars
        self._task: TaskID | None = None

    def phase(self, name: str, *, total: int) -> None:
        self._task = self._bars.add_task(name, total=total)

    def advance(self) -> None:
        assert self._task is not None, "a phase begins before anything in it is done"
        self._bars.advance(self._task)


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
