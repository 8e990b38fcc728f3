"""A shop in memory that keeps the HTTP contract, and breaks it in one chosen way on demand.

It counts in its own words, so that a replay is judged against something it did not bring along.
Its numbers survive `crash` as the real server's do: what was answered is kept, connections are
not.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Self

import msgspec
from aiohttp import web

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class _NewStock(msgspec.Struct, forbid_unknown_fields=True):
    product: str
    warehouse: str
    quantity: int
    reference: str


class _NewOrder(msgspec.Struct, forbid_unknown_fields=True):
    product: str
    warehouse: str
    quantity: int
    customer: str | None = None


class _Order(msgspec.Struct):
    id: str
    status: str
    product: str
    warehouse: str
    quantity: int


class Faults(msgspec.Struct, kw_only=True):
    """What this shop does wrong; the counted ones come round every so many POSTs.

    Attributes:
        busy_every: Answers 503 and does nothing.
        cut_every: Does the work and closes the connection instead of answering.
        mute_every: Does the work and never answers.
        crash_after: Does this many POSTs, and on the last one crashes instead of answering.
        forgets_keys: Decides every repeat anew.
        oversells: Places orders that it should refuse.
        refuses_orders_of: The sku of which it sells nothing.
        refuses_cancels: Answers 409 to every cancellation.
        lies_about: The sku of which it shows one unit too many.
        answers: Instead of taking this method and path, answers so.
    """

    busy_every: int = 0
    cut_every: int = 0
    mute_every: int = 0
    crash_after: int = 0
    forgets_keys: bool = False
    oversells: bool = False
    refuses_orders_of: str = ""
    refuses_cancels: bool = False
    lies_about: str = ""
    answers: tuple[str, str, int, bytes] | None = None


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ReplayShop:
    """Serves on a loopback port of its own; `async with` it."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.posts = 0
        self.names: dict[str, str] = {}
        self.warehouses: set[str] = set()
        self.received: Counter[tuple[str, str]] = Counter()
        self.references: list[str] = []
        self.orders: dict[str, _Order] = {}
        self.customers: list[str | None] = []
        self.crashed = asyncio.Event()
        self.connections: set[asyncio.Transport] = set()
        self.busy_products: Counter[str] = Counter()
        self.most_at_once = 0
        self.most_of_one_product = 0
        self._answers: dict[str, tuple[bytes, int, bytes]] = {}
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def listen(self) -> None:
        """Serve; after `close`, on the same port and with the same numbers."""
        app = web.Application(middlewares=[self._misbehave])
        app.router.add_put("/warehouses/{code}", self._put_warehouse)
        app.router.add_put("/products/{sku}", self._put_product)
        app.router.add_post("/stocks", self._keyed(self._post_stock))
        app.router.add_post("/orders", self._keyed(self._post_order))
        app.router.add_post("/orders/{id}/cancel", self._keyed(self._cancel))
        app.router.add_get("/stock-balances/{warehouse}/{sku}", self._balance)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Serve no more; open connections are cut."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def balance(self, warehouse: str, sku: str) -> tuple[int, int]:
        """Return (available, ordered), counted from the stocks and orders themselves."""
        ordered = sum(
            order.quantity
            for order in self.orders.values()
            if (order.warehouse, order.product) == (warehouse, sku) and order.status == "new"
        )
        return self.received[warehouse, sku] - ordered, ordered

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.transport is not None:
            self.connections.add(request.transport)
        self.connections -= {each for each in self.connections if each.is_closing()}
        self.most_at_once = max(self.most_at_once, len(self.connections))
        faults = self.faults
        if faults.answers and (request.method, request.path) == faults.answers[:2]:
            return web.Response(status=faults.answers[2], body=faults.answers[3])
        if request.method != "POST":
            return await handler(request)
        self.posts += 1
        count = self.posts
        if faults.busy_every and count % faults.busy_every == 0:
            return web.Response(status=503, headers={"Retry-After": "0"})
        response = await handler(request)
        if count == faults.crash_after:
            self._crash()
        elif faults.cut_every and count % faults.cut_every == 0:
            _cut(request)
        elif faults.mute_every and count % faults.mute_every == 0:
            await _until_gone(request)
        return response

    def _crash(self) -> None:
        self.crashed.set()
        for transport in self.connections:
            transport.abort()

    def _keyed(self, handler: _Handler) -> _Handler:
        async def keyed(request: web.Request) -> web.StreamResponse:
            key = request.headers["Idempotency-Key"]
            said = request.path.encode() + await request.read()
            known = None if self.faults.forgets_keys else self._answers.get(key)
            if known is not None:
                asked, status, body = known
                return web.Response(status=status if asked == said else 422, body=body)
            response = await handler(request)
            assert isinstance(response, web.Response)
            if response.status < 300:
                assert isinstance(response.body, bytes)
                self._answers[key] = (said, response.status, response.body)
            return response

        return keyed

    async def _put_warehouse(self, request: web.Request) -> web.Response:
        msgspec.json.decode(await request.read(), type=_Named)
        self.warehouses.add(_checked(request.match_info["code"]))
        return web.Response(status=201)

    async def _put_product(self, request: web.Request) -> web.Response:
        sku = _checked(request.match_info["sku"])
        named = msgspec.json.decode(await request.read(), type=_Named)
        status = 200 if sku in self.names else 201
        self.names[sku] = named.name
        return web.Response(status=status)

    async def _post_stock(self, request: web.Request) -> web.Response:
        stock = msgspec.json.decode(await request.read(), type=_NewStock)
        if not self._takes(stock):
            return _problem(422, "the body names what is not there")
        self.received[stock.warehouse, stock.product] += stock.quantity
        self.references.append(stock.reference)
        return web.Response(status=201, body=b"{}")

    async def _post_order(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=_NewOrder)
        if not self._takes(asked) or asked.customer == "":
            return _problem(422, "the body names what is not there")
        self.busy_products[asked.product] += 1
        most = max(self.most_of_one_product, self.busy_products[asked.product])
        self.most_of_one_product = most
        # Two requests of one product that are both here now would overtake each other.
        await asyncio.sleep(0)
        self.busy_products[asked.product] -= 1
        available, _ = self.balance(asked.warehouse, asked.product)
        refused = asked.quantity > available and not self.faults.oversells
        if refused or asked.product == self.faults.refuses_orders_of:
            return _problem(409, f"{asked.quantity} requested, {available} available")
        order = _Order(
            id=f"order-{len(self.orders) + 1}",
            status="new",
            product=asked.product,
            warehouse=asked.warehouse,
            quantity=asked.quantity,
        )
        self.orders[order.id] = order
        self.customers.append(asked.customer)
        return web.Response(status=201, body=msgspec.json.encode(order))

    async def _cancel(self, request: web.Request) -> web.Response:
        order = self.orders[request.match_info["id"]]
        if order.status != "new" or self.faults.refuses_cancels:
            return _problem(409, "the order is not open")
        order.status = "cancelled"
        return web.Response(status=200, body=msgspec.json.encode(order))

    async def _balance(self, request: web.Request) -> web.Response:
        warehouse, sku = request.match_info["warehouse"], request.match_info["sku"]
        available, ordered = self.balance(warehouse, sku)
        if sku == self.faults.lies_about:
            available += 1
        numbers = {
            "product": sku,
            "warehouse": warehouse,
            "available": available,
            "ordered": ordered,
            "held": 0,
            "unallocatable": {"expired": 0},
            "on_hand": available + ordered,
            "version": 1,
        }
        return web.Response(status=200, body=msgspec.json.encode(numbers))

    def _takes(self, asked: _NewStock | _NewOrder) -> bool:
        known = asked.product in self.names and asked.warehouse in self.warehouses
        return known and 1 <= asked.quantity <= 1_000_000_000


def _checked(name: str) -> str:
    assert _NAME.fullmatch(name), name
    return name


def _problem(status: int, detail: str) -> web.Response:
    body = msgspec.json.encode({"type": "/problems/any", "title": "No", "detail": detail})
    return web.Response(status=status, body=body, content_type="application/problem+json")


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


async def _until_gone(request: web.Request) -> None:
    """Keep silent until the client has hung up."""
    # A transport offers no event to wait for.
    while request.transport and not request.transport.is_closing():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
