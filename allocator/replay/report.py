"""What a replay says at its end."""

from collections.abc import Mapping

import msgspec

from allocator.replay.drive import Tally
from allocator.replay.ledger import Balance, Difference
from allocator.replay.plan import OPENING_RULE, Plan

SHOWN_MAX = 5
"""How many of a kind are listed before the rest is only counted."""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """How long each phase took, in seconds."""

    opening_s: float
    sending_s: float
    reading_s: float

    @property
    def total_s(self) -> float:
        """All phases together."""
        return self.opening_s + self.sending_s + self.reading_s


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the end of a replay is judged by."""

    history: str
    warehouse: str
    clients: int
    plan: Plan
    tally: Tally
    differences: tuple[Difference, ...]
    answered: int
    repeated: int
    times: Times

    @property
    def identical(self) -> bool:
        """Whether every answer and every balance is the calculated one."""
        return not self.tally.surprises and not self.differences


def render(report: Report) -> list[str]:
    """Return the report as lines of text; the last one is the verdict."""
    return [
        *_what_was_sent(report),
        *_what_came_of_it(report),
        *_how_fast_it_was(report),
        *_how_it_compares(report),
    ]


def _what_was_sent(report: Report) -> list[str]:
    plan = report.plan
    lines = [
        _row("history", f"{report.history}: {plan.lines:,} lines, {len(plan.lanes):,} products"),
        _row("warehouse", report.warehouse),
        _row("opening stock", OPENING_RULE),
        _row("sent", f"{plan.steps:,} lines by {report.clients:,} clients"),
    ]
    skipped = plan.without_quantity + plan.without_product
    if skipped:
        why = f"{plan.without_quantity:,} of quantity 0, {plan.without_product:,} without a product"
        lines.append(_row("skipped", f"{skipped:,} lines: {why}"))
    if plan.respelled:
        lines.append(_row("respelled", _respelled(plan.respelled)))
    return lines


def _respelled(skus: Mapping[str, str]) -> str:
    shown = [f"{code!r} is {sku}" for code, sku in list(skus.items())[:SHOWN_MAX]]
    return ", ".join(shown) + _and_more(len(skus))


def _what_came_of_it(report: Report) -> list[str]:
    tally = report.tally
    returns = f"{tally.cancelled:,} cancelled an open order, {tally.received:,} received as stock"
    return [
        _row("orders placed", f"{tally.placed:,}"),
        _row("orders refused", f"{tally.refused:,}"),
        _row("returns", returns),
    ]


def _how_fast_it_was(report: Report) -> list[str]:
    times = report.times
    phases = (
        f"{times.total_s:.1f} s: opening {times.opening_s:.1f}, "
        f"lines {times.sending_s:.1f}, balances {times.reading_s:.1f}"
    )
    rates = (
        f"{report.answered:,} answered, {_rate(report.answered, times.total_s)} "
        f"(lines alone {_rate(report.plan.steps, times.sending_s)})"
    )
    return [
        _row("time", phases),
        _row("requests", rates),
        _row("repeated", f"{report.repeated:,}"),
    ]


def _rate(requests: int, seconds: float) -> str:
    # A history of one line can be over before the clock has moved.
    return f"{requests / max(seconds, 1e-6):,.0f}/s"


def _how_it_compares(report: Report) -> list[str]:
    surprises, unequal = report.tally.surprises, report.differences
    lines = [
        _row("answers", f"{report.plan.steps:,} compared, {len(surprises):,} different"),
        *(
            f"  line {surprise.line}, {surprise.sku}: "
            f"calculated {surprise.expected}, answered {surprise.actual}"
            for surprise in surprises[:SHOWN_MAX]
        ),
        *_rest(len(surprises)),
        _row("balances", f"{len(report.plan.lanes):,} compared, {len(unequal):,} different"),
    ]
    for difference in unequal[:SHOWN_MAX]:
        lines.append(f"  {difference.sku}: calculated {_numbers(difference.expected)}")
        lines.append(f"  {' ' * len(difference.sku)}    answered {_numbers(difference.actual)}")
    lines.extend(_rest(len(unequal)))
    verdict = "identical" if report.identical else "DIFFERENT from"
    ending = " to a sequential calculation" if report.identical else " a sequential calculation"
    return [*lines, verdict + ending]


def _numbers(balance: Balance) -> str:
    numbers = (
        f"available {balance.available}, ordered {balance.ordered}, "
        f"held {balance.held}, on_hand {balance.on_hand}"
    )
    states = {state: units for state, units in balance.unallocatable.items() if units}
    return numbers + (f", unallocatable {states}" if states else "")


def _rest(count: int) -> list[str]:
    return [f"  {_and_more(count).strip()}"] if count > SHOWN_MAX else []


def _and_more(count: int) -> str:
    return f" and {count - SHOWN_MAX:,} more" if count > SHOWN_MAX else ""


def _row(name: str, text: str) -> str:
    return f"{name:<15} {text}"
