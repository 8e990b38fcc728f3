"""Two processes, or two ends in one, with a real socket between them.

Run as a module it is a peer that listens at the path it is given.
"""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec
import pytest
import uvloop
from structlog.testing import capture_logs

from allocator.peers.door import Door, Handle, Respond
from allocator.peers.errors import PeerUnreachableError
from allocator.peers.frames import Hello, Numbered, Splitter, hello_frame
from allocator.peers.link import Link
from allocator.peers.sockets import UnixSockets

T = TypeVar("T")

CHECKOUT = Path(__file__).parents[2]

PATIENCE_S: Final = 30.0
"""What has not happened by then never will."""

CALLER: Final = Hello(name="caller", build="test")
ANSWERER: Final = Hello(name="answerer", build="test")


class Ask(msgspec.Struct, array_like=True, frozen=True):
    """A request."""

    number: int
    text: str = ""


class Told(msgspec.Struct, array_like=True, frozen=True):
    """An answer."""

    number: int
    text: str = ""


ASKS: Final = msgspec.msgpack.Decoder(Numbered[Ask])
TOLD: Final = msgspec.msgpack.Decoder(Numbered[Told])

AskLink = Link[object, Told]
AskDoor = Door[Ask, Told]


def echo(ask: Ask, respond: Respond[Told]) -> None:
    """Answer at once."""
    respond(Told(ask.number, ask.text))


class Pile:
    """Keeps requests, to be answered when the test likes."""

    def __init__(self) -> None:
        self.asked: list[tuple[Ask, Respond[Told]]] = []

    def __len__(self) -> int:
        return len(self.asked)

    def take(self, ask: Ask, respond: Respond[Told]) -> None:
        """Keep a request."""
        self.asked.append((ask, respond))

    def answer(self) -> None:
        """Answer all, the latest first."""
        asked, self.asked = self.asked, []
        for ask, respond in reversed(asked):
            echo(ask, respond)


class Room:
    """Where the two ends meet; whatever is opened in it is closed with it.

    Attributes:
        path: Of the socket.
        logs: What was logged, oldest first.
        lost: The peers that links were told to have lost.
    """

    def __init__(self, directory: Path, logs: Sequence[MutableMapping[str, object]]) -> None:
        self.path = directory / "door"
        self.logs = logs
        self.lost: list[str] = []
        self.opened = AsyncExitStack()

    @property
    def events(self) -> list[object]:
        """The names of what was logged."""
        return [line["event"] for line in self.logs]

    async def door(
        self,
        handle: Handle[Ask, Told] = echo,
        *,
        hello: Hello = ANSWERER,
        outstanding_max: int = 10_000,
    ) -> AskDoor:
        """Open a door."""
        door: AskDoor = Door(
            self.path,
            sockets=UnixSockets(),
            hello=hello,
            requests=ASKS,
            handle=handle,
            outstanding_max=outstanding_max,
        )
        await door.open()
        self.opened.push_async_callback(door.close)
        return door

    def link(
        self,
        *,
        hello: Hello = CALLER,
        timeout_s: float = PATIENCE_S,
        in_flight_max: int = 20_000,
        connect_s: float = PATIENCE_S,
    ) -> AskLink:
        """Make a link to whoever listens."""
        link: AskLink = Link(
            self.path,
            sockets=UnixSockets(),
            hello=hello,
            peer="somebody",
            responses=TOLD,
            timeout_s=timeout_s,
            in_flight_max=in_flight_max,
            connect_s=connect_s,
            on_lost=self.lost.append,
        )
        self.opened.push_async_callback(link.close)
        return link

    async def stranger(self) -> "Wire":
        """Connect with bare hands."""
        wire = Wire(*await asyncio.open_unix_connection(self.path))
        self.opened.push_async_callback(wire.close)
        return wire

    async def listen(self, serve: Callable[["Wire"], Awaitable[None]]) -> None:
        """Listen with bare hands."""
        serving: set[asyncio.Task[None]] = set()

        async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            wire = Wire(reader, writer)
            with suppress(ConnectionError):
                await serve(wire)
            await wire.close()

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.add(asyncio.create_task(serve_one(reader, writer)))

        async def served() -> None:
            await asyncio.gather(*serving)

        self.opened.push_async_callback(served)
        server = await asyncio.start_unix_server(accepted, self.path)
        self.opened.callback(server.close)

    async def process(self) -> "Process":
        """Start a peer in a process of its own, and wait until it listens."""
        process = Process(self.path)
        self.opened.callback(process.end)
        await process.ready()
        return process


class Wire:
    """One end of a connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._splitter = Splitter()

    async def write(self, sent: bytes | bytearray) -> None:
        """Write bytes."""
        self._writer.write(sent)
        await self._writer.drain()

    async def greet(self, hello: Hello = CALLER) -> None:
        """Say hello, and hear one."""
        await self.write(hello_frame(hello))
        assert await self.frame() is not None

    async def frame(self) -> tuple[int, bytes] | None:
        """Return the next frame, or None when the other end has hung up."""
        while (frame := self._splitter.next_frame()) is None:
            if not (chunk := await self._reader.read(1 << 16)):
                return None
            self._splitter.feed(chunk)
        return frame[0], bytes(frame[1])

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class Process:
    """A peer that can really be killed and paused."""

    def __init__(self, path: Path) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.peers_support", str(path)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
        )

    async def ready(self) -> None:
        """Return when it listens."""
        assert self._popen.stdout is not None
        assert await asyncio.to_thread(self._popen.stdout.readline) == b"ready\n"

    def kill(self) -> None:
        """End it as `kill -9` does, and wait until it is dead."""
        self._popen.kill()
        self._popen.wait(PATIENCE_S)

    def pause(self) -> None:
        """Stop it in its tracks, and wait until it stands."""
        self._popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._popen.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on as if nothing had happened."""
        self._popen.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Leave nothing behind."""
        self.kill()
        assert self._popen.stdout is not None
        self._popen.stdout.close()


def on_both_loops(
    test: Callable[[Room], Coroutine[object, object, None]],
) -> Callable[[str], None]:
    """Make a test of a coroutine: it runs on asyncio's loop and on that of production.

    Afterwards no task is left, and no future whose exception nobody has seen.
    """

    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    def run_test(loop: str) -> None:
        run = asyncio.run if loop == "asyncio" else uvloop.run
        run(_checked(test))

    run_test.__name__ = test.__name__
    run_test.__doc__ = test.__doc__
    return run_test


def on_asyncio(
    test: Callable[[Room], Coroutine[object, object, None]],
) -> Callable[[], None]:
    """Make a test of a coroutine that relies on the order in which asyncio's loop does things."""

    def run_test() -> None:
        asyncio.run(_checked(test))

    run_test.__name__ = test.__name__
    run_test.__doc__ = test.__doc__
    return run_test


async def _checked(test: Callable[[Room], Coroutine[object, object, None]]) -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
    async with _room() as room, asyncio.timeout(2 * PATIENCE_S):
        await test(room)
    gc.collect()
    await asyncio.sleep(0)

    assert complaints == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@asynccontextmanager
async def _room() -> AsyncIterator[Room]:
    with tempfile.TemporaryDirectory(prefix="peers-") as directory, capture_logs() as logs:
        room = Room(Path(directory), logs)
        async with room.opened:
            yield room


async def soon(answer: Awaitable[T]) -> T:
    """Return what must come without any further doing."""
    async with asyncio.timeout(PATIENCE_S):
        return await answer


async def eventually(condition: Callable[[], bool]) -> None:
    """Return when a condition holds that must come to hold."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 (what it waits for is another process's doing)
            await asyncio.sleep(0.002)


async def answered(link: AskLink) -> None:
    """Return when the peer, who may be away for the moment, has answered a call, and only one."""
    async with asyncio.timeout(PATIENCE_S):
        while not await is_answered(link):  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.002)


async def is_answered(link: AskLink) -> bool:
    """Whether the peer answers now; if not, it was not asked."""
    try:
        return await link.call(Ask(1, "back")) == Told(1, "back")
    except PeerUnreachableError:
        return False


async def outcomes(answers: Sequence[asyncio.Future[Told]]) -> list[Told | BaseException]:
    """Return every answer or error."""
    return await soon(asyncio.gather(*answers, return_exceptions=True))


async def _peer(path: Path) -> None:
    """Echo; keep "hold" for ever; tell to "count" how many requests have come so far."""
    seen = 0

    def handle(ask: Ask, respond: Respond[Told]) -> None:
        nonlocal seen
        seen += 1
        if ask.text == "count":
            respond(Told(seen))
        elif not ask.text.startswith("hold"):
            echo(ask, respond)

    door: AskDoor = Door(
        path,
        sockets=UnixSockets(),
        hello=ANSWERER,
        requests=ASKS,
        handle=handle,
        outstanding_max=100_000,
    )
    await door.open()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_peer(Path(sys.argv[1])))
