"""Clients by the byte: requests that are cut short, stretched or never read."""

import asyncio
from urllib.parse import urlsplit

import msgspec


class Caller:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def say(self, said: bytes) -> None:
        """Send bytes, as fast as they are taken."""
        self._writer.write(said)
        await self._writer.drain()

    def shout(self, said: bytes) -> None:
        """Send bytes without waiting until they are taken."""
        self._writer.write(said)

    async def everything(self) -> bytes:
        """Read until the server hangs up, and do so, too."""
        said = await self.reader.read()
        await self.vanish("hangs up")
        return said

    async def vanish(self, how: str) -> None:
        """Be gone: hang up as programs do, or reset as a machine does that was restarted."""
        if how == "resets":
            self._writer.transport.abort()
        else:
            self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


async def call(url: str) -> Caller:
    """Connect to a server."""
    parts = urlsplit(url)
    return Caller(*await asyncio.open_connection(parts.hostname, parts.port))


def order_line(sku: str, tag: str, *, quantity: int = 1, key: str | None = None) -> bytes:
    """An order as JSON; only a line of a batch may have a key."""
    order = {"product": sku, "warehouse": "main", "quantity": quantity, "customer": tag}
    return msgspec.json.encode(order if key is None else order | {"key": key})


def request_of(path: str, body: bytes, *, of: str = "json", length: int | None = None) -> bytes:
    """A request as it goes over the line; `length` is what it promises to send."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/{of}\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def order_request(sku: str, tag: str, *, quantity: int = 1) -> bytes:
    """A whole request for an order."""
    return request_of("/orders", order_line(sku, tag, quantity=quantity))
