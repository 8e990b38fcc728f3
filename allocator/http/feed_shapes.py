"""What requests and answers about feeds look like."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from allocator.domain.feeds import Feed, Run
from allocator.feeding.ports import Standing
from allocator.http import patterns
from allocator.http.shapes import Body, Code, Sealed, Sku, Time, Units, time_of
from allocator.http.webhook_shapes import Url

POLL_MAX_S = 86_400
RATE_MAX = 10_000
BURST_MAX = 10_000
STATES_MAX = 32

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[
    float,
    Meta(ge=0, le=POLL_MAX_S, description="seconds between two polls; 0: it is not polled"),
]
Rate = Annotated[
    float, Meta(gt=0, le=RATE_MAX, description="requests to the WMS a second, at most")
]
Burst = Annotated[
    int, Meta(ge=1, le=BURST_MAX, description="of them, so many at once after a quiet time")
]
State = Annotated[str, Meta(pattern=patterns.STATE, examples=["expired"])]
States = Annotated[
    tuple[State, ...],
    Meta(max_length=STATES_MAX, description="states whose units the WMS does not call orderable"),
]


class PutFeedBody(Body, frozen=True, kw_only=True):
    """How a warehouse is to be fed."""

    url: Url
    poll_s: Seconds = 60.0
    rate_per_s: Rate = 1.0
    burst: Burst = 1
    excludes: States = ()


class ShownRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the WMS said, as of a moment of its own counting, and what came of it."""

    number: Count
    as_of: Annotated[int, Meta(description="the WMS's own count; larger is later")]
    applied_through: Annotated[Count, Meta(description="the last push that is in its figures")]
    ended_at: Time | None
    complete: Annotated[bool, Meta(description="whether everything was heard")]
    lots: Annotated[Count, Meta(description="batches that were named")]
    differences: Annotated[Count, Meta(description="products of which numbers have changed")]
    shortfall: Annotated[Units, Meta(description="promised units that were missing at its end")]


class ShownPushes(msgspec.Struct, frozen=True, kw_only=True):
    """How far the WMS has been told."""

    numbered: Annotated[Count, Meta(description="the last push that there is")]
    acknowledged: Annotated[Count, Meta(description="the WMS has everything up to this one")]
    applied: Annotated[Count, Meta(description="up to this one it is in the WMS's figures")]
    waiting_since: Annotated[Time, Meta(description="since when the next one waits")] | None


class ShownFeed(msgspec.Struct, frozen=True, kw_only=True):
    """How a warehouse is fed, and how that goes."""

    warehouse: Code
    url: Url
    poll_s: Seconds
    rate_per_s: Rate
    burst: Burst
    excludes: States
    status: Annotated[
        Literal["on", "deleted", "ended"],
        Meta(description="`deleted`: about to end, as soon as nothing can be under way"),
    ]
    next_poll_at: Time | None
    failures: Annotated[Count, Meta(description="polls in vain since the last complete run")]
    last_error: (
        Annotated[
            str,
            Meta(description="why the last of them was; or what keeps a deleted feed from ending"),
        ]
        | None
    )
    run: ShownRun | None
    completed: Annotated[ShownRun, Meta(description="the last run that was complete")] | None
    pushes: ShownPushes
    shortfall: Annotated[Units, Meta(description="promised units that are missing")]


class ShownDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of which the WMS has another count than we, and what comes of that."""

    product: Sku
    batch: Annotated[str, Meta(description="null: the units that are in none")] | None
    orderable: Annotated[int, Meta(description="what can be ordered there, as the WMS says")]
    applied: Annotated[int, Meta(description="what it has taken off for us by then")]
    counted: Annotated[
        int,
        Meta(
            description="what we had counted: `orderable` and `applied` together, had they agreed"
        ),
    ]
    change: Annotated[int, Meta(description="units that became available, or vanished if negative")]
    available: Annotated[Units, Meta(description="of the batch, after that")]
    shortfall: Annotated[Units, Meta(description="of the batch: promised and not there")]
    explanation: Annotated[str, Meta(description="all this in a sentence")]


class ShownReconciliation(ShownDifference, frozen=True, kw_only=True):
    """A batch of which the WMS had another count than we, and what came of that."""

    as_of: Annotated[int, Meta(description="of the run or the event in which the WMS said so")]
    id: Sealed
    at: Time


class ShownDryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would change now; nothing has."""

    failure: Annotated[str, Meta(description="why that is not known; then nothing else is")] | None
    as_of: Annotated[int, Meta(description="the WMS's own count")]
    applied_through: Annotated[Count, Meta(description="the last push that is in its figures")]
    batches: Annotated[Count, Meta(description="that the WMS names")]
    products: Annotated[Count, Meta(description="that were compared")]
    differences: Annotated[Count, Meta(description="batches of which numbers would change")]
    more: Annotated[Count, Meta(description="units that would become available")]
    fewer: Annotated[Count, Meta(description="units that would be available no longer")]
    shortfall: Annotated[
        Count, Meta(description="units that would be missing of the batches that differ")
    ]
    unknown: Annotated[
        tuple[str, ...], Meta(description="skus of which there is no product, the first thousand")
    ]
    items: Annotated[list[ShownDifference], Meta(description="the first thousand differences")]


def feed_shape(standing: Standing, feed: Feed) -> ShownFeed:
    """Show a feed, which was put some time."""
    settings = feed.settings
    assert settings is not None, "it was put"
    assert feed.status is not None, "likewise"
    return ShownFeed(
        warehouse=standing.warehouse,
        url=settings.url,
        poll_s=settings.poll_ms / 1000,
        rate_per_s=settings.rate_per_s,
        burst=settings.burst,
        excludes=settings.excludes,
        status=feed.status,
        next_poll_at=_time_of(feed.next_poll_ms),
        failures=feed.failures,
        last_error=feed.failure if feed.status != "deleted" else standing.kept_by or feed.failure,
        run=_run_shape(feed.run),
        completed=_run_shape(feed.completed),
        pushes=ShownPushes(
            numbered=standing.numbered,
            acknowledged=standing.acknowledged,
            applied=standing.applied,
            waiting_since=_time_of(standing.waiting_since_ms),
        ),
        shortfall=0 if feed.status == "ended" else standing.shortfall,
    )


def _run_shape(run: Run | None) -> ShownRun | None:
    if run is None:
        return None
    return ShownRun(
        number=run.number,
        as_of=run.as_of,
        applied_through=run.applied_through,
        ended_at=_time_of(run.ended_at_ms),
        complete=run.complete,
        lots=run.lots,
        differences=run.differences,
        shortfall=run.shortfall,
    )


def _time_of(at_ms: int | None) -> Time | None:
    return time_of(at_ms) if at_ms else None
