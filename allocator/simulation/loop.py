"""An event loop without a world: virtual time, no I/O, and dice that say which process goes next.

Within a process, callbacks run in the order in which they became ready, as asyncio promises;
between processes, any order may happen on a real machine, so the dice choose anew at every single
callback. Time stands still while anything is ready and then jumps to the next timer.
"""

# ruff: noqa: SLF001 (a loop and its handles are one thing)

import asyncio
import gc
from asyncio import futures
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from random import Random
from traceback import format_exception
from typing import Final, TypeVar, TypeVarTuple, Unpack

from allocator.simulation.bare_loop import BareLoop
from allocator.simulation.callbacks import Due, Ready, label_of
from allocator.simulation.process import PROCESS, Process

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_wake_sleeper: Final[Callable[..., object]] = futures._set_result_unless_cancelled  # type: ignore[attr-defined,explicit-any]
"""What `asyncio.sleep` has called at its end."""
_STEPS_MAX: Final = 5_000_000
_ERRORS_MAX: Final = 100
_SWEEP_MASK: Final = 127
"""Timers are swept whenever so many more and one have been made."""
_NAMED_MAX: Final = 10


class NothingLeftToHappenError(AssertionError):
    """Somebody waits for what nothing under way can bring about."""

    def __init__(self, *, waiting: list[str]) -> None:
        more = " and others" if len(waiting) > _NAMED_MAX else ""
        names = ", ".join(waiting[:_NAMED_MAX]) or "nobody"
        super().__init__(f"nothing is left to happen; these wait: {names}{more}")


class EndlessError(AssertionError):
    """A simulation ran more callbacks than any should: something runs in a circle."""

    def __init__(self, *, steps: int, at_s: float) -> None:
        super().__init__(f"{steps} callbacks ran, and it is not over at {at_s:.6f} s")


class SimulationLoop(BareLoop):
    """Runs the processes of one simulation, and nothing else.

    While it runs, the garbage collector rests: when it comes depends on what ran before, and what
    it finds may run code.

    Args:
        dice: Choose which process runs next.
        steps_max: Callbacks that a simulation may run.

    Attributes:
        outside: The process of whatever belongs to no other, as whoever watches.
        steps: Callbacks that have run.
        on_step: Told of each callback before it runs.
    """

    _stopping: bool

    def __init__(self, dice: Random, *, steps_max: int = _STEPS_MAX) -> None:
        super().__init__()
        self.steps = 0
        self.on_step: Callable[[Process, Ready | Due], None] | None = None
        self._dice = dice
        self._steps_max = steps_max
        self._now = 0.0
        self._runnable: list[Process] = []
        self._timers: list[tuple[float, int, Due]] = []
        self._number = count(1).__next__
        self._errors: list[str] = []
        self._closing = False
        self.outside = Process("outside", loop=self, runnable=self._runnable, kernel=None)
        self._processes = [self.outside]

    # What a simulation is made with.

    def process(self, name: str) -> Process:
        """Return a new process; nothing runs in it."""
        made = Process(name, loop=self, runnable=self._runnable, kernel=self.outside)
        self._processes.append(made)
        return made

    @property
    def errors(self) -> list[str]:
        """What went wrong and nobody was told, in words: for one, errors of tasks without heirs."""
        for process in self._processes:
            process.prune()
        return list(self._errors)

    def run(self, main: Coroutine[object, object, T]) -> T:
        """Run something outside to its end, and the simulation ends with it."""
        try:
            return self.run_until_complete(self.outside.spawn(main))
        finally:
            self.close()

    def close(self) -> None:
        """End every process; whatever waits is closed, and nothing of it outlives the loop."""
        if self.is_closed() or self.is_running():
            super().close()
            return
        _ = self.errors
        self._closing = True
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for process in self._processes:
                process.alive = False
            for process in self._processes:
                process.abandon()
        finally:
            asyncio._set_running_loop(running)
        self._timers.clear()
        self._processes.clear()
        super().close()

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Return virtual time in seconds; it begins at 0."""
        return self._now

    # By `*call` and not `callback, *args`: what is called is one tuple from here to `_run`.

    def call_soon(  # type: ignore[override]
        self, *call: object, context: Context | None = None
    ) -> Ready:
        """Have a function called in the process of the context, after what is ready there."""
        if context is None:
            context = copy_context()
        process = context.get(PROCESS) or self.outside
        handle = Ready(call, context)
        process.ready.append(handle)
        if not process.listed:
            process.listed = True
            self._runnable.append(process)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, *call: object, context: Context | None = None
    ) -> Due:
        """Have a function called in the process of the context at some time."""
        if context is None:
            context = copy_context()
        process = context.get(PROCESS) or self.outside
        handle = Due(call, context, process, when)
        if when <= self._now:
            self._make_ready(handle)
            return handle
        heappush(self._timers, (when, number := self._number(), handle))
        if not number & _SWEEP_MASK:
            self._sweep()
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, *call: object, context: Context | None = None
    ) -> Due:
        """Have a function called in the process of the context after some time."""
        if delay <= 0:
            return self.call_at(self._now, *call, context=context)
        if context is None:  # the rest is as in `call_at`, without the way there
            context = copy_context()
        at_s = self._now + delay
        handle = Due(call, context, context.get(PROCESS) or self.outside, at_s)
        heappush(self._timers, (at_s, number := self._number(), handle))
        if not number & _SWEEP_MASK:
            self._sweep()
        return handle

    def create_task(  # type: ignore[override]  # later versions of Python pass more
        self,
        coro: Coroutine[object, object, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Start a task in the process of the context."""
        if context is None:
            context = copy_context()
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        (context.get(PROCESS) or self.outside).adopt(task)
        return task

    def add_signal_handler(
        self, sig: int, callback: Callable[[Unpack[Ts]], object], *args: *Ts
    ) -> None:
        """Have a function called in this process when it is sent a signal."""
        process = PROCESS.get(self.outside)
        context = copy_context()
        process.handle_signal(sig, partial(self.call_soon, callback, *args, context=context))

    def remove_signal_handler(self, sig: int) -> bool:
        """Let a signal end this process again; return whether it did not."""
        return PROCESS.get(self.outside).handle_signal(sig, None)

    def default_exception_handler(self, context: dict[str, object]) -> None:
        """Keep what went wrong for whoever asks for `errors`."""
        if self._closing or len(self._errors) >= _ERRORS_MAX:
            return
        error = context.get("exception")
        lines = format_exception(error) if isinstance(error, BaseException) else []
        self._errors.append("".join([f"{context.get('message')}\n", *lines]).rstrip())

    # How it runs.

    def _run_once(self) -> None:
        """Run callbacks until somebody stops the loop."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._run()
        finally:
            if collecting:
                gc.enable()

    def _run(self) -> None:  # noqa: C901, PLR0912 (a call for each part would cost more than the part)
        runnable, timers, chance = self._runnable, self._timers, self._dice.random
        on_step, steps = self.on_step, self.steps
        handle: Ready | Due
        try:
            for steps in range(steps, self._steps_max):  # noqa: B007, B020 (`finally` uses it)
                if self._stopping:
                    return
                while True:  # until there is a callback to run
                    if runnable:
                        many = len(runnable)
                        process = runnable[int(chance() * many) if many > 1 else 0]
                        ready = process.ready
                        handle = ready.popleft()
                        if not ready:
                            process.listed = False
                            runnable.remove(process)
                        break
                    if not timers:
                        raise NothingLeftToHappenError(waiting=self._waiting())
                    when, _, handle = heappop(timers)
                    if handle.is_cancelled:
                        continue
                    process = handle.process
                    if process.alive:  # for the dead, no time needs to pass
                        self._now = when
                    if process.listed or (timers and timers[0][0] <= when):
                        self._make_all_ready(handle)
                    elif handle.call[0] is _wake_sleeper:
                        _wake_sleeper(*handle.call[1:])  # which makes another callback ready
                    else:
                        break
                if on_step is not None:
                    on_step(process, handle)
                try:
                    handle.context.run(*handle.call)  # type: ignore[arg-type]
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 (as asyncio does; nobody else is left)
                    self._note_failure(handle, error)
            raise EndlessError(steps=self._steps_max, at_s=self._now)
        finally:
            self.steps = steps

    def _note_failure(self, handle: Ready | Due, error: BaseException) -> None:
        self.call_exception_handler(
            {"message": f"Exception in callback {label_of(handle)}", "exception": error}
        )

    def _make_all_ready(self, handle: Due) -> None:
        """Make ready what is due, and whatever else is by now."""
        timers, now_s = self._timers, self._now
        self._make_ready(handle)
        while timers and timers[0][0] <= now_s:
            handle = heappop(timers)[2]
            if not handle.is_cancelled:
                self._make_ready(handle)

    def _make_ready(self, handle: Due) -> None:
        process = handle.process
        process.ready.append(handle)
        if not process.listed:
            process.listed = True
            self._runnable.append(process)

    def _sweep(self) -> None:
        """Forget cancelled timers, so that there are never many."""
        self._timers[:] = [timer for timer in self._timers if not timer[2].is_cancelled]
        heapify(self._timers)

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[object, object]) -> None:
        """Close a generator that nobody reads any more, in the process that dropped it."""
        if not self._closing:
            self.call_soon(self.create_task, agen.aclose())

    def _waiting(self) -> list[str]:
        return [
            f"{process.name}: {task.get_name()}"
            for process in self._processes
            if process.alive
            for task in process.pending()
        ]
