"""What must be true of what processes hold of a pool, whoever wrote it; a part of `laws`."""

from collections import Counter
from typing import assert_never

from allocator.domain.holds import HoldConfirmed, UnitsHeld
from allocator.domain.pool import Pool
from allocator.domain.transfers import ProcessLetGo
from allocator.domain.transit import NO_TRACE, Trace
from allocator.domain.values import Picks, units_of


def unlawful(pool: Pool, event: UnitsHeld | HoldConfirmed | ProcessLetGo) -> str:
    """Say why an event cannot have happened to a pool next, or nothing if it can."""
    trace = NO_TRACE if pool.processes is None else pool.processes.trace_of(event.process)
    match event:
        case UnitsHeld():
            return _unlawful_hold(pool, event, trace)
        case HoldConfirmed(order=order, quantity=quantity, picks=picks):
            if not event.held:
                return _unlawful_at_once(pool, event)
            is_held = trace.order == order and trace.held == picks and picks
            is_sound = is_held and quantity == units_of(picks)
            return "" if is_sound else f"{quantity} units are ordered, and {trace.held} held"
        case ProcessLetGo(quantity=quantity, picks=picks):
            is_sound = trace.held == picks and quantity == units_of(picks)
            return "" if is_sound else f"{quantity} units go back, and {trace.held} were held"
        case _:
            assert_never(event)


def held_by_lot(pool: Pool) -> dict[int, int]:
    """Return how many units of each lot processes hold."""
    held: Counter[int] = Counter()
    if pool.processes is not None:
        for trace in pool.processes.traces.values():
            held.update(dict(trace.held))
    return dict(held)


def _unlawful_at_once(pool: Pool, event: HoldConfirmed) -> str:
    """Likewise for units that are ordered without having been held."""
    if pool.processes is not None and pool.processes.knows(event.process):
        return f"process {event.process} orders at once, and has asked for something before"
    if event.order != pool.version + 1:
        return f"what is ordered will be order {event.order}, and that is another"
    units = units_of(event.picks)
    if not event.picks or event.quantity != units:
        return f"{event.quantity} units are ordered, and {units} taken from lots"
    if _exceeds(event.picks, {seq: lot.available for seq, lot in pool.lots.items()}):
        return f"{event.picks} are taken from lots, which is more than is available"
    return ""


def _unlawful_hold(pool: Pool, event: UnitsHeld, trace: Trace) -> str:
    if pool.processes is not None and event.process in pool.processes.released:
        return f"process {event.process} holds units, and has let go"
    if event.order != (trace.order or pool.version + 1):
        return f"what is held will be order {event.order}, and that is another"
    units = units_of(trace.held) + units_of(event.added) - units_of(event.returned)
    if event.quantity != units:
        return f"{event.quantity} units are held, and {units} taken from lots"
    available = {seq: lot.available for seq, lot in pool.lots.items()}
    for picks, source, name in (
        (event.added, available, "available"),
        (event.returned, dict(trace.held), "held"),
    ):
        if _exceeds(picks, source):
            return f"{picks} are taken from lots, which is more than is {name}"
    return ""


def _exceeds(picks: Picks, source: dict[int, int]) -> bool:
    names_twice = len({seq for seq, _ in picks}) < len(picks)
    return names_twice or any(not 0 < units <= source.get(seq, 0) for seq, units in picks)
