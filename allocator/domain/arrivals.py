"""What an event says of units that came with it, and are a lot of their own."""

import msgspec

from allocator.domain.adjustments import UnitsAdjusted
from allocator.domain.kinds import Event
from allocator.domain.messages import StockReceived
from allocator.domain.reconciling import LotReconciled
from allocator.domain.transfers import UnitsTaken


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A lot as it came; fields as of `Lot`.

    Attributes:
        product: Of which, at a location that holds one at a time.
    """

    quantity: int
    received_at_ms: int
    expires_at_ms: int | None = None
    code: str | None = None
    reference: str | None = None
    origin: tuple[int, int] | None = None
    product: str | None = None


def arrival_of(event: Event, *, seq: int, at_ms: int) -> Arrival | None:
    """Return what came with the event `seq`, None if nothing did; tickets do not."""
    match event:
        case StockReceived():
            return Arrival(
                quantity=event.quantity,
                received_at_ms=at_ms,
                expires_at_ms=event.expires_at_ms,
                code=event.lot,
                reference=event.reference,
                product=event.product,
            )
        case UnitsTaken(lot=lot):
            return Arrival(
                quantity=lot.quantity,
                received_at_ms=lot.received_at_ms,
                expires_at_ms=lot.expires_at_ms,
                code=lot.code,
                reference=lot.reference,
                origin=lot.origin,
                product=event.product,
            )
        case UnitsAdjusted(changes=changes):
            found = sum(units for lot, _, _, units in changes if lot == seq)
            if not found:
                return None
            return Arrival(quantity=found, received_at_ms=at_ms, product=event.product)
        case LotReconciled(opened=opened) if opened:
            came_ms = at_ms if event.received_at_ms is None else event.received_at_ms
            return Arrival(
                quantity=opened,
                received_at_ms=came_ms,
                expires_at_ms=event.expires_at_ms,
                code=event.code,
            )
        case _:
            return None
