"""Every law about feeds is broken by something: a simulated day that is right, and then bent."""

from collections.abc import Callable
from math import inf
from typing import Final

import pytest
from msgspec.structs import replace

from allocator.simulation import run
from allocator.simulation.history import Evidence, Fed
from allocator.simulation.model_feed import FeedModel
from allocator.simulation.oracle import judge, law_of
from allocator.simulation.plan import Plan, plan_of
from allocator.simulation.process import START_MS
from allocator.simulation.steps import Away, Wish
from allocator.simulation.warehouse import Request, Told

SEEDS: Final = range(1_000)
"""The first of them on which enough happens is taken."""

Bend = Callable[[Evidence, Fed, pytest.MonkeyPatch], object]


def evidence_of(plan: Plan) -> Evidence:
    """Run a plan; return what it is to be judged by."""
    kept: list[Evidence] = []

    def keep(evidence: Evidence) -> list[str]:
        kept.append(evidence)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "judge", keep)
        run.simulate(plan)
    return kept[0]


def fed_of(evidence: Evidence) -> Fed:
    """Return what is known of the warehouse that is fed."""
    assert evidence.fed is not None
    return evidence.fed


def changed_last(evidence: Evidence) -> dict[int, int]:
    """Return the last row of each pool that a feed has changed after it was attached."""
    found = {}
    for pool in fed_of(evidence).warehouse.terms.pools:
        kinds = [row.kind for row in evidence.rows.get(pool, ())]
        first = kinds.index("feed_attached") + 1 if "feed_attached" in kinds else len(kinds)
        seqs = [seq for seq, kind in enumerate(kinds, 1) if kind == "lot_reconciled"]
        if seqs and seqs[-1] > first + 1:
            found[pool] = seqs[-1]
    return found


def is_rich(evidence: Evidence) -> bool:
    """Say whether the day has something of all that laws are about."""
    fed = fed_of(evidence)
    feed = [row.kind for row in evidence.rows.get(fed.warehouse.terms.feed, ())]
    is_on = bool(feed) and "feed_deleted" not in feed
    told = len(fed.warehouse.told) > 2 and len({each.numbered for each in fed.standings}) > 1
    return fed.at_rest and is_on and told and bool(changed_last(evidence))


@pytest.fixture(scope="module")
def rich() -> Plan:
    """A day on which it tells nothing by itself, so that every row is of a run."""
    fed = (plan for plan in map(plan_of, SEEDS) if plan.terms is not None and not plan.terms.tells)
    return next(plan for plan in fed if is_rich(evidence_of(plan)))


@pytest.fixture
def day(rich: Plan) -> Evidence:
    return evidence_of(rich)


def broken_by(evidence: Evidence) -> set[str]:
    return {law_of(failure) for failure in judge(evidence)}


def test_the_day_itself_breaks_no_law(day: Evidence) -> None:
    assert broken_by(day) == set()


def _there_was_nothing(_day: Evidence, fed: Fed, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fed.warehouse, "total", lambda _sku, *, as_of: 0 * as_of)


def _everybody_was_promised_more(day: Evidence, fed: Fed, patch: pytest.MonkeyPatch) -> None:
    del day, fed
    patch.setattr(FeedModel, "_note_promised", lambda model, seq: model.promised.update({seq: 999}))


def _nothing_was_said(_day: Evidence, fed: Fed, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fed.warehouse, "said", lambda *, as_of: as_of and None)


def _something_newer_was_heard(day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    for pool, seq in changed_last(day).items():
        fed.told.append(Told(pool=pool, as_of=1 << 40, codes=None, before=seq - 1))


def _another_decrease_is_applied(_day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    pool = fed.warehouse.terms.pools[0]
    fed.applied[pool, "A"] = fed.applied.get((pool, "A"), 0) + 1


def _a_push_was_never_told(_day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    del fed.warehouse.told[1]


def _what_nobody_had_is_shipped(_day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    fed.warehouse.truth.mistakes.append("push 2 ships 1 units that nobody had")


def _somebody_asks_at_once_again_and_again(_day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    last = fed.warehouse.requests[-1]
    again = Request(at_s=last.at_s, by=last.by, limited=False)
    fed.warehouse.requests += [again] * (fed.warehouse.terms.burst + 1)


def _numbers_go_back(_day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    fed.standings.reverse()


def _it_has_ended(day: Evidence, fed: Fed, _: pytest.MonkeyPatch) -> None:
    rows = day.rows[fed.warehouse.terms.feed]
    for kind in ("feed_deleted", "feed_ended"):
        rows.append(replace(rows[-1], seq=len(rows) + 1, kind=kind, version=1, body="{}"))


BENDS: Final[dict[str, Bend]] = {
    "nothing is counted that never was": _there_was_nothing,
    "nothing is for sale that is not there": _everybody_was_promised_more,
    "what is reconciled is what the warehouse said": _nothing_was_said,
    "nothing is heard after what is newer": _something_newer_was_heard,
    "both sides agree in the end": _another_decrease_is_applied,
    "the warehouse is told what happened in order": _a_push_was_never_told,
    "the warehouse is told nothing that cannot be": _what_nobody_had_is_shipped,
    "the limit of the warehouse is kept": _somebody_asks_at_once_again_and_again,
    "a feed never goes back": _numbers_go_back,
    "pools are let go of when a feed has ended": _it_has_ended,
}


@pytest.mark.parametrize("law", BENDS)
def test_this_law_can_be_broken(law: str, day: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    BENDS[law](day, fed_of(day), monkeypatch)

    assert law in broken_by(day)


def test_orders_are_placed_all_day_though_the_warehouses_system_is_out_of_reach() -> None:
    """No order waits for it: nobody asks it anything for as long, and all are answered."""
    away = Away(at_ms=0, for_ms=1_000_000)
    orders = 0
    for plan in map(plan_of, SEEDS):
        if plan.terms is None:
            continue
        wishes = [step for step in plan.steps if isinstance(step, Wish)]
        evidence = evidence_of(replace(plan, steps=(away, *wishes)))
        answered = [each.attempts[-1].answer for each in evidence.operations]
        first_s = min((each.at_s for each in fed_of(evidence).warehouse.requests), default=inf)
        for pool in plan.terms.pools:
            rows = evidence.rows.get(pool, ())
            placed = [row for row in rows if row.kind == "order_placed"]
            orders += sum((row.at_ms - START_MS) / 1000 < first_s for row in placed)

        assert not evidence.hanging
        assert None not in answered
        if orders > 20:
            return
    pytest.fail("too few orders were placed")
