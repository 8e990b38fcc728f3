"""Who is measured: each contender's server, its load, and the SQL that counts what it sold."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from bench.api import Api
from bench.bearing import let_in
from bench.client import hammer
from bench.forwards import hammer_forwarded, wait_shared
from bench.load import Crowd, Load
from bench.messages import PLENTY_UNITS, WAREHOUSE
from bench.mixes import Mix
from bench.ndjson import Batch, batch_load

FLOOR = "floor"
ROWLOCK_UPDATE = "rowlock_update"
ROWLOCK_FOR_UPDATE = "rowlock_for_update"
HOT = "hot"
HELD_BACK = "held_back"
HOT_TWO = "hot_two_workers"
SPREAD = "spread"
SPREAD_TWO = "spread_two_workers"
KEYED = "keyed"
BEARING = "bearing"
BATCH = "batch"
BATCH_HELD_BACK = "batch_held_back"

_PREPARERS = 8
_TWO = 2
_BATCH_ORDERS_MAX = 10_000_000

PLACED = "SELECT count(*) FROM journal WHERE kind = 'order_placed'"
PLACED_KEYS = "SELECT count(DISTINCT idempotency_key) FROM journal WHERE kind = 'order_placed'"
PROJECTED = "SELECT count(*) FROM orders"


def _nothing(_url: str) -> None:
    """Leave the database empty."""


class Contender(msgspec.Struct, frozen=True, kw_only=True):
    """A way to take orders.

    Attributes:
        arguments: What to run, from a port and the URL of an empty database.
        before: Puts into the empty database what its server has to find there.
        prepare: Makes plenty of stock through the API.
        load: Makes the load.
        sold: Queries for the number of orders sold; they have to agree. Empty: sells nothing.
        projected: The query for the orders in the read models, which then have to catch up
            before the turn is over.
    """

    name: str
    title: str
    arguments: Callable[[int, str], list[str]]
    prepare: Callable[[Api, Mix], None]
    before: Callable[[str], None] = _nothing
    load: Callable[[Crowd], Load] = hammer
    mix: Mix = Mix.HOT
    sold: tuple[str, ...] = ()
    projected: str | None = None


def contenders() -> list[Contender]:
    """Return all of them, the floor first."""
    return [
        Contender(
            name=FLOOR,
            title="bare aiohttp echo (the floor)",
            arguments=lambda port, _url: ["bench.floor", "--port", str(port)],
            prepare=lambda _api, _mix: None,
        ),
        _rowlock(ROWLOCK_UPDATE, title="row lock: UPDATE … RETURNING", mode="update"),
        _rowlock(ROWLOCK_FOR_UPDATE, title="row lock: SELECT … FOR UPDATE", mode="for-update"),
        _ours(HOT, title="one product"),
        _two_workers(HOT_TWO, title="one product, two workers"),
        _ours(HELD_BACK, title="one product, projection held back", projection=False),
        _ours(SPREAD, title="1,000 products", mix=Mix.SPREAD),
        _two_workers(SPREAD_TWO, title="1,000 products, two workers", mix=Mix.SPREAD),
        _ours(KEYED, title="one product, Idempotency-Key on each", mix=Mix.KEYED),
        _ours(BEARING, title="one product, an API key with each", mix=Mix.BEARING),
        _ours(BATCH, title="one product, NDJSON batch", load=_batches),
        _ours(
            BATCH_HELD_BACK,
            title="NDJSON batch, projection held back",
            load=_batches,
            projection=False,
        ),
    ]


def serve_arguments(port: int, url: str, *more: str) -> list[str]:
    """Return how our own server is started on a database."""
    return [
        *("allocator", "serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--database-url", url, *more),
    ]


def stock_products(api: Api, mix: Mix) -> None:
    """Open the warehouse and every product of a mix, with stock that no run sells out."""
    api.open_warehouse()
    in_parts = [mix.products[part::_PREPARERS] for part in range(_PREPARERS)]
    with ThreadPoolExecutor(_PREPARERS) as preparers:
        # Taking the results raises what went wrong in a thread.
        list(preparers.map(functools.partial(_stock_all, api), in_parts))


def _stock_all(like: Api, products: list[str]) -> None:
    with Api(port=like.port, headers=like.headers) as api:
        for product in products:
            api.stock(product, quantity=PLENTY_UNITS)


def _ours(
    name: str,
    *,
    title: str,
    mix: Mix = Mix.HOT,
    load: Callable[[Crowd], Load] = hammer,
    projection: bool = True,
) -> Contender:
    switch = "--projection" if projection else "--no-projection"
    return Contender(
        name=name,
        title=title,
        arguments=lambda port, url: serve_arguments(port, url, switch),
        before=let_in if mix is Mix.BEARING else _nothing,
        prepare=stock_products,
        load=load,
        mix=mix,
        sold=(PLACED, PLACED_KEYS) if mix is Mix.KEYED else (PLACED,),
        projected=PROJECTED if projection else None,
    )


def _two_workers(name: str, *, title: str, mix: Mix = Mix.HOT) -> Contender:
    """Return ours with two workers: whichever holds a connection, the other owns half of it all."""
    return Contender(
        name=name,
        title=title,
        arguments=lambda port, url: serve_arguments(port, url, "--workers", str(_TWO)),
        prepare=_share_products,
        load=hammer_forwarded,
        mix=mix,
        sold=(PLACED,),
        projected=PROJECTED,
    )


def _share_products(api: Api, mix: Mix) -> None:
    wait_shared(api, workers=_TWO)
    stock_products(api, mix)


def _rowlock(name: str, *, title: str, mode: str) -> Contender:
    return Contender(
        name=name,
        title=title,
        arguments=lambda port, url: [
            *("bench.rowlock", "--port", str(port), "--database-url", url, "--mode", mode)
        ],
        prepare=_fill_balances,
        sold=("SELECT count(*) FROM orders", "SELECT sum(ordered) FROM balances"),
    )


def _fill_balances(api: Api, mix: Mix) -> None:
    for product in mix.products:
        stock = {"product": product, "warehouse": WAREHOUSE, "quantity": PLENTY_UNITS}
        api.must("POST", "/stocks", stock)


def _batches(crowd: Crowd) -> Load:
    return batch_load(Batch(port=crowd.port, seconds=crowd.seconds, orders_max=_BATCH_ORDERS_MAX))
