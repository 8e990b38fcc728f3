"""The rules of a pool for what recalled lots owe: who pays, who gets others, and what may leave.

It is due at once: what comes back to a recalled lot goes to the state to which that owes it, and
its orders get units of other lots as soon as there are any. No order is placed before that.
"""

from collections.abc import Iterator
from typing import Final

from allocator.domain.adjustments import (
    FlaggedUnits,
    OrderRepicked,
    Recall,
    UnitsAdjusted,
    UnitsRecalled,
)
from allocator.domain.pool import Lot, Pool
from allocator.domain.values import Picks, units_of

REPICKS_MAX: Final = 256
"""Orders that get other lots in one decision; the next message waits for no more than these."""

DISPATCHED: Final = "dispatched"
"""Why a lot does not owe units any more that a process had leave; no adjustment is asked for so."""


def is_due(pool: Pool) -> bool:
    """Say whether a lot that owes units could pay now, or an order of one could get others."""
    owing = [pool.lots[seq] for seq in pool.recalls]
    if any(lot.available for lot in owing):
        return True
    return bool(pool.available) and any(lot.ordered for lot in owing)


def pay(pool: Pool, *, now_ms: int) -> tuple[UnitsRecalled | OrderRepicked, ...]:
    """Say who pays what now, and which orders get others, of lots that are not past their date.

    A lot that has paid all that it owes has the rest of its units stand in for those of others.
    """
    events: list[UnitsRecalled | OrderRepicked] = []
    owes = {seq: units_of(pool.lots[seq].recalled) for seq in sorted(pool.recalls)}
    for seq, owed in owes.items():
        lot = pool.lots[seq]
        paid = min(lot.available, owed)
        events += _recalled(lot, units=paid, skipped=0, product=pool.product)
    spare = [
        [lot.seq, lot.available - owes.get(lot.seq, 0)]
        for lot in pool.for_sale()
        if lot.available > owes.get(lot.seq, 0) and lot.rank >= (now_ms + 1, 0)
    ]
    left = REPICKS_MAX
    for seq, owed in owes.items():
        lot = pool.lots[seq]
        paid = min(lot.available, owed)
        returned = 0
        for order, added in others(pool, lot, owed=owed - paid, spare=spare, limit=left):
            units = units_of(added)
            events.append(
                OrderRepicked(
                    order=order, returned=((seq, units),), added=added, product=pool.product
                )
            )
            returned += units
            left -= 1
        events += _recalled(lot, units=returned, skipped=paid, product=pool.product)
    return tuple(events)


def why_not_leave(pool: Pool, order: int, picks: Picks) -> FlaggedUnits | None:
    """Say why units of an order cannot leave: they are recalled, and not enough others there."""
    for seq, units in picks:
        if seq in pool.recalls:
            good = _good(pool.lots[seq])
            if units > good:
                return FlaggedUnits(order=order, lot=seq, requested=units, available=good)
    return None


def forgiven(pool: Pool, picks: Picks) -> tuple[UnitsAdjusted, ...]:
    """Return what has to happen before units leave that are recalled, but cannot be refused."""
    recalled: list[Recall] = []
    for seq, units in picks:
        if seq not in pool.recalls:
            continue
        lot = pool.lots[seq]
        excess = units - _good(lot)
        for state, owed in lot.recalled:
            if excess > 0:
                recalled.append((seq, state, -min(owed, excess)))
                excess -= owed
    if not recalled:
        return ()
    return (UnitsAdjusted(recalled=tuple(recalled), reason=DISPATCHED, product=pool.product),)


def is_flagged(pool: Pool, picks: Picks) -> bool:
    """Say whether an order that holds this has units of a lot that is recalled."""
    return bool(pool.recalls) and any(seq in pool.recalls for seq, _ in picks)


def blocked(pool: Pool, picks: Picks) -> int:
    """Return how many units of an order that holds this could not leave now."""
    return sum(max(0, units - _good(pool.lots[seq])) for seq, units in picks if seq in pool.recalls)


def _good(lot: Lot) -> int:
    """Return how many units that are ordered or held of a lot are not recalled."""
    return max(0, lot.ordered + lot.held + lot.available - units_of(lot.recalled))


def _recalled(
    lot: Lot, *, units: int, skipped: int, product: str | None
) -> Iterator[UnitsRecalled]:
    """Yield what a lot pays with so many units, state by state, behind those it paid before."""
    for state, owed in lot.recalled:
        passed = min(owed, skipped)
        skipped -= passed
        paid = min(owed - passed, units)
        if paid:
            yield UnitsRecalled(lot=lot.seq, state=state, quantity=paid, product=product)
        units -= paid


def others(
    pool: Pool, lot: Lot, *, owed: int, spare: list[list[int]], limit: int
) -> Iterator[tuple[int, Picks]]:
    """Yield orders of a lot, and what each gets instead of its units, which is taken of `spare`."""
    if not owed or not lot.ordered or not spare or not limit:
        return
    for order, units in pool.orders.of_lot(lot.seq, limit=limit):
        wanted = min(units, owed)
        added = []
        while wanted and spare:
            seq, available = spare[0]
            taken = min(wanted, available)
            added.append((seq, taken))
            wanted -= taken
            owed -= taken
            spare[0][1] -= taken
            if not spare[0][1]:
                del spare[0]
        if added:
            yield order, tuple(added)
        if not owed or not spare:
            break
