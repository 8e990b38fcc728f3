"""Shops whose history began long ago, and commands that work on it."""

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec
from backports import zstd
from rich.console import Console

from allocator.domain.records import StoredSnapshot
from allocator.domain.replay import replay
from allocator.domain.snapshots import dump_pool
from allocator.journal.pruning import PruneFlags, Report, prune
from allocator.persistence.connections import open_pool
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.projection import Projection
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement
from allocator.runtime import parts
from tests.integration.api_shapes import Balance, Order, Stock
from tests.integration.shop import Shop, database, opened

DAY_MS = 86_400_000
Tables = dict[str, list[tuple[object, ...]]]
"""Rows of tables, in order."""


@contextmanager
def days_ago(days: int) -> Iterator[None]:
    """Have servers that start in this process believe that it is so many days ago."""
    present = parts.now_ms
    parts.now_ms = lambda: present() - days * DAY_MS
    try:
        yield
    finally:
        parts.now_ms = present


class Story(msgspec.Struct):
    """What clients hold of a long time ago.

    Attributes:
        version: Of the balance in the end.
    """

    warehouse: str
    product: str
    actor_id: int
    version: int
    orders: list[Order]
    stocks: list[Stock]


@asynccontextmanager
async def reopened(url: str, story: Story) -> AsyncIterator[Shop]:
    """Serve as of today, and have the shop of a story."""
    async with opened(url) as shop:
        shop.warehouse, shop.product = story.warehouse, story.product
        yield shop


@asynccontextmanager
async def opened_long_ago(url: str, **settings: object) -> AsyncIterator[Shop]:
    """Serve as forty days ago."""
    with days_ago(40):
        async with opened(url, **settings) as shop:
            yield shop


async def trade(shop: Shop, *, rounds: int = 20) -> Story:
    """Have all kinds of things happen, and return what clients saw last of them."""
    stocks = [await shop.received(quantity=500, lot="L", reference="R")]
    stocks.append(await shop.received(quantity=3))
    orders = []
    for number in range(rounds):
        order = await shop.placed(
            quantity=1 + number % 3, customer=f"c-{number}", key=f"o-{number}"
        )
        if number % 3 == 1:
            order = (await shop.dispatch(order, key=f"d-{number}")).read(Order)
        elif number % 3 == 2:
            order = (await shop.cancel(order)).read(Order)
        orders.append(order)
    stocks.append(await shop.received(quantity=1))
    await shop.projected()
    actor_id, version = await actor_of(shop), (await shop.balance()).version
    return Story(shop.warehouse, shop.product, actor_id, version, orders, stocks)


async def check_story(shop: Shop, story: Story, balance: Balance) -> None:
    """Hold what is shown now against what was shown long ago."""
    assert await shop.balance() == balance
    for order in story.orders:
        assert await shop.shown(order) == order
    for stock in story.stocks:
        shown = await shop.stock(stock)
        assert (shown.lot, shown.reference) == (stock.lot, stock.reference)
        assert (shown.quantity, shown.received_at) == (stock.quantity, stock.received_at)


def spelled(time: datetime) -> str:
    """A time as a query holds it."""
    return quote(time.astimezone(UTC).isoformat())


async def actor_of(shop: Shop) -> int:
    """Return the actor of the shop's pair."""
    pool = await shop.server.context.router.find(shop.warehouse, shop.product)
    assert pool is not None
    return pool.actor_id


async def snapshot_at(url: str, actor_id: int, *versions: int) -> None:
    """Have snapshots of these versions, as if they had been made in their time."""
    pool = await open_pool(url, size=2)
    try:
        reader = JournalReader(pool)
        for version in sorted(versions):
            state = await reader.base(actor_id, below=version)
            async for records in reader.records(actor_id, after_seq=state.version):
                replay(state, records[: version - state.version])
            assert state.version == version
            await reader.save_snapshot(
                actor_id, StoredSnapshot(seq=version, state=dump_pool(state))
            )
    finally:
        await pool.close()


async def pruned(url: str, archive: Path, *, dry_run: bool = False) -> Report:
    """Prune rows of more than thirty days ago."""
    flags = PruneFlags(
        older_than="30d",
        before=None,
        archive=archive,
        discard=False,
        dry_run=dry_run,
        as_json=False,
    )
    return await prune(url, flags, console=Console(quiet=True))


def prune_command(url: str, archive: Path, *flags: str) -> tuple[str, ...]:
    """Return the arguments of `allocator journal` that do the same."""
    return (
        "prune",
        "--older-than",
        "30d",
        "--archive",
        str(archive),
        "--database-url",
        url,
        *flags,
    )


@asynccontextmanager
async def copied(postgres: EmbeddedPostgres, url: str) -> AsyncIterator[str]:
    """Have a copy of a database in which nobody is at work."""
    name, template = f"copy_{secrets.token_hex(8)}", urlsplit(url).path[1:]
    async with database(postgres.dsn) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield postgres.dsn.replace("/allocator?", f"/{name}?")
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def stored(url: str, sql: str, *arguments: object) -> list[tuple[object, ...]]:
    """Ask the database itself."""
    async with database(url) as connection:
        return [tuple(row) for row in await connection.fetch(sql, *arguments)]


async def floor_of(url: str, actor_id: int) -> int:
    """Return up to where an actor's rows are pruned."""
    [[floor]] = await stored(url, statement("floor"), actor_id)
    assert isinstance(floor, int)
    return floor


async def exported(url: str, actor_id: int) -> list[str]:
    """Return the lines that an export would hold of an actor's rows."""
    rows_below_floors_as_well = True
    everything = (0, "0", 0, 0, 1 << 30, str((1 << 63) - 1), 1 << 40, rows_below_floors_as_well)
    rows = await stored(url, statement("export_rows"), *everything)
    lines = [str(line) for (line,) in rows]
    return [line for line in lines if json.loads(line)["actor_id"] == actor_id]


def archived(archive: Path) -> list[str]:
    """Return the lines of an archive."""
    content = archive.read_bytes()
    if archive.suffix == ".zst":
        content = zstd.decompress(content)
    return content.decode().splitlines()


async def read_models(url: str) -> Tables:
    """Return all that read models say."""
    return {
        "orders": await stored(url, "SELECT * FROM orders ORDER BY actor_id, seq"),
        "stocks": await stored(url, "SELECT * FROM stocks ORDER BY actor_id, seq"),
        "balances": await stored(url, "SELECT * FROM balances ORDER BY actor_id"),
    }


async def caught_up(url: str) -> None:
    """Project everything, without a server."""
    [[era]] = await stored(url, "SELECT era FROM installation")
    assert isinstance(era, int)
    await Projection(url=url, era=era).catch_up()
