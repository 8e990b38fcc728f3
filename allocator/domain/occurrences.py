"""What happened and where, for those who want to be told as it happens."""

from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.catalogue import PRODUCT_PUT, WAREHOUSE_PUT
from allocator.domain.codec import KINDS, UnknownEventError, decode_event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.positions import Position
from allocator.domain.records import Record

TOLD_KINDS: Final = (*KINDS.values(), WAREHOUSE_PUT, PRODUCT_PUT)
"""What is told: what happens to stock, and to the names of things. Not what operators set up."""

Thing: TypeAlias = Literal["order", "stock", "warehouse", "product"]

_NAMED: Final[dict[str, Thing]] = {WAREHOUSE_PUT: "warehouse", PRODUCT_PUT: "product"}


class Site(msgspec.Struct, frozen=True, gc=False):
    """Where something happened: a product at a warehouse, or one of the two alone."""

    warehouse: str | None
    product: str | None

    @classmethod
    def of(cls, key: str) -> "Site | None":
        """Read the key of an actor; None if what happens to it is not told."""
        kind, _, name = key.partition(":")
        match kind:
            case "pool":
                warehouse, _, product = name.partition("/")
                return cls(warehouse, product)
            case "warehouse":
                return cls(name, None)
            case "product":
                return cls(None, name)
            case _:
                return None


class Occurrence(msgspec.Struct, gc=False):
    """A row of the journal that is told.

    Attributes:
        encoded: As it is sent, once somebody has encoded it; all who listen share it.
    """

    position: Position
    site: Site
    record: Record
    encoded: bytes = b""


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to be told; None means any.

    A product alone includes its own changes, as of its name, and so does a warehouse.
    """

    warehouse: str | None = None
    product: str | None = None
    kinds: tuple[str, ...] | None = None

    def covers(self, occurrence: Occurrence) -> bool:
        """Whether it is to be told."""
        site = occurrence.site
        return (
            (self.product is None or self.product == site.product)
            and (self.warehouse is None or self.warehouse == site.warehouse)
            and (self.kinds is None or occurrence.record.kind in self.kinds)
        )


class UnknownPositionError(ValueError):
    """A position from which this journal cannot go on; the message says why."""


def thing_of(occurrence: Occurrence) -> tuple[Thing | None, int | None]:
    """Return what it happened to, and the seq of the row that made it, if it is a pool's.

    (None, None) for a kind that this release does not know, or a damaged row: others still want
    to be told of it.
    """
    record = occurrence.record
    if record.kind in _NAMED:
        return _NAMED[record.kind], None
    try:
        event = decode_event(kind=record.kind, version=record.version, body=record.body)
    except (UnknownEventError, msgspec.DecodeError):
        return None, None
    match event:
        case OrderPlaced():
            return "order", record.seq
        case OrderDispatched(order=order) | OrderCancelled(order=order):
            return "order", order
        case StockReceived():
            return "stock", record.seq
        case LotExpired(lot=lot):
            return "stock", lot
