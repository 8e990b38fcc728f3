"""What must be true of units that change their state, whoever wrote it; a part of `laws`."""

from typing import assert_never

from allocator.domain.adjust_rules import units_in
from allocator.domain.adjustments import (
    AVAILABLE,
    Adjustment,
    Change,
    OrderRepicked,
    UnitsAdjusted,
    UnitsRecalled,
)
from allocator.domain.pool import Lot, Pool
from allocator.domain.values import Picks, units_of


def unlawful(pool: Pool, event: Adjustment) -> str:
    """Say why an event cannot have happened to a pool next, or nothing if it can."""
    match event:
        case UnitsAdjusted():
            return _unlawful_changes(pool, event) or _unlawful_recalls(pool, event)
        case UnitsRecalled(lot=seq, state=state, quantity=units):
            lot = pool.lots.get(seq)
            owed = 0 if lot is None else dict(lot.recalled).get(state, 0)
            there = 0 if lot is None else lot.available
            is_sound = 0 < units <= min(owed, there)
            return "" if is_sound else f"{units} units of lot {seq} are recalled, which owes {owed}"
        case OrderRepicked():
            return _unlawful_repick(pool, event)
        case _:
            assert_never(event)


def unbalanced_recalls(pool: Pool) -> str:
    """Say which lot owes what it has not, or nothing if all is well."""
    for lot in pool.lots.values():
        owed = units_of(lot.recalled)
        if not 0 <= owed <= lot.ordered + lot.held + lot.available:
            return f"lot {lot.seq} owes {owed} units, and has fewer that are ordered or held"
        if bool(owed) != (lot.seq in pool.recalls):
            return f"lot {lot.seq} owes {owed} units, which its pool does not know"
    return ""


def _unlawful_changes(pool: Pool, event: UnitsAdjusted) -> str:
    left: dict[tuple[int, str], int] = {}
    for seq, source, target, units in event.changes:
        lot = pool.lots.get(seq)
        if units < 1 or source == target:
            return f"{units} units cannot come from {source} to {target}"
        if lot is None:
            if (seq, source) != (pool.version + 1, None) or target is None:
                return f"units of lot {seq} change, of which nothing is there"
        elif source is not None:
            there = left.get((seq, source), units_in(lot, source))
            if units > there:
                return f"{units} units of lot {seq} are no more {source}, which were {there}"
            left[seq, source] = there - units
    return ""


def _unlawful_recalls(pool: Pool, event: UnitsAdjusted) -> str:
    for seq, state, units in event.recalled:
        lot = pool.lots.get(seq)
        if lot is None or not units:
            return f"{units} units of lot {seq} are recalled, of which nothing is there"
        owed, most = units_of(lot.recalled), lot.ordered + lot.held + lot.available
        taken = sum(_taken(change, lot) for change in event.changes)
        of_state = dict(lot.recalled).get(state, 0)
        if of_state + units < 0 or owed + units > most - taken:
            return f"lot {seq} owes {of_state} units as {state}, and {units} are recalled"
    return ""


def _taken(change: Change, lot: Lot) -> int:
    seq, source, _, units = change
    return units if (seq, source) == (lot.seq, AVAILABLE) else 0


def _unlawful_repick(pool: Pool, event: OrderRepicked) -> str:
    order, returned, added = event.order, event.returned, event.added
    held = dict(pool.orders.get(order) or ())
    if not held:
        return f"order {order} gets other lots, and is not open"
    if units_of(returned) != units_of(added) or not added:
        return f"order {order} gives back {returned} and gets {added}"
    available = {seq: lot.available for seq, lot in pool.lots.items()}
    if _exceeds(returned, held) or _exceeds(added, available):
        return f"order {order} gives back {returned} and gets {added}, which are not there"
    return ""


def _exceeds(picks: Picks, source: dict[int, int]) -> bool:
    names_twice = len({seq for seq, _ in picks}) < len(picks)
    return names_twice or any(not 0 < units <= source.get(seq, 0) for seq, units in picks)
