"""What the feeds of a worker work with: tables in memory, a warehouse of virtual time."""

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from allocator.actors.cluster import Cluster
from allocator.actors.messages import Answer
from allocator.actors.statistics import FeedStatistics
from allocator.actors.worker import Worker
from allocator.crew import Crew
from allocator.domain.feeds import PutFeed
from allocator.domain.kinds import Command
from allocator.domain.queries import Query, View
from allocator.domain.reconciling import Detach, Reconcile
from allocator.feeding.feeding import Feeding
from allocator.feeding.station import Tools
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.feeds import ERA, MemoryFeeds, MemoryRows
from allocator.persistence.memory.told import MemoryDryRuns, MemoryTold
from allocator.simulation.process import Process
from allocator.simulation.warehouse import URL, Asked, Terms, Warehouse, sku_of
from allocator.wms.sender import Patience

WAREHOUSE: Final = "main"
_PATIENCE: Final = Patience(first_pause_ms=100, longest_pause_ms=2_000, look_every_ms=500)
_TIMEOUT_S: Final = 2.0


class Feeders:
    """Makes the feeds of workers; what they ask of pools is written down.

    Attributes:
        warehouse: Of which there is one.
        asked: In order.
    """

    def __init__(self, database: MemoryDatabase, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.asked: list[Asked] = []
        self._database = database
        pools = {sku_of(pool): pool for pool in warehouse.terms.pools}
        database.feeds.catalogue[WAREHOUSE] = pools

    def feeding(self, crew: Crew, process: Process) -> Feeding:
        """Return what has the feeds of a worker work."""
        loop = asyncio.get_running_loop()
        store = MemoryFeeds(self._database, name=process.name, timeout_s=_TIMEOUT_S)

        async def open_rows() -> MemoryRows:
            return store.rows()

        tools = Tools(
            store=store,
            told=MemoryTold(self._database, name=process.name, timeout_s=_TIMEOUT_S),
            dry_runs=MemoryDryRuns(self._database, name=process.name, timeout_s=_TIMEOUT_S),
            era=ERA,
            now=store.now,
            reach=_Overheard(crew.asker, self, process),
            pools=_Catalogue(self.warehouse.terms),
            open_rows=open_rows,
            open_wms=self.warehouse.line,
            patience=_PATIENCE,
            clock=process.now_ms,
            clock_us=lambda: round(loop.time() * 1_000_000),
            chance=Random(process.name),
        )
        return Feeding(tools, is_ours=crew.worker.is_ours, statistics=FeedStatistics())

    async def begin(self, process: Process) -> None:
        """Have the feed be known and on, before it is put."""
        store = MemoryFeeds(self._database, name=process.name, timeout_s=_TIMEOUT_S)
        await store.begin(self.warehouse.terms.feed, WAREHOUSE)


def put_of(terms: Terms) -> PutFeed:
    """Return what is asked for a warehouse to be fed."""
    return PutFeed(
        warehouse=WAREHOUSE,
        url=URL,
        poll_ms=terms.poll_ms,
        rate_per_s=terms.rate_per_s,
        burst=terms.burst,
        excludes=terms.excludes,
    )


class _Overheard:
    """Reaches any actor, and has it written down."""

    def __init__(self, asker: Cluster | Worker, feeders: Feeders, process: Process) -> None:
        self._asker = asker
        self._feeders = feeders
        self._process = process

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> "asyncio.Future[Answer]":
        """Have an actor decide."""
        if isinstance(command, Reconcile | Detach):
            at_s = asyncio.get_running_loop().time()
            asked = Asked(pool=actor_id, command=command, by=self._process.name, at_s=at_s)
            self._feeders.asked.append(asked)
        return self._asker.ask(actor_id, command, principal=principal)

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state."""
        return await self._asker.look(actor_id, query)


class _Catalogue:
    """Knows the products of the warehouse."""

    def __init__(self, terms: Terms) -> None:
        self._pools = {sku_of(pool): pool for pool in terms.pools}

    async def open_all(self, _warehouse: str, products: Sequence[str]) -> Mapping[str, int]:
        """Return the actors of products; none of products that nobody named."""
        return {sku: self._pools[sku] for sku in products if sku in self._pools}
