"""Receivers of webhooks: real HTTP servers that check what they get, as any receiver should."""

import asyncio
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from aiohttp import web

from tests.integration.listening import Told
from tests.integration.serving import Server, until


class Message(msgspec.Struct, frozen=True):
    """A request that came.

    Attributes:
        headers: By their names in lower case.
    """

    id: str
    headers: Mapping[str, str]
    body: bytes
    path: str

    @property
    def told(self) -> Told:
        return msgspec.json.decode(self.body, type=_Body).data

    @property
    def type(self) -> str:
        return msgspec.json.decode(self.body, type=_Body).type

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature as https://www.standardwebhooks.com describes it."""
        key = b64decode(secret.removeprefix("whsec_"))
        said = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
        return f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


class _Body(msgspec.Struct):
    type: str
    timestamp: str
    data: Told


class Receiver:
    """Takes messages, or answers otherwise.

    Attributes:
        url: Where it is.
        taken: Messages that were answered 200, in order.
        came: All messages.
        answer: Decides the status by the message; with one below 0 there is no answer.
        headers: Of its answers.
        holding: How many requests it does not answer now.
    """

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[Message] = []
        self.came: list[Message] = []
        self.answer: Callable[[Message], int] = lambda _: 200
        self.headers: dict[str, str] = {}
        self.end = asyncio.Event()
        self.holding = 0

    async def handle(self, request: web.Request) -> web.Response:
        message = Message(
            request.headers["webhook-id"],
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            request.path,
        )
        self.came.append(message)
        status = self.answer(message)
        if status < 0:
            self.holding += 1
            try:
                await self.end.wait()
            finally:
                self.holding -= 1
            status = 500
        if status == 200:
            self.taken.append(message)
        return web.Response(status=status, headers=self.headers)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        await until(condition)

    async def until_taken(self, count: int) -> list[Message]:
        """Wait for so many different messages that were taken."""
        await self.until(lambda: len({one.id for one in self.taken}) >= count)
        return self.taken


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on this machine."""
    each = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", each.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    each.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield each
    finally:
        each.end.set()
        await runner.cleanup()


async def keep_selling(server: Server, stop: asyncio.Event, *, sku: str = "tea") -> int:
    """Sell one by one, whatever happens to the server; return how many sales it has confirmed."""
    sold = 0
    while not stop.is_set():
        try:
            sold += (await server.order(sku, key=f"{sku}-{sold}")).status == 201
            await asyncio.sleep(0.002)
        except (OSError, TimeoutError, aiohttp.ClientError):
            await asyncio.sleep(0.1)  # it is starting again, and needs the machine
    return sold
