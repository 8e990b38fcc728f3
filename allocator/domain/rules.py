"""The rules of a pool: what a command would do, and what a fact does.

`decide` changes nothing and `evolve` never refuses. Live operation and replay run the same
`evolve`, so a recovered pool is the pool that was lost.
"""

from typing import assert_never

from allocator.domain import (
    adjust_rules,
    closing,
    hold_rules,
    recall_rules,
    reconcile_rules,
    shortfalls,
    stand_ins,
    transit_rules,
)
from allocator.domain.adjustments import (
    Adjust,
    OrderRepicked,
    SetState,
    UnitsAdjusted,
    UnitsRecalled,
)
from allocator.domain.holds import Check, Confirm, Hold, HoldConfirmed
from allocator.domain.messages import (
    AlreadyBegun,
    AlreadyExpired,
    CancelOrder,
    Command,
    Decision,
    DispatchOrder,
    DispatchPart,
    Event,
    InsufficientStock,
    LotExpired,
    OpenTicketOption,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    TicketOptionOpened,
    Wake,
)
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconciling import (
    Detach,
    FeedAttached,
    FeedDetached,
    IsFed,
    LotReconciled,
    Reconcile,
    RepeatReceipt,
    ShortfallChanged,
)
from allocator.domain.transfers import (
    Expect,
    LetGo,
    Occupied,
    SendOut,
    TakeIn,
)
from allocator.domain.values import units_of


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
            decision = _receive(pool, command, now_ms=now_ms)
        case DispatchOrder(order=order, leaving=leaving):
            decision = closing.dispatch(pool, order, leaving=leaving)
        case CancelOrder(order=order, placed=placed):
            decision = closing.cancel(pool, order, placed=placed)
        case DispatchPart(order=order, quantity=quantity):
            decision = closing.dispatch_part(pool, order, quantity=quantity)
        case Wake():
            decision = _do_what_is_due(pool, now_ms=now_ms)
        case SendOut() | TakeIn() | Expect() | LetGo() | Hold() | Check() | Confirm():
            decision = transit_rules.decide(pool, command, now_ms=now_ms)
        case OpenTicketOption():
            decision = _open(pool, command)
        case _:
            decision = _decide_rarely(pool, command, now_ms=now_ms)
    return decision


def _decide_rarely(
    pool: Pool, command: Adjust | SetState | Reconcile | Detach | RepeatReceipt, *, now_ms: int
) -> Decision:
    match command:
        case Adjust() | SetState():
            return adjust_rules.decide(pool, command, now_ms=now_ms)
        case Reconcile() | Detach():
            return reconcile_rules.decide(pool, command, now_ms=now_ms)
        case RepeatReceipt():
            return IsFed()
        case _:
            assert_never(command)


def evolve(pool: Pool, event: Event, *, at_ms: int) -> None:
    """Apply the next fact. Total and deterministic: replay must never raise or read a clock.

    Args:
        pool: Changed in place; its version becomes the seq of `event`.
        event: What happened.
        at_ms: When, milliseconds of Unix time.
    """
    version = pool.version = pool.version + 1
    pool.last_at_ms = at_ms
    if type(event) is OrderPlaced:
        for seq, units in event.picks:
            pool.take(seq, units).ordered += units
        pool.ordered += event.quantity
        pool.orders.add(version, event.picks, event.quantity)
    elif type(event) is HoldConfirmed and not event.held:
        hold_rules.order_at_once(pool, event)
    else:
        _evolve_otherwise(pool, event, at_ms=at_ms)
    if pool.processes is not None and not pool.processes.forget_old(at_ms=at_ms):
        pool.processes = None


def wake_at(pool: Pool) -> int | None:
    """Return when the pool next wants a `Wake`, milliseconds of Unix time, or None."""
    if pool.recalls and recall_rules.is_due(pool):
        return pool.last_at_ms
    if pool.fed is not None and (pool.fed.short or pool.aside) and stand_ins.is_due(pool):
        return pool.last_at_ms
    if pool.fed is not None and shortfalls.is_due(pool):
        return pool.last_at_ms
    return pool.next_expiry_ms


def _evolve_otherwise(pool: Pool, event: Event, *, at_ms: int) -> None:
    match event:
        case StockReceived(product=product):
            pool.claim(product)
            pool.put(_received(event, seq=pool.version, at_ms=at_ms))
        case OrderDispatched() | OrderCancelled():
            closing.evolve_closed(pool, event)
        case LotExpired(lot=seq, quantity=units):
            pool.take(seq, units).expired += units
            pool.expired += units
        case OrderPartlyDispatched():
            closing.evolve_partly(pool, event)
        case TicketOptionOpened():
            if event.allocation:
                pool.put(_allocated(event, seq=pool.version, at_ms=at_ms))
        case UnitsAdjusted() | UnitsRecalled() | OrderRepicked():
            adjust_rules.evolve(pool, event, at_ms=at_ms)
        case LotReconciled() | FeedAttached() | FeedDetached():
            reconcile_rules.evolve(pool, event, at_ms=at_ms)
        case ShortfallChanged():
            shortfalls.evolve(pool, event)
        case _:  # no order of one line: that is the usual case, and comes first
            transit_rules.evolve(pool, event, at_ms=at_ms)  # type: ignore[arg-type]


def _do_what_is_due(pool: Pool, *, now_ms: int) -> tuple[Event, ...]:
    """Expire what is past its date, but for what a lot owes; then have recalled lots pay.

    Then others stand in for what is missing. If nothing of that is due, say what is missing still.
    """
    expired = tuple(
        LotExpired(lot=lot.seq, quantity=units, product=pool.product)
        for lot in pool.due(now_ms)
        if (units := max(0, lot.available - units_of(lot.recalled)))
    )
    due: tuple[Event, ...] = recall_rules.pay(pool, now_ms=now_ms) if pool.recalls else ()
    if not due and pool.fed is not None:
        due = stand_ins.pay(pool, now_ms=now_ms)
    return (*expired, *due) or shortfalls.news(pool)


def _place(pool: Pool, command: PlaceOrder) -> Decision:
    if pool.product is not None:
        return _place_at_location(pool, command)
    quantity = command.quantity
    if quantity > pool.available:
        return InsufficientStock(requested=quantity, available=pool.available)
    picks = pool.pick(quantity)
    return (OrderPlaced(quantity=quantity, picks=picks, customer=command.customer),)


def _place_at_location(pool: Pool, command: PlaceOrder) -> Decision:
    quantity, available = command.quantity, pool.available_of(command.product)
    if quantity > available:
        return InsufficientStock(requested=quantity, available=available)
    picks, customer = pool.pick(quantity), command.customer
    return (OrderPlaced(quantity=quantity, picks=picks, customer=customer, product=pool.product),)


def _receive(pool: Pool, command: ReceiveStock, *, now_ms: int) -> Decision:
    """Take units in, unless a feed does, they are past their date, or another product is there."""
    if pool.is_fed:
        return IsFed()
    if command.expires_at_ms is not None and command.expires_at_ms <= now_ms:
        return AlreadyExpired(expires_at_ms=command.expires_at_ms, now_ms=now_ms)
    if not pool.has_room_for(command.product):
        return Occupied(product=pool.product or "")
    return (
        StockReceived(
            quantity=command.quantity,
            lot=command.lot,
            expires_at_ms=command.expires_at_ms,
            reference=command.reference,
            product=command.product,
        ),
    )


def _open(pool: Pool, command: OpenTicketOption) -> Decision:
    if pool.version:
        return AlreadyBegun()
    return (
        TicketOptionOpened(name=command.name, desc=command.desc, allocation=command.allocation),
    )


def _received(event: StockReceived, *, seq: int, at_ms: int) -> Lot:
    return Lot(
        seq=seq,
        quantity=event.quantity,
        available=event.quantity,
        code=event.lot,
        expires_at_ms=event.expires_at_ms,
        received_at_ms=at_ms,
        reference=event.reference,
    )


def _allocated(event: TicketOptionOpened, *, seq: int, at_ms: int) -> Lot:
    return Lot(seq=seq, quantity=event.allocation, available=event.allocation, received_at_ms=at_ms)
