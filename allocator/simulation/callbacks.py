"""What waits for its turn in a simulation: asyncio's handles, each with its process."""

# ruff: noqa: SLF001 (a loop and its handles are one thing)

import asyncio
from contextvars import Context
from functools import partial

from allocator.simulation.process import Process


class Ready(asyncio.Handle):
    """A callback of a process."""

    __slots__ = ("process",)

    def __init__(
        self,
        callback: object,
        args: tuple[object, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context,
        process: Process,
    ) -> None:
        # Not through the parent, which asks the loop whether it debugs: this is made all the time.
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self.process = process


class Due(asyncio.TimerHandle):
    """A callback of a process that is for later."""

    __slots__ = ("process",)

    def __init__(  # noqa: PLR0913, PLR0917 (by position, since it is made all the time)
        self,
        when: float,
        callback: object,
        args: tuple[object, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context,
        process: Process,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True
        self.process = process


def label_of(handle: asyncio.Handle) -> str:
    """Say what a callback does; the same in every run of the same simulation."""
    callback = handle._callback  # type: ignore[attr-defined]
    while isinstance(callback, partial):
        callback = callback.func
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        callback = owner.get_coro()
    return getattr(callback, "__qualname__", type(callback).__name__)
