"""A row of the journal as something that happened: where, what, and to which thing."""

from typing import Final, TypeAlias

import msgspec

from allocator.domain.catalogue import PRODUCT_PUT, WAREHOUSE_PUT, Price
from allocator.domain.codec import KINDS, UnknownEventError, decode_event
from allocator.domain.messages import (
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.pool import Balance
from allocator.domain.records import Record
from allocator.domain.rows import OrderStatus

KNOWN_KINDS: Final = (*KINDS.values(), WAREHOUSE_PUT, PRODUCT_PUT)


class Place(msgspec.Struct, frozen=True):
    """What an actor is: a product at a warehouse, or one of the two alone."""

    warehouse: str | None
    product: str | None

    @classmethod
    def of(cls, key: str) -> "Place":
        """Read the key of an actor."""
        kind, _, name = key.partition(":")
        warehouse, _, product = name.partition("/")
        if kind == "product":
            return cls(None, name)
        return cls(warehouse, product or None)

    def __str__(self) -> str:
        if self.warehouse is None:
            return f"product {self.product}"
        if self.product is None:
            return f"warehouse {self.warehouse}"
        return f"{self.product}@{self.warehouse}"


class Named(msgspec.Struct, frozen=True):
    """What a warehouse or a product is from now on."""

    name: str
    price: Price | None = None


class LotState(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of the units of a lot."""

    available: int
    ordered: int
    expired: int

    @property
    def on_hand(self) -> int:
        """Units that are still in the warehouse."""
        return self.available + self.ordered + self.expired


Meaning: TypeAlias = Event | Named | None
"""None: of a kind that this release does not know, or damaged."""

State: TypeAlias = OrderStatus | LotState | Balance
"""Of an order, a lot or a pool."""

_named: Final = msgspec.json.Decoder(Named)


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One row, understood as far as this release can.

    Attributes:
        position: In the tail; None where only one actor is looked at.
        after: What the thing that was asked for had become; None if none was.
    """

    place: Place
    record: Record
    meaning: Meaning
    position: str | None = None
    after: State | None = None


def meaning_of(record: Record) -> Meaning:
    """Return what a row says; never raises, for a bad row is what somebody may be looking for."""
    try:
        if record.kind in {WAREHOUSE_PUT, PRODUCT_PUT}:
            return _named.decode(record.body)
        return decode_event(kind=record.kind, version=record.version, body=record.body)
    except (UnknownEventError, msgspec.DecodeError):
        return None


def thing_of(happening: Happening) -> tuple[str | None, int | None]:
    """Return what it happened to, `order` or `stock` and its seq, or the catalogue's word alone."""
    match happening.meaning:
        case OrderPlaced():
            return "order", happening.record.seq
        case OrderDispatched(order=order) | OrderCancelled(order=order):
            return "order", order
        case StockReceived():
            return "stock", happening.record.seq
        case LotExpired(lot=lot):
            return "stock", lot
        case Named():
            return ("product" if happening.place.warehouse is None else "warehouse"), None
        case None:
            return None, None
