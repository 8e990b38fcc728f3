"""A row of the journal as something that happened: where, what, and to which thing."""

from typing import Final, TypeAlias

import msgspec

from allocator.domain.api_keys import API_KEY_CREATED, API_KEY_REVOKED
from allocator.domain.catalogue import PRODUCT_PUT, WAREHOUSE_PUT, Price
from allocator.domain.codec import VERSIONS, UnknownEventError, decode_event
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.occurrences import OPTION_SEQ
from allocator.domain.pool import Balance
from allocator.domain.records import Record
from allocator.domain.rows import OrderStatus
from allocator.domain.webhooks import WEBHOOK_DELETED, WEBHOOK_PUT, WEBHOOK_ROTATED

KNOWN_KINDS: Final = tuple(VERSIONS)


TICKET_OPTION: Final = "ticket option"


class Place(msgspec.Struct, frozen=True):
    """What an actor is: a product at a warehouse, one of the two alone, or neither.

    Attributes:
        other: Kind and name of what is neither, such as an API key; of a ticket option its number.
    """

    warehouse: str | None
    product: str | None
    other: tuple[str, str] | None = None

    @classmethod
    def of(cls, key: str) -> "Place":
        """Read the key of an actor."""
        kind, _, name = key.partition(":")
        warehouse, _, product = name.partition("/")
        match kind:
            case "product":
                return cls(None, name)
            case "pool" if not product:
                return cls(None, None, (TICKET_OPTION, name))
            case "pool" | "warehouse":
                return cls(warehouse, product or None)
            case _:
                return cls(None, None, (kind, name))

    @property
    def is_tickets(self) -> bool:
        """Whether it is a ticket option."""
        return self.other is not None and self.other[0] == TICKET_OPTION

    def __str__(self) -> str:
        if self.other is not None:
            return " ".join(self.other)
        if self.warehouse is None:
            return f"product {self.product}"
        if self.product is None:
            return f"warehouse {self.warehouse}"
        return f"{self.product}@{self.warehouse}"


class Named(msgspec.Struct, frozen=True):
    """What a warehouse or a product is from now on."""

    name: str
    price: Price | None = None


class KeyCreated(msgspec.Struct, frozen=True):
    """An API key was let in."""

    role: str


class KeyRevoked(msgspec.Struct, frozen=True):
    """An API key was shut out."""


class LotState(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of the units of a lot."""

    available: int
    ordered: int
    expired: int

    @property
    def on_hand(self) -> int:
        """Units that are still in the warehouse."""
        return self.available + self.ordered + self.expired


class HookPut(msgspec.Struct, frozen=True):
    """What a webhook is from now on."""

    url: str
    warehouse: str | None = None
    product: str | None = None
    kinds: tuple[str, ...] | None = None


class HookRotated(msgspec.Struct, frozen=True):
    """A webhook has a new secret."""


class HookDeleted(msgspec.Struct, frozen=True):
    """A webhook is told nothing any more."""


OfTable: TypeAlias = Named | KeyCreated | KeyRevoked | HookPut | HookRotated | HookDeleted
"""What ordinary tables journal."""

Meaning: TypeAlias = Event | OfTable | None
"""None: of a kind that this release does not know, or damaged."""

State: TypeAlias = OrderStatus | LotState | Balance
"""Of an order, a lot or a pool."""

_OF_TABLES: Final[dict[str, type[OfTable]]] = {
    WAREHOUSE_PUT: Named,
    PRODUCT_PUT: Named,
    API_KEY_CREATED: KeyCreated,
    API_KEY_REVOKED: KeyRevoked,
    WEBHOOK_PUT: HookPut,
    WEBHOOK_ROTATED: HookRotated,
    WEBHOOK_DELETED: HookDeleted,
}


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
        if shape := _OF_TABLES.get(record.kind):
            return msgspec.json.decode(record.body, type=shape)
        return decode_event(kind=record.kind, version=record.version, body=record.body)
    except (UnknownEventError, msgspec.DecodeError):
        return None


def thing_of(happening: Happening) -> tuple[str | None, int | None]:
    """Return what it happened to, `order` or `stock` and its seq, or the word for it alone."""
    thing: str | None = None
    seq: int | None = None
    match happening.meaning:
        case event if happening.place.is_tickets and not isinstance(event, OfTable):
            thing, seq = "ticket_option", OPTION_SEQ
        case OrderPlaced():
            thing, seq = "order", happening.record.seq
        case OrderDispatched(order=order) | OrderCancelled(order=order):
            thing, seq = "order", order
        case StockReceived():
            thing, seq = "stock", happening.record.seq
        case LotExpired(lot=lot):
            thing, seq = "stock", lot
        case Named():
            thing = "product" if happening.place.warehouse is None else "warehouse"
        case KeyCreated() | KeyRevoked():
            thing = "api_key"
        case HookPut() | HookRotated() | HookDeleted():
            thing = "webhook"
        case _:
            pass
    return thing, seq
