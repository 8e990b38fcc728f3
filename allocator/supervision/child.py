"""One worker process, from its start to its end.

It is told its settings in one line of JSON on its standard input, which then stays open and
unused: its end tells the worker that nobody supervises it any more. It says `{"ready": true}` in
one line on its standard output once it serves. Its standard error is that of its parent.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self, cast

import msgspec
import structlog

log = structlog.get_logger()

_LINE_MAX: Final = 65_536
"""Bytes of a line; what is longer is not what we wait for."""


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


class _Ready(msgspec.Struct):
    """What a worker says when it serves; it may say more."""

    ready: bool


def in_words(returncode: int) -> str:
    """Say how a process ended; negative numbers are signals, as `subprocess` has them."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:  # a real-time signal
        return f"killed by signal {-returncode}"


def says_ready(line: bytes) -> bool:
    """Whether a line of its output means that a worker serves."""
    try:
        return msgspec.json.decode(line, type=_Ready).ready
    except msgspec.DecodeError:
        return False


class _Output(asyncio.SubprocessProtocol):
    """Hears when a worker serves and when it ends; each result is the loop's time, seconds."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[float] = self._loop.create_future()
        self.exited: asyncio.Future[float] = self._loop.create_future()
        self._unfinished = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 (there is only one)
        """Look for the one line that counts; read on, since a full pipe would stop the worker."""
        if self.ready.done():
            return
        *lines, rest = (self._unfinished + data).split(b"\n")
        self._unfinished = rest[:_LINE_MAX]
        if any(says_ready(line) for line in lines):
            self.ready.set_result(self._loop.time())

    def process_exited(self) -> None:
        """Note the time. Others may still hold the pipes: a worker's own processes, for one."""
        self.exited.set_result(self._loop.time())


class Child:
    """A worker process that was started.

    Attributes:
        place: Which it fills.
        pid: Of the process; no longer its own once `has_ended`.
        started_at_ms: Unix time.
        exited: Done when it has ended and is waited for; never cancel it.
        asked_to_end: Whether we told it to, while it lived.
    """

    def __init__(
        self, place: int, transport: asyncio.SubprocessTransport, output: _Output, *, now_ms: int
    ) -> None:
        self.place = place
        self.pid = transport.get_pid()
        self.started_at_ms = now_ms
        self.exited = output.exited
        self.asked_to_end = False
        self._transport = transport
        self._output = output

    @classmethod
    async def start(cls, program: Program, *, place: int, now_ms: int) -> Self:
        """Start a worker; it does not serve yet.

        If this is cancelled, there is no process afterwards.

        Raises:
            OSError: There is no such program, or the machine has no room for it.
        """
        spawning = asyncio.create_task(_spawn(program, place))
        try:
            return cls(place, *await asyncio.shield(spawning), now_ms=now_ms)
        except asyncio.CancelledError:
            # The loop of asyncio would kill it and wait, that of uvloop does not.
            with suppress(OSError):
                child = cls(place, *await spawning, now_ms=now_ms)
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
        return self._output.ready.done() and not self.has_ended

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that killed it, once it ended."""
        return self._transport.get_returncode()

    @property
    def served_ms(self) -> int:
        """For how long it served, once it has ended; 0 if it never did."""
        if not self._output.ready.done():
            return 0
        return round((self.exited.result() - self._output.ready.result()) * 1000)

    async def until_ready(self, *, within_ms: int) -> bool:
        """Wait until it serves; return False if it ends before, or takes longer."""
        await asyncio.wait(
            {self._output.ready, self.exited},
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
        # Not through the transport: asyncio's looks first whether the process has ended, and so
        # may take the exit status from under the thread that waits for it.
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


async def _spawn(program: Program, place: int) -> tuple[asyncio.SubprocessTransport, _Output]:
    settings = msgspec.json.encode(program.settings(place))
    transport, output = await asyncio.get_running_loop().subprocess_exec(
        _Output,
        *program.command,
        stderr=None,
        # Ctrl-C in a terminal reaches its supervisor only, and nothing disturbs its drain.
        start_new_session=True,
        pass_fds=program.pass_fds,
    )
    # The pipes may outlive the process in the hands of its own; we have no more use for them.
    output.exited.add_done_callback(lambda _: transport.close())
    # A cast, since that of uvloop is one by its methods only.
    stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    stdin.write(settings + b"\n")
    return transport, output
