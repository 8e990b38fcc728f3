"""What is asked, what happens and what is told, held against each other."""

from typing import NamedTuple, TypeAlias, assert_never

from allocator.actors.messages import KeyReused, Noted
from allocator.domain import kinds
from allocator.domain.adjustments import (
    Adjust,
    FlaggedUnits,
    InsufficientUnits,
    OrderRepicked,
    SetState,
    UnitsRecalled,
    UnknownLot,
    VersionPassed,
)
from allocator.domain.kinds import Event, Refusal
from allocator.domain.messages import (
    AlreadyExpired,
    CancelOrder,
    Command,
    DispatchOrder,
    InsufficientStock,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderNotOpen,
    OrderPartlyDispatched,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    Wake,
)
from allocator.domain.queries import BalanceQuery, LotQuery, OpenOrderQuery, Query, View
from allocator.domain.reconciling import IsFed
from allocator.domain.transfers import Occupied
from allocator.simulation.history import Attempt, Operation
from allocator.simulation.model import PoolModel

Seen: TypeAlias = Refusal | KeyReused | Noted | View
"""An answer that changed nothing, and is true or not of the state that it was given in."""


class Told(NamedTuple):
    """An attempt that was answered, and what it belongs to."""

    operation: Operation
    attempt: Attempt


def command_of(event: Event) -> Command:
    """Return what has to be asked for an event to happen."""
    match event:
        case OrderPlaced(quantity=quantity, customer=customer, product=product):
            return PlaceOrder(quantity=quantity, customer=customer, product=product)
        case StockReceived():
            return ReceiveStock(
                quantity=event.quantity,
                lot=event.lot,
                expires_at_ms=event.expires_at_ms,
                reference=event.reference,
                product=event.product,
            )
        case OrderDispatched(order=order):
            return DispatchOrder(order=order)
        case OrderPartlyDispatched(order=order, left=left):
            return DispatchOrder(order=order, leaving=left)
        case OrderCancelled(order=order):
            return CancelOrder(order=order)
        case LotExpired() | UnitsRecalled() | OrderRepicked():
            return Wake()
        case _:
            raise TypeError(f"no client of the simulator asks for {event}")


def fits(operation: Operation, answer: Seen) -> bool:
    """Say whether an answer belongs to what was asked, whatever the state."""
    ask = operation.ask
    match answer:
        case InsufficientStock(requested=requested, available=available):
            fit = isinstance(ask, PlaceOrder) and ask.quantity == requested > available >= 0
        case OrderNotOpen(order=order):
            fit = isinstance(ask, DispatchOrder | CancelOrder) and ask.order == order
        case AlreadyExpired(expires_at_ms=expires_at_ms, now_ms=now_ms):
            fit = isinstance(ask, ReceiveStock) and ask.expires_at_ms == expires_at_ms <= now_ms
        case Occupied(product=product):
            fit = isinstance(ask, ReceiveStock | Adjust | SetState) and ask.product != product
        case FlaggedUnits() | InsufficientUnits() | UnknownLot() | VersionPassed() | IsFed():
            fit = _fits_adjustment(ask, answer)
        case KeyReused(key=key):
            fit = operation.key == key
        case Noted():
            fit = isinstance(ask, Wake)
        case View(balance=balance, lot=lot, picks=picks):
            fit = {
                BalanceQuery: balance is not None and lot is None and picks is None,
                LotQuery: balance is None and picks is None,
                OpenOrderQuery: balance is None and lot is None,
            }.get(type(ask), False)
        case _:  # nothing that clients of the simulator ask is refused so
            fit = False
    return fit


def first_true(
    model: PoolModel, ask: kinds.Command | Query, answer: Seen, *, first: int
) -> int | None:
    """Return the first version from `first` on at which a fitting answer is true, or None."""
    match answer:
        case InsufficientStock(available=available):
            product = ask.product if isinstance(ask, PlaceOrder) else None
            version = model.with_available(available, first, product=product)
        case Occupied(product=product):
            version = model.occupied_by(product, first)
        case OrderNotOpen(order=order):
            version = model.without_open_order(order, first)
        case AlreadyExpired(now_ms=now_ms):
            version = model.not_after(now_ms, first)
        case FlaggedUnits() | InsufficientUnits() | UnknownLot() | VersionPassed():
            version = _first_unadjusted(model, ask, answer, first)
        case IsFed():
            version = model.feed.attached_from(first)
        case View():
            version = _first_seen(model, ask, answer, first)
        case _:
            version = first
    return version


def _fits_adjustment(
    ask: kinds.Command | Query,
    answer: FlaggedUnits | InsufficientUnits | UnknownLot | VersionPassed | IsFed,
) -> bool:
    match answer:
        case FlaggedUnits(order=order, requested=requested, available=available):
            return isinstance(ask, DispatchOrder) and ask.order == order and requested > available
        case IsFed():
            return isinstance(ask, ReceiveStock | Adjust | SetState)
        case InsufficientUnits(state=state, requested=requested):
            return isinstance(ask, Adjust) and (state, requested) == (
                ask.source,
                requested if ask.quantity is None else ask.quantity,
            )
        case UnknownLot(lot=lot):
            return isinstance(ask, Adjust) and ask.lot == lot
        case VersionPassed(version=version):
            return isinstance(ask, SetState) and ask.version != version
        case _:
            assert_never(answer)


def _first_unadjusted(
    model: PoolModel,
    ask: kinds.Command | Query,
    answer: FlaggedUnits | InsufficientUnits | UnknownLot | VersionPassed,
    first: int,
) -> int | None:
    match answer:
        case FlaggedUnits():
            return model.with_flagged(answer, first)
        case InsufficientUnits(available=available) if isinstance(ask, Adjust):
            return model.with_too_few(ask, available, first)
        case UnknownLot(lot=lot) if isinstance(ask, Adjust):
            return model.without_lot(lot, first, product=ask.product)
        case VersionPassed(version=version):
            return version if first <= version <= model.version else None
        case _:
            return None


def _first_seen(model: PoolModel, ask: kinds.Command | Query, view: View, first: int) -> int | None:
    if isinstance(ask, LotQuery):
        return model.with_lot(ask.seq, view.lot, first)
    if isinstance(ask, OpenOrderQuery):
        return model.with_picks(ask.seq, view, first)
    if view.balance is None or not isinstance(ask, BalanceQuery):
        return None
    return model.with_balance(view.balance, first, product=ask.product, there=view.product)


def describe(told: Told) -> str:
    """Name an attempt, for a sentence about it."""
    operation, attempt = told
    key = "" if operation.key is None else f" under key {operation.key!r}"
    return f"operation {operation.number} ({operation.ask}{key}, asked of {attempt.worker!r})"
