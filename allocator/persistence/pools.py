"""Pools: which actor keeps the stock of which product where, and how it comes into being."""

from collections.abc import Mapping, Sequence

import asyncpg

from allocator.domain.catalogue import PoolRef, location_key, pool_key
from allocator.domain.ids import shard_of
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement


class PostgresPools:
    """The names of pools; a router keeps what it has learned here.

    A location that holds one product at a time has one pool, whichever product it is asked for.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find_pool(self, warehouse: str, product: str) -> PoolRef | None:
        """Return a pool that was used before, or None."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("find_pool"), warehouse, product)
        return None if row is None else _pool_of(row, warehouse, product)

    async def open_pool(self, warehouse: str, product: str) -> PoolRef | None:
        """Return a pool, making it on first use; None if either code is unknown."""
        return (
            await self.find_pool(warehouse, product)
            or await self._make_pool(warehouse, product)
            or await self.find_pool(warehouse, product)  # somebody else was faster
        )

    async def find_pools(self, warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        """Return the actors of products at a warehouse, those that have one."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("find_pools"), warehouse, products)
        return {row["product"]: row["actor_id"] for row in rows}

    async def make_pools(self, warehouse: str, actors: Mapping[str, int]) -> Mapping[str, int]:
        """Make the pools of products that are known and have none, as these actors; return them."""
        products = list(actors)
        keys = [pool_key(warehouse, each) for each in products]
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(
                statement("make_pools"), warehouse, products, list(actors.values()), keys
            )
        return {row["product"]: row["actor_id"] for row in rows}

    async def pool_of(self, actor_id: int) -> PoolRef | None:
        """Return the pool that an actor keeps, or None when it keeps none.

        It does not say a product if that may be one today and another tomorrow.
        """
        sql = "SELECT warehouse, product FROM pools WHERE actor_id = $1"
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(sql, actor_id)
        if row is None:
            return None
        if row["product"] is None:
            return PoolRef(actor_id, row["warehouse"], "", told="")
        return PoolRef(actor_id, row["warehouse"], row["product"])

    async def _make_pool(self, warehouse: str, product: str) -> PoolRef | None:
        keys = pool_key(warehouse, product), location_key(warehouse)
        named = [each for key in keys for each in (key, shard_of(key))]
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("open_pool"), warehouse, product, *named)
        return None if row is None else _pool_of(row, warehouse, product)


def _pool_of(row: asyncpg.Record, warehouse: str, product: str) -> PoolRef:
    told = product if row["single_product"] else None
    return PoolRef(row["actor_id"], warehouse, product, told)
