"""What requests and responses look like: the types that decode, encode and document them."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from allocator.domain.messages import QUANTITY_MAX
from allocator.domain.rows import OrderStatus

TEXT_MAX = 200
AMOUNT_MAX = 1_000_000_000_000

Code = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,64}\Z",
        description="1 to 64 of A-Z a-z 0-9 . _ -",
        examples=["main", "tea-01"],
    ),
]
Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX, description="units")]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00]*\Z")]
Sealed = Annotated[
    str,
    Meta(
        description="an opaque id: a UUID of version 8",
        examples=["8f14e45f-ceea-867a-9a36-dedd4bea2543"],
    ),
]

T = TypeVar("T")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body; fields that it does not name are refused."""


class PutName(Body, frozen=True, kw_only=True):
    """Contents of a warehouse."""

    name: Text


class PriceBody(Body, frozen=True, kw_only=True):
    """An amount in minor units (cents) of a currency."""

    amount: Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="ISO 4217")]


class PutProduct(Body, frozen=True, kw_only=True):
    """Contents of a product."""

    name: Text
    price: PriceBody | None = None


class PostWarehouse(PutName, frozen=True, kw_only=True):
    """A new warehouse."""

    code: Code


class PostProduct(PutProduct, frozen=True, kw_only=True):
    """A new product."""

    sku: Code


class PostStock(Body, frozen=True, kw_only=True):
    """Units that arrived together."""

    product: str
    warehouse: str
    quantity: Quantity = 1
    lot: Text | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    reference: Text | None = None


class PostOrder(Body, frozen=True, kw_only=True):
    """An order of one product from one warehouse."""

    product: str
    warehouse: str
    quantity: Quantity = 1
    customer: Text | None = None


class BatchOrder(PostOrder, frozen=True, kw_only=True):
    """A line of a batch: an order, and the Idempotency-Key of that order alone."""

    key: Annotated[str, Meta(pattern=r"^[\x20-\x7e]{1,255}\Z")] | None = None


class Pick(msgspec.Struct, frozen=True, gc=False):
    """Units taken from one stock."""

    id: Sealed
    quantity: int


class OrderLine(msgspec.Struct, frozen=True, gc=False):
    """A product, and the stocks that were selected for it."""

    product: str
    warehouse: str
    quantity: int
    stocks: list[Pick]


class Order(msgspec.Struct, frozen=True, gc=False):
    """What a client asked for, and what became of it."""

    id: Sealed
    status: OrderStatus
    customer: str | None
    created_at: datetime
    lines: list[OrderLine]


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """Units that arrived together; `available` of them can still be ordered."""

    id: Sealed
    product: str
    warehouse: str
    quantity: int
    available: int
    lot: str | None
    expires_at: datetime | None
    received_at: datetime
    reference: str | None


class Unallocatable(msgspec.Struct, frozen=True, kw_only=True):
    """Units that are there and cannot be sold, by state."""

    expired: int = 0


class StockBalance(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a product at a warehouse; `on_hand` is their sum."""

    product: str
    warehouse: str
    available: int
    ordered: int
    held: int
    unallocatable: Unallocatable
    on_hand: int
    version: int


class JournalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as it is stored."""

    seq: int
    at: datetime
    kind: str
    version: int
    principal: str
    idempotency_key: str | None
    body: msgspec.Raw


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is."""

    status: str


class JournalPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a journal; pass `next_after` as `after` to get the next one."""

    items: list[JournalEvent]
    next_after: int | None


class Listing(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; pass `next_cursor` as `cursor` to get the next one."""

    items: list[T]
    next_cursor: str | None


def time_of(at_ms: int) -> datetime:
    """Return a time that encodes as RFC 3339 UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def ms_of(at: datetime) -> int:
    """Return milliseconds of Unix time, the sub-millisecond part dropped."""
    return int(at.timestamp() * 1000)
