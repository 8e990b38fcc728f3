"""Orders of several lines in a storm: commits that fail, lots that expire, recalls, full mailboxes.

The machine of orders goes a step at a time; here a crowd asks at once, and much of what it wants
waits for the same append. Whatever comes of it, in the end no unit is held, and what orders and
pools say of each other agrees.
"""

import asyncio
from collections import defaultdict
from random import Random
from typing import Final

import pytest

from allocator.actors.limits import Limits
from allocator.actors.messages import Answer
from allocator.domain.adjustments import Adjust
from allocator.domain.codec import decode_event
from allocator.domain.ids import SHARD_BITS
from allocator.domain.kinds import Command, Event, evolve
from allocator.domain.laws import unbalanced, unlawful
from allocator.domain.laws_between import Dealings, Keeping
from allocator.domain.laws_of_orders import unlawful_of_order
from allocator.domain.orders import CancelLines, DispatchLines, Line, Order, RequestOrder
from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.errors import AllocatorError
from allocator.persistence.memory.database import MemoryDatabase
from tests.builders import ACTOR, place, receive
from tests.memory_journal import Fault
from tests.scene import Scene, check_journal, serving
from tests.virtual_time import now_ms, virtual_time

SEEDS: Final = range(8)
POOLS: Final = [ACTOR + (number << SHARD_BITS) for number in range(4)]
_GUSTS: Final = 60
_LOTS: Final = 3
_EXPIRES_MS: Final = 3_000


class Crowd:
    """Everybody who wants something, and what goes wrong meanwhile.

    Attributes:
        replies: Of all that was accepted.
    """

    def __init__(self, scene: Scene, chance: Random) -> None:
        self.replies: list[asyncio.Future[Answer]] = []
        self._scene = scene
        self._chance = chance
        self._orders: list[int] = []

    async def stock(self) -> None:
        """Have every pool receive lots, some of which expire."""
        for pool in POOLS:
            for _ in range(_LOTS):
                expires_at_ms = self._chance.choice([None, now_ms() + _EXPIRES_MS])
                await self._scene.stock(20, actor_id=pool, expires_at_ms=expires_at_ms)

    async def gust(self) -> None:
        """Ask for a few things at once, and now and then have a turn fail."""
        chance, scene = self._chance, self._scene
        await scene.serving_again()
        if chance.random() < 0.3:
            scene.journal.break_next(
                chance.choice(["append", "confirm"]), chance.choice(list(Fault))
            )
        for _ in range(chance.randint(1, 6)):
            actor_id, command = await self._wish()
            try:
                self.replies.append(scene.ask(command, actor_id=actor_id))
            except AllocatorError:
                continue  # it was not accepted
            if isinstance(command, RequestOrder):
                self._orders.append(actor_id)
        await asyncio.sleep(chance.choice([0, 0.01, 0.3]))

    async def _wish(self) -> tuple[int, Command]:
        chance, draw = self._chance, self._chance.random()
        if draw < 0.6:
            return await self._scene.worker.begin(None), self._order()
        if draw < 0.7 and self._orders:
            ends: list[Command] = [CancelLines(), DispatchLines(parts=())]
            return chance.choice(self._orders), chance.choice(ends)
        if draw < 0.8:
            return chance.choice(POOLS), self._recall()
        if draw < 0.85:
            return chance.choice(POOLS), receive(10)
        return chance.choice(POOLS), place(chance.randint(1, 3))

    def _order(self) -> RequestOrder:
        pools = sorted(self._chance.sample(POOLS, self._chance.randint(2, len(POOLS))))
        return RequestOrder(
            lines=tuple(
                Line(pool=pool, warehouse="m", product="tea", quantity=self._chance.randint(1, 3))
                for pool in pools
            )
        )

    def _recall(self) -> Adjust:
        lot = self._chance.randint(1, _LOTS + 1)
        return Adjust(
            source="available", target="quarantined", quantity=None, lot=lot, reason="recall"
        )


@pytest.mark.parametrize("seed", SEEDS)
@virtual_time
async def test_after_a_storm_orders_and_pools_agree_and_nothing_is_held(seed: int) -> None:
    """N1, Q1: batches of three rows at times, so that not every order fits into one."""
    chance = Random(seed)
    limits = Limits(batch_max=chance.choice([3, 5, 8]), mailbox_max=chance.choice([4, 4_096]))
    async with serving(limits=limits) as scene:
        crowd = Crowd(scene, chance)
        await crowd.stock()
        for _ in range(_GUSTS):
            await crowd.gust()
        await scene.serving_again()
        await asyncio.gather(*crowd.replies, return_exceptions=True)
        await asyncio.sleep(30)  # whoever asks again has been heard by then

        check_journal(scene.database)
        orders = _orders_of(scene.database)
        assert any(order.state.status == "new" for order in orders.values())
        for pool in POOLS:
            _check_pool(scene.database, pool, orders)


def _orders_of(database: MemoryDatabase) -> dict[int, Dealings]:
    """Return every order after all of its rows, each of which was lawful."""
    orders: dict[int, Dealings] = {}
    for actor_id, kind in database.kinds.items():
        if kind != "order":
            continue
        order = Order()
        dealings = orders[actor_id] = Dealings(order)
        for row in database.journal_of(actor_id):
            event = _event_of(row)
            assert not unlawful_of_order(order, event)
            dealings.take(row.seq, row.at_ms, event)
    return orders


def _check_pool(database: MemoryDatabase, actor_id: int, orders: dict[int, Dealings]) -> None:
    pool, keepings = Pool(), _Keepings(actor_id, orders)
    for row in database.journal_of(actor_id):
        event = _event_of(row)
        assert not unlawful(pool, event)
        evolve(pool, event, at_ms=row.at_ms)
        keepings.take(event)
    assert not unbalanced(pool)
    assert pool.held == 0
    for keeping in keepings.by_process.values():
        assert not keeping.unasked
        assert not keeping.contradicts()
    for process, dealings in orders.items():
        order = dealings.order
        if order is not None and any(line.pool == actor_id for line in order.lines):
            assert process in keepings.by_process


class _Keepings:
    """What a pool does for each order."""

    def __init__(self, pool: int, orders: dict[int, Dealings]) -> None:
        self.by_process: dict[int, Keeping] = {}
        self._pool = pool
        self._orders = orders
        self._owners: defaultdict[int, int | None] = defaultdict(lambda: None)

    def take(self, event: Event) -> None:
        """Apply the pool's next row, if it is about an order of several lines."""
        order, process = getattr(event, "order", 0), getattr(event, "process", None)
        if process is None:
            process = self._owners[order]
        elif order:
            self._owners[order] = process
        if process is None:
            return
        assert process in self._orders, event
        if process not in self.by_process:
            self.by_process[process] = Keeping(self._pool, self._orders[process])
        self.by_process[process].take(event)


def _event_of(row: Record) -> Event:
    return decode_event(kind=row.kind, version=row.version, body=row.body)
