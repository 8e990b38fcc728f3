"""Judges a run: whether all that was promised was kept, whatever happened.

Nothing here knows what went wrong in the run. The journal says what happened, clients say what
they were told and when, and every law is arithmetic on the two.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from allocator.domain.queries import MoveQuery
from allocator.simulation.history import NEWBORN, Evidence, Operation
from allocator.simulation.oracle_answers import (
    Answers,
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
from allocator.simulation.oracle_carts import (
    Purchases,
    a_cart_expires_when_it_is_time,
    a_charge_is_asked_for_when_its_checkout_is_stored,
    a_checkout_is_of_what_is_in_the_cart,
    money_that_was_taken_buys_or_is_owed,
    no_hold_changes_while_it_is_paid_for,
    nobody_is_charged_twice,
    nothing_happens_to_a_cart_that_is_over_or_paid_for,
    nothing_is_bought_without_money,
    what_a_worker_has_heard_is_known,
)
from allocator.simulation.oracle_counts import (
    nothing_is_counted_that_never_was,
    nothing_is_for_sale_that_is_not_there,
)
from allocator.simulation.oracle_feed import FeedEvidence
from allocator.simulation.oracle_feeds import (
    Feeds,
    a_feed_never_goes_back,
    both_sides_agree_in_the_end,
    nothing_is_heard_after_what_is_newer,
    pools_are_let_go_of_when_a_feed_has_ended,
    the_limit_of_the_warehouse_is_kept,
    the_warehouse_is_told_nothing_that_cannot_be,
    the_warehouse_is_told_what_happened_in_order,
    what_is_reconciled_is_what_the_warehouse_said,
)
from allocator.simulation.oracle_holds import (
    Holdings,
    a_process_is_begun_once,
    an_order_is_all_or_nothing,
    every_process_settles,
    no_step_is_stored_before_its_cause,
    nothing_is_held_for_who_has_let_go,
    pools_have_what_their_processes_say,
)
from allocator.simulation.oracle_journal import (
    Rows,
    digests_chain,
    every_row_is_what_the_rules_decide,
    every_row_of_a_feed_is_lawful,
    every_row_of_a_move_is_what_the_rules_decide,
    every_row_of_a_process_is_what_the_rules_decide,
    no_unit_is_sold_twice_or_lost,
    rows_have_no_gap_and_can_be_read,
    the_stored_wake_up_is_the_wanted_one,
    times_never_go_back,
)
from allocator.simulation.oracle_lead import LeadEvidence
from allocator.simulation.oracle_leads import AllLeaders, Leads
from allocator.simulation.oracle_moves import Moves
from allocator.simulation.oracle_order import (
    a_search_finds_a_sequential_order,
    effects_keep_the_order_of_their_asking,
    every_answer_was_true_when_it_was_given,
    first_come_first_served,
)
from allocator.simulation.oracle_pool import PoolEvidence
from allocator.simulation.oracle_transit import (
    Transits,
    a_move_brings_what_it_has_taken,
    a_move_is_begun_once,
    every_move_ends,
    no_place_holds_two_products,
    nothing_is_asked_before_it_is_stored,
    nothing_is_done_for_who_has_let_go,
    units_are_on_hand_or_on_their_way,
)

JOURNAL_LAWS: Final[tuple[Callable[[Rows], list[str]], ...]] = (
    times_never_go_back,
    digests_chain,
    the_stored_wake_up_is_the_wanted_one,
)
"""Laws of any journal that can be read; each returns what contradicts it."""

ANSWER_LAWS: Final[tuple[Callable[[Answers], list[str]], ...]] = (
    no_answer_is_outside_the_contract,
    no_error_is_a_bug,
    every_acknowledged_change_is_in_the_journal_as_it_was_told,
    every_row_is_somebodys,
    nothing_denied_was_done,
)

POOL_LAWS: Final[tuple[Callable[[PoolEvidence], list[str]], ...]] = (
    no_unit_is_sold_twice_or_lost,
    every_row_is_what_the_rules_decide,
    no_place_holds_two_products,
    first_come_first_served,
    effects_keep_the_order_of_their_asking,
    every_answer_was_true_when_it_was_given,
)

LEAD_LAWS: Final[tuple[Callable[[LeadEvidence], list[str]], ...]] = (
    every_row_of_a_process_is_what_the_rules_decide,
    first_come_first_served,
    effects_keep_the_order_of_their_asking,
    every_answer_was_true_when_it_was_given,
)

MOVE_LAWS: Final[tuple[Callable[[Transits], list[str]], ...]] = (
    a_move_is_begun_once,
    every_move_ends,
    nothing_is_done_for_who_has_let_go,
    a_move_brings_what_it_has_taken,
    nothing_is_asked_before_it_is_stored,
    units_are_on_hand_or_on_their_way,
)

FEED_LAWS: Final[tuple[Callable[[Feeds], list[str]], ...]] = (
    nothing_is_counted_that_never_was,
    nothing_is_for_sale_that_is_not_there,
    what_is_reconciled_is_what_the_warehouse_said,
    nothing_is_heard_after_what_is_newer,
    both_sides_agree_in_the_end,
    the_warehouse_is_told_what_happened_in_order,
    the_warehouse_is_told_nothing_that_cannot_be,
    the_limit_of_the_warehouse_is_kept,
    a_feed_never_goes_back,
    pools_are_let_go_of_when_a_feed_has_ended,
)

HOLD_LAWS: Final[tuple[Callable[[Holdings], list[str]], ...]] = (
    a_process_is_begun_once,
    every_process_settles,
    nothing_is_held_for_who_has_let_go,
    an_order_is_all_or_nothing,
    pools_have_what_their_processes_say,
    no_step_is_stored_before_its_cause,
)

CART_LAWS: Final[tuple[Callable[[Purchases], list[str]], ...]] = (
    nobody_is_charged_twice,
    a_charge_is_asked_for_when_its_checkout_is_stored,
    money_that_was_taken_buys_or_is_owed,
    nothing_is_bought_without_money,
    what_a_worker_has_heard_is_known,
    a_checkout_is_of_what_is_in_the_cart,
    nothing_happens_to_a_cart_that_is_over_or_paid_for,
    no_hold_changes_while_it_is_paid_for,
    a_cart_expires_when_it_is_time,
)

KEY_LAWS: Final[tuple[Callable[[Keys], list[str]], ...]] = (
    a_key_has_one_effect,
    a_repeat_has_the_first_answer,
    a_key_is_called_reused_only_if_it_is,
)

_SHOWN_MAX: Final = 3


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


def judge(evidence: Evidence, *, searched: int = 0) -> list[str]:
    """Return which laws were broken, each in words after its name; nothing if none was.

    Args:
        evidence: Complete: all that anybody asked, and all rows.
        searched: For so many pools, the busiest first, a second opinion is asked of a search
            that takes much longer.
    """
    moves, leads = Moves(evidence), Leads(evidence)
    pools = _pools(evidence, moves, leads)
    sound = [pool for pool in pools if not pool.unreadable]
    busiest = sorted(sound, key=lambda pool: len(pool.seen), reverse=True)[:searched]
    begun, led = list(moves.by_actor.values()), list(leads.by_actor.values())
    readable = [lead for lead in led if not lead.unreadable]
    feeds = _feeds(evidence)
    journals: list[Rows] = [*sound, *begun, *readable, *feeds]
    all_rows: list[Rows] = [*pools, *begun, *led, *feeds]
    told: list[Answers] = [*sound, moves, leads, *readable, *feeds]
    keys = Keys([*sound, *begun, *led, *feeds], evidence.operations)
    fed = Feeds(evidence, sound, feeds)
    transits = Transits(moves, sound, evidence.commits, leads=leads.by_actor)
    holdings = Holdings(leads, sound, evidence.commits)
    purchases = Purchases(holdings, evidence.charges)
    return [
        *_broken(rows_have_no_gap_and_can_be_read, all_rows),
        *(failure for law in JOURNAL_LAWS for failure in _broken(law, journals)),
        *(failure for law in ANSWER_LAWS for failure in _broken(law, told)),
        *(failure for law in POOL_LAWS for failure in _broken(law, sound)),
        *(failure for law in LEAD_LAWS for failure in _broken(law, readable)),
        *_broken(every_row_of_a_move_is_what_the_rules_decide, begun),
        *(failure for law in MOVE_LAWS for failure in _failure(law.__name__, law(transits))),
        *(failure for law in HOLD_LAWS for failure in _failure(law.__name__, law(holdings))),
        *(failure for law in CART_LAWS for failure in _failure(law.__name__, law(purchases))),
        *_broken(every_row_of_a_feed_is_lawful, feeds),
        *_broken(effects_keep_the_order_of_their_asking, feeds),
        *_broken(every_answer_was_true_when_it_was_given, feeds),
        *(failure for law in FEED_LAWS for failure in _failure(law.__name__, law(fed))),
        *_broken(a_search_finds_a_sequential_order, busiest),
        *(failure for law in KEY_LAWS for failure in _failure(law.__name__, law(keys))),
        *_failure(every_question_is_answered.__name__, every_question_is_answered(evidence)),
        *_failure(no_part_breaks_its_contract.__name__, no_part_breaks_its_contract(evidence)),
    ]


def every_question_is_answered(evidence: Evidence) -> list[str]:
    """When all trouble is over, nobody waits for ever."""
    return evidence.hanging


def no_part_breaks_its_contract(evidence: Evidence) -> list[str]:
    """What the parts promise each other is kept, too."""
    return evidence.violations


def law_of(failure: str) -> str:
    """Return the law that a failure names."""
    return failure.partition(":")[0]


def _pools(evidence: Evidence, moves: Moves, leads: Leads) -> list[PoolEvidence]:
    by_actor: defaultdict[int, list[Operation]] = defaultdict(list)
    processes = {NEWBORN, *moves.by_actor, *leads.by_actor}
    for operation in evidence.operations:
        if operation.actor_id not in processes and not isinstance(operation.ask, MoveQuery):
            by_actor[operation.actor_id].append(operation)
    processes |= {actor_id for actor_id, kind in evidence.kinds.items() if kind == "feed"}
    leaders = AllLeaders(moves, leads)
    return [
        PoolEvidence(
            actor_id,
            rows=evidence.rows.get(actor_id, []),
            operations=by_actor[actor_id],
            leaders=leaders,
            wake_at_ms=evidence.wakes.get(actor_id),
        )
        for actor_id in sorted({*evidence.rows, *by_actor} - processes)
    ]


def _feeds(evidence: Evidence) -> list[FeedEvidence]:
    return [
        FeedEvidence(
            actor_id,
            rows=evidence.rows.get(actor_id, []),
            operations=[each for each in evidence.operations if each.actor_id == actor_id],
            wake_at_ms=evidence.wakes.get(actor_id),
        )
        for actor_id, kind in sorted(evidence.kinds.items())
        if kind == "feed"
    ]


def _broken(law: Callable[[T], list[str]], those: Sequence[T]) -> list[str]:
    """Hold a law against some; return one failure at most."""
    details = [f"{that.name}: {each}" for that in those for each in law(that)]
    return _failure(law.__name__, details)


def _failure(name: str, details: Sequence[str]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {_brief(details)}"] if details else []


def _brief(details: Sequence[str]) -> str:
    """Join the first few; the rest as a number."""
    more = len(details) - _SHOWN_MAX
    return "; ".join(details[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
