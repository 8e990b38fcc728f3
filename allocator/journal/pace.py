"""Shows how far a long command is, on standard error: a bar on a terminal, else a line at times."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_EVERY_S: Final = 10.0


class Pace(Protocol):
    """Whoever wants to know how far it is."""

    def show(self, *, events: int, done: int, total: int) -> None:
        """So many events are dealt with.

        Args:
            events: Since the command began.
            done: Of `total`, in whatever unit that is known beforehand.
            total: 0 if it is not.
        """


@contextmanager
def pace_on(console: Console, what: str) -> Iterator[Pace]:
    """Show progress on `console` for as long as the context lasts."""
    if not console.is_terminal:
        yield _Lines(console, what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bar(bars, bars.add_task(what, total=None, said=""))


class _Lines:
    """A line every ten seconds."""

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._began_s = self._said_s = time.monotonic()

    def show(self, *, events: int, done: int, total: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s < _LINE_EVERY_S:
            return
        self._said_s = now_s
        elapsed_s = now_s - self._began_s
        left = f", {elapsed_s * (total - done) / done:.0f} s to go" if 0 < done < total else ""
        text = f"{self._what}: {_said(events, elapsed_s)}{left}"
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task
        self._began_s = time.monotonic()

    def show(self, *, events: int, done: int, total: int) -> None:
        said = _said(events, time.monotonic() - self._began_s)
        self._bars.update(self._task, completed=done, total=max(total, done) or None, said=said)


def _said(events: int, elapsed_s: float) -> str:
    return f"{events:,} events, {events / max(elapsed_s, 0.001):,.0f}/s"
