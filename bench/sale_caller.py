"""One customer's connection, which may break at any byte."""

import asyncio
import re

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\r\nretry-after: *(\d+)", re.IGNORECASE)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said."""

    status: int
    body: bytes
    retry_after_s: int


class Caller:
    """Opens a connection when it is needed, and keeps it for as long as it is whole."""

    def __init__(self, *, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, *, within_s: float) -> Answer:
        """Send a request and return the answer; in any other case the connection is closed.

        Raises:
            OSError: the connection cannot be opened, or broke.
            asyncio.IncompleteReadError: the server closed it.
            TimeoutError: there was no answer within `within_s`.
        """
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await self._connected()
                writer.write(request)
                return await _read_answer(reader)
        except BaseException:
            self.hang_up()
            raise

    async def send_and_leave(self, request: bytes, *, rudely: bool) -> None:
        """Send bytes and close without waiting; rudely is with a reset instead of a farewell.

        Raises:
            OSError: the connection cannot be opened, or broke.
        """
        _, writer = await self._connected()
        try:
            writer.write(request)
            await writer.drain()
            if rudely:
                writer.transport.abort()
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    retry_after = _RETRY_AFTER.search(head)
    return Answer(
        status=int(head[9:12]),
        body=await reader.readexactly(int(length[1])) if length else b"",
        retry_after_s=int(retry_after[1]) if retry_after else 0,
    )
