"""Worker processes of this machine.

A worker is told its settings in one line of JSON on its standard input, which then stays open and
unused: its end tells the worker that nobody supervises it any more. It says `{"ready": true}` in
one line on its standard output once it serves. Its standard error is that of its parent.
"""

import asyncio
import os
import signal
from contextlib import suppress
from typing import Final, cast

import msgspec

from allocator.supervision.child import ProcessHandle, Program

_LINE_MAX: Final = 65_536
"""Bytes of a line; what is longer is not what we wait for."""


class _Ready(msgspec.Struct):
    """What a worker says when it serves; it may say more."""

    ready: bool


async def spawn(program: Program, place: int) -> ProcessHandle:
    """Start the worker of a place; it has its settings, and does not serve yet.

    Raises:
        OSError: There is no such program, or the machine has no room for it.
    """
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
    if not stdin.is_closing():  # or it has ended already; whoever waits for it hears of that
        stdin.write(settings + b"\n")
    return _Process(transport, output)


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


class _Process:
    """One of them, that was started."""

    def __init__(self, transport: asyncio.SubprocessTransport, output: _Output) -> None:
        self.pid = transport.get_pid()
        self.ready = output.ready
        self.exited = output.exited
        self._transport = transport

    @property
    def returncode(self) -> int | None:
        """How it ended, as `subprocess` has it."""
        return self._transport.get_returncode()

    def signal(self, number: signal.Signals, /) -> None:
        """Send a signal, if it has not ended."""
        # Not through the transport: asyncio's looks first whether the process has ended, and so
        # may take the exit status from under the thread that waits for it.
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
