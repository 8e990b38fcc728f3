"""When a warehouse's own system is asked, and which of its answers count."""

import msgspec
import pytest

from allocator.domain import kinds
from allocator.domain.feed_rules import BACK_OFF_MAX_MS, OVERDUE, POLL_GAP_MS
from allocator.domain.feeds import (
    POLL_MAX_MS,
    RUN_MAX_MS,
    BeginRun,
    DeleteFeed,
    EndFeed,
    EndPart,
    EndPoll,
    EndRun,
    ExcludesFixed,
    Feed,
    FeedEnded,
    FeedNotOn,
    FeedPut,
    NotUnderWay,
    OlderRun,
    PartEnded,
    PartsMissing,
    Poll,
    PollBegun,
    PollEnded,
    PollNow,
    PutFeed,
    RunBegun,
    RunEnded,
    UnknownPush,
)
from allocator.domain.kinds import Command, Decision
from allocator.domain.laws_of_feeds import unlawful_of_feed
from allocator.domain.messages import StockReceived, Wake
from tests.builders import NOW_MS

POLL_MS = 60_000
PUT = PutFeed(warehouse="main", url="http://wms", poll_ms=POLL_MS, rate_per_s=2.0)


def say(feed: Feed, command: Command, *, now_ms: int = NOW_MS) -> Decision:
    """Have a feed decide, and apply what it decided."""
    decision = kinds.decide(feed, command, now_ms=max(now_ms, feed.last_at_ms))
    if isinstance(decision, tuple):
        for event in decision:
            assert not unlawful_of_feed(feed, event)
            kinds.evolve(feed, event, at_ms=max(now_ms, feed.last_at_ms))
        assert kinds.dump(kinds.load("feed", kinds.dump(feed))) == kinds.dump(feed)
    return decision


def polling() -> Feed:
    """Return a feed that has asked the WMS; that is poll 2."""
    feed = Feed()
    say(feed, PUT)
    say(feed, Wake())
    return feed


def begin(as_of: int = 10, *, poll: int = 2, through: int = 0, parts: int = 1) -> BeginRun:
    """Return what is said when the first page, or part, has come."""
    return BeginRun(poll=poll, as_of=as_of, applied_through=through, sent_through=5, parts=parts)


def end(run: int, *, complete: bool = True, failure: str | None = None) -> EndRun:
    """Return what is said at the end of a run."""
    return EndRun(run=run, complete=complete, lots=7, differences=1, failure=failure)


def running() -> Feed:
    """Return a feed that hears what the WMS says as of 10; that is run 3."""
    feed = polling()
    say(feed, begin())
    return feed


def test_a_feed_polls_as_soon_as_it_is_put_and_again_after_a_complete_run() -> None:
    feed = Feed()
    assert isinstance(say(feed, PUT), tuple)
    assert kinds.due_at(feed) == NOW_MS

    begun = say(feed, Wake())
    assert begun == (PollBegun(deadline_ms=NOW_MS + POLL_MAX_MS),)
    say(feed, begin(), now_ms=NOW_MS + 1)
    assert kinds.due_at(feed) == NOW_MS + 1 + RUN_MAX_MS
    say(feed, end(3), now_ms=NOW_MS + 2)

    assert kinds.due_at(feed) == NOW_MS + 2 + POLL_MS
    assert say(feed, Wake(), now_ms=NOW_MS + 1 + POLL_MS) == ()


def test_a_poll_leaves_in_the_life_that_began_it() -> None:
    feed = polling()

    poll = Poll(number=2, deadline_ms=NOW_MS + POLL_MAX_MS)
    assert kinds.outgoing(feed, PollBegun(deadline_ms=NOW_MS + POLL_MAX_MS)) == poll
    assert kinds.intents(feed) == ()


def test_a_poll_that_nobody_answers_is_given_up_and_the_next_one_comes_later_each_time() -> None:
    feed = polling()
    waits = []
    now_ms = NOW_MS
    for _ in range(12):
        now_ms = kinds.due_at(feed) or 0
        poll = feed.poll
        assert say(feed, Wake(), now_ms=now_ms) == (PollEnded(poll=poll, failure=OVERDUE),)
        due_ms = kinds.due_at(feed) or 0
        waits.append(due_ms - now_ms)
        say(feed, Wake(), now_ms=due_ms)

    assert waits[:3] == [1000, 2000, 4000]
    assert waits[-1] == BACK_OFF_MAX_MS
    assert feed.failure == OVERDUE


def test_the_wms_is_left_alone_for_as_long_as_it_wants() -> None:
    """Row N3."""
    feed = polling()

    say(feed, EndPoll(poll=2, failure="429", retry_after_ms=90_000))

    assert kinds.due_at(feed) == NOW_MS + 90_000
    assert say(feed, PollNow(), now_ms=NOW_MS + 60_000) == ()


def test_nothing_new_is_no_failure() -> None:
    feed = polling()

    say(feed, EndPoll(poll=2))

    assert (feed.failures, kinds.due_at(feed)) == (0, NOW_MS + POLL_MS)


def test_a_poll_is_wanted_sooner_but_not_twice_at_once() -> None:
    feed = running()
    assert say(feed, PollNow()) == ()
    say(feed, end(3))

    assert say(feed, PollNow(), now_ms=NOW_MS + POLL_GAP_MS - 1) == ()
    assert isinstance(say(feed, PollNow(), now_ms=NOW_MS + POLL_GAP_MS), tuple)
    assert say(feed, PollNow(), now_ms=NOW_MS + 2 * POLL_GAP_MS) == ()


@pytest.mark.parametrize(
    ("as_of", "through", "is_heard"),
    [(9, 3, False), (10, 3, False), (11, 2, False), (11, 3, True), (12, 4, True)],
)
def test_what_is_older_than_what_was_heard_never_counts(
    as_of: int, through: int, *, is_heard: bool
) -> None:
    """Row N12."""
    feed = polling()
    say(feed, begin(10, through=3))
    say(feed, end(3))

    decision = say(feed, begin(as_of, poll=0, through=through))

    older = OlderRun(as_of=10, applied_through=3)
    assert isinstance(decision, tuple) if is_heard else decision == older


def test_a_run_that_was_not_complete_may_be_tried_again() -> None:
    feed = running()
    say(feed, end(3, complete=False, failure="no answer"))
    say(feed, Wake(), now_ms=kinds.due_at(feed) or 0)

    again = say(feed, begin(poll=5))

    assert isinstance(again, tuple)
    assert isinstance(again[0], RunBegun)


def test_what_is_older_than_a_run_that_failed_before_it_asked_pools_is_heard() -> None:
    """Nobody has heard that one."""
    feed = running()
    say(feed, end(3, complete=False, failure="no answer"))

    older = say(feed, begin(9, poll=0))

    assert isinstance(older, tuple)


@pytest.mark.parametrize(("as_of", "through"), [(9, 3), (10, 2)])
def test_what_is_older_than_a_run_that_asked_pools_is_not_heard_though_it_failed(
    as_of: int, through: int
) -> None:
    """A pool that had nothing to change keeps no trace of it."""
    feed = running()
    say(feed, end(3, complete=False, failure="a pool did not answer"))
    asked = msgspec.structs.replace(
        begin(as_of, poll=0, through=through), asked_as_of=10, asked_through=3
    )

    assert say(feed, asked) == OlderRun(as_of=10, applied_through=3)
    same = msgspec.structs.replace(asked, as_of=10, applied_through=3)
    assert isinstance(say(feed, same), tuple)


def test_nothing_older_takes_the_place_of_a_run_under_way() -> None:
    feed = running()

    assert say(feed, begin(9, poll=0)) == OlderRun(as_of=10, applied_through=0)


def test_a_push_that_was_never_sent_cannot_have_been_applied() -> None:
    """As after our own database was restored to what it was before."""
    feed = polling()

    assert say(feed, begin(through=6)) == UnknownPush(applied_through=6, sent_through=5)


def test_a_newer_run_takes_the_place_of_one_under_way() -> None:
    feed = running()

    say(feed, begin(11, poll=0))

    assert say(feed, end(3)) == NotUnderWay(number=3)
    assert isinstance(say(feed, end(4)), tuple)
    assert feed.completed is not None
    assert feed.completed.as_of == 11


def test_what_another_life_asked_for_is_not_heard() -> None:
    feed = polling()

    assert say(feed, begin(poll=1)) == NotUnderWay(number=1)
    assert say(feed, EndPoll(poll=1)) == NotUnderWay(number=1)


def test_parts_come_in_any_order_and_twice() -> None:
    """Row N12: the run is complete when all of them are there."""
    feed = Feed()
    say(feed, PUT)
    say(feed, begin(poll=0, parts=2))
    second = EndPart(run=2, part=2, lots=5, differences=2)

    assert say(feed, second) == (PartEnded(run=2, part=2, lots=5, differences=2),)
    assert say(feed, begin(poll=0, parts=2)) == ()
    assert say(feed, second) == ()
    assert say(feed, end(2)) == PartsMissing(heard=1, parts=2)
    assert say(feed, EndPart(run=2, part=3, lots=0, differences=0)) == PartsMissing(
        heard=1, parts=2
    )
    say(feed, EndPart(run=2, part=1, lots=5, differences=0))
    assert say(feed, end(2)) == (RunEnded(run=2, complete=True, lots=17, differences=3),)


def test_a_run_that_takes_too_long_is_given_up() -> None:
    feed = running()

    assert say(feed, Wake(), now_ms=NOW_MS + RUN_MAX_MS) == (
        RunEnded(run=3, complete=False, lots=0, differences=0, failure=OVERDUE),
    )
    assert feed.failures == 1


def test_what_the_wms_excludes_is_fixed_and_the_rest_is_not() -> None:
    feed = running()

    assert say(feed, PUT) == ()
    changed = msgspec.structs.replace(PUT, excludes=("damaged",))
    assert say(feed, changed) == ExcludesFixed()
    faster = say(feed, msgspec.structs.replace(PUT, poll_ms=1000))
    assert isinstance(faster, tuple)
    assert isinstance(faster[0], FeedPut)


def test_a_feed_that_was_deleted_may_be_put_again_when_no_pool_is_attached() -> None:
    feed = running()
    say(feed, DeleteFeed())

    assert say(feed, end(3)) == FeedNotOn(status="deleted")
    assert say(feed, PUT) == FeedNotOn(status="deleted")
    assert say(feed, PollNow()) == FeedNotOn(status="deleted")
    assert kinds.due_at(feed) is None
    assert say(feed, EndFeed()) == (FeedEnded(),)
    assert say(feed, PollNow()) == FeedNotOn(status="ended")
    say(feed, PUT)
    assert isinstance(say(feed, begin(1, poll=0)), tuple)


def test_a_feed_that_only_hears_what_is_pushed_never_polls() -> None:
    feed = Feed()
    say(feed, msgspec.structs.replace(PUT, poll_ms=0))
    say(feed, begin(poll=0))
    say(feed, end(2))

    assert kinds.due_at(feed) is None


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (FeedEnded(), "was not deleted"),
        (PollEnded(poll=2), "not under way"),
        (RunBegun(poll=9, as_of=11, applied_through=0, deadline_ms=1), "not under way"),
        (RunBegun(as_of=9, applied_through=0, deadline_ms=1), "comes after"),
        (RunEnded(run=2, complete=True, lots=0, differences=0), "not under way"),
        (StockReceived(quantity=1), "does not happen to a feed"),
    ],
)
def test_the_law_knows_what_cannot_happen_to_a_feed(event: kinds.Event, why: str) -> None:
    assert why in unlawful_of_feed(running(), event)


def test_nothing_happens_to_a_feed_that_nobody_put() -> None:
    assert "not put" in unlawful_of_feed(Feed(), PollBegun(deadline_ms=1))
