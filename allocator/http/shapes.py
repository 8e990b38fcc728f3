"""What requests and responses look like: the types that decode, encode and document them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta

from allocator.domain.messages import QUANTITY_MAX
from allocator.domain.rows import OrderStatus
from allocator.http import patterns

# Whole numbers all the way: as seconds in a float, some milliseconds would become others.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

TEXT_MAX = 200
AMOUNT_MAX = 1_000_000_000_000
TIME_MAX_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS
"""The last millisecond that RFC 3339 can tell in UTC."""

Code = Annotated[
    str,
    Meta(
        pattern=patterns.CODE,
        description="1 to 64 of A-Z a-z 0-9 . _ -, but neither . nor ..",
        examples=["main", "tea-01"],
    ),
]
Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX, description="units")]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX, pattern=patterns.TEXT)]
Title = Annotated[Text, Meta(description="what people call it")]
LotCode = Annotated[Text, Meta(description="what the lot is called where it comes from")]
Reference = Annotated[Text, Meta(description="your own note: a delivery, a purchase order")]
Customer = Annotated[Text, Meta(description="whose order it is; orders can be listed by it")]
Amount = Annotated[
    int, Meta(ge=0, le=AMOUNT_MAX, description="minor units of the currency, such as cents")
]
Currency = Annotated[
    str, Meta(pattern=patterns.CURRENCY, description="an ISO 4217 code", examples=["EUR"])
]
Key = Annotated[
    str,
    Meta(
        pattern=patterns.KEY,
        description="the Idempotency-Key of this order alone: 1 to 255 printable ASCII characters",
    ),
]

TicketName = Annotated[Text, Meta(description="what the tickets are called")]
Description = Annotated[
    str,
    Meta(max_length=2000, pattern=patterns.TEXT, description="whatever a buyer should know"),
]
Allocation = Annotated[int, Meta(ge=0, le=QUANTITY_MAX, description="how many tickets there are")]
UserId = Annotated[
    str,
    Meta(
        pattern=patterns.UUID,
        description="who buys: a UUID of any version",
        examples=["406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"],
        extra_json_schema={"format": "uuid"},
    ),
]

# What is only shown, or checked by looking it up, is described and has no bounds to check here.
Sku = Annotated[str, Meta(description="sku of a product", examples=["tea-01"])]
Place = Annotated[
    str, Meta(description="code of a warehouse, or of a location in one", examples=["main"])
]
KnownSku = Annotated[Sku, Meta(extra_json_schema={"pattern": patterns.CODE})]
KnownPlace = Annotated[Place, Meta(extra_json_schema={"pattern": patterns.CODE})]
Units = Annotated[int, Meta(description="units")]
Time = Annotated[
    datetime,
    Meta(tz=True, description="RFC 3339 in UTC", examples=["2026-01-31T12:00:00Z"]),
]
Expiry = Annotated[
    datetime,
    Meta(tz=True, description="RFC 3339: when what is left of it can no longer be sold"),
]
Sealed = Annotated[
    str,
    Meta(
        description="an opaque id: a UUID of version 8",
        examples=["8f14e45f-ceea-867a-9a36-dedd4bea2543"],
        extra_json_schema={"format": "uuid"},
    ),
]

T = TypeVar("T")


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body; fields that it does not name are refused."""


class PutName(Body, frozen=True, kw_only=True):
    """Contents of a warehouse."""

    name: Title


class PriceBody(Body, frozen=True, kw_only=True):
    """An amount in minor units (cents) of a currency."""

    amount: Amount
    currency: Currency


class PutProduct(Body, frozen=True, kw_only=True):
    """Contents of a product."""

    name: Title
    price: PriceBody | None = None


class PostWarehouse(PutName, frozen=True, kw_only=True):
    """A new warehouse."""

    code: Code


class PostProduct(PutProduct, frozen=True, kw_only=True):
    """A new product."""

    sku: Code


class PostStock(Body, frozen=True, kw_only=True):
    """Units that arrived together."""

    product: KnownSku
    warehouse: KnownPlace
    quantity: Quantity = 1
    lot: LotCode | None = None
    expires_at: Expiry | None = None
    reference: Reference | None = None


class PostOrder(Body, frozen=True, kw_only=True):
    """An order of one product from one warehouse."""

    product: KnownSku
    warehouse: KnownPlace
    quantity: Quantity = 1
    customer: Customer | None = None


class BatchOrder(PostOrder, frozen=True, kw_only=True):
    """A line of a batch: an order, and the Idempotency-Key of that order alone."""

    key: Key | None = None


class PostTicketOption(Body, frozen=True, kw_only=True):
    """Tickets that are to be sold."""

    name: TicketName
    desc: Description
    allocation: Allocation


class PostPurchase(Body, frozen=True, kw_only=True):
    """Tickets for one user."""

    quantity: Quantity
    user_id: UserId


class Pick(msgspec.Struct, frozen=True, gc=False):
    """Units taken from one stock."""

    id: Sealed
    quantity: Units


class OrderLine(msgspec.Struct, frozen=True, gc=False):
    """A product, and the stocks that were selected for it."""

    product: Sku
    warehouse: Place
    quantity: Units
    stocks: list[Pick]
    dispatched: Annotated[int, Meta(description="units of it that have left")]


class Order(msgspec.Struct, frozen=True, gc=False):
    """What a client asked for, and what became of it."""

    id: Sealed
    status: OrderStatus
    customer: Customer | None
    created_at: Time
    lines: list[OrderLine]
    flagged: Annotated[
        bool,
        Meta(description="whether stock of it was recalled, and there is no other for it yet"),
    ] = False


class Stock(msgspec.Struct, frozen=True, kw_only=True):
    """Units that arrived together; `available` of them can still be ordered."""

    id: Sealed
    product: Sku
    warehouse: Place
    quantity: Units
    available: Annotated[int, Meta(description="units of it that can still be ordered")]
    lot: LotCode | None
    expires_at: Expiry | None
    received_at: Time
    reference: Reference | None
    origin: Annotated[Sealed, Meta(description="the stock that it was part of, if it moved")] | None
    unallocatable: Annotated[
        dict[str, int],
        Meta(
            description="units of it that are there and were set aside, by state",
            examples=[{"damaged": 2}],
        ),
    ]
    recalled: Annotated[
        int,
        Meta(description="units of it that are ordered or held, and are to be set aside"),
    ]


Unallocatable = Annotated[
    dict[str, int],
    Meta(
        description="units that are there and cannot be sold, by state; `expired`, which are past "
        "their date, are always named, and others if there are any",
        examples=[{"expired": 0, "damaged": 2}],
    ),
]


class StockBalance(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of a product at a warehouse; `on_hand` is their sum."""

    product: Sku
    warehouse: Place
    available: Annotated[int, Meta(description="units that can be ordered now")]
    ordered: Annotated[int, Meta(description="units of orders that have not left")]
    held: Annotated[int, Meta(description="units set aside that may yet be released")]
    unallocatable: Unallocatable
    on_hand: Annotated[int, Meta(description="units that are there: the sum of the above")]
    version: Annotated[
        int, Meta(description="the number of the latest event: numbers change only with it")
    ]


class TicketOption(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets that are for sale; `allocation` of them are left."""

    id: Sealed
    name: TicketName
    desc: Description
    allocation: Annotated[int, Meta(description="how many tickets are left")]


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets that a user bought."""

    user_id: UserId
    quantity: Units
    purchased_at: Time


class JournalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as it is stored."""

    seq: Annotated[int, Meta(description="counts the events of this product and warehouse from 1")]
    at: Time
    kind: Annotated[str, Meta(description="what happened; it says what `body` looks like")]
    version: Annotated[int, Meta(description="which format of this kind `body` has")]
    principal: Annotated[str, Meta(description="who asked; empty if that is unknown")]
    idempotency_key: Annotated[str, Meta(description="the key it was asked with")] | None
    body: msgspec.Raw


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, wherever it did: to stock, orders or moves, or to names."""

    position: Annotated[
        str,
        Meta(
            description="its place among all that ever happened; from there one can go on",
            examples=["1.7482.27136.5"],
        ),
    ]
    at: Time
    warehouse: Place | None
    product: Sku | None
    seq: Annotated[int, Meta(description="counts the events of where it happened from 1")]
    kind: Annotated[str, Meta(description="what happened; it says what `body` looks like")]
    version: Annotated[int, Meta(description="which format of this kind `body` has")]
    thing: (
        Annotated[
            Literal[
                "order",
                "cart",
                "checkout",
                "stock",
                "move",
                "ticket_option",
                "warehouse",
                "location",
                "product",
            ],
            Meta(description="what it happened to; null for a kind of the future"),
        ]
        | None
    )
    id: (
        Annotated[
            Sealed,
            Meta(description="id of the order, cart, checkout, stock, move or ticket option"),
        ]
        | None
    )
    principal: Annotated[str, Meta(description="who asked; empty if that is unknown")]
    idempotency_key: Annotated[str, Meta(description="the key it was asked with")] | None
    body: msgspec.Raw


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is."""

    status: str


class JournalPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a journal; pass `next_after` as `after` to get the next one."""

    items: list[JournalEvent]
    next_after: int | None
    pruned_up_to: Annotated[
        int, Meta(description="events up to this `seq` are not kept any more; 0: all are")
    ] = 0


class Listing(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; pass `next_cursor` as `cursor` to get the next one."""

    items: list[T]
    next_cursor: str | None


@lru_cache(maxsize=64)
def time_of(at_ms: int) -> datetime:
    """Return a time that encodes as RFC 3339 UTC; what was committed together shares few."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def ms_of(at: datetime) -> int:
    """Return milliseconds of Unix time, the sub-millisecond part dropped."""
    return (at - _EPOCH) // _MS
