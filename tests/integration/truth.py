"""What is true, worked out from the journal alone, and whether everybody was told so."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import msgspec

from tests.integration.crowd import Told
from tests.integration.serving import Server, order_of, until

_ROWS = """
SELECT pools.product, seq, kind, body, principal, idempotency_key
FROM journal JOIN pools USING (actor_id)
WHERE (era, xid) < ($1, $2::text::xid8)
ORDER BY actor_id, seq
"""

ERA_MAX = (1 << 31) - 1

_LISTED_ORDERS = """
SELECT seq, customer, quantity, status FROM orders JOIN pools USING (actor_id)
WHERE pools.product = $1
"""

_LISTED_BALANCE = """
SELECT version, available, ordered FROM balances JOIN pools USING (actor_id)
WHERE pools.product = $1
"""


class _Body(msgspec.Struct):
    """Any event's body."""

    quantity: int
    order: int | None = None
    customer: str | None = None
    picks: tuple[tuple[int, int], ...] = ()


@dataclass
class Booked:
    """An order as the journal tells it."""

    tag: str | None
    quantity: int
    status: str = "new"


@dataclass
class Book:
    """One product, added up row by row: a shop's cash book, not the server's own rules."""

    version: int = 0
    available: int = 0
    ordered: int = 0
    lots: dict[int, int] = field(default_factory=dict)
    orders: dict[int, Booked] = field(default_factory=dict)

    def enter(self, seq: int, kind: str, body: _Body) -> None:
        """Add a row, which must follow and must not take what is not there."""
        assert seq == self.version + 1, f"row {seq} follows row {self.version}"
        self.version = seq
        match kind:
            case "stock_received":
                self.available += body.quantity
                self.lots[seq] = body.quantity
            case "order_placed":
                self.orders[seq] = Booked(body.customer, body.quantity)
                self._move(body, -1)
                self.ordered += body.quantity
            case "order_dispatched" | "order_cancelled":
                assert body.order is not None
                order = self.orders[body.order]
                assert order.status == "new", f"row {seq} closes a closed order"
                assert order.quantity == body.quantity
                order.status = kind.removeprefix("order_")
                self.ordered -= body.quantity
                if kind == "order_cancelled":
                    self._move(body, +1)
            case _:
                raise AssertionError(kind)
        assert min(self.available, self.ordered, *self.lots.values()) >= 0, f"row {seq} oversells"

    @property
    def on_hand(self) -> int:
        return self.available + self.ordered

    def _move(self, body: _Body, sign: int) -> None:
        assert sum(units for _, units in body.picks) == body.quantity
        self.available += sign * body.quantity
        for lot, units in body.picks:
            self.lots[lot] += sign * units


async def books_of(database_url: str, *, era: int = ERA_MAX, xid: int = 0) -> dict[str, Book]:
    """Add the journal up, by product: former eras, and of this one the transactions below `xid`."""
    books: dict[str, Book] = {}
    keys: Counter[tuple[str, str]] = Counter()
    for row in await query(database_url, _ROWS, era, str(xid)):
        book = books.setdefault(row["product"], Book())
        book.enter(row["seq"], row["kind"], msgspec.json.decode(row["body"], type=_Body))
        if row["idempotency_key"] is not None:
            keys[row["principal"], row["idempotency_key"]] += 1
    assert [key for key, times in keys.items() if times > 1] == []
    return books


async def check(
    server: Server, database_url: str, told: Told, *, at_once: int = 16
) -> dict[str, Book]:
    """Hold what clients were told, and are told now, against the journal."""
    assert told.wrong == []
    books = await books_of(database_url)
    booked = _by_tag(books.values())
    _check_told(told, booked)
    turn = asyncio.Semaphore(at_once)
    await _check_orders(server, told, booked, turn)
    await _check_repeats(server, told, turn)
    for sku, book in books.items():
        balance = await server.balance(sku)
        assert (balance.available, balance.ordered) == (book.available, book.ordered), sku
        assert (balance.on_hand, balance.version) == (book.on_hand, book.version), sku
    await check_read_models(server, database_url, books)
    await until_nothing_waits(server)
    return books


async def check_read_models(server: Server, database_url: str, books: Mapping[str, Book]) -> None:
    """The lists say the same as the journal once they have caught up."""

    async def caught_up() -> bool:
        return await server.metric("allocator_projection_lag_events") == 0

    await until(caught_up)
    for sku, book in books.items():
        rows = await query(
            database_url,
            "SELECT seq, customer, quantity, status FROM orders JOIN pools USING (actor_id) "
            "WHERE pools.product = $1",
            sku,
        )
        listed = {
            row["seq"]: Booked(row["customer"], row["quantity"], row["status"]) for row in rows
        }
        assert listed == book.orders, sku
        rows = await query(
            database_url,
            "SELECT version, available, ordered FROM balances JOIN pools USING (actor_id) "
            "WHERE pools.product = $1",
            sku,
        )
        assert [tuple(row.values()) for row in rows] == [
            (book.version, book.available, book.ordered)
        ], sku


async def until_nothing_waits(server: Server) -> None:
    """Nothing leaks: in the end every accepted message has been answered."""

    async def nothing_waits() -> bool:
        return await server.metric("allocator_unanswered_messages") == 0

    await until(nothing_waits)


@asynccontextmanager
async def appends_held(
    database_url: str, *, lock: str = "SELECT FROM workers FOR UPDATE"
) -> AsyncIterator[None]:
    """Let no append commit, as a take-over would, or hold any other lock."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(lock)
            yield
    finally:
        await connection.close()


async def query(database_url: str, sql: str, *arguments: object) -> Sequence[asyncpg.Record]:
    """Ask the database itself."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        await connection.close()


def _by_tag(books: Iterable[Book]) -> dict[str, Booked]:
    found: dict[str, Booked] = {}
    for book in books:
        for order in book.orders.values():
            if order.tag is not None:
                assert order.tag not in found, f"{order.tag} was ordered once and is there twice"
                found[order.tag] = order
    return found


def _check_told(told: Told, booked: Mapping[str, Booked]) -> None:
    lost = told.placed.keys() - booked.keys()
    assert not lost, f"acknowledged and not there: {lost}"
    assert not told.denied & booked.keys(), "there, and the client was told that it is not"
    assert booked.keys() <= told.placed.keys() | told.unsure, "nobody ordered that"
    for tag, order in booked.items():
        assert order.quantity == told.orders[tag][1], tag
        assert order.status in _possible(told, tag), (tag, order)


def _possible(told: Told, tag: str) -> set[str]:
    if tag in told.closed:
        return {told.closed[tag]}
    return {"new", told.maybe_closed.get(tag, "new")}


async def _check_orders(
    server: Server, told: Told, booked: Mapping[str, Booked], turn: asyncio.Semaphore
) -> None:
    """Every acknowledged order is found by its id, as it stands."""

    async def look_up(tag: str, order_id: str) -> None:
        async with turn:
            shown = await server.shown(order_id)
        assert (shown.customer, shown.status) == (tag, booked[tag].status)

    await asyncio.gather(*(look_up(tag, order_id) for tag, order_id in told.placed.items()))


async def _check_repeats(server: Server, told: Told, turn: asyncio.Semaphore) -> None:
    """A repeat of what succeeded gets the first answer, whatever has become of it since."""

    async def repeat(tag: str) -> None:
        sku, quantity = told.orders[tag]
        async with turn:
            answer = await server.order(sku, quantity, customer=tag, key=tag)
        assert answer.status == 201, answer
        assert order_of(answer).id == told.placed[tag], tag

    await asyncio.gather(*(repeat(tag) for tag in sorted(told.keyed & told.placed.keys())))
