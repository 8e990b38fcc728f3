"""Warehouses, products and pools: ordinary tables, whose changes are journaled as well."""

from collections.abc import Callable
from typing import Final

import asyncpg
import msgspec

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
from allocator.domain.codec import VERSIONS
from allocator.domain.ids import shard_of
from allocator.domain.records import GENESIS, chain
from allocator.persistence.connections import Executor, Pool, borrowed
from allocator.persistence.statements import statement

_WAREHOUSE: Final = "SELECT * FROM warehouses WHERE code = $1"
_PRODUCT: Final = "SELECT * FROM products WHERE sku = $1"
_LOCK_WAREHOUSE: Final = f"{_WAREHOUSE} FOR UPDATE"
_LOCK_PRODUCT: Final = f"{_PRODUCT} FOR UPDATE"
_PUT_WAREHOUSE: Final = """
INSERT INTO warehouses (actor_id, version, digest, created_at, code, name)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (code) DO UPDATE
SET version = excluded.version, digest = excluded.digest, name = excluded.name
"""
_PUT_PRODUCT: Final = """
INSERT INTO products (actor_id, version, digest, created_at, sku, name, price_amount,
                      price_currency)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (sku) DO UPDATE
SET version = excluded.version, digest = excluded.digest, name = excluded.name,
    price_amount = excluded.price_amount, price_currency = excluded.price_currency
"""


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """The row of the journal that a change of the catalogue writes."""

    actor_id: int
    seq: int
    at_ms: int
    era: int
    kind: str
    body: str
    digest: bytes
    principal: str

    @property
    def columns(self) -> tuple[int, int, bytes, int]:
        """What the thing's own row keeps: actor, version, digest and time."""
        return self.actor_id, self.seq, self.digest, self.at_ms

    async def note(self, connection: Executor) -> None:
        await connection.execute(
            statement("note_change"),
            self.actor_id,
            self.seq,
            self.at_ms,
            self.era,
            self.kind,
            VERSIONS[self.kind],
            self.body,
            self.digest,
            self.principal,
        )


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

    async def put_warehouse(
        self, warehouse: Warehouse, *, principal: str, overwrite: bool
    ) -> tuple[Warehouse, bool]:
        """Create a warehouse, or change it if `overwrite`.

        Returns:
            What is stored now, and whether it was created.
        """
        async with borrowed(self._pool) as connection, connection.transaction():
            made = await _make_actor(connection, "warehouse", warehouse_key(warehouse.code))
            row = None if made else await connection.fetchrow(_LOCK_WAREHOUSE, warehouse.code)
            if row is not None and (not overwrite or _warehouse_of(row) == warehouse):
                return _warehouse_of(row), False
            change = self._change(WAREHOUSE_PUT, {"name": warehouse.name}, made, row, principal)
            await change.note(connection)
            await connection.execute(
                _PUT_WAREHOUSE, *change.columns, warehouse.code, warehouse.name
            )
        return warehouse, row is None

    async def put_product(
        self, product: Product, *, principal: str, overwrite: bool
    ) -> tuple[Product, bool]:
        """Create a product, or change it if `overwrite`; returns likewise."""
        price = product.price
        async with borrowed(self._pool) as connection, connection.transaction():
            made = await _make_actor(connection, "product", product_key(product.sku))
            row = None if made else await connection.fetchrow(_LOCK_PRODUCT, product.sku)
            if row is not None and (not overwrite or _product_of(row) == product):
                return _product_of(row), False
            body = {"name": product.name, "price": price}
            change = self._change(PRODUCT_PUT, body, made, row, principal)
            await change.note(connection)
            await connection.execute(
                _PUT_PRODUCT,
                *change.columns,
                product.sku,
                product.name,
                None if price is None else price.amount,
                None if price is None else price.currency,
            )
        return product, row is None

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

    def _change(
        self,
        kind: str,
        contents: dict[str, str | Price | None],
        made: int | None,
        row: asyncpg.Record | None,
        principal: str,
    ) -> _Change:
        """Work out the next row of a new actor, or of the one whose row is locked."""
        actor_id, seq, previous = made or 0, 1, GENESIS
        if row is not None:
            actor_id, seq, previous = row["actor_id"], row["version"] + 1, row["digest"]
        at_ms, body = self._clock(), msgspec.json.encode(contents).decode()
        digest = chain(
            previous,
            actor_id=actor_id,
            seq=seq,
            at_ms=at_ms,
            kind=kind,
            version=VERSIONS[kind],
            body=body,
            principal=principal,
            idempotency_key=None,
            request_digest=None,
        )
        return _Change(
            actor_id=actor_id,
            seq=seq,
            at_ms=at_ms,
            era=self._era,
            kind=kind,
            body=body,
            digest=digest,
            principal=principal,
        )

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


async def _make_actor(connection: Executor, kind: str, key: str) -> int | None:
    """Return the id of a new actor, or None if there is one of this key."""
    made = await connection.fetchval(statement("make_actor"), kind, key, shard_of(key))
    return None if made is None else int(made)


def _warehouse_of(row: asyncpg.Record) -> Warehouse:
    return Warehouse(code=row["code"], name=row["name"])


def _product_of(row: asyncpg.Record) -> Product:
    price = None
    if row["price_amount"] is not None:
        price = Price(amount=row["price_amount"], currency=row["price_currency"])
    return Product(sku=row["sku"], name=row["name"], price=price)
