"""Judges a run: whether all that was promised was kept, whatever happened.

Nothing here knows what went wrong in the run. The journal says what happened, clients say what
they were told and when, and every law is arithmetic on the two.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from allocator.simulation.history import Evidence, Operation
from allocator.simulation.oracle_answers import (
    Keys,
    a_key_has_one_effect,
    a_key_is_called_reused_only_if_it_is,
    a_repeat_has_the_first_answer,
    every_acknowledged_change_is_in_the_journal_as_it_was_told,
    every_row_is_somebodys,
    no_answer_is_outside_the_contract,
    no_error_is_a_bug,
    nothing_denied_was_done,
)
from allocator.simulation.oracle_journal import (
    digests_chain,
    every_row_is_what_the_rules_decide,
    no_unit_is_sold_twice_or_lost,
    rows_have_no_gap_and_can_be_read,
    the_stored_wake_up_is_the_wanted_one,
    times_never_go_back,
)
from allocator.simulation.oracle_order import (
    a_search_finds_a_sequential_order,
    effects_keep_the_order_of_their_asking,
    every_answer_was_true_when_it_was_given,
    first_come_first_served,
)
from allocator.simulation.oracle_pool import PoolEvidence

POOL_LAWS: Final[tuple[Callable[[PoolEvidence], list[str]], ...]] = (
    times_never_go_back,
    digests_chain,
    no_unit_is_sold_twice_or_lost,
    every_row_is_what_the_rules_decide,
    no_answer_is_outside_the_contract,
    no_error_is_a_bug,
    every_acknowledged_change_is_in_the_journal_as_it_was_told,
    every_row_is_somebodys,
    nothing_denied_was_done,
    first_come_first_served,
    effects_keep_the_order_of_their_asking,
    every_answer_was_true_when_it_was_given,
)
"""Laws of a pool whose journal can be read; each returns what contradicts it."""

KEY_LAWS: Final[tuple[Callable[[Keys], list[str]], ...]] = (
    a_key_has_one_effect,
    a_repeat_has_the_first_answer,
    a_key_is_called_reused_only_if_it_is,
)

_SHOWN_MAX: Final = 3


def judge(evidence: Evidence, *, searched: int = 0) -> list[str]:
    """Return which laws were broken, each in words after its name; nothing if none was.

    Args:
        evidence: Complete: all that anybody asked, and all rows.
        searched: For so many pools, the busiest first, a second opinion is asked of a search
            that takes much longer.
    """
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    pools = _pools(evidence)
    sound = [pool for pool in pools if not pool.unreadable]
    for pool in pools:
        _note(wrong, rows_have_no_gap_and_can_be_read, pool)
    for law in POOL_LAWS:
        for pool in sound:
            _note(wrong, law, pool)
    for pool in sound:
        stored_ms = evidence.wakes.get(pool.actor_id)
        found = the_stored_wake_up_is_the_wanted_one(pool, stored_ms=stored_ms)
        wrong[_named(the_stored_wake_up_is_the_wanted_one.__name__)] += _of_pool(pool, found)
    for pool in sorted(sound, key=lambda pool: len(pool.seen), reverse=True)[:searched]:
        _note(wrong, a_search_finds_a_sequential_order, pool)
    keys = Keys(sound, evidence.operations)
    for key_law in KEY_LAWS:
        wrong[_named(key_law.__name__)] += key_law(keys)
    wrong[_named(every_question_is_answered.__name__)] += every_question_is_answered(evidence)
    wrong[_named(no_part_breaks_its_contract.__name__)] += no_part_breaks_its_contract(evidence)
    return [f"{law}: {_brief(details)}" for law, details in wrong.items() if details]


def every_question_is_answered(evidence: Evidence) -> list[str]:
    """When all trouble is over, nobody waits for ever."""
    return evidence.hanging


def no_part_breaks_its_contract(evidence: Evidence) -> list[str]:
    """What the parts promise each other is kept, too."""
    return evidence.violations


def law_of(failure: str) -> str:
    """Return the law that a failure names."""
    return failure.partition(":")[0]


def _pools(evidence: Evidence) -> list[PoolEvidence]:
    by_actor: defaultdict[int, list[Operation]] = defaultdict(list)
    for operation in evidence.operations:
        by_actor[operation.actor_id].append(operation)
    return [
        PoolEvidence(actor_id, rows=evidence.rows.get(actor_id, []), operations=by_actor[actor_id])
        for actor_id in sorted({*evidence.rows, *by_actor})
    ]


def _note(
    wrong: dict[str, list[str]], law: Callable[[PoolEvidence], list[str]], pool: PoolEvidence
) -> None:
    found = law(pool)
    if found:
        wrong.setdefault(_named(law.__name__), []).extend(_of_pool(pool, found))


def _of_pool(pool: PoolEvidence, found: Sequence[str]) -> list[str]:
    return [f"actor {pool.actor_id}: {each}" for each in found]


def _named(law: str) -> str:
    return law.replace("_", " ")


def _brief(details: Sequence[str]) -> str:
    """Join the first few; the rest as a number."""
    more = len(details) - _SHOWN_MAX
    return "; ".join(details[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
