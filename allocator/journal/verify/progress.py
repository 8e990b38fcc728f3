"""Shows how far a verification is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_EVERY_S: Final = 10.0


class Watch(Protocol):
    """Whoever wants to know how far it is."""

    def show(self, events: int, faults: int) -> None:
        """So many events have been audited, and so much was found."""


@contextmanager
def watch_on(console: Console, *, total: int) -> Iterator[Watch]:
    """Show progress on `console` for as long as the context lasts."""
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        TextColumn("verify"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} events"),
        TextColumn("{task.fields[faults]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _Bar(bars, bars.add_task("verify", total=total, faults=""))


class _Lines:
    """A line every few seconds."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._began_s = self._said_s = time.monotonic()

    def show(self, events: int, faults: int) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s < _LINE_EVERY_S or not events:
            return
        self._said_s = now_s
        left_s = (now_s - self._began_s) * max(0.0, self._total / events - 1)
        text = (
            f"verify: {events:,} of {self._total:,} events, {_wrong(faults)}, {left_s:.0f} s to go"
        )
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def show(self, events: int, faults: int) -> None:
        self._bars.update(self._task, completed=events, faults=_wrong(faults))


def _wrong(faults: int) -> str:
    return "nothing wrong" if not faults else f"{faults:,} wrong"
