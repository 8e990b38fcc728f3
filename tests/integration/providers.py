"""Payment providers that misbehave: TCP servers that do one thing to every connection."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Till:
    """A server that counts what it hears.

    Attributes:
        url: Where it is.
        connections: How many came.
        requests: What each said, whole.
        left: How many of the other side have gone.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.url = ""
        self.connections = 0
        self.requests: list[bytes] = []
        self.left = 0
        self._behaviour = behaviour

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._behaviour(reader, writer)
                while await reader.read(65_536):  # it may send more than it should
                    self.requests.append(b"more")
        finally:
            self.left += 1
            writer.close()

    async def hear(self, reader: asyncio.StreamReader) -> None:
        """Take a whole request."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        self.requests.append(head + await reader.readexactly(length))


@asynccontextmanager
async def till(behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Till]:
    """A server that behaves so; without TLS although it is asked for it, if that is the point."""
    each = Till(behaviour)
    server = await asyncio.start_server(each.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    each.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/api/refund/?shop=1"
    try:
        yield each
    finally:
        server.close()


@asynccontextmanager
async def answering(
    *pieces: bytes, after: str = "close", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Till]:
    """A server that hears a request and sends these pieces.

    Args:
        pieces: One after the other.
        after: `close` ends the connection then, `reset` breaks it, `stay` does neither, and
            `go on` sends more and more.
        tls: How it is encrypted, if it is.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await each.hear(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)
        while after == "go on":
            writer.write(b"1" * 1_024)
            await writer.drain()
        if after == "close":
            writer.close()
        if after == "reset":
            reset(writer)

    async with till(answer, tls=tls) as each:
        yield each


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection: the other side gets an error, not an end."""
    linger = b"\x01\0\0\0\0\0\0\0"
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])
