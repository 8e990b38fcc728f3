"""What a feed says to pools is said by the worker that owns it, though one that hung may not know.

A worker that hangs is replaced. When it goes on it would say what was so before: of units that are
gone since, of which its heir had nothing to say. So what is said bears the time at which it was
certain that the feed was ours, a pool soon calls that stale, and an heir rests until then.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from allocator.actors.messages import Answer
from allocator.domain.feeds import FeedStatus
from allocator.domain.kinds import Command
from allocator.domain.queries import FeedQuery, Query, View
from allocator.domain.reconciling import Detach, FeedAsked, Reconcile
from allocator.errors import UnavailableError
from allocator.feeding.reach import GivenUpError, Reach

_CERTAIN_MS: Final = 1_000
"""For so long nobody asks again whether the feed is ours."""


class FeedOffError(GivenUpError):
    """The feed is not what it was: what was to be said to its pools is not said any more."""

    def __init__(self, *, status: str) -> None:
        super().__init__(f"the feed is {status or 'not put'} by now")


class Lead:
    """Reaches any actor for a feed; what it tells pools is stale soon after the feed is another's.

    Likewise, soon after the feed has come to have another status.

    Args:
        feed: Its actor.
        reach: Any actor, whoever owns it.
        is_ours: Says whether an actor is of one of our shards.
        clock: Milliseconds of Unix time.
        status: Of the feed, as long as pools are to be told anything.
    """

    def __init__(
        self,
        feed: int,
        reach: Reach,
        *,
        is_ours: Callable[[int], bool],
        clock: Callable[[], int],
        status: FeedStatus = "on",
    ) -> None:
        self._feed = feed
        self._reach = reach
        self._is_ours = is_ours
        self._clock = clock
        self._status = status
        self._certain_ms = 0

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        """Have an actor decide; raises `AllocatorError` if it is not accepted."""
        if not isinstance(command, Reconcile | Detach):
            return self._reach.ask(actor_id, command, principal=principal)
        if 0 <= self._clock() - self._certain_ms < _CERTAIN_MS:
            return self._say(actor_id, command)
        return asyncio.ensure_future(self._say_certainly(actor_id, command))

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state."""
        return await self._reach.look(actor_id, query)

    async def _say_certainly(self, actor_id: int, command: FeedAsked) -> Answer:
        now_ms = self._clock()
        seen = await self._reach.look(self._feed, FeedQuery())
        if not self._is_ours(self._feed):
            raise UnavailableError(reason="the feed is another worker's by now")
        if seen.feed is not None and seen.feed.status != self._status:
            raise FeedOffError(status=seen.feed.status or "")
        self._certain_ms = now_ms
        return await self._say(actor_id, command)

    def _say(self, actor_id: int, command: FeedAsked) -> asyncio.Future[Answer]:
        said = msgspec.structs.replace(command, sent_at_ms=self._certain_ms)
        return self._reach.ask(actor_id, said)
