"""Many pools at once, as when a warehouse system names all that it has for the first time.

A pool that is made here was nobody's before: its number has just been taken. So its first message
begins it, without a look into the journal.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from allocator.domain.catalogue import pool_key


class ManyPools(Protocol):
    """Where pools are named."""

    async def find_pools(self, warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        """Return the actors of products, those that have one."""
        ...

    async def make_pools(self, warehouse: str, actors: Mapping[str, int]) -> Mapping[str, int]:
        """Make the pools of products that are known and have none, as these actors; return them."""
        ...


class Openings:
    """Finds and makes pools, many at once.

    Args:
        names: Where they are named.
        begin: Returns the id of an actor that is about to come into being, in the shard of a key.
    """

    def __init__(self, names: ManyPools, *, begin: Callable[[str], Awaitable[int]]) -> None:
        self._names = names
        self._begin = begin

    async def open_all(self, warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        """Return the actors of products, made on first use; nothing of products nobody has named.

        Args:
            warehouse: No location that holds one product at a time.
            products: None twice.
        """
        found = dict(await self._names.find_pools(warehouse, products))
        missing = [each for each in products if each not in found]
        if not missing:
            return found
        # Before anybody can know them: from then on others may write as these actors.
        actors = {each: await self._begin(pool_key(warehouse, each)) for each in missing}
        found |= await self._names.make_pools(warehouse, actors)
        left = [each for each in missing if each not in found]
        if left:  # nobody knows them, or somebody else was faster
            found |= await self._names.find_pools(warehouse, left)
        return found
