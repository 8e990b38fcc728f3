"""What everything works with that works for one feed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from allocator.domain.feeds import FeedPut
from allocator.feeding.ports import Store
from allocator.feeding.reach import Reach
from allocator.feeding.told import Told
from allocator.feeding.turns import Turns


class Pools(Protocol):
    """Finds and makes pools."""

    async def open_all(self, warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        """Return the actors of products, made on first use; none of products that nobody named."""
        ...


class Kit(msgspec.Struct, frozen=True, kw_only=True):
    """What everything works with that works for one feed.

    Attributes:
        feed: Its actor.
        settings: How it is fed.
        told: What its WMS tells by itself.
        reach: How its pools are reached, and itself.
        turns: Shared by all who say something to its pools.
        clock: Milliseconds of Unix time.
    """

    feed: int
    settings: FeedPut
    store: Store
    told: Told
    pools: Pools
    reach: Reach
    turns: Turns
    clock: Callable[[], int]

    @property
    def warehouse(self) -> str:
        """The one that is fed."""
        return self.settings.warehouse
