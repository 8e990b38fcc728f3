"""How far a long command is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Advance: TypeAlias = Callable[[int], None]
"""Says that so many more are done."""

_EVERY_S: Final = 10.0


@contextmanager
def progress(console: Console, what: str, *, total: int) -> Iterator[Advance]:
    """Show progress on `console` for as long as the context lasts."""
    if not console.is_terminal:
        yield _Lines(console, what, total).advance
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda count: bars.advance(task, count)


class _Lines:
    """A line every ten seconds."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._console = console
        self._what = what
        self._total = total
        self._done = 0
        self._began_s = self._told_s = time.monotonic()

    def advance(self, count: int) -> None:
        """Count, and tell if it is time to."""
        self._done += count
        now_s = time.monotonic()
        if now_s - self._told_s < _EVERY_S or not self._done:
            return
        self._told_s = now_s
        left_s = (now_s - self._began_s) * (self._total / self._done - 1)
        text = f"{self._what}: {self._done:,} of {self._total:,}, {max(left_s, 0):,.0f} s to go"
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
