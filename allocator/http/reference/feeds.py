"""The operations under /wms/feeds."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, Literal

from allocator.http.feed_shapes import (
    PutFeedBody,
    ShownDifference,
    ShownDryRun,
    ShownFeed,
    ShownPushes,
    ShownReconciliation,
    ShownRun,
)
from allocator.http.reference.examples import STOCK_ID
from allocator.http.reference.operation import (
    ASKING,
    DECODING,
    OF_PRODUCT,
    PAGE,
    READING,
    Answer,
    Body,
    Operation,
    Parameter,
)
from allocator.http.shapes import Listing

_OK: Final = HTTPStatus.OK
_AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_URL: Final = "https://shop.example/wms"

_RUN: Final = ShownRun(
    number=12,
    as_of=8104,
    applied_through=31,
    ended_at=_AT,
    complete=True,
    lots=2400,
    differences=1,
    shortfall=0,
)
_SHOWN: Final = ShownFeed(
    warehouse="main",
    url=_URL,
    poll_s=60.0,
    rate_per_s=2.0,
    burst=5,
    excludes=(),
    status="on",
    next_poll_at=_AT,
    failures=0,
    last_error=None,
    run=_RUN,
    completed=_RUN,
    pushes=ShownPushes(numbered=33, acknowledged=33, applied=31, waiting_since=None),
    shortfall=0,
)
_FOUND: Final = ShownReconciliation(
    id=STOCK_ID,
    at=_AT,
    product="tea-01",
    batch="L7",
    as_of=8104,
    orderable=1,
    applied=3,
    counted=15,
    change=-10,
    available=0,
    shortfall=1,
    explanation="the WMS says 1 orderable and has applied 3 of ours, 4 together; we counted 15: "
    "10 fewer are available, and 1 unit that is promised or set aside is missing",
)
_WOULD: Final = ShownDryRun(
    failure=None,
    as_of=8104,
    applied_through=31,
    batches=2400,
    products=1800,
    differences=1,
    more=0,
    fewer=10,
    shortfall=1,
    unknown=(),
    items=[
        ShownDifference(
            product=_FOUND.product,
            batch=_FOUND.batch,
            orderable=_FOUND.orderable,
            applied=_FOUND.applied,
            counted=_FOUND.counted,
            change=_FOUND.change,
            available=_FOUND.available,
            shortfall=_FOUND.shortfall,
            explanation=_FOUND.explanation,
        )
    ],
)
_BODILESS: Final = (
    "malformed-body",
    "content-too-large",
    "not-found",
    "invalid-request",
    *ASKING,
)

FEED_OPERATIONS: Final = (
    Operation(
        method="PUT",
        path="/wms/feeds/{warehouse}",
        name="put_feed",
        tag="Warehouse systems",
        role="operator",
        summary="Have a warehouse be fed by its own system (WMS)",
        meaning="From its first complete run on, what comes into the warehouse is what the WMS "
        "at `url` says, and `POST /stocks` there is refused. Orders never wait for the WMS: it is "
        "told of them afterwards, in order, at most `rate_per_s` requests a second. `excludes` are "
        "states of ours whose units it does not call orderable; they cannot change while the "
        "warehouse is fed.\n\n"
        "`url` must be of `https` and lead to a public address, or lead to the server's own "
        "machine, unless its operator chose otherwise.",
        body=Body(shape=PutFeedBody, example=PutFeedBody(url=_URL, rate_per_s=2.0, burst=5)),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="It is fed from now on",
                shape=ShownFeed,
                example=_SHOWN,
            ),
            Answer(status=_OK, meaning="It was fed, and is so now", shape=ShownFeed),
        ),
        problems=("not-found", "conflict", *DECODING, *ASKING),
    ),
    Operation(
        method="GET",
        path="/wms/feeds",
        name="list_feeds",
        tag="Warehouse systems",
        role="operator",
        summary="List feeds",
        meaning="By warehouse, each with how it goes; those that have ended, too.",
        query=PAGE,
        answers=(
            Answer(
                status=_OK,
                meaning="A page of feeds",
                shape=Listing[ShownFeed],
                example=Listing(items=[_SHOWN], next_cursor=None),
            ),
        ),
        problems=("invalid-request", *ASKING),
    ),
    Operation(
        method="GET",
        path="/wms/feeds/{warehouse}",
        name="get_feed",
        tag="Warehouse systems",
        role="operator",
        summary="Read how a warehouse is fed",
        meaning="What was heard last, how far the WMS has been told, and what is missing.",
        answers=(Answer(status=_OK, meaning="The feed", shape=ShownFeed, example=_SHOWN),),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="GET",
        path="/wms/feeds/{warehouse}/reconciliations",
        name="list_reconciliations",
        tag="Warehouse systems",
        role="any",
        summary="List what was found different",
        meaning="The newest first, from the journal, as far back as that is kept: never stale. "
        "Each has both sides' numbers, what came of it, and a sentence that says so. Where both "
        "agree there is nothing to list.",
        query=(OF_PRODUCT, *PAGE),
        answers=(
            Answer(
                status=_OK,
                meaning="A page of reconciliations",
                shape=Listing[ShownReconciliation],
                example=Listing(items=[_FOUND], next_cursor=None),
            ),
        ),
        problems=("not-found", "invalid-request", *READING),
    ),
    Operation(
        method="POST",
        path="/wms/feeds/{warehouse}/poll",
        name="poll_feed",
        tag="Warehouse systems",
        role="operator",
        summary="Ask a WMS sooner than planned",
        meaning="Once a second at most, and not while it fails: then it is asked again with "
        "growing pauses, anyway. A feed that was deleted is not polled: 409. The request has no "
        "body.\n\n"
        "With `dry_run=true` it is asked at once, as its limit allows, and the answer says what "
        "would change, while nothing does. If that takes longer than 50 seconds, 503: a repeat "
        "waits for the same answer.",
        query=(
            Parameter(
                name="dry_run",
                shape=Literal["true", "false"],
                meaning="only say what would change",
            ),
        ),
        answers=(
            Answer(status=HTTPStatus.ACCEPTED, meaning="It is, or will be, asked", shape=ShownFeed),
            Answer(
                status=_OK,
                meaning="What would change, with `dry_run=true`",
                shape=ShownDryRun,
                example=_WOULD,
            ),
        ),
        problems=("conflict", *_BODILESS),
    ),
    Operation(
        method="DELETE",
        path="/wms/feeds/{warehouse}",
        name="delete_feed",
        tag="Warehouse systems",
        role="operator",
        summary="Feed a warehouse no longer",
        meaning="Its numbers stay as they are, and stock can be received again. It has ended some "
        "seconds later, when nothing that was asked can still happen. The request has no body.",
        answers=(Answer(status=HTTPStatus.ACCEPTED, meaning="It will end", shape=ShownFeed),),
        problems=_BODILESS,
    ),
)
