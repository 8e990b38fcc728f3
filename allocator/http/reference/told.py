"""The operations by which a warehouse system (WMS) tells something by itself."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from allocator.http.reference.operation import ASKING, DECODING, Answer, Body, Operation
from allocator.http.told_shapes import (
    EventBody,
    ItemBody,
    PostEvents,
    PostSnapshot,
    TakenEvents,
    TakenPart,
)

_RECEIPT: Final = EventBody(
    id="receipt-2-tea-01-L7",
    type="receipt",
    sku="tea-01",
    batch="L7",
    orderable=10,
    as_of=8105,
    applied_through=0,
    delta=10,
    expires_at=datetime(2027, 1, 31, tzinfo=UTC),
    received_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
)
_SNAPSHOT: Final = PostSnapshot(
    as_of=8106,
    applied_through=0,
    part=1,
    parts=2,
    items=(ItemBody(sku="tea-01", batch="L7", orderable=10),),
)
_FED: Final = ("not-found", "conflict", *DECODING, *ASKING)

TOLD_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/wms/feeds/{warehouse}/events",
        name="tell_events",
        tag="Warehouse systems",
        role="stock",
        summary="Tell of single batches",
        meaning="For the WMS: what can be ordered of batches since something happened to them, in "
        "full. Of a batch only what has the largest `as_of` counts, so that events may come twice, "
        "or in any order. They are durable when they are answered, and pools follow soon "
        "after.\n\n"
        "What is less is believed at once. What is more appears at once in the only batch of a "
        "product; else with the next run, for which the WMS is polled sooner: what is more of one "
        "batch may be less of another.",
        body=Body(shape=PostEvents, example=PostEvents(events=(_RECEIPT,))),
        answers=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                meaning="They are durable",
                shape=TakenEvents,
                example=TakenEvents(taken=1, duplicates=0, older=0, unknown=()),
            ),
        ),
        problems=_FED,
    ),
    Operation(
        method="POST",
        path="/wms/feeds/{warehouse}/snapshots",
        name="tell_snapshot",
        tag="Warehouse systems",
        role="stock",
        summary="Tell of all batches",
        meaning="For a WMS that pushes instead of being polled: everything that can be ordered as "
        "of a moment, in one part or several, which may come in any order, and twice. Once all "
        "are there, pools follow; of a batch that is in none of them, nothing can be ordered "
        "then. As long as one is missing nothing is concluded, and a newer snapshot takes its "
        "place.",
        body=Body(shape=PostSnapshot, example=_SNAPSHOT),
        answers=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                meaning="It is durable",
                shape=TakenPart,
                example=TakenPart(taken=1, duplicates=0, older=0, unknown=(), missing=(2,)),
            ),
        ),
        problems=_FED,
    ),
)
