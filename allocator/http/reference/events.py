"""The operation for those who want to be told what happens, as it happens."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.ids import IdSeal
from allocator.domain.interests import Site
from allocator.domain.messages import OrderPlaced
from allocator.domain.occurrences import TOLD_KINDS, Occurrence
from allocator.domain.positions import Position
from allocator.domain.records import Record
from allocator.http.events import EVENT_STREAM, LAST_EVENT_ID, encoded
from allocator.http.reference.operation import (
    OF_PRODUCT,
    OF_WAREHOUSE,
    READING,
    Answer,
    Operation,
    Parameter,
)
from allocator.http.shapes import Code

_PLACED_AT_MS: Final = 1_772_442_341_000
_PLACED: Final = OrderPlaced(quantity=2, picks=((1, 2),), customer="c-42")

EXAMPLE: Final = Occurrence(
    Position(1, 7482, 27136, 2),
    Site("main", "tea-01"),
    Record(
        actor_id=27136,
        seq=2,
        at_ms=_PLACED_AT_MS,
        kind=KINDS[OrderPlaced],
        version=VERSIONS[KINDS[OrderPlaced]],
        body=encode_event(_PLACED).decode(),
        digest=b"",
        idempotency_key="order-7781",
    ),
)
_SENT: Final = encoded(EXAMPLE, IdSeal(bytes(32))).decode()

EVENT_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/events",
        name="listen",
        tag="Journal",
        role="any",
        summary="Be told what happens, as it happens",
        meaning="Server-sent events, which browsers read with `EventSource` and people with "
        "`curl -N`. All that happens to stock, orders, tickets and moves, and to warehouses, "
        "locations and products themselves, in the order of the commits, usually within a tenth "
        "of a second. `event` is the kind, `data` what `/journal` shows, and where. A move is "
        "told where it happens, at both places, and as such, at neither; asked for a product, "
        "that it was requested.\n\n"
        f"Begins with what happens from now on, or goes on behind the id in `{LAST_EVENT_ID}`, "
        "which browsers send by themselves when they come back; `after` is the same for whoever "
        "cannot set a header, and gives way to it. Nothing is left out and nothing told twice, "
        "across restarts of the server. Every 15 seconds in which nothing of interest happens "
        "there is a comment, and an id to go on from. A client that takes nothing for 10 seconds "
        "is disconnected. When the server stops the answer ends: come back with the last id.",
        query=(
            msgspec.structs.replace(OF_PRODUCT, shape=Code),
            msgspec.structs.replace(OF_WAREHOUSE, shape=Code),
            Parameter(
                name="kind",
                shape=Annotated[
                    str, Meta(pattern=rf"^({'|'.join(TOLD_KINDS)})(,({'|'.join(TOLD_KINDS)}))*\Z")
                ],
                meaning="only events of this kind, or of these, with commas between",
            ),
            Parameter(
                name="after",
                shape=Annotated[str, Meta(pattern=r"^\d{1,9}\.\d{1,19}\.\d{1,18}\.\d{1,18}\Z")],
                meaning="go on behind this id; `0.0.0.0` begins with the oldest event that has not "
                "been pruned",
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="Events, until either side leaves",
                shape=str,
                media_type=EVENT_STREAM,
                example=f"retry: 1000\nid: 1.7480.512.1\n\n{_SENT}",
            ),
        ),
        problems=("invalid-request", "overloaded", *READING),
    ),
)
