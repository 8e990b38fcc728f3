"""What the simulated warehouse system is told by tests, and says to them and to webhooks."""

from typing import Annotated, Literal

from msgspec import Meta

from allocator.wms.shapes import Batch, Body, Difference, Number, Sku, Time, Units

RECEIPTS_MAX = 100_000
EVENTS_MAX = 100

Quantity = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class ReceiptBody(Body, frozen=True, kw_only=True):
    """Units that arrive."""

    sku: Sku
    batch: Batch | None = None
    quantity: Quantity = 1
    expires_at: Time | None = None
    received_at: Time | None = None


class ReceiptsBody(Body, frozen=True, kw_only=True):
    """The body of `POST /sim/receipts`."""

    items: Annotated[tuple[ReceiptBody, ...], Meta(min_length=1, max_length=RECEIPTS_MAX)]


class DamageBody(Body, frozen=True, kw_only=True):
    """Units that become useless."""

    sku: Sku
    batch: Batch | None = None
    quantity: Quantity = 1


class DamagesBody(Body, frozen=True, kw_only=True):
    """The body of `POST /sim/damage`."""

    items: Annotated[tuple[DamageBody, ...], Meta(min_length=1, max_length=RECEIPTS_MAX)]


class OutageBody(Body, frozen=True, kw_only=True):
    """The body of `POST /sim/outage`: 0 ends one."""

    seconds: Annotated[float, Meta(ge=0, le=86_400)]


class EventBody(Body, frozen=True, kw_only=True, omit_defaults=True):
    """What a webhook tells: how much can be ordered of a batch since something happened to it."""

    id: str
    type: Literal["receipt", "adjustment", "orderable"]
    sku: Sku
    batch: Batch | None
    orderable: Difference
    as_of: Number
    applied_through: Number
    delta: Difference | None = None
    expires_at: Time | None = None
    received_at: Time | None = None


class EventsBody(Body, frozen=True, kw_only=True):
    """The body of a webhook."""

    events: tuple[EventBody, ...]


class TrueItem(Body, frozen=True, kw_only=True):
    """What is really there of a batch; see `allocator.wms.simulator_truth.Batch`."""

    sku: Sku
    batch: Batch | None
    received: Units
    damaged: Units
    aside: Difference
    allocated: Units
    shipped: Units
    orderable: Difference


class TruthBody(Body, frozen=True, kw_only=True):
    """The answer to `GET /sim/truth`; see `allocator.wms.simulator_truth.Truth`."""

    as_of: Number
    received_through: Number
    applied_through: Number
    waiting: int
    repeats: int
    gaps: int
    swaps: int
    mistakes: tuple[str, ...]
    items: tuple[TrueItem, ...]


class RequestsBody(Body, frozen=True, kw_only=True):
    """The answer to `GET /sim/requests`.

    Attributes:
        requests: All that came to the warehouse system, but not to `/sim`.
        limited: How many were over the limit: breaches.
        in_outages: How many came during an outage.
        answers_lost: How many pushes were taken without an answer.
        times_us: When the latest came, in order, microseconds of some clock.
        events: How many events webhooks have told of, repetitions included.
        events_waiting: How many they have yet to tell of.
        events_lost: How many were given up.
    """

    requests: int
    limited: int
    in_outages: int
    answers_lost: int
    times_us: tuple[int, ...]
    events: int
    events_waiting: int
    events_lost: int
