"""Rows of the read models, as queries hand them out. Addresses are not sealed yet."""

from typing import Literal, TypeAlias

import msgspec

from allocator.domain.messages import Picks
from allocator.domain.moves import Move, MoveStatus, Reason
from allocator.domain.transfers import Transfer

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
    """A lot; `available` is 0 once it is used up or expired.

    Attributes:
        origin: The address of the lot elsewhere of which it was part, if it was moved here.
    """

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
    origin: Address | None = None


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


class MoveRow(msgspec.Struct, frozen=True, kw_only=True):
    """A move.

    Attributes:
        decided_at_ms: When it was done or refused; None before.
        lots: What left, by the lots from which; empty before, and if it was refused.
        reason: Why it was refused, if it was.
    """

    actor_id: int
    product: str
    from_code: str
    to_code: str
    quantity: int
    status: MoveStatus
    requested_at_ms: int
    decided_at_ms: int | None
    lots: tuple[Transfer, ...]
    reason: Reason | None

    @classmethod
    def of(cls, actor_id: int, move: Move) -> "MoveRow | None":
        """Return what is to be said of a move as it stands; None before it was requested."""
        request = move.request
        if request is None:
            return None
        return cls(
            actor_id=actor_id,
            product=request.product,
            from_code=request.from_code,
            to_code=request.to_code,
            quantity=request.quantity,
            status=move.status,
            requested_at_ms=move.requested_at_ms,
            decided_at_ms=move.decided_at_ms,
            lots=move.lots,
            reason=move.reason,
        )


class MoveFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which moves to list; None means any.

    Attributes:
        location: From it or to it.
    """

    status: MoveStatus | None = None
    location: str | None = None
    product: str | None = None


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
