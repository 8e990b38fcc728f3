"""What people write instead: a balance row, changed in the transaction that inserts the order.

Question: how many durable orders a second does the usual aiohttp + asyncpg handler take on one
    product, when it locks the row by `UPDATE … WHERE available >= n RETURNING` (`--mode update`)
    or by `SELECT … FOR UPDATE` first (`--mode for-update`)?
Load shape: that of the floor; every order is for the same product unless the load says otherwise.
Expected: 900 to 2,000 a second. The row stays locked until the commit is on disk, so one product
    takes about one order an fsync, however many connections there are.
Non-goals: the fastest that SQL can do (one CTE saves two round trips and keeps the lock across
    the fsync all the same); idempotency, dispatch, lots. It is competent: asyncpg prepares its
    statements once a connection, the pool is warm before it is ready, the lock is taken by the
    first statement that needs it, and `synchronous_commit` is on, as it is for us.

The pool has 10 connections unless told otherwise, as asyncpg's own default has: of 2 to 32 it is
the best over a thousand products (3,100/s here) and good on one (1,700/s). A pool of 4 made only
for one hot product takes 15 % more there and 20 % less over a thousand.
"""

import argparse
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeAlias
from uuid import uuid4

import asyncpg
import msgspec
import uvloop
from aiohttp import web

from bench.floor import get_ready, serve
from bench.messages import Order, OrderLine, OrderRequest

_JSON = {"Content-Type": "application/json"}
_PROBLEM = {"Content-Type": "application/problem+json"}

_SCHEMA = """
CREATE TABLE IF NOT EXISTS balances (
    warehouse text NOT NULL,
    product text NOT NULL,
    available bigint NOT NULL CHECK (available >= 0),
    ordered bigint NOT NULL DEFAULT 0 CHECK (ordered >= 0),
    PRIMARY KEY (warehouse, product)
) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY,
    warehouse text NOT NULL,
    product text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    customer text,
    status text NOT NULL DEFAULT 'new',
    created_at timestamptz NOT NULL
);
"""
_TAKE = """
UPDATE balances SET available = available - $3, ordered = ordered + $3
WHERE warehouse = $1 AND product = $2 AND available >= $3
RETURNING available
"""
_LOCK = "SELECT available FROM balances WHERE warehouse = $1 AND product = $2 FOR UPDATE"
_MOVE = """
UPDATE balances SET available = available - $3, ordered = ordered + $3
WHERE warehouse = $1 AND product = $2
"""
_INSERT = """
INSERT INTO orders (id, warehouse, product, quantity, customer, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""

Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
Take: TypeAlias = Callable[[Connection, OrderRequest], Awaitable[bool]]
POOL: web.AppKey["asyncpg.Pool[asyncpg.Record]"] = web.AppKey("POOL")
TAKE: web.AppKey[Take] = web.AppKey("TAKE")

_decode_order = msgspec.json.Decoder(OrderRequest).decode
_encode = msgspec.json.Encoder().encode


async def take_by_update(connection: Connection, order: OrderRequest) -> bool:
    """Take the units in one statement; False if there are too few."""
    left = await connection.fetchval(_TAKE, order.warehouse, order.product, order.quantity)
    return left is not None


async def take_for_update(connection: Connection, order: OrderRequest) -> bool:
    """Lock, look, then take; False if there are too few."""
    available = await connection.fetchval(_LOCK, order.warehouse, order.product)
    if available is None or available < order.quantity:
        return False
    await connection.execute(_MOVE, order.warehouse, order.product, order.quantity)
    return True


async def post_order(request: web.Request) -> web.Response:
    """Take the units and insert the order in one transaction, or answer 409."""
    order = _decode_order(await request.read())
    order_id = uuid4()
    created_at = datetime.now(UTC)
    async with request.app[POOL].acquire() as connection, connection.transaction():
        if not await request.app[TAKE](connection, order):
            return web.Response(status=HTTPStatus.CONFLICT, headers=_PROBLEM, body=b"{}")
        await connection.execute(
            _INSERT,
            order_id,
            order.warehouse,
            order.product,
            order.quantity,
            order.customer,
            created_at,
        )
    answer = Order(
        id=str(order_id),
        status="new",
        created_at=created_at.isoformat(),
        customer=order.customer,
        lines=[
            OrderLine(product=order.product, warehouse=order.warehouse, quantity=order.quantity)
        ],
    )
    return web.Response(body=_encode(answer), status=HTTPStatus.CREATED, headers=_JSON)


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """Units to begin with."""

    product: str
    warehouse: str
    quantity: int


async def post_stock(request: web.Request) -> web.Response:
    """Add units; here, unlike in the real thing, this also makes the product known."""
    stock = msgspec.json.decode(await request.read(), type=Stock)
    await request.app[POOL].execute(
        "INSERT INTO balances (warehouse, product, available) VALUES ($1, $2, $3)",
        stock.warehouse,
        stock.product,
        stock.quantity,
    )
    return web.Response(status=HTTPStatus.CREATED)


async def _open_pool(app: web.Application, *, url: str, size: int) -> AsyncIterator[None]:
    settings = {"synchronous_commit": "on", "application_name": "bench-rowlock"}
    async with asyncpg.create_pool(
        url, min_size=size, max_size=size, server_settings=settings
    ) as pool:
        await pool.execute(_SCHEMA)
        app[POOL] = pool
        yield


def rowlock_app(*, url: str, take: Take, pool_size: int) -> web.Application:
    """Return the application."""
    app = web.Application()
    app[TAKE] = take
    app.cleanup_ctx.append(functools.partial(_open_pool, url=url, size=pool_size))
    app.router.add_post("/orders", post_order)
    app.router.add_post("/stocks", post_stock)
    app.router.add_get("/readyz", get_ready)
    return app


def main() -> None:
    """Serve on the port named by `--port`."""
    takes: dict[str, Take] = {"update": take_by_update, "for-update": take_for_update}
    arguments = argparse.ArgumentParser(description="a balance row locked by each order")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--database-url", required=True)
    arguments.add_argument("--mode", choices=takes, required=True)
    arguments.add_argument("--pool-size", type=int, default=10)
    chosen = arguments.parse_args()
    app = rowlock_app(url=chosen.database_url, take=takes[chosen.mode], pool_size=chosen.pool_size)
    uvloop.run(serve(app, port=chosen.port))


if __name__ == "__main__":
    main()
