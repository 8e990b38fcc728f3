"""The bench's own client: raw HTTP/1.1 on asyncio, for where `wrk` is absent or cannot do it.

Prepared bytes go out, one request in flight on each kept-alive connection, and of an answer
only the status and the length are read. That costs some 15 µs a request, so the figures of a
closed loop are lower than with `wrk` when both share the cores with the server.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from time import perf_counter_ns
from typing import cast

import uvloop

from bench.latency import Histogram
from bench.load import NS_PER_S, Crowd, Load, LoadError
from bench.mixes import order_requests
from bench.wrk import find_wrk, wrk_load

GRACE_S = 15.0
"""How long the last answers of a load may take."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def hammer(crowd: Crowd) -> Load:
    """Let a crowd loose, by `wrk` when there is one, else by the bench's own client."""
    wrk = find_wrk()
    if wrk is not None:
        return wrk_load(crowd, wrk=wrk)
    return uvloop.run(closed_loop(crowd))


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request in flight.

    Attributes:
        since_ns: When the request in flight was sent or, in an open loop, was due.
    """

    def __init__(
        self,
        *,
        on_answer: Callable[["Connection", int], None],
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.since_ns = 0
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def send(self, request: bytes, *, since_ns: int) -> None:
        """Send a request; the answer comes by `on_answer`."""
        assert self._transport is not None
        self.since_ns = since_ns
        self._transport.write(request)

    def data_received(self, chunk: bytes) -> None:
        """Tell the owner once an answer is whole."""
        received = self._received + chunk if self._received else chunk
        if not _is_whole(received):
            self._received = received
            return
        self._received = b""
        self._on_answer(self, int(received[9:12]))

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the owner that no answer will come."""
        self._on_lost(self)

    def close(self) -> None:
        """Close without telling the owner."""
        self._on_lost = _ignore
        if self._transport is not None:
            self._transport.close()


def _ignore(_connection: Connection) -> None:
    pass


def _is_whole(received: bytes) -> bool:
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return False
    length = _LENGTH.search(received, 0, head_end)
    return len(received) >= head_end + 4 + (int(length[1]) if length else 0)


class Answers:
    """Counts what came back.

    Attributes:
        lost: Requests whose connection broke.
        ended_ns: When the last answer came.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.ended_ns = 0
        self._created = 0
        self._failed = 0
        self._first_failure = ""
        self._histogram = Histogram()

    def count(self, status: int, *, since_ns: int) -> None:
        """Count an answer to a request of `since_ns`."""
        self.ended_ns = perf_counter_ns()
        self._histogram.record(self.ended_ns - since_ns)
        if status in {HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}:
            self._created += 1
        else:
            self._failed += 1
            self._first_failure = self._first_failure or f"status {status}"

    def load(self, *, started_ns: int, unanswered: int) -> Load:
        """Return the outcome; what was never answered has failed too."""
        unread = self.lost + unanswered
        return Load(
            client="asyncio",
            created=self._created,
            failed=self._failed + unread,
            unread_max=unread,
            elapsed_ns=max(0, self.ended_ns - started_ns),
            latency=self._histogram.percentiles(),
            first_failure=self._first_failure or ("no answer" if unread else ""),
        )


async def open_connections(
    *,
    port: int,
    count: int,
    on_answer: Callable[[Connection, int], None],
    on_lost: Callable[[Connection], None],
) -> list[Connection]:
    """Open `count` connections.

    Raises:
        LoadError: the server did not accept one of them.
    """
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    try:
        for _ in range(count):
            _, connection = await loop.create_connection(
                lambda: Connection(on_answer=on_answer, on_lost=on_lost), "127.0.0.1", port
            )
            connections.append(connection)
    except OSError as error:
        close_all(connections)
        raise LoadError(f"port {port} accepts no connection: {error}") from error
    return connections


def close_all(connections: list[Connection]) -> None:
    """Close connections without counting what is in flight."""
    for connection in connections:
        connection.close()


async def closed_loop(crowd: Crowd) -> Load:
    """Keep every connection busy for `crowd.seconds`, then wait for the last answers.

    Raises:
        LoadError: a connection could not be opened.
    """
    return await _ClosedLoop(crowd).run()


class _ClosedLoop:
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._requests: Iterator[bytes] = order_requests(
            crowd.mix, seed=crowd.seed, option=crowd.option
        )
        self._answers = Answers()
        self._deadline_ns = 0
        self._busy: set[Connection] = set()
        self._settled = asyncio.Event()

    async def run(self) -> Load:
        connections = await open_connections(
            port=self._crowd.port,
            count=self._crowd.connections,
            on_answer=self._answered,
            on_lost=self._lost,
        )
        started_ns = perf_counter_ns()
        self._deadline_ns = started_ns + round(self._crowd.seconds * NS_PER_S)
        self._busy.update(connections)
        try:
            for connection in connections:
                connection.send(next(self._requests), since_ns=perf_counter_ns())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._crowd.seconds + GRACE_S):
                    await self._settled.wait()
        finally:
            close_all(connections)
        return self._answers.load(started_ns=started_ns, unanswered=len(self._busy))

    def _answered(self, connection: Connection, status: int) -> None:
        self._answers.count(status, since_ns=connection.since_ns)
        if self._answers.ended_ns < self._deadline_ns:
            connection.send(next(self._requests), since_ns=self._answers.ended_ns)
        else:
            self._rest(connection)

    def _lost(self, connection: Connection) -> None:
        if connection in self._busy:
            self._answers.lost += 1
            self._rest(connection)

    def _rest(self, connection: Connection) -> None:
        self._busy.discard(connection)
        if not self._busy:
            self._settled.set()
