"""The rules of a pool for what processes ask of it.

Two guards stand before everything else: an ask that was under way for too long is refused, and one
of a process that has let go, or of a step that is done, changes nothing.
"""

from typing import Final, assert_never

from allocator.domain import hold_rules
from allocator.domain.holds import (
    AlreadyHeld,
    Check,
    Confirm,
    Hold,
    HoldAsked,
    HoldConfirmed,
    HoldEvent,
    HoldRefused,
    UnitsHeld,
)
from allocator.domain.messages import Decision, InsufficientStock
from allocator.domain.missing import Missing, missing_among
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconciling import IsFed
from allocator.domain.transfers import (
    LOTS_MAX,
    AlreadySent,
    Asked,
    Expect,
    LetGo,
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendOut,
    SendRefused,
    Stale,
    TakeIn,
    TooManyLots,
    Transfer,
    Transit,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.transit import STALE_AFTER_MS, Processes, Trace
from allocator.domain.values import units_of

_STRANGERS: Final = Processes()
"""Stands for the processes of a pool that knows none; never changed."""


def decide(pool: Pool, command: Asked | HoldAsked, *, now_ms: int) -> Decision:
    """Say what an ask would do to `pool`, changing nothing.

    Returns:
        The events to journal; none if the step was done before or the process has let go, but for
        what was sent out, or why not: the process has to know. Or a refusal; being stale comes
        first.
    """
    if now_ms - command.sent_at_ms > STALE_AFTER_MS:
        return Stale(now_ms=now_ms)
    processes = pool.processes or _STRANGERS
    if command.process in processes.released:
        return ()
    trace = processes.trace_of(command.process)
    if isinstance(command, Check):
        return _check(pool, command, trace)
    if command.step < trace.step:
        return ()
    if command.step == trace.step:
        return _again(trace)
    return _do(pool, command, trace)


def why_not_sent(*, requested: int, available: int, lots: int) -> InsufficientStock | TooManyLots:
    """Return what `SendRefused` means."""
    if lots:
        return TooManyLots(lots=lots, limit=LOTS_MAX)
    return InsufficientStock(requested=requested, available=available)


def _again(trace: Trace) -> Decision:
    """Return the answer to the step that was done last."""
    if trace.sent is not None:
        return AlreadySent(lots=trace.sent)
    if trace.refused is not None:
        requested, available, lots = trace.refused
        return why_not_sent(requested=requested, available=available, lots=lots)
    if trace.order:
        return AlreadyHeld(order=trace.order, picks=trace.held)
    return ()


def _check(pool: Pool, command: Check, trace: Trace) -> Decision:
    available = hold_rules.could_hold(pool, trace, command.product)
    if command.quantity > available:
        return InsufficientStock(requested=command.quantity, available=available)
    return ()


def _do(pool: Pool, command: Asked | HoldAsked, trace: Trace) -> Decision:
    match command:
        case SendOut():
            return _send(pool, command)
        case TakeIn():
            return _take(pool, command, trace)
        case Expect(process=process, step=step, product=product):
            return _expect(pool, process=process, step=step, product=product)
        case LetGo():
            return (_let_go(pool, command, trace),)
        case Hold() | Check() | Confirm():
            return hold_rules.decide(pool, command, trace)
        case _:
            assert_never(command)


def _expect(
    pool: Pool, *, process: int, step: int, product: str
) -> tuple[ProductExpected] | IsFed | Occupied:
    if pool.is_fed:
        return IsFed()
    if not pool.has_room_for(product):
        return Occupied(product=pool.product or "")
    return (ProductExpected(process=process, step=step, product=product),)


def evolve(pool: Pool, event: Transit | HoldEvent, *, at_ms: int) -> None:
    """Apply what happened; the pool's version is that of `event` already."""
    processes = pool.processes
    if processes is None:
        processes = pool.processes = Processes()
    match event:
        case UnitsSent(process=process, step=step, lots=lots):
            for sent in lots:
                pool.leave(pool.take(sent.origin[1], sent.quantity), sent.quantity)
            processes.note(process, Trace(step=step, sent=lots))
        case SendRefused(process=process, step=step):
            refused = (event.requested, event.available, event.lots)
            processes.note(process, Trace(step=step, refused=refused))
        case UnitsTaken(process=process, product=product):
            pool.claim(product)
            pool.put(_lot_of(event.lot, seq=pool.version))
            pool.miss(event.missing)
            trace = processes.trace_of(process)
            processes.note(process, _after_taking(event, trace))
        case ProductExpected(process=process, step=step, product=product):
            pool.claim(product)
            processes.note(process, Trace(step=step, expects=True))
        case ProcessLetGo(process=process, picks=picks):
            for seq, units in picks:
                pool.release(seq, units)
            pool.miss(event.missing)
            processes.release(process, at_ms=at_ms)
        case UnitsHeld() | HoldRefused() | HoldConfirmed():
            hold_rules.evolve(pool, event, processes, at_ms=at_ms)
        case _:
            assert_never(event)


def _let_go(pool: Pool, command: LetGo, trace: Trace) -> ProcessLetGo:
    return ProcessLetGo(
        process=command.process,
        step=command.step,
        quantity=units_of(trace.held),
        picks=trace.held,
        product=pool.product if trace.held else None,
        of_cart=command.of_cart,
        missing=missing_among(pool, trace.held),
    )


def _send(pool: Pool, command: SendOut) -> Decision:
    quantity, available = command.quantity, pool.available_of(command.product)
    picks = pool.pick(quantity) if quantity <= available else ()
    if not picks or len(picks) > LOTS_MAX:
        return (
            SendRefused(
                process=command.process,
                step=command.step,
                requested=quantity,
                available=available,
                lots=len(picks),
                product=pool.product,
            ),
        )
    return (
        UnitsSent(
            process=command.process,
            step=command.step,
            quantity=quantity,
            lots=tuple(
                _transfer_of(pool.lots[seq], units, source=command.source) for seq, units in picks
            ),
            product=pool.product,
        ),
    )


def _take(pool: Pool, command: TakeIn, trace: Trace) -> Decision:
    if not pool.has_room_for(command.product):
        return Occupied(product=pool.product or "")
    done = trace.taken if trace.taking == command.step else 0
    missing = Missing(pool)
    return tuple(
        UnitsTaken(
            process=command.process,
            step=command.step,
            lot=lot,
            last=done + number == len(command.lots),
            product=command.product,
            missing=missing.among_new(seq=pool.version + number, code=lot.code, units=lot.quantity),
        )
        for number, lot in enumerate(command.lots[done:], start=1)
    )


def _after_taking(event: UnitsTaken, trace: Trace) -> Trace:
    if event.last:
        return Trace(step=event.step)
    taken = trace.taken if trace.taking == event.step else 0
    return Trace(
        step=trace.step,
        expects=trace.expects,
        sent=trace.sent,
        taking=event.step,
        taken=taken + 1,
    )


def _transfer_of(lot: Lot, units: int, *, source: int) -> Transfer:
    return Transfer(
        quantity=units,
        origin=(source, lot.seq),
        received_at_ms=lot.received_at_ms,
        code=lot.code,
        expires_at_ms=lot.expires_at_ms,
        reference=lot.reference,
    )


def _lot_of(arrived: Transfer, *, seq: int) -> Lot:
    return Lot(
        seq=seq,
        quantity=arrived.quantity,
        available=arrived.quantity,
        code=arrived.code,
        expires_at_ms=arrived.expires_at_ms,
        received_at_ms=arrived.received_at_ms,
        reference=arrived.reference,
        origin=arrived.origin,
    )
