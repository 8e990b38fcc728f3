"""Works off what a warehouse system tells by itself of single batches.

An event says what can be ordered of a batch, in full, so that of each batch only the newest one
counts. What lowers is believed at once. What raises waits for a run: what appears in one batch may
be what has vanished from another; so the system is polled sooner.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import Final

import structlog

from allocator.actors.messages import Answer, Outcome
from allocator.domain.feeds import Feed, PollNow
from allocator.domain.queries import FeedQuery, ShortQuery
from allocator.domain.reconciling import Reconcile, Statement, TurnUnknown
from allocator.domain.transfers import Stale
from allocator.errors import AllocatorError
from allocator.feeding.kit import Kit
from allocator.feeding.ports import Settling
from allocator.feeding.told import Applied, Event

log = structlog.get_logger()

_LOOK_EVERY_S: Final = 5.0
_AGAIN_S: Final = 0.5
_EVENTS_AT_ONCE: Final = 500
_ASKS_AT_ONCE: Final = 32
_REST_MIN_MS: Final = 1_000
_SURE_MAX: Final = 10_000


class Inbox:
    """The events of one feed.

    Args:
        kit: The feed's.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._feed = kit.feed
        self._knocked = asyncio.Event()
        self._is_wished = False
        self._is_behind = False
        self._sure: set[int] = set()  # pools of which it is noted how many units they are short of

    def knock(self) -> None:
        """Have events be worked off that were just taken."""
        self._knocked.set()

    async def run(self) -> None:
        """Work events off for ever; cancel to stop.

        Raises:
            AllocatorError: Something did not answer; what is not worked off waits.
        """
        while True:
            while await self.work_off():
                pass
            await self._wish()
            is_soon = self._is_behind or self._is_wished
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S if is_soon else _LOOK_EVERY_S):
                    await self._knocked.wait()
            self._knocked.clear()

    async def work_off(self) -> bool:
        """Work some events off; return whether there may be more of them."""
        async with self._kit.turns.lock:
            in_doubt = self._kit.turns.in_doubt()
            waiting = await self._kit.told.waiting(
                self._feed, besides=in_doubt, limit=_EVENTS_AT_ONCE
            )
            self._is_behind = bool(in_doubt)
            if not waiting:
                return False
            feed = await self._look()
            if feed.status != "on":
                return False  # it was deleted, and what was told of it will be forgotten
            run = await self._kit.store.settling(self._feed)
            done = [each for each in waiting if _is_passed(each, run)]
            news = [each for each in waiting if not _is_passed(each, run)]
            for through, some in groupby(news, key=attrgetter("applied_through")):
                done += await self._say(list(some), through=through)
            await self._kit.told.worked_off(self._feed, done)
        self._is_behind = self._is_behind or len(done) < len(waiting)
        return len(waiting) == _EVENTS_AT_ONCE and bool(done)

    async def _say(self, events: Sequence[Event], *, through: int) -> list[Event]:
        """Tell pools of batches; return the events that are worked off."""
        by_pool: defaultdict[int, list[Event]] = defaultdict(list)
        for each in events:
            by_pool[each.actor_id].append(each)
        known = await self._kit.told.applied(self._feed, actor_ids=list(by_pool), through=through)
        if not known:
            return list(events)  # a run has begun that is newer
        at_once = asyncio.Semaphore(_ASKS_AT_ONCE)

        async def say(actor_id: int, its: Sequence[Event]) -> bool:
            async with at_once:
                return await self._say_to(actor_id, its, known[actor_id])

        async with asyncio.TaskGroup() as group:
            tasks = {each: group.create_task(say(each, its)) for each, its in by_pool.items()}
        return [each for each in events if tasks[each.actor_id].result()]

    async def _say_to(self, actor_id: int, events: Sequence[Event], applied: Applied) -> bool:
        """Tell a pool of its batches, the oldest first; return whether it has answered to all."""
        changed, is_sure = False, actor_id in self._sure
        self._sure.discard(actor_id)
        try:
            for each in events:
                answer = await self._ask(each, applied)
                if isinstance(answer, Stale | TurnUnknown):
                    return False
                changed = changed or isinstance(answer, Outcome)
            if changed or not is_sure:
                seen = await self._kit.reach.look(actor_id, ShortQuery())
                await self._kit.store.note_short(self._feed, {actor_id: seen.short or 0})
        except AllocatorError as error:  # the others follow all the same
            warehouse = self._kit.warehouse
            log.warning("wms.interrupted", warehouse=warehouse, error=str(error))
            return False
        if len(self._sure) >= _SURE_MAX:
            self._sure.clear()
        self._sure.add(actor_id)
        return True

    async def _ask(self, event: Event, applied: Applied) -> Answer:
        statement = Statement(
            code=event.code,
            orderable=event.orderable,
            applied=applied.units.get(event.code, 0),
            expires_at_ms=event.expires_at_ms,
            received_at_ms=event.received_at_ms,
        )
        with self._kit.turns.asking(event.actor_id):
            return await self._kit.reach.ask(
                event.actor_id,
                Reconcile(
                    process=self._feed,
                    step=0,
                    sent_at_ms=self._kit.clock(),
                    as_of=event.as_of,
                    turn=applied.turn,
                    lots=(statement,),
                    excludes=self._kit.settings.excludes,
                ),
            )

    async def _wish(self) -> None:
        """Have the system be polled once after units may have arrived.

        Between such polls it rests for as long as the last one took, so that pushes are not kept
        waiting; and what fails is repeated with pauses anyway.
        """
        wished_ms = await self._kit.told.wished_ms(self._feed)
        feed = await self._look() if wished_ms and self._kit.settings.poll_ms else None
        self._is_wished = feed is not None and feed.polled_at_ms < wished_ms
        if self._is_wished and feed is not None and self._kit.clock() >= _rested_at_ms(feed):
            await self._kit.reach.ask(self._feed, PollNow())

    async def _look(self) -> Feed:
        seen = await self._kit.reach.look(self._feed, FeedQuery())
        return seen.feed or Feed()


def _is_passed(event: Event, run: Settling | None) -> bool:
    """Say whether pools may have heard of a run that says more than an event.

    What a run says that has asked nobody yet is lost if it fails, so that it makes nothing old.
    """
    return run is not None and (
        event.as_of <= run.as_of or event.applied_through < run.applied_through
    )


def _rested_at_ms(feed: Feed) -> int:
    """Return from when on the system may be asked once more, beyond what is planned."""
    run = feed.run
    ended_ms = 0 if run is None else run.ended_at_ms
    return ended_ms + max(ended_ms - feed.polled_at_ms, _REST_MIN_MS)
