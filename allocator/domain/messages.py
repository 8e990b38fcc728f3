"""What a pool is asked, what happened to it, and why it said no.

Three closed sets of values, to which `transfers` adds what processes ask. A **command** asks, an
**event** is a fact that the journal keeps, a **refusal** says why nothing happened. The fields of
events are the storage format (`codec` names their kinds): they are never renamed, and a changed
meaning gets a new version. Commands and refusals are not stored; they carry a tag, because they
travel between processes.

A *seq* is the sequence number of an event in its pool, counted from 1. It also names what the
event created: the order that `OrderPlaced` number 7 placed is order 7 of that pool.

`product` is given, and told, where a location holds one product at a time; elsewhere it is None.
"""

from typing import TypeAlias

from allocator.domain.adjustments import Adjust, Adjustment, AdjustRefusal, SetState
from allocator.domain.holds import AlreadyHeld, HoldAsked, HoldEvent
from allocator.domain.orders import TooMuch
from allocator.domain.reconciling import (
    FedEvent,
    FeedAsked,
    IsFed,
    NotFed,
    RepeatReceipt,
    TurnUnknown,
)
from allocator.domain.transfers import (
    AlreadySent,
    Asked,
    Occupied,
    Stale,
    TooManyLots,
    Transit,
)
from allocator.domain.values import Message, Picks

QUANTITY_MAX = 1_000_000_000
"""Units of one command: far above any lot, far below what 64-bit sums could overflow on."""


# Commands


class ReceiveStock(Message, frozen=True, tag=True, kw_only=True):
    """Take units in as one lot."""

    quantity: int
    lot: str | None = None
    expires_at_ms: int | None = None
    reference: str | None = None
    product: str | None = None


class PlaceOrder(Message, frozen=True, tag=True, kw_only=True):
    """Reserve units for a customer, all or nothing."""

    quantity: int
    customer: str | None = None
    product: str | None = None


class DispatchOrder(Message, frozen=True, tag=True, kw_only=True):
    """Let units of an open order leave.

    Attributes:
        leaving: How many are to stay ordered; if there are no more than that, nothing is done.
    """

    order: int
    leaving: int = 0


class DispatchPart(Message, frozen=True, tag=True, kw_only=True):
    """Let so many more units of an open order leave, at most those that are left."""

    order: int
    quantity: int


class CancelOrder(Message, frozen=True, tag=True, kw_only=True):
    """Give the units of an open order back to the lots they came from.

    Attributes:
        placed: How many the order was placed with, if only a whole one is to be cancelled: one of
            which units have left is refused like one that has ended. 0 for whatever is left.
    """

    order: int
    placed: int = 0


class OpenTicketOption(Message, frozen=True, tag=True, kw_only=True):
    """Begin a pool of tickets; of an actor that is new."""

    name: str
    desc: str
    allocation: int


class Wake(Message, frozen=True, tag=True):
    """Do what has become due: expire lots, and have those pay that owe units."""


Command: TypeAlias = (
    ReceiveStock
    | PlaceOrder
    | DispatchOrder
    | DispatchPart
    | CancelOrder
    | OpenTicketOption
    | Wake
    | Adjust
    | SetState
    | Asked
    | HoldAsked
    | FeedAsked
    | RepeatReceipt
)


# Events


class StockReceived(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units arrived; they are lot `seq` of this event."""

    quantity: int
    lot: str | None = None
    expires_at_ms: int | None = None
    reference: str | None = None
    product: str | None = None


class OrderPlaced(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units are promised; they are order `seq` of this event."""

    quantity: int
    picks: Picks
    customer: str | None = None
    product: str | None = None


class OrderDispatched(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The units of an order left the warehouse."""

    order: int
    quantity: int
    picks: Picks
    product: str | None = None


class OrderPartlyDispatched(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Some units of an order left the warehouse; the others stay ordered.

    Attributes:
        left: How many stay.
    """

    order: int
    quantity: int
    picks: Picks
    left: int
    product: str | None = None


class OrderCancelled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The units of an order went back to their lots.

    Attributes:
        missing: Those of them that stand for missing ones, and are gone (`missing`).
    """

    order: int
    quantity: int
    picks: Picks
    product: str | None = None
    missing: Picks = ()


class LotExpired(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The unsold units of a lot passed their date and can no longer be sold."""

    lot: int
    quantity: int
    product: str | None = None


class TicketOptionOpened(Message, frozen=True, kw_only=True):
    """Tickets are for sale; they are lot `seq` of this event, if there are any."""

    name: str
    desc: str
    allocation: int


Event: TypeAlias = (
    StockReceived
    | OrderPlaced
    | OrderDispatched
    | OrderCancelled
    | LotExpired
    | TicketOptionOpened
    | OrderPartlyDispatched
    | Adjustment
    | Transit
    | HoldEvent
    | FedEvent
)


# Refusals


class InsufficientStock(Message, frozen=True, tag=True, kw_only=True):
    """Fewer units are available than were asked for."""

    requested: int
    available: int


class OrderNotOpen(Message, frozen=True, tag=True, kw_only=True):
    """The order was dispatched or cancelled before, or never was."""

    order: int


class AlreadyExpired(Message, frozen=True, tag=True, kw_only=True):
    """Stock that is already past its date cannot be received as sellable."""

    expires_at_ms: int
    now_ms: int


class AlreadyBegun(Message, frozen=True, tag=True):
    """What was to begin with this command began before."""


Refusal: TypeAlias = (
    InsufficientStock
    | OrderNotOpen
    | TooMuch
    | AlreadyExpired
    | AlreadyBegun
    | Occupied
    | TooManyLots
    | AlreadySent
    | AlreadyHeld
    | Stale
    | IsFed
    | NotFed
    | TurnUnknown
    | AdjustRefusal
)

Decision: TypeAlias = tuple[Event, ...] | Refusal
"""Events to journal, in order; empty if there is nothing to do. Or why not."""
