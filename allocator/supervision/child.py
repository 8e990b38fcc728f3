"""One worker process, from its start to its end, whatever kind of process it is."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, Self, TypeAlias

import msgspec
import structlog

log = structlog.get_logger()


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What worker processes run.

    Attributes:
        command: The same for all; everybody on the machine can read it.
        settings: What the worker of a place is told, as anything that has a form in JSON. Asked
            at every start.
        pass_fds: File descriptors that it inherits, under the same numbers.
    """

    command: tuple[str, ...]
    settings: Callable[[int], object]
    pass_fds: tuple[int, ...] = ()


class ProcessHandle(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its number; no longer its own once it has ended."""

    @property
    def ready(self) -> asyncio.Future[float]:
        """Done when it has said that it serves: the loop's time then, seconds."""

    @property
    def exited(self) -> asyncio.Future[float]:
        """Done when it has ended and is waited for: the loop's time then, seconds."""

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that killed it; None until then."""

    def signal(self, number: signal.Signals, /) -> None:
        """Send a signal, if it has not ended."""


Spawn: TypeAlias = Callable[[Program, int], Awaitable[ProcessHandle]]
"""Starts the worker of a place, and raises `OSError` if it cannot.

If the starting is cancelled, nobody ends what has been started.
"""


def in_words(returncode: int) -> str:
    """Say how a process ended; negative numbers are signals, as `subprocess` has them."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-returncode}"


class Child:
    """A worker process that was started.

    Attributes:
        place: Which it fills.
        pid: Of the process; no longer its own once `has_ended`.
        started_at_ms: Unix time.
        exited: Done when it has ended and is waited for; never cancel it.
        asked_to_end: Whether we told it to, while it lived.
    """

    def __init__(self, place: int, process: ProcessHandle, *, now_ms: int) -> None:
        self.place = place
        self.pid = process.pid
        self.started_at_ms = now_ms
        self.exited = process.exited
        self.asked_to_end = False
        self._process = process

    @classmethod
    async def start(cls, program: Program, *, spawn: Spawn, place: int, now_ms: int) -> Self:
        """Start a worker; it does not serve yet.

        If this is cancelled, there is no process afterwards.

        Raises:
            OSError: There is no such program, or the machine has no room for it.
        """
        spawning = asyncio.ensure_future(spawn(program, place))
        try:
            return cls(place, await asyncio.shield(spawning), now_ms=now_ms)
        except asyncio.CancelledError:
            # The loop of asyncio would kill it and wait, that of uvloop does not.
            with suppress(OSError):
                child = cls(place, await spawning, now_ms=now_ms)
                child.kill()
                await asyncio.wait({child.exited})
            raise

    @property
    def has_ended(self) -> bool:
        """Whether there is no such process any more."""
        return self.exited.done()

    @property
    def serves(self) -> bool:
        """Whether it has said that it serves, and lives."""
        return self._process.ready.done() and not self.has_ended

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that killed it, once it ended."""
        return self._process.returncode

    @property
    def served_ms(self) -> int:
        """For how long it served, once it has ended; 0 if it never did."""
        if not self._process.ready.done():
            return 0
        return round((self.exited.result() - self._process.ready.result()) * 1000)

    async def until_ready(self, *, within_ms: int) -> bool:
        """Wait until it serves; return False if it ends before, or takes longer."""
        await asyncio.wait(
            {self._process.ready, self.exited},
            timeout=within_ms / 1000,
            return_when=asyncio.FIRST_COMPLETED,
        )
        return self.serves

    async def end(self, *, within_ms: int) -> None:
        """Have it drain and end; kill it if that takes longer. Return when it has ended."""
        if not self.asked_to_end:  # a worker may take a second SIGTERM for impatience
            self._signal(signal.SIGTERM)
        await asyncio.wait({self.exited}, timeout=within_ms / 1000)
        if not self.has_ended:
            log.warning(
                "supervisor.killing_worker", place=self.place, pid=self.pid, after_ms=within_ms
            )
            self.kill()
            await asyncio.wait({self.exited})

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.has_ended:
            return
        self.asked_to_end = True
        self._process.signal(number)
