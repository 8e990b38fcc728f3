"""What happened and where, for those who want to be told as it happens."""

from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.catalogue import PRODUCT_PUT, WAREHOUSE_PUT
from allocator.domain.codec import KINDS, STOCK_KINDS, UnknownEventError, decode_event
from allocator.domain.interests import NOWHERE, Site
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.positions import Position
from allocator.domain.records import Record

TOLD_EVENTS: Final = (*STOCK_KINDS, TicketOptionOpened)
"""What is told of what happens to stock, tickets included."""

TOLD_KINDS: Final = (*(KINDS[event] for event in TOLD_EVENTS), WAREHOUSE_PUT, PRODUCT_PUT)
"""What is told: what happens to stock, and to the names of things. Not what operators set up."""

Thing: TypeAlias = Literal["order", "stock", "ticket_option", "warehouse", "product"]

OPTION_SEQ: Final = 1
"""Of the row that opened a ticket option: the option's id is its address."""

_NAMED: Final[dict[str, Thing]] = {WAREHOUSE_PUT: "warehouse", PRODUCT_PUT: "product"}


class Occurrence(msgspec.Struct, gc=False):
    """A row of the journal that is told.

    Attributes:
        encoded: As it is sent, once somebody has encoded it; all who listen share it.
    """

    position: Position
    site: Site
    record: Record
    encoded: bytes = b""


class UnknownPositionError(ValueError):
    """A position from which this journal cannot go on; the message says why."""


def thing_of(occurrence: Occurrence) -> tuple[Thing | None, int | None]:
    """Return what it happened to, and the seq of the row that made it, if it is a pool's.

    (None, None) for a kind that this release does not know, or a damaged row: others still want
    to be told of it. What happens to tickets, purchases included, happens to their option.
    """
    record = occurrence.record
    if occurrence.site == NOWHERE:
        return "ticket_option", OPTION_SEQ
    if record.kind in _NAMED:
        return _NAMED[record.kind], None
    try:
        event = decode_event(kind=record.kind, version=record.version, body=record.body)
    except (UnknownEventError, msgspec.DecodeError):
        return None, None
    match event:
        case OrderPlaced():
            thing: Thing | None = "order"
            seq: int | None = record.seq
        case OrderDispatched(order=order) | OrderCancelled(order=order):
            thing, seq = "order", order
        case StockReceived():
            thing, seq = "stock", record.seq
        case LotExpired(lot=lot):
            thing, seq = "stock", lot
        case _:
            thing, seq = None, None
    return thing, seq
