"""Workers that really listen, a supervisor over them, and an end for all of them by pid.

Every worker works in the directory of its test, so that whatever a test leaves is found there.
What it does is said by a file of its place, read at its start: so a test can change it.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import time_ns
from typing import Final, Literal

import msgspec
from structlog.testing import capture_logs

from allocator.supervision.backoff import Backoff
from allocator.supervision.child import Program
from allocator.supervision.place import Patience, WorkerStatus
from allocator.supervision.supervisor import Supervisor
from tests.integration.embedded_support import end_all_below, working_below
from tests.integration.serving import CHECKOUT, HANG_S, until
from tests.integration.supervision_scripts import SUPERVISOR, WORKER

SECRET: Final = "a password that nobody else may see"

Mood = Literal[
    "steady", "deaf", "silent", "chatty", "parent", "exit 0", "exit 1", "exit 2", "exit 3"
]
"""What a worker does: just serve; ignore SIGTERM; never get ready; print much, and twice that it is
ready; leave a process that keeps its pipes open; exit at once."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What a worker wrote down."""

    place: int
    pid: int
    what: str


class Crew:
    """The workers of a directory, as one sees them from outside.

    Attributes:
        port: On which they serve.
    """

    def __init__(self, directory: Path, *moods: Mood) -> None:
        self.directory = directory
        self.port = 0
        (directory / "worker.py").write_text(WORKER)
        for place, mood in enumerate(moods):
            self.set_mood(mood, place=place)

    def set_mood(self, mood: Mood, *, place: int) -> None:
        """Say what workers that start from now on do."""
        (self.directory / f"mood-{place}").write_text(mood)

    def set_busy(self, *, busy: bool) -> None:
        """Have no drain come to its end, or go on with it."""
        (self.directory / "busy").touch()
        if not busy:
            (self.directory / "busy").unlink()

    def notes(self, what: str) -> list[Note]:
        """Return who wrote this down, in order."""
        path = self.directory / "notes"
        lines = path.read_bytes().splitlines() if path.exists() else []
        notes = [msgspec.json.decode(line, type=Note) for line in lines]
        return [note for note in notes if note.what == what]

    def pids(self, what: str) -> list[int]:
        """Return the processes that wrote this down, in order."""
        return [note.pid for note in self.notes(what)]

    async def noted(self, what: str, *, times: int) -> list[int]:
        """Wait until this is written down so many times, and return by whom."""
        await until(lambda: len(self.notes(what)) >= times)
        return self.pids(what)

    async def ask(self) -> int:
        """Return the pid of who answers.

        Raises:
            OSError: The connection was refused or reset.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"who?\n")
            answer = await asyncio.wait_for(reader.readline(), HANG_S)
        finally:
            writer.close()
        if not answer:
            raise ConnectionResetError("the connection was closed without an answer")
        return int(answer)


class Fleet(Crew):
    """A crew whose supervisor runs in the test's own process.

    Attributes:
        logs: What was logged, oldest first.
        running: `Supervisor.run`.
    """

    supervisor: Supervisor
    running: asyncio.Task[int]
    logs: Sequence[MutableMapping[str, object]]

    async def exit_code(self) -> int:
        """Return what the supervisor ends with, when it does."""
        async with asyncio.timeout(HANG_S):
            return await self.running

    async def started(self) -> None:
        """Wait until all places are filled."""
        async with asyncio.timeout(HANG_S):
            await self.supervisor.started()

    async def serving(self, count: int, *, without: Sequence[int] = ()) -> list[int]:
        """Wait until so many workers serve and nobody else is there; return their pids."""

        def all_serve() -> bool:
            workers = self.supervisor.status()
            return [worker.state for worker in workers] == ["serving"] * count and not (
                {worker.pid for worker in workers} & set(without)
            )

        await until(all_serve)
        return [worker.pid for worker in self.supervisor.status() if worker.pid is not None]

    def worker(self, place: int) -> WorkerStatus:
        """Return the one worker of a place."""
        [worker] = [each for each in self.supervisor.status() if each.place == place]
        return worker

    def logged(self, event: str) -> Sequence[MutableMapping[str, object]]:
        """Return the lines of the log that tell of an event."""
        return [line for line in self.logs if line["event"] == event]

    async def until_logged(self, event: str, *, times: int = 1) -> None:
        """Wait until an event was logged so many times."""
        await until(lambda: len(self.logged(event)) >= times)


@asynccontextmanager
async def fleet(
    directory: Path,
    *moods: Mood,
    patience: Patience | None = None,
    backoff: Backoff | None = None,
    background: Sequence[asyncio.Task[None]] = (),
    command: Sequence[str] = (),
) -> AsyncIterator[Fleet]:
    """Run a supervisor of two, or so many; afterwards it has ended, and all that it started."""
    moods = moods or ("steady", "steady")
    crew = Fleet(directory, *moods)
    with socket.create_server(("127.0.0.1", 0)) as listener, capture_logs() as crew.logs:
        listener.settimeout(0)
        crew.port = listener.getsockname()[1]
        crew.supervisor = Supervisor(
            len(moods),
            Program(
                command=tuple(command)
                or ("env", "-C", str(directory), sys.executable, "worker.py"),
                settings=lambda place: {"place": place, "fd": listener.fileno()},
                pass_fds=(listener.fileno(),),
            ),
            patience=patience or Patience(),
            backoff=backoff,
            clock=lambda: time_ns() // 1_000_000,
        )
        unhandled: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: unhandled.append(str(context))
        )
        crew.running = asyncio.create_task(crew.supervisor.run(background))
        try:
            yield crew
            crew.set_busy(busy=False)
            crew.supervisor.stop()
            await asyncio.wait({crew.running}, timeout=HANG_S)
            assert crew.running.done()
            assert unhandled == []
            assert working_below(directory) == []
        finally:
            end_all_below(directory)
            crew.running.cancel()
            await asyncio.wait({crew.running})


class SupervisorProcess(Crew):
    """A crew whose supervisor is a process, as its operator runs it."""

    process: subprocess.Popen[bytes]

    def start(self, loop: str) -> None:
        """Start it, on an event loop of asyncio or uvloop."""
        (self.directory / "supervisor.py").write_text(SUPERVISOR)
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "supervisor.py", loop],
                cwd=self.directory,
                env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
                stdin=subprocess.PIPE,
                stderr=log,
                process_group=0,
            )
        assert self.process.stdin is not None
        self.process.stdin.write(f"{SECRET}\n".encode())
        self.process.stdin.flush()

    def serves(self) -> bool:
        """Whether it knows that both workers serve."""
        assert self.process.poll() is None, self.log()
        return self.log().count("supervisor.worker_serves") >= 2

    def log(self) -> str:
        """Return what was logged."""
        return (self.directory / "log").read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send it to the supervisor alone."""
        self.process.send_signal(number)

    def visible(self, pid: int) -> bytes:
        """Return what others can see of a process."""
        process = Path(f"/proc/{pid}")
        return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()

    def press_ctrl_c(self) -> None:
        """Send SIGINT to the whole process group, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    async def exit_code(self) -> int:
        """Wait for its end."""
        return await asyncio.to_thread(self.process.wait, HANG_S)


@asynccontextmanager
async def supervisor_process(directory: Path, *, loop: str) -> AsyncIterator[SupervisorProcess]:
    """Run a supervisor of two workers in a process and process group of its own."""
    crew = SupervisorProcess(directory, "steady", "steady")
    crew.start(loop)
    with crew.process:
        try:
            await until(crew.serves)
            crew.port = int((directory / "port").read_text())
            yield crew
        finally:
            end_all_below(directory)
