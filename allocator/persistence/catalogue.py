"""Warehouses, products and pools: ordinary tables, whose changes are journaled as well."""

from collections.abc import Callable, Mapping
from typing import Final

import asyncpg

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
from allocator.domain.ids import shard_of
from allocator.persistence.changes import Change, Changes, make_actor
from allocator.persistence.connections import Pool, borrowed
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


class PostgresCatalogue:
    """What is told apart.

    Args:
        era: Of the journal, for the rows that changes write.
        clock: Milliseconds of Unix time.
    """

    def __init__(self, pool: Pool, *, era: int, clock: Callable[[], int]) -> None:
        self._pool = pool
        self._changes = Changes(era=era, clock=clock)

    async def put_warehouse(
        self, warehouse: Warehouse, *, principal: str, overwrite: bool
    ) -> tuple[Warehouse, bool]:
        """Create a warehouse, or change it if `overwrite`.

        Returns:
            What is stored now, and whether it was created.
        """
        async with borrowed(self._pool) as connection, connection.transaction():
            key = warehouse_key(warehouse.code)
            made = await make_actor(connection, kind="warehouse", key=key)
            row = None if made else await connection.fetchrow(_LOCK_WAREHOUSE, warehouse.code)
            if row is not None and (not overwrite or _warehouse_of(row) == warehouse):
                return _warehouse_of(row), False
            contents = {"name": warehouse.name}
            change = self._put(WAREHOUSE_PUT, contents, made=made, row=row, principal=principal)
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
            key = product_key(product.sku)
            made = await make_actor(connection, kind="product", key=key)
            row = None if made else await connection.fetchrow(_LOCK_PRODUCT, product.sku)
            if row is not None and (not overwrite or _product_of(row) == product):
                return _product_of(row), False
            contents = {"name": product.name, "price": price}
            change = self._put(PRODUCT_PUT, contents, made=made, row=row, principal=principal)
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

    def _put(
        self,
        kind: str,
        contents: Mapping[str, object],
        *,
        made: int | None,
        row: asyncpg.Record | None,
        principal: str,
    ) -> Change:
        """Work out the first change of a new actor, or the next of the one whose row is locked."""
        if row is not None:
            return self._changes.next(row, kind=kind, contents=contents, principal=principal)
        assert made is not None, "an actor and its thing are made in one transaction"
        return self._changes.first(made, kind=kind, contents=contents, principal=principal)

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


def _warehouse_of(row: asyncpg.Record) -> Warehouse:
    return Warehouse(code=row["code"], name=row["name"])


def _product_of(row: asyncpg.Record) -> Product:
    price = None
    if row["price_amount"] is not None:
        price = Price(amount=row["price_amount"], currency=row["price_currency"])
    return Product(sku=row["sku"], name=row["name"], price=price)
