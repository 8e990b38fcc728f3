"""A shop of a test's own in a server that serves in the test's process."""

import asyncio
import io
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import aiohttp
import asyncpg
import msgspec
from yarl import URL

from allocator.config import Config
from allocator.runtime.serving import Running
from allocator.server import running
from tests.integration.api_shapes import (
    Answer,
    Balance,
    BatchResult,
    JournalEvent,
    JournalPage,
    Listing,
    Order,
    Problem,
    Stock,
    T,
)

Body: TypeAlias = Mapping[str, object] | bytes | None
"""Members of a JSON object, or bytes to be sent as they are."""

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
UNTIL_S = 20.0


class Shop:
    """A warehouse and a product that no other test knows, and requests to their server."""

    def __init__(self, server: Running, client: aiohttp.ClientSession) -> None:
        self.server = server
        self.url = server.url
        self.client = client
        self.warehouse = f"w-{secrets.token_hex(6)}"
        self.product = f"p-{secrets.token_hex(6)}"

    async def open(self) -> None:
        """Create both names."""
        for path in (f"/warehouses/{self.warehouse}", f"/products/{self.product}"):
            assert (await self.put(path, {"name": "Name"})).status == 201

    def elsewhere(self, other: "Shop") -> "Shop":
        """Return this shop, asked through another one's server."""
        shop = Shop(other.server, other.client)
        shop.warehouse, shop.product = self.warehouse, self.product
        return shop

    @staticmethod
    def time_in(*, milliseconds: int) -> str:
        """A time from now, as requests spell it; the server keeps whole milliseconds."""
        at = datetime.now(UTC) + timedelta(milliseconds=milliseconds)
        return at.isoformat(timespec="milliseconds")

    # Requests of any kind

    async def send(
        self, method: str, path: str, body: Body = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request to a path that is encoded already."""
        sent = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        data = None if sent is None else io.BytesIO(sent)
        fields = {} if sent is None else dict(JSON)
        url = URL(self.url + path, encoded=True)
        async with self.client.request(
            method, url, data=data, headers=fields | dict(headers or {})
        ) as response:
            return Answer(
                status=response.status,
                headers=response.headers,
                body=await response.read(),
            )

    async def get(self, path: str) -> Answer:
        return await self.send("GET", path)

    async def put(self, path: str, body: Body) -> Answer:
        return await self.send("PUT", path, body)

    async def post(self, path: str, body: Body = None, *, key: str | None = None) -> Answer:
        return await self.send(
            "POST", path, body, headers=None if key is None else {"Idempotency-Key": key}
        )

    # Requests about this shop

    def wanted(self, **members: object) -> dict[str, object]:
        """The body of an order or a stock of this shop; a member of None is left out."""
        body: dict[str, object] = {"product": self.product, "warehouse": self.warehouse}
        return {name: value for name, value in (body | members).items() if value is not None}

    async def order(self, *, key: str | None = None, **members: object) -> Answer:
        """Try to place an order."""
        return await self.post("/orders", self.wanted(**members), key=key)

    async def placed(self, *, key: str | None = None, **members: object) -> Order:
        """Place an order that succeeds."""
        return (await self.order(key=key, **members)).read(Order, status=201)

    async def receive(self, *, key: str | None = None, **members: object) -> Answer:
        """Try to receive stock."""
        return await self.post("/stocks", self.wanted(**members), key=key)

    async def received(self, *, key: str | None = None, **members: object) -> Stock:
        """Receive stock successfully."""
        return (await self.receive(key=key, **members)).read(Stock, status=201)

    async def dispatch(self, order: Order | str, *, key: str | None = None) -> Answer:
        return await self.post(f"/orders/{_id(order)}/dispatch", key=key)

    async def cancel(self, order: Order | str, *, key: str | None = None) -> Answer:
        return await self.post(f"/orders/{_id(order)}/cancel", key=key)

    async def shown(self, order: Order | str) -> Order:
        """Look an order up."""
        return (await self.get(f"/orders/{_id(order)}")).read(Order)

    async def stock(self, stock: Stock) -> Stock:
        """Look a stock up."""
        return (await self.get(f"/stocks/{stock.id}")).read(Stock)

    async def balance(self) -> Balance:
        return (await self.get(f"/stock-balances/{self.warehouse}/{self.product}")).read(Balance)

    async def batch(self, *lines: Mapping[str, object] | bytes) -> list[BatchResult]:
        """Send a batch whose lines are objects, or bytes as they are."""
        sent = [line if isinstance(line, bytes) else msgspec.json.encode(line) for line in lines]
        answer = await self.send("POST", "/orders/batch", b"\n".join(sent), headers=NDJSON)
        assert (answer.status, answer.headers["Content-Type"]) == (200, NDJSON["Content-Type"])
        return [msgspec.json.decode(line, type=BatchResult) for line in answer.body.splitlines()]

    async def journal(self) -> list[JournalEvent]:
        """Read everything that happened to this pair, if it is not more than a page."""
        path = f"/journal?warehouse={self.warehouse}&product={self.product}&limit=200"
        return (await self.get(path)).read(JournalPage).items

    async def refused(self, status: int, path: str, body: Body, **how: str) -> Problem:
        """Send a request that is refused."""
        return (await self.post(path, body, **how)).problem(status)

    async def all_of(
        self, shape: type[T], path: str, *, limit: int | str = 200, **wanted: str
    ) -> list[T]:
        """Walk through a whole list."""
        found: list[T] = []
        cursor: str | None = None
        while True:
            query = {"limit": str(limit)} | wanted | ({} if cursor is None else {"cursor": cursor})
            page = (await self.get(f"{path}?{URL.build(query=query).raw_query_string}")).read(
                Listing[shape]  # type: ignore[valid-type]
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def metric(self, name: str) -> float:
        """Read one number of /metrics."""
        text = (await self.get("/metrics")).body.decode()
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])

    async def ready(self) -> None:
        """Wait until the server says that it serves everything."""

        async def is_ready() -> bool:
            return (await self.get("/readyz")).status == 200

        await until(is_ready)

    async def projected(self) -> None:
        """Wait until the read models know everything."""

        async def caught_up() -> bool:
            return await self.metric("allocator_projection_lag_events") == 0

        await until(caught_up)


@asynccontextmanager
async def opened(database_url: str, **settings: object) -> AsyncIterator[Shop]:
    """Serve in this process, with a client and an open shop."""
    config = msgspec.convert(
        {"database_url": database_url, "port": 0, "drain_ms": 2_000, **settings}, Config
    )
    async with running(config) as server, client() as session:
        shop = Shop(server, session)
        await shop.open()
        yield shop


@asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client without a bound on its connections."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=UNTIL_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


@asynccontextmanager
async def database(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection for looking behind the API."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float = UNTIL_S) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def _id(order: Order | str) -> str:
    return order if isinstance(order, str) else order.id
