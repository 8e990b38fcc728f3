"""Answers in JSON, written in one piece.

aiohttp prepares a response in steps (a header multidict, hooks, a status line, a serialiser) that
cost a quarter of a request here, for headers that are known beforehand. `JsonAnswer` joins head
and body itself for the ordinary case, HTTP/1.1 with keep-alive, and leaves every other to aiohttp.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.web_request import BaseRequest

JSON: Final = "application/json"

_encode: Final = msgspec.json.Encoder().encode
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status} {status.phrase}" for status in HTTPStatus}


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
        self._fields = {"Content-Type": content_type}
        if headers is not None:
            self._fields |= headers
        self._ordinary: web.Response | None = None

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Write everything, or let aiohttp."""
        if request.version == HttpVersion11 and request.keep_alive and request.method != "HEAD":
            writer = request.writer
            await writer.write_eof(self._whole())
            return writer
        self._ordinary = web.Response(body=self._content, status=self.status, headers=self._fields)
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
        fields = "".join([f"{name}: {value}\r\n" for name, value in self._fields.items()])
        head = (
            f"{_STATUS_LINES[self.status]}\r\n{fields}Content-Length: {len(self._content)}\r\n"
            f"Date: {rfc822_formatted_time()}\r\nServer: allocator\r\n\r\n"
        )
        return head.encode() + self._content


def json_answer(
    shape: msgspec.Struct, *, status: int = 200, headers: dict[str, str] | None = None
) -> JsonAnswer:
    """Answer with a shape."""
    return JsonAnswer(_encode(shape), status=status, headers=headers)
