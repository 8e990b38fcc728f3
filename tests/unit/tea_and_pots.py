"""Orders of tea and of pots, of which there is a pool each."""

import asyncio

from allocator.domain.ids import SHARD_BITS
from allocator.domain.orders import Line, Order, RequestOrder
from allocator.domain.queries import LinesQuery
from allocator.errors import AllocatorError
from tests.builders import ACTOR
from tests.scene import Scene, soon

TEA, POT = ACTOR, ACTOR + (1 << SHARD_BITS)
STOCK = 5

_POOLS = {"tea": TEA, "pot": POT}


def lines(**units: int) -> tuple[Line, ...]:
    """A line for each product that is named: `tea=2, pot=1`."""
    return tuple(
        Line(pool=_POOLS[product], warehouse="main", product=product, quantity=quantity)
        for product, quantity in units.items()
    )


def request(**units: int) -> RequestOrder:
    """An order of so much."""
    return RequestOrder(lines=lines(**units), customer="ada")


async def decided(scene: Scene, actor_id: int) -> Order:
    """Wait until an order is accepted or declined, as a client does."""
    while True:
        try:
            view = await soon(scene.worker.look(actor_id, LinesQuery(decided=True)))
        except AllocatorError:
            await asyncio.sleep(0.1)
        else:
            assert view.order is not None
            return view.order


async def numbers(scene: Scene) -> list[tuple[int, int, int]]:
    """What is available, ordered and held of each pool."""
    balances = [await scene.balance(actor_id=pool) for pool in (TEA, POT)]
    return [(each.available, each.ordered, each.held) for each in balances]
