"""What the feeds of a worker work with: tables in memory, a warehouse of virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Final

from allocator.actors.cluster import Cluster
from allocator.actors.messages import Answer, Noted, Outcome
from allocator.actors.statistics import FeedStatistics
from allocator.actors.worker import Worker
from allocator.crew import Crew
from allocator.domain.feeds import Feed, PutFeed
from allocator.domain.kinds import Command
from allocator.domain.queries import FeedQuery, Query, View
from allocator.domain.reconciling import Detach, Reconcile
from allocator.errors import AllocatorError
from allocator.feeding.feeding import Feeding
from allocator.feeding.letterbox import Letter, Letterbox
from allocator.feeding.ports import Standing
from allocator.feeding.station import Tools
from allocator.feeding.told import Snapshot
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.feeds import ERA, MemoryFeeds, MemoryRows
from allocator.persistence.memory.told import MemoryDryRuns, MemoryTold
from allocator.simulation.process import Process
from allocator.simulation.warehouse import URL, Asked, Terms, Told, Warehouse, sku_of
from allocator.wms.sender import Patience
from allocator.wms.shapes import ItemBody

WAREHOUSE: Final = "main"
_PATIENCE: Final = Patience(first_pause_ms=100, longest_pause_ms=2_000, look_every_ms=500)
_TIMEOUT_S: Final = 2.0
_HEARD: Final = (Outcome, Noted)


class Feeders:
    """Makes the feeds of workers; what they ask of pools is written down.

    Attributes:
        warehouse: Of which there is one.
        asked: In order.
        told: What pools have answered to, in order.
    """

    def __init__(self, database: MemoryDatabase, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.asked: list[Asked] = []
        self.told: list[Told] = []
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

    def door(self, crew: Crew, process: Process, feeding: Feeding) -> "Door":
        """Return where the warehouse's system tells something to a worker."""
        store = MemoryFeeds(self._database, name=process.name, timeout_s=_TIMEOUT_S)
        told = MemoryTold(self._database, name=process.name, timeout_s=_TIMEOUT_S)
        pools = _Catalogue(self.warehouse.terms)
        letterbox = Letterbox(told, pools, knock=feeding.knock, clock=process.now_ms)
        return Door(self.warehouse.terms.feed, letterbox, store=store, crew=crew, process=process)

    def note_answer(self, pool: int, command: Reconcile, answer: "asyncio.Future[Answer]") -> None:
        """Write down that a pool has heard something, if it has."""
        if answer.cancelled() or answer.exception() or not isinstance(answer.result(), _HEARD):
            return
        codes = None if command.complete else frozenset(each.code for each in command.lots)
        before = len(self._database.rows.get(pool, ()))
        self.told.append(Told(pool=pool, as_of=command.as_of, codes=codes, before=before))

    async def begin(self, process: Process) -> None:
        """Have the feed be known and on, before it is put."""
        store = MemoryFeeds(self._database, name=process.name, timeout_s=_TIMEOUT_S)
        await store.begin(self.warehouse.terms.feed, WAREHOUSE)


class Door:
    """Takes what the warehouse's system tells by itself, as the handlers would, without HTTP."""

    def __init__(
        self, feed: int, letterbox: Letterbox, *, store: MemoryFeeds, crew: Crew, process: Process
    ) -> None:
        self._feed = feed
        self._letterbox = letterbox
        self._store = store
        self._asker = crew.asker
        self._process = process
        self._taking: set[asyncio.Task[None]] = set()

    def events(self, letters: Sequence[Letter]) -> None:
        """Have events be taken, if they can be."""

        async def take() -> None:
            fed = await self._fed(through=max(each.applied_through for each in letters))
            if fed is not None:
                await self._letterbox.take_events(*fed, letters)

        self._have(take)

    def part(self, snapshot: Snapshot, *, part: int, items: Sequence[ItemBody]) -> None:
        """Have a part of a snapshot be taken, if it can be."""

        async def take() -> None:
            fed = await self._fed(through=snapshot.applied_through)
            if fed is None:
                return
            standing, feed = fed
            if feed.completed is None or snapshot.as_of > feed.completed.as_of:
                await self._letterbox.take_part(standing, snapshot, part=part, items=items)

        self._have(take)

    def _have(self, take: Callable[[], Awaitable[None]]) -> None:
        """Have something be taken; what cannot be is lost."""

        async def tried() -> None:
            with suppress(AllocatorError):
                await take()

        task = self._process.spawn(tried(), name="told")
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _fed(self, *, through: int) -> tuple[Standing, Feed] | None:
        """Return the feed, if it is on, and has pushed as much as the system says."""
        found = [each for each in await self._store.feeds() if each.actor_id == self._feed]
        if not found:
            return None
        [standing] = found
        feed = (await self._asker.look(self._feed, FeedQuery())).feed or Feed()
        if feed.status != "on" or through > standing.numbered:
            return None
        return standing, feed


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
        answer = self._asker.ask(actor_id, command, principal=principal)
        if isinstance(command, Reconcile):
            answer.add_done_callback(partial(self._feeders.note_answer, actor_id, command))
        return answer

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
