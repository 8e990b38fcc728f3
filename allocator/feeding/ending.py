"""The end of feeds that were deleted: every pool lets go of them, those first that can.

A pool that cannot, as its journal cannot be replayed, keeps its feed: it would be attached to none
that there is. So it is named, and asked again until it is mended.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from allocator.domain.feeds import Feed
from allocator.domain.queries import ShortQuery
from allocator.domain.reconciling import STATEMENT_STALE_MS, Detach
from allocator.domain.transfers import Stale
from allocator.errors import AllocatorError, JournalError
from allocator.feeding.lead import FeedOffError, Lead
from allocator.feeding.ports import Standing
from allocator.feeding.reach import one_by_one
from allocator.feeding.station import Tools

log = structlog.get_logger()

LINGER_MS: Final = STATEMENT_STALE_MS + 1_000
"""So long after a feed was deleted, nothing that it had asked for can happen any more."""

_POOLS_AT_ONCE: Final = 500
_ASKS_AT_ONCE: Final = 16
_AGAIN_MIN_MS: Final = 1_000
_AGAIN_MAX_MS: Final = 60_000


class _End(msgspec.Struct, kw_only=True):
    """How far the end of a feed has come.

    Attributes:
        version: Of the feed when it was deleted.
        is_last: Whether all pools were asked since nothing can be under way any more.
        left: Those of them that could not let go, and why.
        again_ms: When they are asked again.
    """

    version: int
    is_last: bool = False
    left: Mapping[int, str] = {}
    again_ms: int = 0
    pause_ms: int = _AGAIN_MIN_MS


class Ending:
    """Ends the feeds of one worker.

    Args:
        tools: What they work with.
        is_ours: Says whether an actor is of one of our shards.
    """

    def __init__(self, tools: Tools, *, is_ours: Callable[[int], bool]) -> None:
        self._tools = tools
        self._store = tools.store
        self._is_ours = is_ours
        self._ends: dict[int, _End] = {}

    def forget(self, actor_id: int) -> None:
        """Forget a feed that has ended, or is another worker's."""
        self._ends.pop(actor_id, None)

    async def has_let_go(self, standing: Standing, feed: Feed) -> bool:
        """Detach pools of a deleted feed at once, and again when nothing can be under way.

        Returns:
            Whether all of them are, for good, and that is known of each.
        """
        actor_id, now_ms = standing.actor_id, self._tools.clock()
        end = self._ends.get(actor_id)
        if end is None or end.version != feed.version:
            await self._detach_all(standing, feed)
            end = self._ends[actor_id] = _End(version=feed.version)
        is_last = now_ms >= feed.last_at_ms + LINGER_MS
        if is_last and not end.is_last:
            end.left = await self._detach_all(standing, feed)
            end.is_last = True
            await self._name(standing, end)
        elif end.is_last and end.left and now_ms >= end.again_ms:
            end.left = await self._detach(standing, feed, list(end.left))
            await self._name(standing, end)
        return end.is_last and not end.left and await self._is_let_go(standing)

    async def _detach_all(self, standing: Standing, feed: Feed) -> dict[int, str]:
        after, left = 0, dict[int, str]()
        while pools := await self._store.pools(
            standing.warehouse, after=after, limit=_POOLS_AT_ONCE
        ):
            left |= await self._detach(standing, feed, pools)
            after = pools[-1]
        return left

    async def _detach(self, standing: Standing, feed: Feed, pools: Sequence[int]) -> dict[int, str]:
        """Have pools let go of a feed; return those that could not, and why."""
        actor_id, tools = standing.actor_id, self._tools
        lead = Lead(
            actor_id, tools.reach, is_ours=self._is_ours, clock=tools.clock, status="deleted"
        )
        detach = Detach(process=actor_id, step=feed.version)

        async def ask(pool: int) -> str | None:
            try:
                answer = await lead.ask(pool, detach)
            except (FeedOffError, JournalError):
                raise
            except AllocatorError as error:
                return str(error)
            return "it was asked too late" if isinstance(answer, Stale) else None

        why = await one_by_one(ask, pools, at_once=_ASKS_AT_ONCE)
        return {pool: each for pool, each in zip(pools, why, strict=True) if each is not None}

    async def _name(self, standing: Standing, end: _End) -> None:
        """Have it be known which pools keep a feed, if any do, and when they are asked again."""
        if not end.left:
            await self._store.keep(standing.actor_id, None)
            return
        first, error = next(iter(end.left.items()))
        known = await self._store.accounts(
            standing.actor_id, warehouse=standing.warehouse, actor_ids=[first]
        )
        product = known[first][0] if first in known else f"of actor {first}"
        others = f", and {len(end.left) - 1} others" if len(end.left) > 1 else ""
        why = f"product {product} cannot let go of the feed: {error}{others}"
        await self._store.keep(standing.actor_id, why)
        log.warning(
            "wms.feed_kept",
            warehouse=standing.warehouse,
            product=product,
            products=len(end.left),
            error=error,
        )
        end.again_ms = self._tools.clock() + end.pause_ms
        end.pause_ms = min(2 * end.pause_ms, _AGAIN_MAX_MS)

    async def _is_let_go(self, standing: Standing) -> bool:
        """Say whether it is known of all pools that they are detached."""
        actor_id = standing.actor_id
        if standing.numbers == "lost":
            await self.note_turns(standing)
        elif not await self._store.is_let_go(actor_id):
            if standing.position.era < self._tools.era:  # its WMS does not say what it knows
                await self._store.lose(actor_id)
            return False
        return True

    async def note_turns(self, standing: Standing) -> None:
        """Know which rows detached the pools, if nothing else is known of them."""
        after = 0
        while pools := await self._store.pools(
            standing.warehouse, after=after, limit=_POOLS_AT_ONCE
        ):
            turns = {
                each: (await self._tools.reach.look(each, ShortQuery())).turn for each in pools
            }
            known = {each: turn for each, turn in turns.items() if turn}
            await self._store.put_turns(standing.actor_id, known)
            after = pools[-1]
