"""Pools whose units are counted, broken and recalled, without one of their guards."""

from typing import Final

from allocator.domain import adjust_rules, recall_rules
from allocator.domain.adjustments import SetState
from allocator.domain.pool import Lot, Pool
from allocator.domain.values import Picks
from allocator.simulation.mutant import Method, Mutant


def _let_anything_leave(_: Method) -> Method:
    def mutant(_pool: Pool, _order: int, _picks: Picks) -> None:
        return None

    return mutant


def _pay_when_woken(_: Method) -> Method:
    def mutant(_pool: Pool) -> bool:
        return False

    return mutant


def _count_at_any_time(_: Method) -> Method:
    def mutant(_pool: Pool, _command: SetState) -> None:
        return None

    return mutant


def _take_what_is_promised(_: Method) -> Method:
    def mutant(lot: Lot, state: str) -> int:
        promised = lot.ordered if state == "available" else 0
        return promised + {"available": lot.available, "expired": lot.expired}.get(
            state, dict(lot.aside).get(state, 0)
        )

    return mutant


ADJUSTMENT_MUTANTS: Final[dict[str, Mutant]] = {
    "let anything leave": Mutant(
        rule="units that are recalled do not leave",
        owner=recall_rules,
        method="why_not_leave",
        make=_let_anything_leave,
    ),
    "pay nothing": Mutant(
        rule="nobody gets units for which orders of a recalled lot wait",
        owner=recall_rules,
        method="is_due",
        make=_pay_when_woken,
    ),
    "count at any time": Mutant(
        rule="a count is of the version that was seen",
        owner=adjust_rules,
        method="_why_not_set",
        make=_count_at_any_time,
    ),
    "take what is promised": Mutant(
        rule="an adjustment takes no units from orders",
        owner=adjust_rules,
        method="units_in",
        make=_take_what_is_promised,
    ),
}
