"""What has to be true after a soak, whatever was killed: claims about what everybody was told.

Everything here is arithmetic on values, so that a test can show each claim failing.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from allocator.simulation.linearizability import Verdict, search
from bench.chaos_evidence import Evidence, Listed, PoolEvidence, ShownOrder
from bench.chaos_history import Done, Kind, NotOpen, Numbers, Operation, TooLittle, effect_call
from bench.chaos_history import effect_of as wanted
from bench.chaos_ledger import misnumbered, unchained
from bench.chaos_pool import EMPTY, step
from bench.chaos_witness import overtakings, unexplained

SEARCHED_CALLS_MAX = 300
"""Of a pool whose history is searched; a larger one has only the journal as its witness."""

_STEPS_MAX = 200_000
_SHOWN_MAX = 3


def every_acknowledged_change_is_in_the_journal_once(seen: Evidence) -> str:
    """Who was told that it was done finds it, once."""
    wrong = []
    for pool in seen.pools:
        counts = Counter(row.idempotency_key for row in pool.rows)
        wrong += [
            f"{operation.key} is {counts[operation.key]} times in the journal"
            for operation in pool.operations
            if operation.ids and counts[operation.key] != 1
        ]
    return _brief(wrong)


def every_acknowledged_order_is_found_by_its_id(seen: Evidence) -> str:
    """Who was told an id finds that order under it, and as the journal left it."""
    wrong = []
    for pool in seen.pools:
        for operation in _placed(pool):
            expected = ShownOrder(
                customer=operation.key,
                quantity=operation.quantity,
                status=pool.book.statuses.get(operation.key, "lost"),
            )
            wrong += [
                f"{operation.key}: {order_id} shows {seen.shown.get(order_id)}"
                for order_id in operation.ids
                if seen.shown.get(order_id) != expected
            ]
    return _brief(wrong)


def no_key_had_two_effects(seen: Evidence) -> str:
    """However often a client asked, the journal has one row for the key at most."""
    counts = Counter(row.idempotency_key for pool in seen.pools for row in pool.rows)
    return _brief([f"{key}: {count} effects" for key, count in counts.items() if count > 1])


def nothing_was_done_that_was_not_asked_for(seen: Evidence) -> str:
    """Each row is what its key asked for, and was not denied by every answer that it had."""
    wrong = []
    for pool in seen.pools:
        for row in pool.rows:
            operation = pool.by_key.get(row.idempotency_key or "")
            if operation is None or wanted(operation) != pool.book.effect(row):
                wrong.append(f"{pool.product} seq {row.seq} is nobody's")
            elif effect_call(operation) is None:
                wrong.append(f"{operation.key} was denied, and was done all the same")
    return _brief(wrong)


def one_key_had_one_answer(seen: Evidence) -> str:
    """A success is answered again by every repeat, and no two keys are told the same new id."""
    wrong = []
    owners: Counter[str] = Counter()
    for pool in seen.pools:
        for operation in pool.operations:
            ids = _all_ids(seen, operation)
            if len(ids) > 1 or _was_denied_after_success(operation):
                wrong.append(f"{operation.key} had {sorted(ids)} and maybe a refusal after it")
            if operation.kind in {Kind.PLACE, Kind.RECEIVE}:
                owners.update(ids)
            elif operation.kind.changes and ids and ids != pool.by_key[operation.order].ids:
                wrong.append(f"{operation.key} was told of another order than its own")
    wrong += [f"{each} was given to {count} keys" for each, count in owners.items() if count > 1]
    return _brief(wrong)


def no_unit_was_sold_twice_or_lost(seen: Evidence) -> str:
    """At every version all units that were received are for sale, ordered, or gone; by lot."""
    return _brief(
        [f"{pool.product}: {each}" for pool in seen.pools for each in pool.book.wrong]
        + [f"{pool.product}: {each}" for pool in seen.pools for each in pool.timeline.impossible]
    )


def numbers_have_no_gap_and_times_no_way_back(seen: Evidence) -> str:
    """Events are numbered 1, 2, 3 … and none is older than the one before it."""
    return _of_each(seen, lambda pool: misnumbered(pool.rows))


def digests_chain(seen: Evidence) -> str:
    """Every row's digest is that of its content and of the row before."""
    return _of_each(seen, lambda pool: unchained(pool.rows))


def first_come_first_served(seen: Evidence) -> str:
    """What was done before something else was asked stands before it."""
    return _of_each(seen, lambda pool: overtakings(pool.effects))


def every_refusal_and_reading_was_true_when_it_was_given(seen: Evidence) -> str:
    """Every pool's history is linearizable, with the journal as the witness."""
    return _of_each(seen, lambda pool: unexplained(pool.timeline, pool.sightings))


def small_histories_are_linearizable_by_search(seen: Evidence) -> str:
    """What clients saw of a pool has a sequential order, even for who never saw the journal."""
    found = ((pool, _search(pool)) for pool in seen.pools if is_searched(pool))
    return _brief(
        [f"{pool.product}: none" for pool, verdict in found if verdict is Verdict.NOT_LINEARIZABLE]
    )


def the_api_shows_what_the_journal_holds(seen: Evidence) -> str:
    """GET /journal and the balances say in the end what the rows say."""
    wrong = []
    for pool in seen.pools:
        rows = [
            Listed(seq=row.seq, kind=row.kind, idempotency_key=row.idempotency_key)
            for row in pool.rows
        ]
        if rows != list(pool.listed):
            wrong.append(f"{pool.product}: GET /journal shows other events")
        book = pool.book
        if pool.numbers != Numbers(
            len(rows), book.available, book.ordered, book.available + book.ordered
        ):
            wrong.append(f"{pool.product}: the balance is {pool.numbers}")
    return _brief(wrong)


def every_change_was_answered_in_the_end(seen: Evidence) -> str:
    """Whoever kept asking was told what became of it."""
    return _of_each(
        seen,
        lambda pool: [
            f"{each.key} was not answered"
            for each in pool.operations
            if each.kind.changes and not each.is_settled() and not each.given_up
        ],
    )


def no_answer_was_outside_the_contract(seen: Evidence) -> str:
    """Nobody was told anything but what the API's description has room for."""
    return _brief(seen.unexpected)


def the_server_ended_only_when_it_was_killed(seen: Evidence) -> str:
    """Nothing that happens to its parts ends the whole."""
    return _brief(seen.unexplained_ends)


CLAIMS: tuple[Callable[[Evidence], str], ...] = (
    every_acknowledged_change_is_in_the_journal_once,
    every_acknowledged_order_is_found_by_its_id,
    no_key_had_two_effects,
    nothing_was_done_that_was_not_asked_for,
    one_key_had_one_answer,
    no_unit_was_sold_twice_or_lost,
    numbers_have_no_gap_and_times_no_way_back,
    digests_chain,
    first_come_first_served,
    every_refusal_and_reading_was_true_when_it_was_given,
    small_histories_are_linearizable_by_search,
    the_api_shows_what_the_journal_holds,
    every_change_was_answered_in_the_end,
    no_answer_was_outside_the_contract,
    the_server_ended_only_when_it_was_killed,
)
"""Each returns what contradicts it, or "" when nothing does."""


def is_searched(pool: PoolEvidence) -> bool:
    """Whether a history is small enough to be searched."""
    return len(pool.calls) <= SEARCHED_CALLS_MAX


def _search(pool: PoolEvidence) -> Verdict:
    return search(pool.calls, initial=EMPTY, step=step, steps_max=_STEPS_MAX)


def _placed(pool: PoolEvidence) -> list[Operation]:
    return [each for each in pool.operations if each.kind is Kind.PLACE and each.ids]


def _all_ids(seen: Evidence, operation: Operation) -> set[str]:
    ids = operation.ids
    return ids | {seen.repeated[operation.key]} if operation.key in seen.repeated else ids


def _was_denied_after_success(operation: Operation) -> bool:
    answers = [attempt.answer for attempt in operation.attempts]
    first = next((place for place, each in enumerate(answers) if isinstance(each, Done)), None)
    return first is not None and any(
        isinstance(each, TooLittle | NotOpen) for each in answers[first:]
    )


def _of_each(seen: Evidence, contradictions: Callable[[PoolEvidence], Sequence[str]]) -> str:
    return _brief(
        [f"{pool.product}: {each}" for pool in seen.pools for each in contradictions(pool)]
    )


def _brief(wrong: Sequence[str]) -> str:
    """Join the first few; the rest as a number."""
    more = len(wrong) - _SHOWN_MAX
    return "; ".join(wrong[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
