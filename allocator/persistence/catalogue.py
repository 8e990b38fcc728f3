"""Warehouses, products and pools: ordinary tables, whose changes are journaled as well."""

from collections.abc import Callable
from typing import Final

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from allocator.domain.catalogue import (
    PRODUCT_PUT,
    WAREHOUSE_PUT,
    PoolRef,
    Price,
    Product,
    Warehouse,
    pool_key,
    product_key,
    warehouse_key,
)
from allocator.domain.codec import VERSION
from allocator.domain.ids import shard_of
from allocator.domain.records import GENESIS, chain
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

_WAREHOUSE: Final = "SELECT * FROM warehouses WHERE code = $1"
_PRODUCT: Final = "SELECT * FROM products WHERE sku = $1"
_INSERT_WAREHOUSE: Final = """
INSERT INTO warehouses (actor_id, version, digest, created_at, code, name)
VALUES ($1, $2, $3, $4, $5, $6)
"""
_UPDATE_WAREHOUSE: Final = """
UPDATE warehouses SET version = $2, digest = $3, name = $5 WHERE actor_id = $1 AND code = $4
"""
_INSERT_PRODUCT: Final = """
INSERT INTO products (actor_id, version, digest, created_at, sku, name, price_amount,
                      price_currency)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_UPDATE_PRODUCT: Final = """
UPDATE products SET version = $2, digest = $3, name = $5, price_amount = $6, price_currency = $7
WHERE actor_id = $1 AND sku = $4
"""


class PostgresCatalogue:
    """What is told apart.

    Args:
        era: Of the journal, for the rows that changes write.
        clock: Milliseconds of Unix time.
    """

    def __init__(self, pool: Pool, *, era: int, clock: Callable[[], int]) -> None:
        self._pool = pool
        self._era = era
        self._clock = clock

    async def put_warehouse(self, warehouse: Warehouse, *, principal: str) -> bool:
        """Create or change a warehouse; return whether it was created."""
        async with borrowed(self._pool) as connection, connection.transaction():
            change = _Change(
                connection, self._era, self._clock(), principal, "warehouse", WAREHOUSE_PUT
            )
            return await change.put(
                key=warehouse_key(warehouse.code),
                body=msgspec.json.encode({"name": warehouse.name}),
                select=_WAREHOUSE,
                insert=_INSERT_WAREHOUSE,
                update=_UPDATE_WAREHOUSE,
                unchanged=lambda row: _warehouse_of(row) == warehouse,
                columns=(warehouse.code, warehouse.name),
            )

    async def put_product(self, product: Product, *, principal: str) -> bool:
        """Create or change a product; return whether it was created."""
        amount = None if product.price is None else product.price.amount
        currency = None if product.price is None else product.price.currency
        async with borrowed(self._pool) as connection, connection.transaction():
            change = _Change(
                connection, self._era, self._clock(), principal, "product", PRODUCT_PUT
            )
            return await change.put(
                key=product_key(product.sku),
                body=msgspec.json.encode({"name": product.name, "price": product.price}),
                select=_PRODUCT,
                insert=_INSERT_PRODUCT,
                update=_UPDATE_PRODUCT,
                unchanged=lambda row: _product_of(row) == product,
                columns=(product.sku, product.name, amount, currency),
            )

    async def warehouse(self, code: str) -> Warehouse | None:
        """Return a warehouse, or None when there is none of that code."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_WAREHOUSE, code)
        return None if row is None else _warehouse_of(row)

    async def product(self, sku: str) -> Product | None:
        """Return a product, or None when there is none of that sku."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_PRODUCT, sku)
        return None if row is None else _product_of(row)

    async def warehouses(self, *, after: str, limit: int) -> list[Warehouse]:
        """Return at most `limit` warehouses whose code sorts after `after`."""
        sql = "SELECT * FROM warehouses WHERE code > $1 ORDER BY code LIMIT $2"
        async with borrowed(self._pool) as connection:
            return [_warehouse_of(row) for row in await connection.fetch(sql, after, limit)]

    async def products(self, *, after: str, limit: int) -> list[Product]:
        """Return at most `limit` products whose sku sorts after `after`."""
        sql = "SELECT * FROM products WHERE sku > $1 ORDER BY sku LIMIT $2"
        async with borrowed(self._pool) as connection:
            return [_product_of(row) for row in await connection.fetch(sql, after, limit)]

    async def find_pool(self, warehouse: str, product: str) -> PoolRef | None:
        """Return a pool that was used before, or None."""
        sql = "SELECT actor_id FROM pools WHERE warehouse = $1 AND product = $2"
        async with borrowed(self._pool) as connection:
            actor_id = await connection.fetchval(sql, warehouse, product)
        return None if actor_id is None else PoolRef(actor_id, warehouse, product)

    async def open_pool(self, warehouse: str, product: str) -> PoolRef | None:
        """Return a pool, making it on first use; None if either code is unknown."""
        key = pool_key(warehouse, product)
        async with borrowed(self._pool) as connection:
            actor_id = await connection.fetchval(
                statement("open_pool"), warehouse, product, key, shard_of(key)
            )
        if actor_id is not None:
            return PoolRef(actor_id, warehouse, product)
        return await self.find_pool(warehouse, product)

    async def pool_of(self, actor_id: int) -> PoolRef | None:
        """Return the pool that an actor keeps, or None when it keeps none."""
        sql = "SELECT warehouse, product FROM pools WHERE actor_id = $1"
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(sql, actor_id)
        return None if row is None else PoolRef(actor_id, row["warehouse"], row["product"])


class _Change:
    """One change of the catalogue, inside its transaction."""

    def __init__(
        self,
        connection: PoolConnectionProxy[asyncpg.Record],
        era: int,
        now_ms: int,
        principal: str,
        kind: str,
        event: str,
    ) -> None:
        self._connection = connection
        self._era = era
        self._now_ms = now_ms
        self._principal = principal
        self._kind = kind
        self._event = event

    async def put(
        self,
        *,
        key: str,
        body: bytes,
        select: str,
        insert: str,
        update: str,
        unchanged: Callable[[asyncpg.Record], bool],
        columns: tuple[str | int | None, ...],
    ) -> bool:
        """Insert or update the row of `key`, its code first in `columns`, and journal it."""
        made = await self._connection.fetchval(
            statement("make_actor"), self._kind, key, shard_of(key)
        )
        if made is not None:
            digest = await self._note(made, seq=1, previous=GENESIS, body=body)
            await self._connection.execute(insert, made, 1, digest, self._now_ms, *columns)
            return True
        row = await self._connection.fetchrow(f"{select} FOR UPDATE", columns[0])
        assert row is not None, f"actor {key} without its row"
        if not unchanged(row):
            seq = row["version"] + 1
            digest = await self._note(row["actor_id"], seq=seq, previous=row["digest"], body=body)
            await self._connection.execute(update, row["actor_id"], seq, digest, *columns)
        return False

    async def _note(self, actor_id: int, *, seq: int, previous: bytes, body: bytes) -> bytes:
        text = body.decode()
        digest = chain(
            previous,
            actor_id=actor_id,
            seq=seq,
            at_ms=self._now_ms,
            kind=self._event,
            version=VERSION,
            body=text,
            principal=self._principal,
            idempotency_key=None,
            request_digest=None,
        )
        await self._connection.execute(
            statement("note_change"),
            actor_id,
            seq,
            self._now_ms,
            self._era,
            self._event,
            VERSION,
            text,
            digest,
            self._principal,
        )
        return digest


def _warehouse_of(row: asyncpg.Record) -> Warehouse:
    return Warehouse(code=row["code"], name=row["name"])


def _product_of(row: asyncpg.Record) -> Product:
    price = None
    if row["price_amount"] is not None:
        price = Price(amount=row["price_amount"], currency=row["price_currency"])
    return Product(sku=row["sku"], name=row["name"], price=price)
