"""What a pool is asked, what happened to it, and why it said no.

Three closed sets of values. A **command** asks, an **event** is a fact that the journal keeps,
a **refusal** says why nothing happened. The fields of events are the storage format (`codec`
names their kinds): they are never renamed, and a changed meaning gets a new version. Commands and
refusals are not stored; they carry a tag, because they travel between processes.

A *seq* is the sequence number of an event in its pool, counted from 1. It also names what the
event created: the order that `OrderPlaced` number 7 placed is order 7 of that pool.
"""

from typing import TypeAlias

import msgspec

QUANTITY_MAX = 1_000_000_000
"""Units of one command: far above any lot, far below what 64-bit sums could overflow on."""

Pick: TypeAlias = tuple[int, int]
"""(seq of the lot, units taken from it); units are at least 1."""

Picks: TypeAlias = tuple[Pick, ...]
"""Lots in the order in which they were taken; never empty, no lot twice."""


class _Message(msgspec.Struct, frozen=True, gc=False):
    """A value: comparable, immutable, and outside the garbage collector's sight."""


# Commands


class ReceiveStock(_Message, frozen=True, tag=True, kw_only=True):
    """Take units in as one lot."""

    quantity: int
    lot: str | None = None
    expires_at_ms: int | None = None
    reference: str | None = None


class PlaceOrder(_Message, frozen=True, tag=True, kw_only=True):
    """Reserve units for a customer, all or nothing."""

    quantity: int
    customer: str | None = None


class DispatchOrder(_Message, frozen=True, tag=True, kw_only=True):
    """Let the units of an open order leave."""

    order: int


class CancelOrder(_Message, frozen=True, tag=True, kw_only=True):
    """Give the units of an open order back to the lots they came from."""

    order: int


class Wake(_Message, frozen=True, tag=True):
    """Do what has become due: today, expire lots."""


Command: TypeAlias = ReceiveStock | PlaceOrder | DispatchOrder | CancelOrder | Wake


# Events


class StockReceived(_Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units arrived; they are lot `seq` of this event."""

    quantity: int
    lot: str | None = None
    expires_at_ms: int | None = None
    reference: str | None = None


class OrderPlaced(_Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units are promised; they are order `seq` of this event."""

    quantity: int
    picks: Picks
    customer: str | None = None


class OrderDispatched(_Message, frozen=True, kw_only=True):
    """The units of an order left the warehouse."""

    order: int
    quantity: int
    picks: Picks


class OrderCancelled(_Message, frozen=True, kw_only=True):
    """The units of an order went back to their lots."""

    order: int
    quantity: int
    picks: Picks


class LotExpired(_Message, frozen=True, kw_only=True):
    """The unsold units of a lot passed their date and can no longer be sold."""

    lot: int
    quantity: int


Event: TypeAlias = StockReceived | OrderPlaced | OrderDispatched | OrderCancelled | LotExpired


# Refusals


class InsufficientStock(_Message, frozen=True, tag=True, kw_only=True):
    """Fewer units are available than were asked for."""

    requested: int
    available: int


class OrderNotOpen(_Message, frozen=True, tag=True, kw_only=True):
    """The order was dispatched or cancelled before, or never was."""

    order: int


class AlreadyExpired(_Message, frozen=True, tag=True, kw_only=True):
    """Stock that is already past its date cannot be received as sellable."""

    expires_at_ms: int
    now_ms: int


Refusal: TypeAlias = InsufficientStock | OrderNotOpen | AlreadyExpired

Decision: TypeAlias = tuple[Event, ...] | Refusal
"""Events to journal, in order; empty if there is nothing to do. Or why not."""
