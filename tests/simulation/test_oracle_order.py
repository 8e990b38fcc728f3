"""The single pass over a history says what a search says, and what the definition says."""

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.actors.messages import Outcome
from allocator.domain.messages import (
    CancelOrder,
    Command,
    DispatchOrder,
    LotExpired,
    PlaceOrder,
    ReceiveStock,
)
from allocator.domain.pool import Balance
from allocator.domain.queries import BalanceQuery, LotQuery, OpenOrderQuery, Query, View
from allocator.errors import OutcomeUnknownError
from allocator.simulation.history import Operation
from allocator.simulation.linearizability import Verdict, search
from allocator.simulation.oracle_asks import Seen, Told, command_of
from allocator.simulation.oracle_order import (
    Machine,
    calls_of,
    effects_keep_the_order_of_their_asking,
    every_answer_was_true_when_it_was_given,
)
from allocator.simulation.oracle_places import ALWAYS, NEVER, Span
from allocator.simulation.oracle_pool import PoolEvidence
from tests.builders import ACTOR
from tests.simulation.stories import Story

Ask = Command | Query
Item = int | tuple[Told, Seen] | None
"""The seq of an effect, or something that was seen; None: a success, true once its row is there."""


def an_ask(dice: Random, story: Story) -> Ask:
    seq = dice.randint(1, 4)
    expires_at_ms = dice.choice([None, story.now_ms - 1, story.now_ms + 1])
    queries: list[Query] = [BalanceQuery(), LotQuery(seq), OpenOrderQuery(seq)]
    asks: list[Ask] = [
        ReceiveStock(quantity=2, expires_at_ms=expires_at_ms),
        ReceiveStock(quantity=1),
        PlaceOrder(quantity=dice.randint(1, 2)),
        PlaceOrder(quantity=1),
        DispatchOrder(order=seq),
        CancelOrder(order=seq),
        BalanceQuery(),
        dice.choice(queries),
    ]
    return dice.choice(asks)


def a_history(seed: int, count: int) -> PoolEvidence:
    """Return something that happened in one order, seen through moments that may deny it."""
    dice = Random(seed)
    story = Story()
    if dice.random() < 1 / 2:
        story.ask(ReceiveStock(quantity=2), heard=dice.random() < 1 / 2)
    while sum(len(operation.attempts) for operation in story.operations) < count:
        story.now_ms += dice.randint(0, 1)
        keyed = [operation for operation in story.operations if operation.key is not None]
        if keyed and dice.random() < 1 / 4:
            story.attempt(dice.choice(keyed))
        else:
            ask = an_ask(dice, story)
            key = dice.choice([None, "a", "b"]) if isinstance(ask, Command) else None
            story.ask(ask, key=key)
    blur(story.operations, dice)
    return PoolEvidence(ACTOR, rows=story.rows[ACTOR], operations=story.operations)


def blur(operations: Sequence[Operation], dice: Random) -> None:
    """Give each attempt an interval, around its own moment or elsewhere; lose some answers."""
    moments = iter(dice.sample(range(64), 64))  # so that no two are the same
    for operation in operations:
        for attempt in operation.attempts:
            middle = attempt.asked_at + 200
            if dice.random() < 1 / 3:
                middle += dice.randint(-90, 90)
            attempt.asked_at = (middle - dice.randint(0, 30)) * 64 + next(moments)
            if attempt.answered_at is None:
                continue
            attempt.answered_at = (middle + 1 + dice.randint(0, 30)) * 64 + next(moments)
            if dice.random() < 1 / 5:
                attempt.answer = dice.choice([None, OutcomeUnknownError()])
                if attempt.answer is None:
                    attempt.answered_at = None


def is_accepted(pool: PoolEvidence) -> bool:
    laws = (effects_keep_the_order_of_their_asking, every_answer_was_true_when_it_was_given)
    assert pool.nobodys == pool.denied == pool.mistold == pool.unfitting == []
    return not any(law(pool) for law in laws)


def is_found(pool: PoolEvidence) -> bool:
    verdict = search(calls_of(pool), initial=0, step=Machine(pool).step)
    assert verdict is not Verdict.UNDECIDED
    return verdict is Verdict.LINEARIZABLE


def has_an_order(pool: PoolEvidence, operations: Sequence[Operation]) -> bool:
    """Say it by the definition: try every assignment of rows to attempts, and every order."""
    return any(
        is_explained(pool, order)
        for items in assignments(pool, operations)
        for order in permutations(items)
    )


def assignments(
    pool: PoolEvidence, operations: Sequence[Operation]
) -> Iterator[list[tuple[Item, Span, int]]]:
    """Yield everything that needs its place: what, when, and which row it is about if any."""
    fixed: list[tuple[Item, Span, int]] = [
        ((told, answer), pool.sighting(told, answer).span, 0) for told, answer in pool.seen
    ]
    for told in pool.told:
        answer, answered_at = told.attempt.answer, told.attempt.answered_at
        assert isinstance(answer, Outcome)
        assert answered_at is not None
        fixed.append((None, Span(told.attempt.asked_at, answered_at), answer.seq))
    doers = [candidates(pool, seq, operations) for seq in range(1, len(pool.rows) + 1)]
    for chosen in product(*doers):
        busy = [asked for asked in chosen if asked != ALWAYS]
        if len(set(busy)) == len(busy):  # nobody does two things
            effects = enumerate(chosen, start=1)
            yield fixed + [(seq, Span(asked, NEVER), 0) for seq, asked in effects]


def candidates(pool: PoolEvidence, seq: int, operations: Sequence[Operation]) -> list[int]:
    """Return when those attempts were asked that may have done a row."""
    row, event = pool.rows[seq - 1], pool.events[seq - 1]
    if isinstance(event, LotExpired):
        return [ALWAYS]
    return [
        attempt.asked_at
        for operation in operations
        for attempt in operation.attempts
        if operation.key == row.idempotency_key
        and operation.ask == command_of(event)
        and attempt.may_have_happened
        and (
            operation.key is not None
            or not isinstance(attempt.answer, Outcome)
            or attempt.answer.seq == seq
        )
    ]


def is_explained(pool: PoolEvidence, order: Sequence[tuple[Item, Span, int]]) -> bool:
    machine, version, latest = Machine(pool), 0, ALWAYS
    for item, span, about in order:
        latest = max(latest, span.asked)
        if span.answered < latest:
            return False
        after = version if item is None else machine.step(version, item)
        if after is None or after < about:
            return False
        version = after
    return True


@settings(max_examples=300)
@given(seed=st.integers(), count=st.integers(1, 12))
def test_the_single_pass_accepts_exactly_what_a_search_finds(seed: int, count: int) -> None:
    pool = a_history(seed, count)

    assert is_accepted(pool) is is_found(pool)


@settings(max_examples=300)
@given(seed=st.integers(), count=st.integers(1, 4))
def test_the_single_pass_accepts_exactly_what_has_an_order(seed: int, count: int) -> None:
    dice = Random(seed)
    pool = a_history(dice.randrange(1 << 30), count)

    assert is_accepted(pool) is has_an_order(pool, pool.operations)


@pytest.mark.parametrize("count", [4, 12])
def test_such_histories_are_of_both_kinds(count: int) -> None:
    accepted = sum(is_accepted(a_history(seed, count)) for seed in range(200))

    assert 10 < accepted < 190


def numbers(version: int, available: int) -> View:
    balance = Balance(version=version, available=available, ordered=0, held=0, expired=0)
    return View(balance=balance)


def test_nobody_sees_less_than_what_was_seen_before() -> None:
    story = Story()
    story.ask(ReceiveStock(quantity=2), heard=False)
    story.ask(BalanceQuery(), client=2)
    last = story.ask(BalanceQuery(), client=3)
    assert is_accepted(PoolEvidence(ACTOR, rows=story.rows[ACTOR], operations=story.operations))

    last.attempts[0].answer = numbers(0, 0)
    pool = PoolEvidence(ACTOR, rows=story.rows[ACTOR], operations=story.operations)
    assert not is_accepted(pool)
    assert not is_found(pool)


def test_of_two_who_never_heard_the_earlier_may_have_done_what_was_seen_in_between() -> None:
    story = Story()
    story.ask(ReceiveStock(quantity=2), heard=False)
    story.ask(BalanceQuery())
    story.ask(ReceiveStock(quantity=2), heard=False)
    del story.rows[ACTOR][1]

    assert is_accepted(PoolEvidence(ACTOR, rows=story.rows[ACTOR], operations=story.operations))
