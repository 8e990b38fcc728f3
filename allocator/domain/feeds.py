"""A feed: what a warehouse's own system (WMS) says of its stock, and how that is asked for.

A **poll** asks the WMS for everything that it has. Once its first page is there, it is a **run**:
all pages, as of one moment of the WMS's own counting. Snapshots that the WMS pushes are runs, too,
perhaps in parts. Only a run of which everything was heard is *complete*, and only such a one says
anything about what it does not name.

A poll is no intent: it leaves in the life that decided it, and reads only, so that one which a
crash has cut off is given up, and the next one does its work.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.values import Message

POLL_MAX_MS: Final = 120_000
"""For how long the first page of a poll is waited for."""

RUN_MAX_MS: Final = 900_000
"""For how long a run may take; one that takes longer is not complete."""

PARTS_MAX: Final = 10_000
"""Of one run."""

Source: TypeAlias = Literal["polled", "pushed"]


# Commands


class PutFeed(Message, frozen=True, tag=True, kw_only=True):
    """Have a warehouse be fed, or fed differently; begins the actor, if it is new.

    Attributes:
        url: Of the WMS.
        poll_ms: Between two polls; 0 for none: the WMS pushes.
        rate_per_s: Requests to the WMS, at most.
        burst: Of them, so many at once.
        excludes: The states whose units the WMS does not call orderable; fixed while it is fed.
    """

    warehouse: str
    url: str
    poll_ms: int
    rate_per_s: float
    burst: int = 1
    excludes: tuple[str, ...] = ()


class DeleteFeed(Message, frozen=True, tag=True):
    """Feed the warehouse no longer; its pools are to be detached, then it has ended."""


class EndFeed(Message, frozen=True, tag=True):
    """Every pool of a deleted feed is detached."""


class PollNow(Message, frozen=True, tag=True):
    """Poll sooner than planned: something was heard of which only a run can be believed."""


class EndPoll(Message, frozen=True, tag=True, kw_only=True):
    """A poll came to nothing: it failed, or there was nothing new.

    Attributes:
        failure: Why, in a few words; None if there was nothing new.
        retry_after_ms: How long the WMS wants to be left alone.
    """

    poll: int
    failure: str | None = None
    retry_after_ms: int = 0


class BeginRun(Message, frozen=True, tag=True, kw_only=True):
    """The WMS's stock as of a moment is about to be reconciled.

    Attributes:
        poll: Of which it is; 0 if the WMS pushed it.
        as_of: A number of the WMS's that ascends.
        applied_through: The last of our pushes that the WMS has applied in what it says.
        sent_through: The last one that was ever sent.
        parts: Of how many it consists; 1 for one that was polled.
        asked_as_of: As of when the last run was that asked pools, though it may have failed.
        asked_through: What that had applied.
    """

    poll: int = 0
    as_of: int
    applied_through: int
    sent_through: int
    parts: int = 1
    asked_as_of: int = 0
    asked_through: int = 0


class EndPart(Message, frozen=True, tag=True, kw_only=True):
    """Everything that a part of a run names is reconciled; `part` is counted from 1."""

    run: int
    part: int
    lots: int
    differences: int


class EndRun(Message, frozen=True, tag=True, kw_only=True):
    """A run has come to its end.

    Attributes:
        complete: Whether everything was heard, and what it does not name is reconciled as well.
        lots: That were stated, in those parts that did not say so.
        differences: That were found, likewise.
        shortfall: Promised units that are missing in the whole warehouse.
        failure: Why it is not complete.
        retry_after_ms: How long the WMS wants to be left alone.
    """

    run: int
    complete: bool
    lots: int
    differences: int
    shortfall: int = 0
    failure: str | None = None
    retry_after_ms: int = 0


# Events


class FeedPut(Message, frozen=True, kw_only=True):
    """The warehouse is fed like this from now on."""

    warehouse: str
    url: str
    poll_ms: int
    rate_per_s: float
    burst: int
    excludes: tuple[str, ...]


class FeedDeleted(Message, frozen=True):
    """The warehouse is to be fed no longer."""


class FeedEnded(Message, frozen=True):
    """No pool of the warehouse is fed any more."""


class PollBegun(Message, frozen=True, kw_only=True):
    """The WMS is asked for everything that it has; this is poll `seq` of this event."""

    deadline_ms: int


class PollEnded(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A poll came to nothing."""

    poll: int
    failure: str | None = None
    retry_after_ms: int = 0


class RunBegun(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What the WMS says is being reconciled; this is run `seq` of this event."""

    poll: int = 0
    as_of: int
    applied_through: int
    parts: int = 1
    deadline_ms: int


class PartEnded(Message, frozen=True, kw_only=True):
    """Everything that a part of a run names is reconciled."""

    run: int
    part: int
    lots: int
    differences: int


class RunEnded(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A run has come to its end; its numbers are of all its parts."""

    run: int
    complete: bool
    lots: int
    differences: int
    shortfall: int = 0
    failure: str | None = None
    retry_after_ms: int = 0


FeedEvent: TypeAlias = (
    FeedPut | FeedDeleted | FeedEnded | PollBegun | PollEnded | RunBegun | PartEnded | RunEnded
)


# Refusals


class FeedNotOn(Message, frozen=True, tag=True, kw_only=True):
    """There is no feed, or it was deleted: its status is this."""

    status: str


class ExcludesFixed(Message, frozen=True, tag=True):
    """What the WMS excludes cannot change while it is fed from: delete the feed first."""


class OlderRun(Message, frozen=True, tag=True, kw_only=True):
    """What the WMS says is no newer than what was heard: as of then, applied through that."""

    as_of: int
    applied_through: int


class UnknownPush(Message, frozen=True, tag=True, kw_only=True):
    """The WMS says that it has applied a push that was never sent."""

    applied_through: int
    sent_through: int


class NotUnderWay(Message, frozen=True, tag=True, kw_only=True):
    """The poll or run is over, or a newer one has taken its place."""

    number: int


class PartsMissing(Message, frozen=True, tag=True, kw_only=True):
    """The run cannot be complete: parts of it were not heard."""

    heard: int
    parts: int


FeedRefusal: TypeAlias = (
    FeedNotOn | ExcludesFixed | OlderRun | UnknownPush | NotUnderWay | PartsMissing
)

FeedStatus: TypeAlias = Literal["on", "deleted", "ended"]


class Poll(Message, frozen=True, kw_only=True):
    """What leaves for the WMS: ask for everything, as poll `number`."""

    number: int
    deadline_ms: int


class Run(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the WMS says, as of a moment, and what came of it so far.

    Attributes:
        number: The seq of the row that began it.
        heard: The parts that are reconciled, ascending.
        ended_at_ms: 0 while it is under way.
    """

    number: int
    poll: int
    as_of: int
    applied_through: int
    parts: int
    deadline_ms: int
    heard: tuple[int, ...] = ()
    lots: int = 0
    differences: int = 0
    shortfall: int = 0
    complete: bool = False
    ended_at_ms: int = 0


class Feed(msgspec.Struct, kw_only=True, array_like=True):
    """The state of a feed.

    Attributes:
        version: The seq of the last event, 0 when there is none.
        last_at_ms: The time of the last event, milliseconds of Unix time.
        status: None before anything is put.
        settings: The last ones.
        poll: The one under way, of which nothing is heard yet; 0 if there is none.
        deadline_ms: When that is given up.
        polled_at_ms: When the last one was begun.
        next_poll_ms: When the next one is due; 0 for never.
        failures: Polls and polled runs that failed since the last complete run.
        failure: Why the last of them did.
        run: The last one, under way or not.
        completed: The last one that was complete.
    """

    version: int = 0
    last_at_ms: int = 0
    status: FeedStatus | None = None
    settings: FeedPut | None = None
    poll: int = 0
    deadline_ms: int = 0
    polled_at_ms: int = 0
    next_poll_ms: int = 0
    failures: int = 0
    failure: str | None = None
    run: Run | None = None
    completed: Run | None = None

    @property
    def open_run(self) -> Run | None:
        """The run that is under way."""
        return None if self.run is None or self.run.ended_at_ms else self.run
