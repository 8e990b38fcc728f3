"""Many pools that are made at once."""

from collections.abc import Mapping, Sequence
from itertools import count

from allocator.actors.openings import Openings
from allocator.domain.catalogue import pool_key


class Names:
    """Where pools are named; `faster` are those that somebody else makes just before us."""

    def __init__(self, *known: str, pools: dict[str, int], faster: dict[str, int]) -> None:
        self.known = known
        self.pools = pools
        self.faster = faster
        self.begun: list[str] = []
        self._ids = count(1000)

    async def find_pools(self, _warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        return {each: self.pools[each] for each in products if each in self.pools}

    async def make_pools(self, warehouse: str, actors: Mapping[str, int]) -> Mapping[str, int]:
        assert self.begun == [pool_key(warehouse, each) for each in actors], "first they are ours"
        self.pools |= self.faster
        made = {
            each: actor
            for each, actor in actors.items()
            if each in self.known and each not in self.pools
        }
        self.pools |= made
        return made

    async def begin(self, scope: str) -> int:
        self.begun.append(scope)
        return next(self._ids)


async def test_pools_are_found_or_made_and_of_unknown_products_there_is_none() -> None:
    names = Names("tea", "mug", pools={"tea": 7}, faster={})

    found = await Openings(names, begin=names.begin).open_all("main", ["tea", "mug", "ufo"])

    assert found == {"tea": 7, "mug": 1000}


async def test_a_pool_that_somebody_else_made_meanwhile_is_theirs() -> None:
    names = Names("mug", pools={}, faster={"mug": 9})

    found = await Openings(names, begin=names.begin).open_all("main", ["mug"])

    assert found == {"mug": 9}


async def test_nothing_is_begun_for_pools_that_are_there() -> None:
    names = Names("tea", pools={"tea": 7}, faster={})

    await Openings(names, begin=names.begin).open_all("main", ["tea"])

    assert names.begun == []
