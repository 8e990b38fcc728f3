"""What a warehouse system (WMS) tells by itself, and what it is answered."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from allocator.feeding.told import EVENTS_MAX, PARTS_MAX
from allocator.http.shapes import Body, Code, Reference, Text, Time
from allocator.wms.shapes import NUMBER_MAX, UNITS_MAX

EventId = Annotated[Text, Meta(description="the WMS's own; batch and `as_of` tell events apart")]
BatchCode = Annotated[
    Text, Meta(description="what the batch is called; null for units that are in none")
]
Orderable = Annotated[
    int,
    Meta(
        ge=-UNITS_MAX,
        le=UNITS_MAX,
        description="how many units can be ordered there, in full; below zero if more were "
        "promised than are there",
    ),
]
AsOf = Annotated[int, Meta(ge=0, le=NUMBER_MAX, description="the WMS's own count; larger is later")]
Through = Annotated[
    int,
    Meta(
        ge=0,
        le=NUMBER_MAX,
        description="all pushes up to this number are in the figures, and none after it",
    ),
]
Delta = Annotated[
    int, Meta(ge=-UNITS_MAX, le=UNITS_MAX, description="by how much it has changed; a note")
]
Expires = Annotated[Time, Meta(description="when the batch expires")]
Received = Annotated[Time, Meta(description="when the batch came")]


class ItemBody(Body, frozen=True, kw_only=True):
    """What can be ordered of a batch."""

    sku: Code
    batch: BatchCode | None = None
    orderable: Orderable
    expires_at: Expires | None = None
    received_at: Received | None = None


class EventBody(ItemBody, frozen=True, kw_only=True):
    """What can be ordered of a batch, since something happened to it."""

    id: EventId
    type: Annotated[
        Literal["receipt", "adjustment", "orderable"],
        Meta(description="what happened: units came, were counted anew, or were promised"),
    ]
    as_of: AsOf
    applied_through: Through
    delta: Delta | None = None
    reference: Reference | None = None

    @property
    def brings_units(self) -> bool:
        """Whether units may have arrived, so that a poll would tell more."""
        return self.type == "receipt" or (self.type == "adjustment" and (self.delta or 0) >= 0)


class PostEvents(Body, frozen=True, kw_only=True):
    """Events, in any order."""

    events: Annotated[tuple[EventBody, ...], Meta(min_length=1, max_length=EVENTS_MAX)]


class PostSnapshot(Body, frozen=True, kw_only=True):
    """Everything that can be ordered as of a moment, or a part of that."""

    as_of: AsOf
    applied_through: Through
    part: Annotated[int, Meta(ge=1, le=PARTS_MAX, description="which part this is")] = 1
    parts: Annotated[int, Meta(ge=1, le=PARTS_MAX, description="of how many")] = 1
    items: Annotated[
        tuple[ItemBody, ...],
        Meta(max_length=EVENTS_MAX, description="no batch twice, in other parts neither"),
    ]


Batches = Annotated[int, Meta(ge=0)]


class TakenEvents(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what was told; it is durable."""

    taken: Annotated[Batches, Meta(description="batches of which it is news")]
    duplicates: Annotated[Batches, Meta(description="of which something was told as of then")]
    older: Annotated[Batches, Meta(description="of which something newer was told")]
    unknown: Annotated[
        tuple[str, ...],
        Meta(description="skus of which there is no product here; nothing was kept of them"),
    ]


class TakenPart(TakenEvents, frozen=True, kw_only=True):
    """What became of a part of a snapshot."""

    missing: Annotated[
        tuple[int, ...],
        Meta(description="parts of the newest snapshot that have yet to come, the first hundred"),
    ]
