"""Processes of a simulation: what is killed, stopped and woken as a whole.

A process is no more than a queue of callbacks and a name in their contexts. Whatever a callback
starts inherits its context and so belongs to the same process, which thereby has all that it ever
started.
"""

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from allocator.simulation.callbacks import Due, Ready

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_MS: Final = 1_700_000_000_000
"""Unix time at which every simulation begins, milliseconds."""

PROCESS: Final[ContextVar["Process"]] = ContextVar("process")
"""Which process a context is of; the loop reads it whenever something is scheduled."""

_PRUNE_MIN: Final = 64
_CLOSES_MAX: Final = 20
"""Awaits that one coroutine may make while it is closed, in `finally` blocks and the like."""


class Process:
    """One process of a simulated machine; `SimulationLoop.process` makes them.

    Args:
        name: For people; the next life of a server may have the same.
        loop: Runs it.
        runnable: The loop's; in it is who has callbacks to run and may run them.
        kernel: In it runs what is done when the process ends; None if it is this one.

    Attributes:
        alive: Whether it has not ended.
        paused: Whether it is stopped; what becomes ready waits.
        returncode: Once it has ended; the negative number of the signal that killed it.
        ended: Done with the return code when it has ended; never cancel it.
        clock_offset_ms: How far its clock is ahead.
        ready: For the loop: what is to run, in the order in which it became ready. What the dead
            would have run stays there to the end of the simulation: its going might run something.
        listed: For the loop: whether it is among the runnable, or must not be.
    """

    def __init__(
        self,
        name: str,
        *,
        loop: asyncio.AbstractEventLoop,
        runnable: list["Process"],
        kernel: "Process | None",
    ) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.returncode: int | None = None
        self.ended: asyncio.Future[int] = loop.create_future()
        self.clock_offset_ms = 0
        self.ready: deque[Ready | Due] = deque()
        self.listed = False
        self._loop = loop
        self._runnable = runnable
        self._context = copy_context()
        self._context.run(PROCESS.set, self)
        self._kernel = kernel or self
        self._tasks: list[asyncio.Task[object]] = []
        self._prune_at = _PRUNE_MIN
        self._handlers: dict[int, Callable[[], object]] = {}
        self._pending: list[int] = []
        self._at_end: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"<process {self.name}>"

    def now_ms(self) -> int:
        """Return Unix time as its clock has it, milliseconds."""
        return START_MS + round(self._loop.time() * 1000) + self.clock_offset_ms

    def context(self) -> Context:
        """Return a new context; what is scheduled in it belongs to this process."""
        return self._context.copy()

    def spawn(
        self, coro: Coroutine[object, object, T], *, name: str | None = None
    ) -> asyncio.Task[T]:
        """Start a task in it."""
        return self._loop.create_task(coro, name=name, context=self.context())

    def call(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts) -> None:
        """Have a function called in it, after what is ready now."""
        self._loop.call_soon(callback, *args, context=self.context())

    def call_later(
        self, delay_s: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts
    ) -> asyncio.TimerHandle:
        """Have a function called in it after some time, whoever asks for it and lives by then."""
        return self._loop.call_later(delay_s, callback, *args, context=self.context())

    def kill(self) -> None:
        """End it at once: not one more callback of it runs, and no `finally` block."""
        self.end(-signal.SIGKILL)

    def end(self, returncode: int = 0) -> None:
        """End it at once, as `kill` does, with a return code of its own choice.

        If it ends itself, the callback that does it runs on to its next await.
        """
        if not self.alive:
            return
        self.alive = False
        self.returncode = returncode
        self._unlist()
        for task in self._tasks:
            asyncio._unregister_task(task)  # noqa: SLF001
        for tell in self._at_end:
            self._kernel.context().run(tell)
        if not self.ended.done():
            self.ended.set_result(returncode)

    def on_end(self, tell: Callable[[], object]) -> None:
        """Have a function called when it ends, as a kernel would: at once, and outside of it."""
        self._at_end.append(tell)

    def pause(self) -> None:
        """Stop it, as SIGSTOP does; timers go on, and what becomes ready is kept in order."""
        if self.alive and not self.paused:
            self.paused = True
            self._unlist()

    def resume(self) -> None:
        """Let it run on, beginning with what became ready meanwhile."""
        if not self.alive or not self.paused:
            return
        self.paused = False
        self.listed = bool(self.ready)
        if self.listed:
            self._runnable.append(self)
        pending, self._pending = self._pending, []
        for number in pending:
            self.signal(number)

    def signal(self, number: int) -> None:
        """Send it a signal; without a handler in `handle_signal`, it ends by it.

        If it is paused it hears of it when it is resumed, unless the signal is SIGKILL.
        """
        if number == signal.SIGKILL:
            self.kill()
        elif number == signal.SIGSTOP:
            self.pause()
        elif number == signal.SIGCONT:
            self.resume()
        elif self.paused:
            self._pending.append(number)
        elif handler := self._handlers.get(number):
            handler()
        else:
            self.end(-number)

    def handle_signal(self, number: int, handler: Callable[[], object] | None) -> bool:
        """Set what is done at a signal, or unset it; return whether something was set before."""
        before = self._handlers.pop(number, None)
        if handler is not None:
            self._handlers[number] = handler
        return before is not None

    def adopt(self, task: asyncio.Task[object]) -> None:
        """Keep a task until it is done or the simulation is over; the loop calls this."""
        if not self.alive:
            asyncio._unregister_task(task)  # noqa: SLF001
        elif len(self._tasks) >= self._prune_at:
            self.prune()
            self._prune_at = max(_PRUNE_MIN, 2 * len(self._tasks))
        self._tasks.append(task)

    def prune(self) -> None:
        """Forget tasks that are done; one whose error nobody has read reports it then."""
        if self.alive:
            self._tasks = [task for task in self._tasks if not task.done()]

    def pending(self) -> list[asyncio.Task[object]]:
        """Return its tasks that are not done, the oldest first."""
        return [task for task in self._tasks if not task.done()]

    def abandon(self) -> None:
        """End what is left of it with the simulation; the loop calls this.

        Its coroutines are closed, the oldest first, here and now: left to the garbage collector,
        they would run their `finally` blocks in the middle of another simulation.
        """
        self.alive = False
        self._unlist()
        context = self.context()
        for task in self._tasks:  # grows, if something in a `finally` block starts another
            if not task.done():
                context.run(_close, task)
        self.ready.clear()
        self._tasks.clear()
        self._at_end.clear()
        self._handlers.clear()

    def _unlist(self) -> None:
        if self.listed and self in self._runnable:
            self._runnable.remove(self)
        self.listed = True  # whatever becomes ready: it is not put there again


def current_process() -> Process:
    """Return the process whose callback runs.

    Raises:
        LookupError: None does.
    """
    return PROCESS.get()


def _close(task: asyncio.Task[object]) -> None:
    coro = task.get_coro()
    for _ in range(_CLOSES_MAX):
        try:
            coro.close()
        except (Exception, asyncio.CancelledError):  # noqa: BLE001, S112 (it is over)
            continue
        return
