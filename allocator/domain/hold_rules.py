"""The rules of a pool for what processes hold of it.

What guards asks of processes (stale, repeated, of a process that has let go) stands before these.
"""

from typing import assert_never

from allocator.domain.holds import (
    Check,
    Confirm,
    Hold,
    HoldAsked,
    HoldConfirmed,
    HoldEvent,
    HoldRefused,
    UnitsHeld,
)
from allocator.domain.missing import missing_among
from allocator.domain.pool import Pool
from allocator.domain.transit import Processes, Trace
from allocator.domain.values import Picks, units_of, with_less, with_more


def decide(pool: Pool, command: HoldAsked, trace: Trace) -> tuple[HoldEvent, ...]:
    """Say what an ask would do to `pool`, changing nothing.

    Returns:
        The event to journal; none if there is nothing to confirm, or it could be held.
    """
    match command:
        case Hold():
            return (_hold(pool, command, trace),)
        case Check():
            return ()
        case Confirm(process=process, step=step):
            if not trace.held:
                return ()  # it was confirmed so long ago that nobody remembers
            return (
                HoldConfirmed(
                    process=process,
                    step=step,
                    order=trace.order,
                    quantity=units_of(trace.held),
                    picks=trace.held,
                    product=pool.product,
                ),
            )
        case _:
            assert_never(command)


def evolve(pool: Pool, event: HoldEvent, processes: Processes, *, at_ms: int) -> None:
    """Apply what happened to a hold."""
    process, trace = event.process, processes.trace_of(event.process)
    match event:
        case UnitsHeld():
            for seq, units in event.returned:
                pool.release(seq, units)
            for seq, units in event.added:
                pool.hold(seq, units)
            pool.miss(event.missing)
            held = with_less(with_more(trace.held, event.added), event.returned)
            processes.note(process, Trace(step=event.step, order=event.order, held=held))
        case HoldRefused():
            refused = (event.requested, event.available, 0)
            kept = Trace(step=event.step, order=trace.order, held=trace.held, refused=refused)
            processes.note(process, kept)
        case HoldConfirmed(picks=picks):
            for seq, units in picks:
                pool.order_held(seq, units)
            pool.orders.add(event.order, picks, event.quantity, led=True)
            processes.release(process, at_ms=at_ms)
        case _:
            assert_never(event)


def order_at_once(pool: Pool, event: HoldConfirmed) -> None:
    """Have units ordered that nobody held. No ask is under way: the process made none."""
    for seq, units in event.picks:
        pool.take(seq, units).ordered += units
    pool.ordered += event.quantity
    pool.orders.add(event.order, event.picks, event.quantity, led=True)


def could_hold(pool: Pool, trace: Trace, product: str | None) -> int:
    """Return how many units a process could hold, those that it holds included."""
    return units_of(trace.held) + pool.available_of(product)


def _hold(pool: Pool, command: Hold, trace: Trace) -> UnitsHeld | HoldRefused:
    quantity, held = command.quantity, units_of(trace.held)
    available = could_hold(pool, trace, command.product)
    if quantity > available:
        return HoldRefused(
            process=command.process,
            step=command.step,
            requested=quantity,
            available=available,
            product=pool.product,
        )
    returned = _last(trace.held, held - quantity)
    return UnitsHeld(
        process=command.process,
        step=command.step,
        order=trace.order or pool.version + 1,
        quantity=quantity,
        added=pool.pick(quantity - held) if quantity > held else (),
        returned=returned,
        product=pool.product,
        missing=missing_among(pool, returned),
    )


def _last(held: Picks, surplus: int) -> Picks:
    """Return the picks with which a hold gives back so many units, the last to expire first."""
    returned = []
    for seq, units in reversed(held):
        if surplus <= 0:
            break
        returned.append((seq, min(units, surplus)))
        surplus -= units
    return tuple(returned)
