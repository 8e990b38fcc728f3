"""Clients that listen to events, as a browser does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from yarl import URL

UNTIL_S = 20.0


class Told(msgspec.Struct, frozen=True):
    """What an event's data says."""

    position: str
    seq: int
    kind: str
    warehouse: str | None
    product: str | None
    thing: str | None
    id: str | None
    body: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    """One event that has data."""

    id: str
    kind: str
    data: str

    @property
    def told(self) -> Told:
        return msgspec.json.decode(self.data, type=Told)


class Ear:
    """One connection to /events.

    Attributes:
        last_id: What a browser would send if it came back.
        comments: What it would ignore.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id = ""
        self.comments: list[str] = []
        self.retry_ms = 0

    async def block(self) -> Event | None:
        """Read up to the next blank line; return the event if there was data.

        Raises:
            EOFError: The server has ended it.
        """
        fields: dict[str, str] = {}
        while True:
            line = await asyncio.wait_for(self.response.content.readline(), UNTIL_S)
            if not line.endswith(b"\n"):
                raise EOFError
            if line == b"\n":
                break
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if not name.strip(":"):
                self.comments.append(value)
            else:
                assert name not in fields
                fields[name] = value
        self.last_id = fields.get("id", self.last_id)
        self.retry_ms = int(fields.get("retry", self.retry_ms))
        if "data" not in fields:
            return None
        return Event(fields["id"], fields["event"], fields["data"])

    async def next(self) -> Event:
        """Wait for an event."""
        while True:
            if (event := await self.block()) is not None:
                return event

    async def take(self, count: int) -> list[Event]:
        """Wait for so many."""
        return [await self.next() for _ in range(count)]

    async def rest(self) -> list[Event]:
        """Return what comes until the server ends it."""
        found: list[Event] = []
        try:
            while True:
                found.append(await self.next())
        except EOFError:
            return found


@asynccontextmanager
async def listening(url: str, *, last_id: str | None = None, **query: str) -> AsyncIterator[Ear]:
    """Listen, from the moment on in which the server has said that it tells."""
    sent = {} if last_id is None else {"Last-Event-ID": last_id}
    timeout = aiohttp.ClientTimeout(total=None, sock_read=None)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(URL(f"{url}/events").with_query(query), headers=sent) as response,
    ):
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "text/event-stream"
        ear = Ear(response)
        assert await ear.block() is None
        assert ear.last_id
        yield ear
