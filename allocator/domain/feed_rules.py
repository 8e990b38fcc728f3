"""The rules of a feed: when the WMS is asked, which of its answers count, and what is complete.

What is older than what was heard never counts: than a complete run, than one that has asked pools,
though it failed, or than one that is under way. Of what is as old, only a part of the same run, or
another attempt at one that was not complete.
"""

from typing import Final, TypeAlias, assert_never

from msgspec.structs import replace

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
    FeedDeleted,
    FeedEnded,
    FeedEvent,
    FeedNotOn,
    FeedPut,
    FeedRefusal,
    NotUnderWay,
    OlderRun,
    PartEnded,
    PartsMissing,
    Poll,
    PollBegun,
    PollEnded,
    PollNow,
    PutFeed,
    Run,
    RunBegun,
    RunEnded,
    UnknownPush,
)
from allocator.domain.messages import Wake

Command: TypeAlias = (
    PutFeed | DeleteFeed | EndFeed | PollNow | EndPoll | BeginRun | EndPart | EndRun | Wake
)
Decision: TypeAlias = tuple[FeedEvent, ...] | FeedRefusal

POLL_GAP_MS: Final = 1000
"""Between two polls, whoever wants them."""

BACK_OFF_MS: Final = 1000
BACK_OFF_MAX_MS: Final = 300_000
"""Between polls that fail; each time twice as long as before."""

_DOUBLINGS_MAX: Final = 16  # more than it takes to get there

OVERDUE: Final = "it took too long"


def decide(feed: Feed, command: Command, *, now_ms: int) -> Decision:
    """Say what `command` would do to `feed`, changing nothing.

    Returns:
        The events to journal; none for what is so already. Or a refusal: that the feed is not on
        comes first.
    """
    match command:
        case PutFeed():
            return _put(feed, command)
        case DeleteFeed() | EndFeed():
            return _end(feed, command)
        case Wake():
            return _poll(feed, command, now_ms=now_ms) if feed.status == "on" else ()
        case PollNow() | EndPoll() | BeginRun() | EndPart() | EndRun():
            if feed.status != "on":
                return FeedNotOn(status=feed.status or "")
            return _hear(feed, command, now_ms=now_ms)
        case _:
            assert_never(command)


def evolve(feed: Feed, event: FeedEvent, *, at_ms: int) -> None:
    """Apply the next fact; total and deterministic."""
    feed.version += 1
    feed.last_at_ms = at_ms
    match event:
        case FeedPut():
            _begin(feed, event, at_ms=at_ms)
        case FeedDeleted():
            feed.status, feed.poll, feed.next_poll_ms = "deleted", 0, 0
            _close(feed, at_ms=at_ms)
        case FeedEnded():
            feed.status = "ended"
        case PollBegun(deadline_ms=deadline_ms):
            feed.poll, feed.deadline_ms, feed.polled_at_ms = feed.version, deadline_ms, at_ms
        case PollEnded(failure=failure):
            feed.poll = 0
            _plan(feed, failure, retry_after_ms=event.retry_after_ms, at_ms=at_ms)
        case RunBegun():
            _evolve_begun(feed, event, at_ms=at_ms)
        case PartEnded() | RunEnded():
            _evolve_run(feed, event, at_ms=at_ms)
        case _:
            assert_never(event)


def due_at(feed: Feed) -> int | None:
    """Return from when on a `Wake` changes something, milliseconds of Unix time, or None."""
    if feed.status != "on":
        return None
    run = feed.open_run
    times = [] if run is None else [run.deadline_ms]
    if feed.poll:
        times.append(feed.deadline_ms)
    elif feed.next_poll_ms and not (run and run.poll):
        times.append(feed.next_poll_ms)
    return min(times, default=None)


def outgoing(feed: Feed, event: PollBegun) -> Poll:
    """Return what the WMS is asked because of an event that was just decided."""
    return Poll(number=feed.version, deadline_ms=event.deadline_ms)


def _put(feed: Feed, command: PutFeed) -> Decision:
    put = FeedPut(
        warehouse=command.warehouse,
        url=command.url,
        poll_ms=command.poll_ms,
        rate_per_s=float(command.rate_per_s),  # an integer would be another state when replayed
        burst=command.burst,
        excludes=tuple(sorted(set(command.excludes))),
    )
    if feed.status == "deleted":
        return FeedNotOn(status="deleted")
    if feed.status == "on" and feed.settings is not None:
        if put == feed.settings:
            return ()
        if put.excludes != feed.settings.excludes:
            return ExcludesFixed()
    return (put,)


def _end(feed: Feed, command: DeleteFeed | EndFeed) -> Decision:
    if feed.status is None:
        return FeedNotOn(status="")
    if isinstance(command, DeleteFeed):
        return (FeedDeleted(),) if feed.status == "on" else ()
    if feed.status == "on":
        return FeedNotOn(status="on")
    return (FeedEnded(),) if feed.status == "deleted" else ()


def _poll(feed: Feed, command: Wake | PollNow, *, now_ms: int) -> tuple[FeedEvent, ...]:
    """Say what is due: to give a run or a poll up, or to begin one."""
    run = feed.open_run
    if run is not None and run.deadline_ms <= now_ms:
        overdue = EndRun(run=run.number, complete=False, lots=0, differences=0, failure=OVERDUE)
        return (_ended(run, overdue),)
    if feed.poll:
        is_late = feed.deadline_ms <= now_ms
        return (PollEnded(poll=feed.poll, failure=OVERDUE),) if is_late else ()
    if run is not None and run.poll:
        return ()
    if isinstance(command, PollNow):
        is_due = not feed.failures and feed.polled_at_ms + POLL_GAP_MS <= now_ms
    else:
        is_due = 0 < feed.next_poll_ms <= now_ms
    return (PollBegun(deadline_ms=now_ms + POLL_MAX_MS),) if is_due else ()


def _hear(
    feed: Feed, command: PollNow | EndPoll | BeginRun | EndPart | EndRun, *, now_ms: int
) -> Decision:
    match command:
        case PollNow():
            return _poll(feed, command, now_ms=now_ms)
        case EndPoll(poll=poll):
            if poll != feed.poll:
                return NotUnderWay(number=poll)
            failure, retry_after_ms = command.failure, command.retry_after_ms
            return (PollEnded(poll=poll, failure=failure, retry_after_ms=retry_after_ms),)
        case BeginRun():
            return _begin_run(feed, command, now_ms=now_ms)
        case EndPart() | EndRun():
            run = feed.open_run
            if run is None or run.number != command.run:
                return NotUnderWay(number=command.run)
            return _go_on(run, command)
        case _:
            assert_never(command)


def _begin_run(feed: Feed, command: BeginRun, *, now_ms: int) -> Decision:
    if command.poll and command.poll != feed.poll:
        return NotUnderWay(number=command.poll)
    if command.applied_through > command.sent_through:
        return UnknownPush(
            applied_through=command.applied_through, sent_through=command.sent_through
        )
    older = _older(feed, command)
    if older is not None:
        return older
    if feed.open_run is not None and _is_part_of(feed.open_run, command):
        return ()
    return (
        RunBegun(
            poll=command.poll,
            as_of=command.as_of,
            applied_through=command.applied_through,
            parts=command.parts,
            deadline_ms=now_ms + RUN_MAX_MS,
        ),
    )


def _older(feed: Feed, command: BeginRun) -> OlderRun | None:
    """Return what was heard that is newer, or as new and complete, if anything was."""
    heard = [each for each in (feed.completed, feed.open_run) if each is not None]
    as_of = max([command.asked_as_of, *(each.as_of for each in heard)])
    through = max([command.asked_through, *(each.applied_through for each in heard)])
    completed = feed.completed
    is_same = completed is not None and command.as_of == completed.as_of
    is_older = command.as_of < as_of or command.applied_through < through
    return OlderRun(as_of=as_of, applied_through=through) if is_older or is_same else None


def _is_part_of(run: Run, command: BeginRun) -> bool:
    return (run.poll, run.as_of, run.applied_through, run.parts) == (
        command.poll,
        command.as_of,
        command.applied_through,
        command.parts,
    )


def _go_on(run: Run, command: EndPart | EndRun) -> Decision:
    if isinstance(command, EndRun):
        missing = command.complete and run.parts > max(len(run.heard), 1)
        if missing:
            return PartsMissing(heard=len(run.heard), parts=run.parts)
        return (_ended(run, command),)
    part = command.part
    if part in run.heard:
        return ()
    if not 1 <= part <= run.parts:
        return PartsMissing(heard=len(run.heard), parts=run.parts)
    lots, differences = command.lots, command.differences
    return (PartEnded(run=run.number, part=part, lots=lots, differences=differences),)


def _ended(run: Run, command: EndRun) -> RunEnded:
    return RunEnded(
        run=run.number,
        complete=command.complete,
        lots=run.lots + command.lots,
        differences=run.differences + command.differences,
        shortfall=command.shortfall,
        failure=command.failure,
        retry_after_ms=command.retry_after_ms,
    )


def _begin(feed: Feed, event: FeedPut, *, at_ms: int) -> None:
    """Be fed like this; by a WMS of which nothing was heard, unless it is the one it was."""
    if feed.status != "on":
        feed.run = feed.completed = None
    feed.status, feed.settings = "on", event
    feed.failures, feed.failure = 0, None
    feed.next_poll_ms = at_ms if event.poll_ms else 0


def _evolve_begun(feed: Feed, event: RunBegun, *, at_ms: int) -> None:
    _close(feed, at_ms=at_ms)
    if event.poll:
        feed.poll = 0
    feed.run = Run(
        number=feed.version,
        poll=event.poll,
        as_of=event.as_of,
        applied_through=event.applied_through,
        parts=event.parts,
        deadline_ms=event.deadline_ms,
    )


def _evolve_run(feed: Feed, event: PartEnded | RunEnded, *, at_ms: int) -> None:
    run = feed.run
    assert run is not None, "it was begun"
    if isinstance(event, PartEnded):
        feed.run = replace(
            run,
            heard=tuple(sorted((*run.heard, event.part))),
            lots=run.lots + event.lots,
            differences=run.differences + event.differences,
        )
        return
    feed.run = replace(
        run,
        lots=event.lots,
        differences=event.differences,
        shortfall=event.shortfall,
        complete=event.complete,
        ended_at_ms=at_ms,
    )
    if event.complete:
        feed.completed = feed.run
    if event.complete or run.poll:
        failure = None if event.complete else event.failure or OVERDUE
        _plan(feed, failure, retry_after_ms=event.retry_after_ms, at_ms=at_ms)


def _close(feed: Feed, *, at_ms: int) -> None:
    """Have the run that is under way be over: something else has taken its place."""
    run = feed.open_run
    if run is not None:
        feed.run = replace(run, ended_at_ms=at_ms)
        if run.poll:
            _plan(feed, None, retry_after_ms=0, at_ms=at_ms)


def _plan(feed: Feed, failure: str | None, *, retry_after_ms: int, at_ms: int) -> None:
    """Note how a poll or a run went, and when the next poll is due."""
    feed.failure = failure
    feed.failures = feed.failures + 1 if failure is not None else 0
    settings = feed.settings
    if settings is None or not settings.poll_ms or feed.status != "on":
        return
    wait_ms = settings.poll_ms
    if failure is not None:
        doublings = min(feed.failures - 1, _DOUBLINGS_MAX)
        wait_ms = min(BACK_OFF_MS << doublings, BACK_OFF_MAX_MS)
    feed.next_poll_ms = at_ms + max(wait_ms, retry_after_ms)
