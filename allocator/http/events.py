"""Server-sent events (WHATWG HTML §9.2): what happens, as it happens, to whoever listens.

A client that loses its connection sends the last id that it saw, and goes on behind it. So ids are
also sent while nothing happens that interests him: who comes back then has little to catch up with.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Final

import msgspec
from aiohttp import hdrs, web

from allocator.domain.catalogue import is_code
from allocator.domain.ids import IdSeal
from allocator.domain.interests import Interest
from allocator.domain.occurrences import TOLD_KINDS, Occurrence, UnknownPositionError
from allocator.domain.positions import START, Position, PositionError
from allocator.errors import JournalError
from allocator.http.answers import Stream
from allocator.http.context import Context
from allocator.http.doors import caller_of
from allocator.http.listening import Listener
from allocator.http.paging import query
from allocator.http.problems import ProblemError, bad_code, invalid, overloaded
from allocator.http.shaping import happening_of
from allocator.http.statistics import HttpStatistics

EVENT_STREAM: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"
SUBSCRIBERS_MAX: Final = 256

_HEARTBEAT_S: Final = 15.0
_STALLED_S: Final = 10.0
"""A client that takes nothing for so long is cut off; it may come back and go on."""
_LOOK_EVERY_S: Final = 1.0
"""How often we look whether the client may still listen."""
_RETRY_S: Final = 1.0
_RETRY_AFTER_MS: Final = 1_000
_SEND_BUFFER_BYTES: Final = 64 << 10
"""What the system may hold for one client, beside what we do."""
_HEADERS: Final = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect what is to be told at once
}

_encode: Final = msgspec.json.Encoder().encode


class EventHandlers:
    """The route /events.

    Args:
        context: Whose feed is told.
        statistics: Who listens is counted there.
        subscribers_max: How many may listen to this worker at once.
    """

    def __init__(
        self,
        context: Context,
        *,
        statistics: HttpStatistics,
        subscribers_max: int = SUBSCRIBERS_MAX,
        heartbeat_s: float = _HEARTBEAT_S,
        stalled_s: float = _STALLED_S,
    ) -> None:
        self._feed = context.feed
        self._ids = context.ids
        self._statistics = statistics
        self._subscribers_max = subscribers_max
        self._heartbeat_s = heartbeat_s
        self._stalled_s = stalled_s

    def routes(self) -> list[web.RouteDef]:
        """Return what to register."""
        return [web.get("/events", self.listen, allow_head=False)]

    async def stop(self, _app: web.Application) -> None:
        """Let everybody go who listens: they would keep the server from stopping."""
        self._feed.close()

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Tell what happens until the client leaves, or the server does."""
        found = query(request, "product", "warehouse", "kind", "after")
        interest, after = _interest_of(found), _position_of(request, found)
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers=_HEADERS)
        if self._statistics.subscribers >= self._subscribers_max:
            detail = f"{self._subscribers_max} clients of this worker already listen"
            raise ProblemError(overloaded(detail))
        self._statistics.subscribers += 1
        try:
            if after and after != START and not await self._feed.is_whole_after(after):
                raise ProblemError(_PRUNED)
            async with self._feed.listen(interest, after=after) as listener:
                stream = Stream(headers=_HEADERS)
                await stream.prepare(request)
                await self._tell(request, stream, listener)
                return stream
        except UnknownPositionError as error:
            raise ProblemError(invalid(str(error))) from error
        finally:
            self._statistics.subscribers -= 1

    async def _tell(self, request: web.Request, stream: Stream, listener: Listener) -> None:
        _bound_buffers(request)
        caller = caller_of(request)
        try:
            await self._write(stream, b"retry: %d\n" % _RETRY_AFTER_MS + _id_alone(listener))
            quiet_s = 0.0
            while not listener.ended:
                piece = await self._next(listener)
                if caller.is_revoked:
                    break
                quiet_s = 0.0 if piece else quiet_s + _LOOK_EVERY_S
                if quiet_s >= self._heartbeat_s:
                    quiet_s, piece = 0.0, b": still here\n" + _id_alone(listener)
                if piece:
                    await self._write(stream, piece)
        except TimeoutError:
            self._statistics.cut_off += 1
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass  # it has left

    async def _next(self, listener: Listener) -> bytes:
        """Return what to send next, or nothing after a while."""
        try:
            found = await listener.more(within_s=_LOOK_EVERY_S)
        except JournalError:
            # A browser that is told so now, or meets a 503 when it returns, would give up.
            await asyncio.sleep(_RETRY_S)
            return b": waiting for the database\n\n"
        self._statistics.told += len(found)
        return b"".join([self._encoded(occurrence) for occurrence in found])

    def _encoded(self, occurrence: Occurrence) -> bytes:
        if not occurrence.encoded:
            occurrence.encoded = encoded(occurrence, self._ids)
        return occurrence.encoded

    async def _write(self, stream: Stream, piece: bytes) -> None:
        async with asyncio.timeout(self._stalled_s):
            await stream.write(piece)


_PRUNED: Final = invalid(
    "what happened after this id may have been pruned: begin without one, or go on with what is "
    "left of everything behind 0.0.0.0"
)


def encoded(occurrence: Occurrence, ids: IdSeal) -> bytes:
    """Return an event as it is sent."""
    # Line feeds can only stand between the tokens of a body that others wrote: nothing is lost.
    told = _encode(happening_of(occurrence, ids)).replace(b"\n", b" ").replace(b"\r", b" ")
    head = f"id: {occurrence.position}\nevent: {occurrence.record.kind}\ndata: "
    return b"%b%b\n\n" % (head.encode(), told)


def _id_alone(listener: Listener) -> bytes:
    """Return an event without data: clients keep its id, and show it to nobody (§9.2.6)."""
    return f"id: {listener.reached}\n\n".encode()


def _interest_of(found: dict[str, str]) -> Interest:
    for name in ("product", "warehouse"):
        if name in found and not is_code(found[name]):
            raise ProblemError(bad_code(name))
    kinds = tuple(found["kind"].split(",")) if "kind" in found else None
    if kinds is not None and not set(kinds) <= set(TOLD_KINDS):
        known = ", ".join(TOLD_KINDS)
        raise ProblemError(invalid(f"kind must be one of {known}, or several with commas between"))
    return Interest(warehouse=found.get("warehouse"), product=found.get("product"), kinds=kinds)


def _position_of(request: web.Request, found: dict[str, str]) -> Position | None:
    """Return where to go on: a browser that comes back repeats its first `after` beside the id."""
    name, text = LAST_EVENT_ID, request.headers.get(LAST_EVENT_ID)
    if text is None:
        name, text = "after", found.get("after")
    if text is None:
        return None
    try:
        return Position.of(text)
    except PositionError as error:
        wanted = "an id that this server sent, like 1.7482.27136.5"
        raise ProblemError(invalid(f"{name} must be {wanted}")) from error


def _bound_buffers(request: web.Request) -> None:
    """Have the system hold little for this client, and find out soon that its machine is gone."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None:
        return
    with suppress(OSError, AttributeError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)
