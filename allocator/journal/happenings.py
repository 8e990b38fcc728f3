"""A row of the journal as something that happened: where, what, and to which thing."""

from typing import Final, TypeAlias

import msgspec

from allocator.domain import orders
from allocator.domain.api_keys import API_KEY_CREATED, API_KEY_REVOKED
from allocator.domain.carts import CartStatus
from allocator.domain.catalogue import LOCATION_PUT, PRODUCT_PUT, WAREHOUSE_PUT, Price
from allocator.domain.checkouts import CheckoutStatus
from allocator.domain.codec import VERSIONS, UnknownEventError, decode_event
from allocator.domain.feeds import FeedStatus
from allocator.domain.kinds import Event
from allocator.domain.moves import MoveStatus
from allocator.domain.occurrences import (
    OPTION_SEQ,
    PROCESS_SEQ,
    THINGS_PUT,
    product_named_by,
    thing_of_event,
)
from allocator.domain.pool import Balance
from allocator.domain.records import Record
from allocator.domain.rows import Address, OrderStatus
from allocator.domain.values import States, units_of
from allocator.domain.webhooks import WEBHOOK_DELETED, WEBHOOK_PUT, WEBHOOK_ROTATED

KNOWN_KINDS: Final = tuple(VERSIONS)

TICKET_OPTION: Final = "ticket option"
MOVE: Final = "move"
ORDER: Final = "order"
CART: Final = "cart"


_NUMBERED: Final = frozenset({TICKET_OPTION, MOVE, ORDER})


class Place(msgspec.Struct, frozen=True):
    """What an actor is: a product at a warehouse, one of the two alone, or neither.

    Attributes:
        warehouse: Or the location, which is called like one.
        other: Kind and name of what is neither, such as an API key; of a ticket option or a move
            its number.
        is_location: Whether it is known to be one: it holds one product at a time, which its rows
            say, or is about to get a name.
    """

    warehouse: str | None
    product: str | None
    other: tuple[str, str] | None = None
    is_location: bool = False

    @classmethod
    def of(cls, key: str) -> "Place":
        """Read the key of an actor."""
        kind, _, name = key.partition(":")
        warehouse, slash, product = name.partition("/")
        match kind:
            case "product":
                return cls(None, name)
            case "pool" if not slash:
                return cls(None, None, (TICKET_OPTION, name))
            case "pool" | "warehouse":
                return cls(warehouse, product or None, None, bool(slash and not product))
            case _:
                return cls(None, None, (kind, name))

    @property
    def numbered(self) -> str | None:
        """What it is, if it has no name: a ticket option, a move or an order of several lines."""
        return self.other[0] if self.other and self.other[0] in _NUMBERED else None

    @property
    def is_cart(self) -> bool:
        """Whether it is a cart; what happens to that may be about a checkout, or an order."""
        return self.other is not None and self.other[0] == CART

    def __str__(self) -> str:
        if self.other is not None:
            return " ".join(self.other)
        if self.warehouse is None:
            return f"product {self.product}"
        if self.product is None:
            return f"{'location' if self.is_location else 'warehouse'} {self.warehouse}"
        return f"{self.product}@{self.warehouse}"


class Named(msgspec.Struct, frozen=True):
    """What a warehouse or a product is from now on."""

    name: str
    price: Price | None = None


class Located(msgspec.Struct, frozen=True):
    """What a location is from now on."""

    name: str
    warehouse: str
    single_product: bool


class KeyCreated(msgspec.Struct, frozen=True):
    """An API key was let in."""

    role: str


class KeyRevoked(msgspec.Struct, frozen=True):
    """An API key was shut out."""


class LotState(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of the units of a lot."""

    available: int
    ordered: int
    held: int
    expired: int
    aside: States = ()

    @property
    def on_hand(self) -> int:
        """Units that are still in the warehouse."""
        return self.available + self.ordered + self.held + self.expired + units_of(self.aside)


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


OfSetup: TypeAlias = KeyCreated | KeyRevoked | HookPut | HookRotated | HookDeleted
"""What operators set up."""

OfTable: TypeAlias = Named | Located | OfSetup
"""What ordinary tables journal."""

Meaning: TypeAlias = Event | OfTable | None
"""None: of a kind that this release does not know, or damaged."""

State: TypeAlias = (
    OrderStatus
    | MoveStatus
    | orders.Status
    | CartStatus
    | CheckoutStatus
    | FeedStatus
    | LotState
    | Balance
)
"""Of an order, a move, a lot or a pool."""

_OF_TABLES: Final[dict[str, type[OfTable]]] = {
    WAREHOUSE_PUT: Named,
    LOCATION_PUT: Located,
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


def place_of(place: Place, record: Record) -> Place:
    """Return where a row happened, at the place that its actor is: with the product it names."""
    if record.kind == LOCATION_PUT:
        return msgspec.structs.replace(place, is_location=True)
    product = None if place.product is not None else product_named_by(record)
    return place if product is None else msgspec.structs.replace(place, product=product)


def thing_of(happening: Happening) -> tuple[str | None, Address | None]:
    """Return what it happened to, and the address of that; None if it has a name, or is unknown."""
    meaning, record, place = happening.meaning, happening.record, happening.place
    thing: str | None = None
    address: Address | None = None
    match meaning:
        case Named() | Located():
            thing = THINGS_PUT[record.kind]
        case KeyCreated() | KeyRevoked():
            thing = "api_key"
        case HookPut() | HookRotated() | HookDeleted():
            thing = "webhook"
        case _ if place.numbered == TICKET_OPTION:
            thing, address = "ticket_option", (record.actor_id, OPTION_SEQ)
        case _ if place.numbered == MOVE:
            thing, address = "move", (record.actor_id, PROCESS_SEQ)
        case _ if place.numbered == ORDER:
            thing, address = "order", (record.actor_id, PROCESS_SEQ)
        case None:
            pass
        case _:
            thing, address = thing_of_event(meaning, record, of_tickets=False)
    return thing, address
