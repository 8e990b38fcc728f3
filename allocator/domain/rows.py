"""Rows of the read models, as queries hand them out. Addresses are not sealed yet."""

from typing import Literal, TypeAlias

import msgspec

from allocator.domain.messages import Picks

OrderStatus: TypeAlias = Literal["new", "dispatched", "cancelled"]

Address: TypeAlias = tuple[int, int]
"""(actor id, seq): what an id says. Lists are sorted by it."""


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order."""

    actor_id: int
    seq: int
    warehouse: str
    product: str
    quantity: int
    status: OrderStatus
    created_at_ms: int
    customer: str | None
    picks: Picks


class OrderEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an order ended, and when."""

    status: OrderStatus
    at_ms: int


class PurchaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets that somebody bought."""

    seq: int
    customer: str
    quantity: int
    created_at_ms: int


class StockRow(msgspec.Struct, frozen=True, kw_only=True):
    """A lot; `available` is 0 once it is used up or expired."""

    actor_id: int
    seq: int
    warehouse: str
    product: str
    quantity: int
    available: int
    received_at_ms: int
    expires_at_ms: int | None
    lot: str | None
    reference: str | None


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's numbers at `version`."""

    actor_id: int
    warehouse: str
    product: str
    version: int
    available: int
    ordered: int
    held: int
    expired: int


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders to list; None means any."""

    status: OrderStatus | None = None
    warehouse: str | None = None
    product: str | None = None
    customer: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: at most `limit` rows after an address."""

    limit: int
    after: Address = (0, 0)


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """How far the read models are behind the journal.

    Attributes:
        events: Rows not yet applied.
        held_back: Transactions that committed rows but wait for an older one to end; a long
            one in any database of the server does that.
        quarantined: Actors whose projection failed and stands still.
    """

    events: int
    held_back: int
    quarantined: int
