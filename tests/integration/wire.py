"""HTTP byte by byte, for what a well-behaved client would never show."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

import msgspec

_PATIENCE_S = 20.0


class RawAnswer(msgspec.Struct, frozen=True):
    """One response, as it stood on the wire."""

    status_line: str
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.status_line.split(" ")[1])

    def field(self, name: str) -> str:
        """Return the value of a header field that stands there exactly once."""
        [value] = [value for known, value in self.fields if known.lower() == name.lower()]
        return value

    def has(self, name: str) -> bool:
        return any(known.lower() == name.lower() for known, _ in self.fields)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to the server of this URL."""
        split = urlsplit(url)
        return cls(*await asyncio.open_connection(split.hostname, split.port))

    def push(self, *parts: bytes) -> None:
        """Send bytes without waiting for anybody to take them."""
        self._writer.writelines(parts)

    async def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()

    async def end(self) -> None:
        """Send nothing more, and still listen."""
        self._writer.write_eof()

    def close(self) -> None:
        """Drop the connection in the ordinary way."""
        self._writer.close()

    def vanish(self) -> None:
        """Drop the connection at once, as a dying client does."""
        self._writer.transport.abort()

    async def answer(self, *, bodiless: bool = False) -> RawAnswer:
        """Read exactly one response that declares its length; `bodiless` is one to HEAD."""
        async with asyncio.timeout(_PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")
            fields = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
            answer = RawAnswer(status_line, fields, b"")
            if bodiless or answer.status == 100:
                return answer
            body = await self._reader.readexactly(int(answer.field("Content-Length")))
            return RawAnswer(status_line, fields, body)

    async def until(self, mark: bytes) -> bytes:
        """Return everything up to and including the mark."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self._reader.readuntil(mark)

    async def rest(self) -> bytes:
        """Return everything up to the end that the server makes of the connection."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self._reader.read()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Wire]:
    """A connection to the server of this URL, for as long as the context is open."""
    wire = await Wire.open(url)
    try:
        yield wire
    finally:
        wire.close()


def request(
    method: str, target: str, body: bytes | None = None, *fields: str, version: str = "1.1"
) -> bytes:
    """Return the bytes of a request, with a Content-Length if there is a body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: shop", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
