"""Connections: how many there may be, how long they may dawdle, and what is said to bad ones.

A client that sends nothing, sends for ever or never reads costs a place. A sweep a second looks
at every connection and ends those whose client holds things up: nothing here is paid for by a
request. Who waits for us, a slow database say, is left alone.
"""

import asyncio
from time import monotonic
from typing import Final, TypeAlias

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from allocator.http.problems import (
    CONTENT_TYPE,
    Problem,
    answer,
    header_too_large,
    line_too_long,
    malformed_request,
    too_many_connections,
)
from allocator.http.statistics import ConnectionStatistics

log = structlog.get_logger()

_SWEEP_EVERY_S: Final = 1.0
_TURNED_AWAY_MAX: Final = 128
"""Connections beyond the limit that are told so; still more are just closed."""
_TURNED_AWAY_S: Final = 1.0
_TOO_MANY_HEADERS: Final = "Too many headers"

_Progress: TypeAlias = tuple[int, int, int]
"""Requests begun, bytes of a body taken, bytes of answers that wait to be taken."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may take, and how long.

    Attributes:
        connections_max: Open at the same time.
        line_max_bytes: Of a request's target.
        header_max_bytes: Of one header, its name and value together.
        headers_max: Of one request.
        head_s: From the connection to the end of the first request's head.
        stall_s: Without a byte of a body that was announced, or of an answer taken.
        keep_alive_s: From an answer to the end of the next request's head.
    """

    connections_max: int
    line_max_bytes: int
    header_max_bytes: int
    headers_max: int
    head_s: float
    stall_s: float
    keep_alive_s: float


class Connection(RequestHandler):
    """One client's connection; why what came is no request is said as a problem."""

    __slots__ = ("_began_s", "_moved_s", "_patience", "_progress", "_reception")

    def __init__(self, reception: "Reception", server: web.Server, patience: Patience) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=patience.keep_alive_s,
            # Never the same as that of headers: by its limit we know which line was too long.
            max_line_size=patience.line_max_bytes
            + (patience.line_max_bytes == patience.header_max_bytes),
            max_field_size=patience.header_max_bytes,
            max_headers=patience.headers_max,
            access_log=None,  # type: ignore[arg-type]
        )
        self._patience = patience
        self._reception = reception
        self._began_s = self._moved_s = monotonic()
        self._progress: _Progress = (0, 0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._reception.take(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._reception.let_go(self)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Say what is wrong with what is no request; aiohttp closes the connection then."""
        if status != 400:  # noqa: PLR2004 (what aiohttp's parser says, whatever it was)
            return super().handle_error(request, status, exc, message)
        log.debug("request.malformed", error=str(exc))
        return answer(self._problem_of(exc), instance=None)

    def _problem_of(self, error: BaseException | None) -> Problem:
        if isinstance(error, LineTooLong):
            if error.args[1] == self.max_field_size:
                return header_too_large(f"a header may have {self.max_field_size} bytes")
            return line_too_long(self._patience.line_max_bytes)
        if _TOO_MANY_HEADERS in str(error):
            return header_too_large(f"a request may have {self.max_headers} headers")
        return malformed_request()

    def is_held_up(self, now_s: float) -> bool:
        """Return whether its client has held it up for too long."""
        transport, request = self.transport, self._current_request
        if transport is None:
            return False
        if not self._request_count:
            return now_s - self._began_s > self._patience.head_s
        waiting = transport.get_write_buffer_size()
        # Where we do not read, nobody can send: it is we who hold this up.
        is_sending = request is not None and not request.content.is_eof() and transport.is_reading()
        taken = request.content.total_bytes if request is not None and is_sending else 0
        progress = (self._request_count, taken, waiting)
        if progress != self._progress or not (is_sending or waiting):
            self._progress, self._moved_s = progress, now_s
        return now_s - self._moved_s > self._patience.stall_s

    def cut_off(self) -> None:
        """End it at once, whatever waits to be sent."""
        if self.transport is not None:
            self.transport.abort()


class Reception:
    """Takes the connections of one worker.

    Args:
        server: What answers their requests.
        patience: What their clients may take.
        statistics: What becomes of them is counted there.
    """

    def __init__(
        self, server: web.Server, patience: Patience, *, statistics: ConnectionStatistics
    ) -> None:
        self._open: set[Connection] = set()
        self._statistics = statistics
        self._server = server
        self._patience = patience
        self._turned_away = 0

    def __call__(self) -> asyncio.Protocol:
        """Return what is to speak on a new connection."""
        if len(self._open) < self._patience.connections_max:
            return Connection(self, self._server, self._patience)
        self._statistics.refused += 1
        return _TurnedAway(self)

    async def run(self) -> None:
        """Sweep for ever; cancel to stop."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            now_s = monotonic()
            for connection in [each for each in self._open if each.is_held_up(now_s)]:
                self._statistics.cut_off += 1
                connection.cut_off()

    def take(self, connection: Connection) -> None:
        """Watch a connection from now on."""
        self._open.add(connection)
        self._statistics.open = len(self._open)

    def let_go(self, connection: Connection) -> None:
        """Watch it no more."""
        self._open.discard(connection)
        self._statistics.open = len(self._open)

    def may_be_told(self, *, come: bool) -> bool:
        """Count who is being turned away; return whether there is room to tell one more."""
        self._turned_away += 1 if come else -1
        return self._turned_away <= _TURNED_AWAY_MAX


class _TurnedAway(asyncio.Protocol):
    """Answers the first bytes with 503, and closes."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._reception.may_be_told(come=True):
            self._end = asyncio.get_running_loop().call_later(_TURNED_AWAY_S, transport.abort)
        else:
            transport.abort()

    def data_received(self, _data: bytes) -> None:
        """Answer once something was asked: an answer before might be lost with the connection."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_FULL)
            self._transport.close()

    def connection_lost(self, _error: BaseException | None) -> None:
        self._reception.may_be_told(come=False)
        if self._end is not None:
            self._end.cancel()


def _full() -> bytes:
    problem = too_many_connections()
    body = msgspec.json.encode(problem.members(instance=None))
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\nServer: allocator\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Retry-After: 1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_FULL: Final = _full()
