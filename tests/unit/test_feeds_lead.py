"""What a worker says for a feed, of which it may not know that it is another's by now."""

import asyncio

import pytest

from allocator.actors.messages import Answer, Noted
from allocator.domain.feeds import EndFeed, Feed, FeedStatus
from allocator.domain.kinds import Command
from allocator.domain.queries import Query, View
from allocator.domain.reconciling import Detach, Reconcile
from allocator.errors import UnavailableError
from allocator.feeding.lead import FeedOffError, Lead

FEED, POOL = 5, 6
SAY = Reconcile(process=FEED, step=1, sent_at_ms=0, as_of=1, turn=0)


class World:
    """Actors that note what they are asked, a clock, and who owns the feed."""

    def __init__(self) -> None:
        self.now_ms = 100_000
        self.is_ours = True
        self.feed = Feed(status="on")
        self.asked: list[Command] = []
        self.looked = 0
        self.lead = self.lead_of("on")

    def lead_of(self, status: FeedStatus) -> Lead:
        """Whoever says something as long as the feed has a status."""
        return Lead(
            FEED, self, is_ours=lambda _: self.is_ours, clock=lambda: self.now_ms, status=status
        )

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        assert actor_id == POOL
        assert not principal
        self.asked.append(command)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        answer.set_result(Noted())
        return answer

    async def look(self, actor_id: int, query: Query) -> View:  # noqa: ARG002 (any)
        assert actor_id == FEED
        self.looked += 1
        self.now_ms += 300  # that takes a while
        return View(feed=self.feed)

    def said_at_ms(self) -> list[int]:
        return [each.sent_at_ms for each in self.asked if isinstance(each, Reconcile)]


async def test_what_is_said_bears_when_it_was_certain_that_the_feed_is_ours() -> None:
    """N4: and not when it left: whoever hangs in between says nothing new."""
    world = World()

    await world.lead.ask(POOL, SAY)
    world.now_ms += 500
    await world.lead.ask(POOL, SAY)
    world.now_ms += 60_000
    await world.lead.ask(POOL, SAY)

    assert world.said_at_ms() == [100_000, 100_000, 160_800]
    assert world.looked == 2


async def test_nothing_is_said_for_a_feed_that_is_another_workers() -> None:
    world = World()
    world.is_ours = False

    with pytest.raises(UnavailableError, match="another worker"):
        await world.lead.ask(POOL, SAY)

    assert world.asked == []


async def test_a_clock_that_goes_back_makes_nothing_certain() -> None:
    world = World()
    await world.lead.ask(POOL, SAY)
    world.now_ms -= 50_000

    await world.lead.ask(POOL, SAY)

    assert world.looked == 2


async def test_anything_else_is_asked_as_it_is() -> None:
    world = World()

    await world.lead.ask(POOL, EndFeed())

    assert (world.asked, world.looked) == ([EndFeed()], 0)


async def test_nothing_is_said_for_a_feed_that_was_deleted() -> None:
    world = World()
    await world.lead.ask(POOL, SAY)
    world.feed = Feed(status="deleted")
    world.now_ms += 60_000

    with pytest.raises(FeedOffError):
        await world.lead.ask(POOL, SAY)

    assert world.said_at_ms() == [100_000]


async def test_no_pool_is_let_go_of_any_more_when_the_feed_was_put_again() -> None:
    """Whoever hung while it let go of pools would go on with those of its heir."""
    world = World()
    world.feed = Feed(status="deleted")
    lead = world.lead_of("deleted")
    await lead.ask(POOL, Detach(process=FEED, step=1))
    world.feed = Feed(status="on")
    world.now_ms += 60_000

    with pytest.raises(FeedOffError):
        await lead.ask(POOL, Detach(process=FEED, step=1))

    assert world.asked == [Detach(process=FEED, step=1, sent_at_ms=100_000)]
