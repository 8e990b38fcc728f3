"""All feeds whose actors are this worker's: each has a station here, and nowhere else for long.

Two workers may believe for a moment that a feed is theirs. That does no harm: pushes are numbered
by one of them, the WMS knows them by their numbers, and pools know what is newer.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from allocator.actors.statistics import FeedStatistics
from allocator.domain.feeds import DeleteFeed, EndFeed, Feed, FeedPut, Poll
from allocator.domain.queries import FeedQuery
from allocator.domain.reconciling import STATEMENT_STALE_MS
from allocator.errors import AllocatorError, JournalError
from allocator.feeding.ending import Ending
from allocator.feeding.kit import Kit
from allocator.feeding.lead import Lead
from allocator.feeding.ports import Standing
from allocator.feeding.station import Station, Tools
from allocator.feeding.turns import Turns

log = structlog.get_logger()

_LOOK_EVERY_S: Final = 0.5
_POLLS_MAX: Final = 1_000


class Feeding:
    """Has the feeds of one worker work.

    Args:
        tools: What they work with.
        is_ours: Says whether an actor is of one of our shards.
        statistics: Where it is told how they are.
        is_alone: Whether there never is another worker.

    Attributes:
        standings: Of all feeds of the server that are on, by warehouse, as it was last looked.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        is_ours: Callable[[int], bool],
        statistics: FeedStatistics,
        is_alone: bool = False,
    ) -> None:
        self._statistics = statistics
        self.standings: dict[str, Standing] = {}
        self._tools = tools
        self._is_ours = is_ours
        self._has_adopted = False
        self._stations: dict[int, tuple[Station, asyncio.Task[None]]] = {}
        self._is_alone = is_alone
        self._turns: dict[int, Turns] = {}
        self._rests: dict[int, int] = {}
        self._polls: dict[int, Poll] = {}
        self._ending = Ending(tools, is_ours=is_ours)

    @property
    def stations(self) -> list[Station]:
        """Those that are here."""
        return [station for station, _ in self._stations.values()]

    def poll(self, actor_id: int, poll: Poll) -> None:
        """Have a feed's warehouse system be asked; returns at once, and never raises."""
        if actor_id in self._stations:
            self._stations[actor_id][0].poll(poll)
        elif len(self._polls) < _POLLS_MAX:
            self._polls[actor_id] = poll  # until it has a station

    def knock(self, actor_id: int) -> None:
        """Have it be worked off what a warehouse system has told by itself, if it is here."""
        if actor_id in self._stations:
            self._stations[actor_id][0].knock()

    async def run(self) -> None:
        """Have them work for ever; cancel to stop."""
        try:
            while True:
                try:
                    await self._look()
                except AllocatorError as error:
                    log.warning("wms.interrupted", error=str(error))
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            await self._dismiss(set(self._stations))

    async def _adopt(self) -> None:
        """Know of feeds whose journals came from another database, once in a life."""
        if not self._has_adopted:
            await self._tools.store.adopt(await self._tools.now())
            self._has_adopted = True

    async def _look(self) -> None:
        await self._adopt()
        on = [each for each in await self._tools.store.feeds() if each.is_on]
        self.standings = {each.warehouse: each for each in on}
        ours = {each.actor_id: each for each in on if self._is_ours(each.actor_id)}
        await self._let_go((self._stations.keys() | self._turns.keys()) - ours.keys())
        for warehouse in set(self._statistics.waiting) - {each.warehouse for each in ours.values()}:
            self._statistics.forget(warehouse)
        for standing in ours.values():
            try:
                seen = await self._tools.reach.look(standing.actor_id, FeedQuery())
                await self._heed(standing, seen.feed or Feed())
            except JournalError:
                raise
            except AllocatorError as error:  # its shard is on the move; the others do not suffer
                warehouse = standing.warehouse
                log.warning("wms.interrupted", warehouse=warehouse, error=str(error))

    async def _heed(self, standing: Standing, feed: Feed) -> None:
        if feed.status != "ended":
            self._count(standing, feed)
        if standing.numbers == "lost":
            await self._give_up(standing, feed)
        elif feed.status in {"on", "deleted"} and feed.settings is not None:
            await self._employ(standing, feed.settings, rests=feed.run is not None)
        if standing.is_told:
            self.knock(standing.actor_id)
        if feed.status == "deleted":
            await self._end(standing, feed)
        elif feed.status == "ended":
            await self._dismiss({standing.actor_id})
            if standing.numbers == "lost":  # it had ended before it came from another database
                await self._ending.note_turns(standing)
                await self._tools.store.close(standing.actor_id)
            await self._tools.store.end(standing.actor_id)

    async def _give_up(self, standing: Standing, feed: Feed) -> None:
        """End a feed whose WMS was told other things than this database knows of."""
        await self._dismiss({standing.actor_id})
        if feed.status == "on":
            log.error("wms.numbers_lost", warehouse=standing.warehouse)
            await self._tools.reach.ask(standing.actor_id, DeleteFeed())

    def _count(self, standing: Standing, feed: Feed) -> None:
        counts, warehouse = self._statistics, standing.warehouse
        completed_ms = 0 if feed.completed is None else feed.completed.ended_at_ms
        counts.waiting[warehouse] = standing.numbered - standing.acknowledged
        counts.waiting_since_ms[warehouse] = standing.waiting_since_ms or 0
        counts.completed_ms[warehouse] = completed_ms
        counts.events[warehouse] = standing.events
        counts.events_since_ms[warehouse] = standing.events_since_ms or 0
        before = counts.shortfalls.get(warehouse, 0)
        counts.shortfalls[warehouse] = standing.shortfall
        if standing.shortfall not in {0, before}:
            log.warning(
                "wms.shortfall", warehouse=warehouse, units=standing.shortfall, before=before
            )
        elif before and not standing.shortfall:
            log.info("wms.shortfall_over", warehouse=warehouse, before=before)

    async def _employ(self, standing: Standing, settings: FeedPut, *, rests: bool) -> None:
        actor_id, clock, former = standing.actor_id, self._tools.clock, None
        if actor_id in self._stations:
            station, task = self._stations[actor_id]
            if station.settings == settings and not task.done():
                return
            await self._dismiss({actor_id})
            former = station.gate if station.settings.url == settings.url else None
        if actor_id not in self._turns:
            self._turns[actor_id] = Turns(is_near=self._is_ours, clock=clock)
            has_peers = rests and not self._is_alone
            self._rests[actor_id] = clock() + STATEMENT_STALE_MS if has_peers else 0
        station = Station(
            self._kit(actor_id, settings),
            self._tools,
            count=partial(self._statistics.count_request, standing.warehouse),
            rests_until_ms=self._rests[actor_id],
            former=former,
        )
        if (poll := self._polls.pop(actor_id, None)) is not None:
            station.poll(poll)
        task = asyncio.create_task(station.run(), name=f"feed of {standing.warehouse}")
        self._stations[actor_id] = station, task

    def _kit(self, actor_id: int, settings: FeedPut) -> Kit:
        tools = self._tools
        return Kit(
            feed=actor_id,
            settings=settings,
            store=tools.store,
            told=tools.told,
            pools=tools.pools,
            reach=Lead(actor_id, tools.reach, is_ours=self._is_ours, clock=tools.clock),
            turns=self._turns[actor_id],
            clock=tools.clock,
        )

    async def _let_go(self, actor_ids: set[int]) -> None:
        """Have feeds be another worker's; should they come back, it was theirs meanwhile."""
        await self._dismiss(actor_ids)
        for each in actor_ids:
            self._turns.pop(each, None)
            self._rests.pop(each, None)
            self._ending.forget(each)

    async def _dismiss(self, actor_ids: set[int]) -> None:
        tasks = [self._stations.pop(each)[1] for each in actor_ids if each in self._stations]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, standing: Standing, feed: Feed) -> None:
        """Have a deleted feed end when all of its pools have let go of it."""
        actor_id = standing.actor_id
        if await self._ending.has_let_go(standing, feed):
            # Should it be put again at once, its first poll is not for the WMS that it had.
            await self._dismiss({actor_id})
            await self._tools.store.close(actor_id)
            await self._tools.reach.ask(actor_id, EndFeed())
            self._ending.forget(actor_id)
