"""From names to actors. What routes never changes, so known names are remembered.

Unknown ones are not: they may be created at any moment, and anybody can invent more of them.
"""

from typing import Final, Protocol

from allocator.domain.catalogue import PoolRef, is_code

_KNOWN_MAX: Final = 1_000_000
"""Names and ids together: most pools have one of each."""


class PoolNames(Protocol):
    """Where names are kept."""

    async def find_pool(self, warehouse: str, product: str) -> PoolRef | None:
        """Return a pool that was used before, or None.

        Without a product: the one of a location that holds one at a time, as `pool_of` does.
        """

    async def open_pool(self, warehouse: str, product: str) -> PoolRef | None:
        """Return a pool, making it on first use; None if either code is unknown."""

    async def pool_of(self, actor_id: int) -> PoolRef | None:
        """Return the pool that an actor keeps, or None when it keeps none."""


class Router:
    """Finds the pool of a pair, and the pair of a pool.

    What is found by an id does not say a product if its actor may be of several.

    Attributes:
        known: Pools by (warehouse, product). Look here first: it is the whole cost of routing. All
            products of a location that holds one at a time lead to one actor.
    """

    def __init__(self, names: PoolNames) -> None:
        self.known: dict[tuple[str, str], PoolRef] = {}
        self._by_id: dict[int, PoolRef] = {}
        self._names = names

    async def open(self, warehouse: str, product: str) -> PoolRef | None:
        """Return the pool of a pair, making it on first use; None if either is unknown."""
        if not is_code(warehouse) or not is_code(product):
            return None
        known = self.known.get((warehouse, product))
        return known or self._remember(await self._names.open_pool(warehouse, product))

    async def find(self, warehouse: str, product: str) -> PoolRef | None:
        """Return the pool of a pair, or None if the pair was never used."""
        if not is_code(warehouse) or not is_code(product):
            return None
        known = self.known.get((warehouse, product))
        return known or self._remember(await self._names.find_pool(warehouse, product))

    async def sole(self, location: str) -> PoolRef | None:
        """Return the one pool of a location that holds one product at a time, as `pool_of` does.

        None if it was never used, or is no such location.
        """
        if not is_code(location):
            return None
        return self._remember(await self._names.find_pool(location, ""))

    async def pool_of(self, actor_id: int) -> PoolRef | None:
        """Return the pool that an actor keeps, or None when it keeps none."""
        known = self._by_id.get(actor_id)
        return known or self._remember(await self._names.pool_of(actor_id))

    def _remember(self, pool: PoolRef | None) -> PoolRef | None:
        if pool is None:
            return None
        if len(self.known) + len(self._by_id) >= _KNOWN_MAX:
            self.known.clear()
            self._by_id.clear()
        if pool.told is None or pool.product:
            self.known[(pool.warehouse, pool.product)] = pool
        if pool.told is None or not pool.product:  # an actor of many products says none of them
            self._by_id[pool.actor_id] = pool
        return pool
