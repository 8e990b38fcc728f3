"""A line to PostgreSQL that can be cut, muted or stalled at the worst moment.

It listens on a TCP port of 127.0.0.1 and passes bytes on to the Unix socket of a real server. Of
PostgreSQL's protocol it knows how a request ends and how an answer does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

AN_ORDER = b"\x00\x00\x00\x0corder_placed"
"""In an append of one order, and in nothing else: its kind as PostgreSQL is sent a text."""

_CHUNK = 1 << 16
_SYNC = b"S\x00\x00\x00\x04"  # the end of a request
_READY = b"Z\x00\x00\x00\x05"  # and one byte: the end of an answer


class Fault(Enum):
    """What happens to a request, and from then on to its connection."""

    ANSWER_LOST = auto()
    """It is carried out, its answer is swallowed, then the line is cut."""

    REQUEST_LOST = auto()
    """It never arrives, and the line is cut."""

    ANSWER_SILENT = auto()
    """It is carried out; nothing ever comes back, and nobody hangs up."""

    HALF_SENT = auto()
    """It arrives but for its end, so that it is begun and not committed; then silence."""

    REQUEST_DELAYED = auto()
    """It arrives when the line is released, though the client may have hung up long before."""

    ANSWER_DELAYED = auto()
    """It is carried out; its answer waits until the line is released or cut."""


_SILENT = (Fault.ANSWER_SILENT, Fault.HALF_SENT, Fault.REQUEST_DELAYED)


class Line:
    """One connection through the proxy.

    Attributes:
        fault: What befell it.
        waiting: Set when a request or an answer waits to be released.
        answered: Set when a request that was delayed has been carried out.
    """

    def __init__(self, proxy: "Proxy", client: asyncio.StreamWriter) -> None:
        self.fault: Fault | None = None
        self.waiting = asyncio.Event()
        self.answered = asyncio.Event()
        self._released = asyncio.Event()
        self._proxy = proxy
        self._client = client
        self._ends = [client]

    def release(self) -> None:
        """Let through what waits."""
        self._released.set()

    def cut(self) -> None:
        """Hang up at both ends, at once."""
        for end in self._ends:
            end.transport.abort()

    async def closed(self) -> None:
        """Return when both ends are gone, and not only told to go."""
        for end in self._ends:
            with suppress(OSError):
                await end.wait_closed()

    async def carry(self, requests: asyncio.StreamReader, socket: str) -> None:
        """Pass bytes on until an end hangs up."""
        answers, server = await asyncio.open_unix_connection(socket)
        self._ends.append(server)
        up = asyncio.create_task(self._pass_requests(requests, server))
        down = asyncio.create_task(self._pass_answers(answers))
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if self.fault in _SILENT:
            await asyncio.wait({down})  # that the client hung up does not get through, either
        self.cut()
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)

    async def _pass_requests(
        self, requests: asyncio.StreamReader, server: asyncio.StreamWriter
    ) -> None:
        while sent := await requests.read(_CHUNK):
            if self.fault is not None:
                continue  # the line is dead; nobody has noticed yet
            self.fault = self._proxy.fault_for(self, sent)
            if self.fault is Fault.REQUEST_LOST:
                return
            if self.fault is Fault.REQUEST_DELAYED:
                await self._wait()
            passed = sent.removesuffix(_SYNC) if self.fault is Fault.HALF_SENT else sent
            server.write(passed)
            await server.drain()

    async def _pass_answers(self, answers: asyncio.StreamReader) -> None:
        while said := await answers.read(_CHUNK):
            if self.fault is Fault.ANSWER_LOST and _READY in said:
                return
            if self.fault is Fault.REQUEST_DELAYED:
                self.answered.set()
            if self.fault is Fault.ANSWER_DELAYED:
                await self._wait()
                self.fault = None
            if self.fault is None:
                self._client.write(said)
                await self._client.drain()

    async def _wait(self) -> None:
        self.waiting.set()
        await self._released.wait()


class Proxy:
    """All connections between one server and its PostgreSQL.

    Attributes:
        struck: The line that met the fault which was armed last.
    """

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        where = parse_qs(parts.query)
        self.struck: Line | None = None
        self._who = parts.username
        self._database = parts.path
        self._socket = f"{where['host'][0]}/.s.PGSQL.{where['port'][0]}"
        self._port = 0
        self._lines: dict[Line, asyncio.Task[None]] = {}
        self._armed: tuple[bytes, Fault] | None = None

    @property
    def url(self) -> str:
        """What the server is to be given instead of the database's own URL."""
        return f"postgresql://{self._who}@127.0.0.1:{self._port}{self._database}?sslmode=disable"

    def arm(self, fault: Fault, *, at: bytes) -> None:
        """Have the next request that contains `at` meet a fault."""
        self._armed = (at, fault)
        self.struck = None

    def silence(self) -> None:
        """Let nothing through any more on the lines that are open now; nobody hangs up."""
        for line in self._lines:
            line.fault = Fault.ANSWER_SILENT

    def fault_for(self, line: Line, sent: bytes) -> Fault | None:
        """Say what happens to what was just sent."""
        if self._armed is None or self._armed[0] not in sent:
            return None
        self.struck = line
        fault, self._armed = self._armed[1], None
        return fault

    async def listen(self) -> asyncio.Server:
        """Accept connections."""
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._port = listener.sockets[0].getsockname()[1]
        return listener

    async def hang_up(self) -> None:
        """Cut every line, and return when nothing is left of them."""
        while self._lines:
            for line in self._lines:
                line.cut()
            await asyncio.gather(*self._lines.values())

    def _accept(self, requests: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        line = Line(self, client)
        self._lines[line] = asyncio.create_task(self._carry(line, requests))

    async def _carry(self, line: Line, requests: asyncio.StreamReader) -> None:
        with suppress(OSError):  # PostgreSQL is not there: we are not, either
            await line.carry(requests, self._socket)
        line.cut()
        await line.closed()
        del self._lines[line]


@asynccontextmanager
async def proxied(database_url: str) -> AsyncIterator[Proxy]:
    """A line to a database, whole until told otherwise."""
    proxy = Proxy(database_url)
    async with await proxy.listen() as listener:
        try:
            yield proxy
        finally:
            listener.close()  # whoever came now would be left open
            await proxy.hang_up()
