"""The rules of a pool: what a command would do, and what a fact does.

`decide` changes nothing and `evolve` never refuses. Live operation and replay run the same
`evolve`, so a recovered pool is the pool that was lost.
"""

from typing import assert_never

from allocator.domain.messages import (
    AlreadyExpired,
    CancelOrder,
    Command,
    Decision,
    DispatchOrder,
    Event,
    InsufficientStock,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderNotOpen,
    OrderPlaced,
    Picks,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    Wake,
)
from allocator.domain.pool import Lot, Pool


def decide(pool: Pool, command: Command, *, now_ms: int) -> Decision:
    """Say what `command` would do to `pool`, changing nothing.

    Args:
        pool: A pool on which `Wake` has been applied for `now_ms`: nothing in it is due.
        command: What was asked.
        now_ms: Milliseconds of Unix time, never before the pool's last event.

    Returns:
        The events to journal, or a refusal.
    """
    match command:
        case PlaceOrder():
            decision = _place(pool, command)
        case ReceiveStock():
            decision = _receive(command, now_ms=now_ms)
        case DispatchOrder(order=order):
            decision = _close(pool, order, OrderDispatched)
        case CancelOrder(order=order):
            decision = _close(pool, order, OrderCancelled)
        case Wake():
            decision = tuple(
                LotExpired(lot=lot.seq, quantity=lot.available) for lot in pool.due(now_ms)
            )
        case _:
            assert_never(command)
    return decision


def evolve(pool: Pool, event: Event, *, at_ms: int) -> None:
    """Apply the next fact. Total and deterministic: replay must never raise or read a clock.

    Args:
        pool: Changed in place; its version becomes the seq of `event`.
        event: What happened.
        at_ms: When, milliseconds of Unix time.
    """
    pool.version += 1
    pool.last_at_ms = at_ms
    match event:
        case OrderPlaced(quantity=quantity, picks=picks):
            for seq, units in picks:
                pool.take(seq, units).ordered += units
            pool.ordered += quantity
            pool.orders.add(pool.version, picks, quantity)
        case StockReceived():
            pool.put(_lot_of(event, seq=pool.version, at_ms=at_ms))
        case OrderDispatched(order=order, quantity=quantity, picks=picks):
            pool.orders.remove(order)
            pool.ordered -= quantity
            for seq, units in picks:
                lot = pool.lots[seq]
                lot.ordered -= units
                pool.forget_if_gone(lot)
        case OrderCancelled(order=order, quantity=quantity, picks=picks):
            pool.orders.remove(order)
            pool.ordered -= quantity
            for seq, units in picks:
                lot = pool.lots[seq]
                lot.ordered -= units
                pool.give_back(lot, units)
        case LotExpired(lot=seq, quantity=units):
            pool.take(seq, units).expired += units
            pool.expired += units
        case _:
            assert_never(event)


def wake_at(pool: Pool) -> int | None:
    """Return when the pool next wants a `Wake`, milliseconds of Unix time, or None."""
    return pool.next_expiry_ms


def units_of(picks: Picks) -> int:
    """Return how many units the picks hold together."""
    return sum(units for _, units in picks)


def _place(pool: Pool, command: PlaceOrder) -> Decision:
    quantity = command.quantity
    if quantity > pool.available:
        return InsufficientStock(requested=quantity, available=pool.available)
    picks = pool.pick(quantity)
    return (OrderPlaced(quantity=quantity, picks=picks, customer=command.customer),)


def _close(pool: Pool, order: int, closing: type[OrderDispatched | OrderCancelled]) -> Decision:
    picks = pool.orders.get(order)
    if picks is None:
        return OrderNotOpen(order=order)
    return (closing(order=order, quantity=units_of(picks), picks=picks),)


def _receive(command: ReceiveStock, *, now_ms: int) -> Decision:
    if command.expires_at_ms is not None and command.expires_at_ms <= now_ms:
        return AlreadyExpired(expires_at_ms=command.expires_at_ms, now_ms=now_ms)
    return (
        StockReceived(
            quantity=command.quantity,
            lot=command.lot,
            expires_at_ms=command.expires_at_ms,
            reference=command.reference,
        ),
    )


def _lot_of(event: StockReceived, *, seq: int, at_ms: int) -> Lot:
    return Lot(
        seq=seq,
        quantity=event.quantity,
        available=event.quantity,
        code=event.lot,
        expires_at_ms=event.expires_at_ms,
        received_at_ms=at_ms,
        reference=event.reference,
    )
