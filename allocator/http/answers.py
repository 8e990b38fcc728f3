"""Answers in JSON, written in one piece.

aiohttp prepares a response in steps (a header multidict, hooks, a status line, a serialiser) that
cost a quarter of a request here, for headers that are known beforehand. `JsonAnswer` joins head
and body itself for the ordinary case, HTTP/1.1 with keep-alive, and leaves every other to aiohttp.
"""

from functools import cache
from http import HTTPStatus
from time import perf_counter
from typing import Final

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_request import BaseRequest

JSON: Final = "application/json"

_SERVER: Final = "allocator"
_NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\nServer: allocator\r\nDate: %b\r\n\r\n"
_encode: Final = msgspec.json.Encoder().encode


@cache
def _head(status: int, content_type: str) -> str:
    """The part of a head that is the same for ever."""
    phrase = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {phrase}\r\nServer: {_SERVER}\r\nContent-Type: {content_type}\r\n"


class Stream(web.StreamResponse):
    """An answer that goes on for as long as its client listens, and its connection no longer.

    Attributes:
        opened: When its head was sent, as `perf_counter` tells: so long it took to answer.
    """

    def __init__(self, *, headers: dict[str, str]) -> None:
        super().__init__(headers={"Server": _SERVER, **headers})
        self.opened = 0.0
        self.force_close()

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send the head."""
        writer = await super().prepare(request)
        self.opened = perf_counter()
        return writer


class JsonAnswer(web.StreamResponse):
    """A body of JSON with a few headers, whose names and values are ASCII of our own making."""

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        content_type: str = JSON,
    ) -> None:
        super().__init__(status=status)
        self._content = body
        self._content_kind = content_type
        self._more = headers
        self._ordinary: web.Response | None = None

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write everything, or let aiohttp."""
        if request.version == HttpVersion11 and request.keep_alive and request.method != "HEAD":
            writer = request.writer
            await writer.write_eof(self._whole())
            return writer
        headers = {"Server": _SERVER, "Content-Type": self._content_kind, **(self._more or {})}
        self._ordinary = web.Response(body=self._content, status=self.status, headers=headers)
        return await self._ordinary.prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Finish what was left to aiohttp."""
        if self._ordinary is not None:
            await self._ordinary.write_eof(data)

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open."""
        return True if self._ordinary is None else self._ordinary.keep_alive

    def _whole(self) -> bytes:
        body = self._content
        head = _head(self.status, self._content_kind)
        date = rfc822_formatted_time()
        if self._more is not None:
            for name, value in self._more.items():
                head += f"{name}: {value}\r\n"
        return f"{head}Content-Length: {len(body)}\r\nDate: {date}\r\n\r\n".encode() + body


class PatientAnswer(JsonAnswer):
    """One for which its client wanted to wait: that is no time that we took.

    Attributes:
        opened: When the waiting began, as `perf_counter` tells.
    """

    def __init__(self, shape: msgspec.Struct, *, opened: float) -> None:
        super().__init__(_encode(shape))
        self.opened = opened


class EmptyAnswer(web.StreamResponse):
    """204: it is done, and there is nothing to say. RFC 9110 §8.6: no length is told."""

    def __init__(self) -> None:
        super().__init__(status=HTTPStatus.NO_CONTENT)
        self._ordinary = True

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write everything, or let aiohttp."""
        if request.version == HttpVersion11 and request.keep_alive:
            self._ordinary = False
            writer = request.writer
            await writer.write_eof(_NO_CONTENT % rfc822_formatted_time().encode())
            return writer
        self.headers["Server"] = _SERVER
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b"") -> None:
        """Finish what was left to aiohttp."""
        if self._ordinary:
            await super().write_eof(data)

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open."""
        return super().keep_alive if self._ordinary else True


def json_answer(
    shape: msgspec.Struct, *, status: int = 200, headers: dict[str, str] | None = None
) -> JsonAnswer:
    """Answer with a shape."""
    return JsonAnswer(_encode(shape), status=status, headers=headers)
