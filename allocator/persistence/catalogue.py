"""Warehouses, locations and products: ordinary tables, whose changes are journaled as well."""

from collections.abc import Callable, Mapping
from typing import Final

import asyncpg
import msgspec

from allocator.domain.catalogue import (
    LOCATION_PUT,
    PRODUCT_PUT,
    WAREHOUSE_PUT,
    Location,
    Price,
    Product,
    Warehouse,
    product_key,
    warehouse_key,
)
from allocator.persistence.changes import Change, Changes, make_actor
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

_PLACE: Final = "SELECT * FROM warehouses WHERE code = $1"
_PRODUCT: Final = "SELECT * FROM products WHERE sku = $1"
_LOCK_PLACE: Final = f"{_PLACE} FOR UPDATE"
_LOCK_PRODUCT: Final = f"{_PRODUCT} FOR UPDATE"
_PUT_PLACE: Final = """
INSERT INTO warehouses (actor_id, version, digest, created_at, code, name, parent, single_product)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
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
    ) -> tuple[Warehouse | Location, bool]:
        """Create a warehouse, or change it if `overwrite`.

        Returns:
            What is stored now, and whether it was created. If a location has the code, that.
        """
        contents = {"name": warehouse.name}
        return await self._put_place(
            warehouse, WAREHOUSE_PUT, contents, principal=principal, overwrite=overwrite
        )

    async def put_location(
        self, location: Location, *, principal: str
    ) -> tuple[Warehouse | Location, bool]:
        """Create a location inside a warehouse that is known, or change what it is called.

        Returns:
            What is stored now, and whether it was created. If a warehouse has the code, or what is
            fixed differs, that is what was there before.
        """
        contents = {
            "name": location.name,
            "warehouse": location.warehouse,
            "single_product": location.single_product,
        }
        return await self._put_place(
            location, LOCATION_PUT, contents, principal=principal, overwrite=True
        )

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
        """Return a warehouse, or None when there is none of that code; locations are none."""
        place = await self._place(code)
        return place if isinstance(place, Warehouse) else None

    async def location(self, code: str) -> Location | None:
        """Return a location, or None when there is none of that code."""
        place = await self._place(code)
        return place if isinstance(place, Location) else None

    async def product(self, sku: str) -> Product | None:
        """Return a product, or None when there is none of that sku."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_PRODUCT, sku)
        return None if row is None else _product_of(row)

    async def warehouses(self, *, after: str, limit: int) -> list[Warehouse]:
        """Return at most `limit` warehouses whose code sorts after `after`."""
        sql = "SELECT * FROM warehouses WHERE parent IS NULL AND code > $1 ORDER BY code LIMIT $2"
        async with borrowed(self._pool) as connection:
            return [_warehouse_of(row) for row in await connection.fetch(sql, after, limit)]

    async def locations(self, *, warehouse: str | None, after: str, limit: int) -> list[Location]:
        """Return at most `limit` locations, of all warehouses or of one, likewise."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("list_locations"), after, limit, warehouse)
        return [_location_of(row) for row in rows]

    async def products(self, *, after: str, limit: int) -> list[Product]:
        """Return at most `limit` products whose sku sorts after `after`."""
        sql = "SELECT * FROM products WHERE sku > $1 ORDER BY sku LIMIT $2"
        async with borrowed(self._pool) as connection:
            return [_product_of(row) for row in await connection.fetch(sql, after, limit)]

    async def _place(self, code: str) -> Warehouse | Location | None:
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_PLACE, code)
        return None if row is None else _place_of(row)

    async def _put_place(
        self,
        place: Warehouse | Location,
        kind: str,
        contents: Mapping[str, object],
        *,
        principal: str,
        overwrite: bool,
    ) -> tuple[Warehouse | Location, bool]:
        """Create a place, or change its name if `overwrite` and if only that differs."""
        async with borrowed(self._pool) as connection, connection.transaction():
            key = warehouse_key(place.code)
            made = await make_actor(connection, kind="warehouse", key=key)
            row = None if made else await connection.fetchrow(_LOCK_PLACE, place.code)
            if row is not None:
                there = _place_of(row)
                renamed = msgspec.structs.replace(there, name=place.name)
                if not overwrite or there == place or renamed != place:
                    return there, False
            change = self._put(kind, contents, made=made, row=row, principal=principal)
            await change.note(connection)
            fixed = place if isinstance(place, Location) else None
            await connection.execute(
                _PUT_PLACE,
                *change.columns,
                place.code,
                place.name,
                fixed and fixed.warehouse,
                fixed is not None and fixed.single_product,
            )
        return place, row is None

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


def _place_of(row: asyncpg.Record) -> Warehouse | Location:
    return _warehouse_of(row) if row["parent"] is None else _location_of(row)


def _warehouse_of(row: asyncpg.Record) -> Warehouse:
    return Warehouse(code=row["code"], name=row["name"])


def _location_of(row: asyncpg.Record) -> Location:
    return Location(
        code=row["code"],
        name=row["name"],
        warehouse=row["parent"],
        single_product=row["single_product"],
    )


def _product_of(row: asyncpg.Record) -> Product:
    price = None
    if row["price_amount"] is not None:
        price = Price(amount=row["price_amount"], currency=row["price_currency"])
    return Product(sku=row["sku"], name=row["name"], price=price)
