"""Where something can be wanted in a run."""

from random import Random
from typing import Final, NamedTuple

from allocator.domain.ids import SHARDS
from allocator.simulation.knowledge import PRODUCTS

_POOLS_MAX: Final = 6
_SINGLES: Final = (0, 1, 1, 2)
"""So many of them hold one product at a time."""


class Spot(NamedTuple):
    """A pool.

    Attributes:
        pool: Its actor; two are of a shard now and then, as neighbours share their fate.
        single: Whether it is a location that holds one product at a time.
    """

    pool: int
    single: bool


def spots_of(dice: Random) -> list[Spot]:
    """Draw the pools of a run."""
    shards = dice.choices(range(SHARDS), k=dice.randint(3, _POOLS_MAX - 1))
    singles = len(shards) - dice.choice(_SINGLES)
    return [
        Spot(pool=(number + 1) << 8 | shard, single=number > singles)
        for number, shard in enumerate([*shards, shards[0]])
    ]


def product_at(dice: Random, spot: Spot) -> str | None:
    """Return of which product a pool is asked; others than locations are not told."""
    return PRODUCTS[int(dice.random() * len(PRODUCTS))] if spot.single else None
