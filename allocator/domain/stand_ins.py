"""The rules of a fed pool for units that are missing: which others stand in for them.

A batch may be short of units that were promised, or have left, where the WMS counts fewer. Perhaps
they were lost; perhaps they were units of another batch, in which the WMS has found more. Nobody
can tell, so that for each of them one unit of another batch is sold to nobody: orders get it at
once, and for what carts hold, and what has left, it is **withheld** until nothing is missing.

That is due at once: it is done before anybody can buy.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from allocator.domain.adjustments import (
    AVAILABLE,
    EXPIRED,
    WITHHELD,
    Change,
    OrderRepicked,
    UnitsAdjusted,
)
from allocator.domain.fed import Batch, Code, Fed
from allocator.domain.missing import Missing
from allocator.domain.pool import Lot, Pool
from allocator.domain.recall_rules import REPICKS_MAX, others
from allocator.domain.reconcile_rules import set_aside
from allocator.domain.transfers import LOTS_MAX
from allocator.domain.values import units_of

REASON: Final = "missing"
"""Why units are withheld, or are not any more."""


class Lack(NamedTuple):
    """What a batch is short of, and of whom.

    Units in a state that the WMS excludes are missing first: it may know of them before it has
    applied what we push of them. Then those that are withheld, as nobody wants them.

    Attributes:
        lots: Of the batch, the first to expire first.
        settled: Withheld units that are missing themselves.
        ordered: Units of orders.
        gone: Units that carts hold, or that have left; or that the WMS has promised to others.
    """

    code: Code
    lots: list[Lot]
    settled: int
    ordered: int
    gone: int


class Plan(NamedTuple):
    """What has to happen.

    Attributes:
        lacks: By name: who was recovered from a snapshot decides as if it had lived on.
        more: Units that are to be withheld; negative if fewer are.
        owed: Ordered units that are missing.
    """

    lacks: tuple[Lack, ...] = ()
    more: int = 0
    owed: int = 0

    @property
    def settled(self) -> bool:
        """Whether withheld units are missing themselves."""
        return any(each.settled for each in self.lacks)


_NOTHING: Final = Plan()


def owed(pool: Pool) -> int:
    """Return how many ordered units are missing, so that other lots have to stand in for them."""
    return _plan(pool).owed


def withheld(lot: Lot) -> int:
    """Return how many units of a lot stand in for others."""
    return next((units for state, units in lot.aside if state == WITHHELD), 0)


def is_due(pool: Pool) -> bool:
    """Say whether others could stand in for missing units now, or need not any more."""
    plan = _plan(pool)
    if plan.settled or plan.more < 0:
        return True
    if not pool.available or not (plan.more or plan.owed):
        return False
    return any(lot.seq not in pool.recalls for lot in pool.for_sale())


def pay(pool: Pool, *, now_ms: int) -> tuple[UnitsAdjusted | OrderRepicked, ...]:
    """Say what stands in for what, as far as there is anything.

    What is gone comes first, as an order would be given units else that are not there; then orders
    do, in the order in which they were placed, `REPICKS_MAX` of them. What the others get next is
    withheld until then.
    """
    plan = _plan(pool)
    if not (plan.settled or plan.more or plan.owed):
        return ()
    missing = Missing(pool)
    spare = [
        [lot.seq, lot.available]
        for lot in pool.for_sale()
        if lot.seq not in pool.recalls and lot.rank >= (now_ms + 1, 0)
    ]
    changes = [*_released(pool, plan, now_ms=now_ms), *_kept_back(spare, units=plan.more)]
    events: list[UnitsAdjusted | OrderRepicked] = [*_adjusted(changes, missing)]
    _add_released(pool, events, spare)
    repicked = list(_repicked(pool, plan, spare=spare, missing=missing))
    events += repicked
    if len(repicked) >= REPICKS_MAX:  # nobody buys what the others get next
        waiting = plan.owed - sum(units_of(each.added) for each in repicked)
        events += _adjusted(list(_kept_back(spare, units=waiting)), missing)
    return tuple(events)


def _adjusted(changes: list[Change], missing: Missing) -> Iterator[UnitsAdjusted]:
    for begin in range(0, len(changes), LOTS_MAX):
        some = tuple(changes[begin : begin + LOTS_MAX])
        freed = ((seq, units) for seq, _, target, units in some if target == AVAILABLE)
        yield UnitsAdjusted(changes=some, reason=REASON, missing=missing.among(tuple(freed)))


def _plan(pool: Pool) -> Plan:
    fed = pool.fed
    if fed is None or not fed.feed or not (fed.short or pool.aside):
        return _NOTHING
    kept = next((units for state, units in pool.aside if state == WITHHELD), 0)
    if not fed.short:
        return Plan(more=-kept) if kept else _NOTHING
    codes = [code for code, batch in fed.batches.items() if batch.short]
    lots: dict[Code, list[Lot]] = {code: [] for code in codes}
    for lot in pool.lots.values():  # all of them: it is asked twice for each order
        if lot.code in lots:
            lots[lot.code].append(lot)
    codes.sort(key=lambda code: (code is not None, code or ""))
    lacks = tuple(_lack(code, fed.batches[code], lots[code], fed) for code in codes)
    gone = sum(each.gone for each in lacks)
    kept -= sum(each.settled for each in lacks)
    return Plan(lacks=lacks, more=gone - kept, owed=sum(each.ordered for each in lacks))


def _lack(code: Code, batch: Batch, lots: list[Lot], fed: Fed) -> Lack:
    left = max(0, batch.short - sum(set_aside(lot, fed.excludes) for lot in lots))
    settled = min(left, sum(withheld(lot) for lot in lots))
    ordered = min(left - settled, sum(lot.ordered for lot in lots))
    left -= settled + ordered
    gone = min(left, batch.left + sum(lot.held for lot in lots))
    gone += max(0, left - gone - sum(_unsold(lot, fed.excludes) for lot in lots))
    return Lack(code, sorted(lots, key=_rank), settled, ordered, gone)


def _unsold(lot: Lot, excludes: tuple[str, ...]) -> int:
    """Return how many units nobody can get of a lot, that the WMS may call orderable."""
    return units_of(lot.aside) + lot.expired - withheld(lot) - set_aside(lot, excludes)


def _released(pool: Pool, plan: Plan, *, now_ms: int) -> Iterator[Change]:
    """Yield units that are withheld no longer, as they are missing or as nothing is.

    What is missing of them is so because it becomes available; no lot does so twice.
    """
    freed: dict[int, int] = {}
    for lack in plan.lacks:
        _free(lack.lots, lack.settled, freed)
    if plan.more < 0:
        _free(sorted(pool.lots.values(), key=_rank), -plan.more, freed)
    left = {} if pool.fed is None else {code: b.short for code, b in pool.fed.batches.items()}
    for seq, units in freed.items():
        lot = pool.lots[seq]
        vanishing = min(units, left.get(lot.code, 0))
        left[lot.code] = left.get(lot.code, 0) - vanishing
        is_past = lot.rank < (now_ms + 1, 0)
        if to_sell := vanishing if is_past else units:
            yield seq, WITHHELD, AVAILABLE, to_sell
        if is_past and units > vanishing:
            yield seq, WITHHELD, EXPIRED, units - vanishing


def _free(lots: Iterable[Lot], units: int, freed: dict[int, int]) -> None:
    """Have so many withheld units of some lots be free, beside those that are."""
    for lot in lots:
        if part := min(units, withheld(lot) - freed.get(lot.seq, 0)):
            freed[lot.seq] = freed.get(lot.seq, 0) + part
            units -= part


def _kept_back(spare: list[list[int]], *, units: int) -> Iterator[Change]:
    """Yield units that are withheld from now on, taken of `spare`: those that keep longest."""
    while units > 0 and spare:
        seq, available = spare[-1]
        part = min(units, available)
        units -= part
        if part == available:
            del spare[-1]
        else:
            spare[-1][1] -= part
        yield seq, AVAILABLE, WITHHELD, part


def _add_released(
    pool: Pool, events: Iterable[UnitsAdjusted | OrderRepicked], spare: list[list[int]]
) -> None:
    """Have orders get what is withheld no longer, and not missing."""
    units: dict[int, int] = {seq: there for seq, there in spare}  # noqa: C416
    for event in events:
        if isinstance(event, UnitsAdjusted):
            gone = dict(event.missing)
            for seq, _, target, freed in event.changes:
                if target == AVAILABLE and seq not in pool.recalls:
                    units[seq] = units.get(seq, 0) + freed - gone.get(seq, 0)
    spare[:] = [[seq, units[seq]] for seq in sorted(units, key=lambda seq: pool.lots[seq].rank)]
    spare[:] = [each for each in spare if each[1]]


def _repicked(
    pool: Pool, plan: Plan, *, spare: list[list[int]], missing: Missing
) -> Iterator[OrderRepicked]:
    count = 0
    for lack in plan.lacks:
        left = lack.ordered
        for lot in lack.lots:
            limit = REPICKS_MAX - count
            for order, added in others(pool, lot, owed=left, spare=spare, limit=limit):
                returned = ((lot.seq, units_of(added)),)
                left -= units_of(added)
                count += 1
                yield OrderRepicked(
                    order=order, returned=returned, added=added, missing=missing.among(returned)
                )


def _rank(lot: Lot) -> tuple[int, int]:
    return lot.rank
