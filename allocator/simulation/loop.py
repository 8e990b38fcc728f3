"""An event loop without a world: virtual time, no I/O, and dice that say which process goes next.

Within a process, callbacks run in the order in which they became ready, as asyncio promises;
between processes, any order may happen on a real machine, so the dice choose anew at every single
callback. Time stands still while anything is ready and then jumps to the next timer.
"""

# ruff: noqa: SLF001 (a loop and its handles are one thing)

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from random import Random
from traceback import format_exception
from typing import Final, TypeVar, TypeVarTuple, Unpack

from allocator.simulation.bare_loop import BareLoop
from allocator.simulation.callbacks import Due, Ready, label_of
from allocator.simulation.process import PROCESS, Process

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_STEPS_MAX: Final = 5_000_000
_ERRORS_MAX: Final = 100
_SWEEP_MIN: Final = 100
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
        self._timers_made = 0
        self._timers_cancelled = 0
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
        handle = Due(call, context, process, self, when)
        if when > self._now:
            self._timers_made = number = self._timers_made + 1
            heappush(self._timers, (when, number, handle))
            return handle
        handle.is_kept = False
        process.ready.append(handle)
        if not process.listed:
            process.listed = True
            self._runnable.append(process)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, *call: object, context: Context | None = None
    ) -> Due:
        """Have a function called in the process of the context after some time."""
        at_s = self._now + delay
        if at_s <= self._now:
            return self.call_at(at_s, *call, context=context)
        if context is None:  # the rest is as in `call_at`, without the way there
            context = copy_context()
        process = context.get(PROCESS) or self.outside
        handle = Due(call, context, process, self, at_s)
        self._timers_made = number = self._timers_made + 1
        heappush(self._timers, (at_s, number, handle))
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

    def _run(self) -> None:
        runnable, chance, on_step = self._runnable, self._dice.random, self.on_step
        steps, steps_max = self.steps, self._steps_max
        handle: Ready | Due | None
        try:
            while not self._stopping:
                count = len(runnable)
                if count == 0:
                    handle = self._advance()
                    if handle is None:
                        continue
                    process = handle.process
                else:
                    index = int(chance() * count) if count > 1 else 0
                    process = runnable[index]
                    ready = process.ready
                    handle = ready.popleft()
                    if not ready:
                        process.listed = False
                        last = runnable.pop()
                        if last is not process:
                            runnable[index] = last
                    if handle.is_cancelled:
                        continue
                if steps >= steps_max:
                    raise EndlessError(steps=steps, at_s=self._now)
                steps += 1
                if on_step is not None:
                    on_step(process, handle)
                try:
                    handle.context.run(*handle.call)  # type: ignore[arg-type]
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 (as asyncio does; nobody else is left)
                    self._note_failure(handle, error)
        finally:
            self.steps = steps

    def _note_failure(self, handle: Ready | Due, error: BaseException) -> None:
        self.call_exception_handler(
            {"message": f"Exception in callback {label_of(handle)}", "exception": error}
        )

    def _advance(self) -> Due | None:
        """Let time pass until a timer is due.

        Returns:
            What is due then, if it is all that is; else all of it is made ready.
        """
        timers = self._timers
        while timers:
            when, _, handle = heappop(timers)
            handle.is_kept = False
            if handle.is_cancelled:
                self._timers_cancelled -= 1
                continue
            process = handle.process
            if process.alive:  # for the dead, no time needs to pass
                self._now = when
                if not process.listed and not (timers and timers[0][0] <= when):
                    return handle
                self._make_ready(handle)
                self._make_all_ready()
                return None
            process.ready.append(handle)
        raise NothingLeftToHappenError(waiting=self._waiting())

    def _make_all_ready(self) -> None:
        """Make ready whatever else is due by now."""
        timers, now_s = self._timers, self._now
        while timers and timers[0][0] <= now_s:
            _, _, handle = heappop(timers)
            handle.is_kept = False
            if handle.is_cancelled:
                self._timers_cancelled -= 1
            else:
                self._make_ready(handle)

    def _make_ready(self, handle: Due) -> None:
        process = handle.process
        process.ready.append(handle)
        if not process.listed:
            process.listed = True
            self._runnable.append(process)

    def note_cancelled(self) -> None:
        """Forget cancelled timers when they are most of all; a timer calls this."""
        timers = self._timers
        self._timers_cancelled += 1
        if len(timers) > _SWEEP_MIN and 2 * self._timers_cancelled > len(timers):
            timers[:] = [timer for timer in timers if not timer[2].is_cancelled]
            heapify(timers)
            self._timers_cancelled = 0

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
