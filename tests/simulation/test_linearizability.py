"""The search accepts what can have happened one after the other, and nothing else."""

from collections.abc import Sequence
from itertools import combinations, pairwise, permutations
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.simulation.linearizability import Call, Verdict, search
from bench.chaos_pool import (
    EMPTY,
    Closed,
    Effect,
    Placed,
    PoolAsk,
    PoolState,
    Received,
    SawNumbers,
    SawOrder,
    WasClosed,
    WasShort,
    step,
)
from bench.chaos_witness import Timeline, overtakings, unexplained

EFFECTS = (Received, Placed, Closed)
ORDERS = ("a", "b")


def call(ask: PoolAsk, asked: int, answered: int | None) -> Call[PoolAsk]:
    return Call(ask=ask, asked_ns=asked, answered_ns=answered)


def verdict(*calls: Call[PoolAsk]) -> Verdict:
    return search(calls, initial=EMPTY, step=step)


def numbers(version: int, available: int, ordered: int) -> SawNumbers:
    return SawNumbers(version, available, ordered, available + ordered)


RIGHT = {
    "nothing at all": [],
    "one after the other": [
        call(Received(3), 0, 1),
        call(Placed("a", 2), 2, 3),
        call(WasShort(2, 1), 4, 5),
        call(SawNumbers(2, 1, 2, 3), 6, 7),
        call(Closed("a", "cancelled"), 8, 9),
        call(SawOrder("a", "cancelled"), 10, 11),
        call(WasClosed("a"), 12, 13),
    ],
    "a reading during a change sees what was before": [
        call(Received(3), 0, 10),
        call(numbers(0, 0, 0), 5, 6),
    ],
    "a reading during a change sees what is after": [
        call(Received(3), 0, 10),
        call(numbers(1, 3, 0), 5, 6),
    ],
    "two at once stand in either order": [
        call(Received(1), 0, 1),
        call(Placed("a", 1), 2, 9),
        call(WasShort(1, 0), 2, 3),
    ],
    "a change without an answer took effect": [
        call(Received(3), 0, None),
        call(numbers(1, 3, 0), 5, 6),
    ],
    "a change without an answer took effect late": [
        call(Received(3), 0, None),
        call(numbers(0, 0, 0), 5, 6),
        call(numbers(1, 3, 0), 7, 8),
    ],
    "a change without an answer never took effect": [
        call(Received(3), 0, None),
        call(WasShort(1, 0), 5, 6),
    ],
    "an answer at the very moment of the next asking": [
        call(Received(3), 0, 5),
        call(numbers(0, 0, 0), 5, 6),
    ],
}

WRONG = {
    "a stale balance": [call(Received(3), 0, 1), call(numbers(0, 0, 0), 2, 3)],
    "a balance of the future": [call(numbers(1, 3, 0), 0, 1), call(Received(3), 2, 3)],
    "a balance that goes back": [
        call(Received(3), 0, 10),
        call(numbers(1, 3, 0), 1, 2),
        call(numbers(0, 0, 0), 3, 4),
    ],
    "a balance that does not add up": [
        call(Received(3), 0, 1),
        call(SawNumbers(1, 3, 0, 4), 2, 3),
    ],
    "a lost update": [
        call(Received(3), 0, 1),
        call(Received(2), 0, 1),
        call(numbers(1, 2, 0), 2, 3),
    ],
    "a refusal while there was stock": [call(Received(3), 0, 1), call(WasShort(2, 1), 2, 3)],
    "a refusal of what was there": [call(Received(3), 0, 1), call(WasShort(2, 3), 2, 3)],
    "a double sale": [
        call(Received(1), 0, 1),
        call(Placed("a", 1), 2, 9),
        call(Placed("b", 1), 3, 8),
    ],
    "an order before the stock": [call(Placed("a", 1), 0, 1), call(Received(1), 2, 3)],
    "an order that was placed twice": [
        call(Received(2), 0, 1),
        call(Placed("a", 1), 2, 3),
        call(Placed("a", 1), 4, 5),
    ],
    "an order that was closed twice": [
        call(Received(1), 0, 1),
        call(Placed("a", 1), 2, 3),
        call(Closed("a", "dispatched"), 4, 9),
        call(Closed("a", "cancelled"), 4, 9),
    ],
    "a close refused while the order was new": [
        call(Received(1), 0, 1),
        call(Placed("a", 1), 2, 3),
        call(WasClosed("a"), 4, 5),
    ],
    "an acknowledged order that is not there": [
        call(Received(1), 0, 1),
        call(Placed("a", 1), 2, 3),
        call(numbers(1, 1, 0), 4, 5),
    ],
    "an order that is new again": [
        call(Received(1), 0, 1),
        call(Placed("a", 1), 2, 3),
        call(Closed("a", "cancelled"), 4, 5),
        call(SawOrder("a", "new"), 6, 7),
    ],
    "an effect of what was not asked yet": [
        call(numbers(1, 3, 0), 0, 1),
        call(Received(3), 2, None),
    ],
    "a balance of before what stands behind what is not answered yet": [
        *(call(Received(1), 0, 20) for _ in range(3)),
        call(Received(1), 0, 2),
        call(Received(1), 0, 20),
        call(numbers(0, 0, 0), 3, 4),
    ],
    "an effect that went away again": [
        call(Received(3), 0, None),
        call(numbers(1, 3, 0), 1, 2),
        call(numbers(0, 0, 0), 3, 4),
    ],
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_history_that_can_have_happened_is_accepted(name: str) -> None:
    assert verdict(*RIGHT[name]) is Verdict.LINEARIZABLE


@pytest.mark.parametrize("name", WRONG)
def test_a_history_that_cannot_have_happened_is_rejected(name: str) -> None:
    assert verdict(*WRONG[name]) is Verdict.NOT_LINEARIZABLE


@pytest.mark.parametrize("name", WRONG)
def test_no_journal_explains_a_history_that_cannot_have_happened(name: str) -> None:
    assert not witnessed(WRONG[name])


def test_a_journal_in_which_an_earlier_change_stands_behind_a_later_one_is_no_witness() -> None:
    first, second = call(Placed("a", 1), 2, 3), call(Placed("b", 1), 4, 5)
    stock = call(Received(9), 0, 1)

    assert witnessed([stock, first, second])
    assert not witnessed([stock, second, first])


def test_a_search_that_takes_too_long_says_that_it_does_not_know() -> None:
    crowd = [call(Received(units), 0, 10) for units in range(1, 8)]
    impossible = call(numbers(7, 1, 0), 11, 12)

    assert search([*crowd, impossible], initial=EMPTY, step=step, steps_max=50) is Verdict.UNDECIDED


def test_what_was_tried_is_not_tried_again() -> None:
    crowd = [call(Received(1), 0, 10) for _ in range(12)]
    impossible = call(numbers(12, 1, 0), 11, 12)

    # 12! orders, but only 2^12 sets of calls.
    found = search([*crowd, impossible], initial=EMPTY, step=step, steps_max=200_000)
    assert found is Verdict.NOT_LINEARIZABLE


class Scene:
    """A pool that really is asked one after the other, at moments 0, 10, 20 and so on."""

    def __init__(self, dice: Random) -> None:
        self.asks: list[PoolAsk] = []
        self._dice = dice
        self._state = EMPTY

    def ask_anything(self) -> None:
        dice, state = self._dice, self._state
        order = dice.choice(ORDERS)
        found = state.find(order)
        units = dice.randint(1, 3)
        possible: list[PoolAsk] = [Received(units), self._balance()]
        if units > state.available:
            possible.append(WasShort(units, state.available))
        elif found is None:
            possible.append(Placed(order, units))
        if found is not None:
            possible.append(SawOrder(order, found[2]))
            if found[2] == "new":
                possible.append(Closed(order, dice.choice(("cancelled", "dispatched"))))
            else:
                possible.append(WasClosed(order))
        ask = dice.choice(possible)
        after = step(state, ask)
        assert after is not None
        self._state = after
        self.asks.append(ask)

    def _balance(self) -> SawNumbers:
        return numbers(self._state.version, self._state.available, self._state.ordered)


def asks_of(dice: Random, count: int) -> list[PoolAsk]:
    scene = Scene(dice)
    for _ in range(count):
        scene.ask_anything()
    return scene.asks


def overlapping(asks: Sequence[PoolAsk], dice: Random) -> list[Call[PoolAsk]]:
    """Give each ask an interval around its own moment; some changes are never answered."""
    return [
        call(
            ask,
            max(0, 10 * place - dice.randint(0, 35)),
            None
            if isinstance(ask, EFFECTS) and dice.random() < 0.15
            else 10 * place + dice.randint(0, 35),
        )
        for place, ask in enumerate(asks)
    ]


def split(calls: Sequence[Call[PoolAsk]]) -> tuple[list[Call[Effect]], list[Call[PoolAsk]]]:
    effects = [
        Call[Effect](ask=each.ask, asked_ns=each.asked_ns, answered_ns=each.answered_ns)
        for each in calls
        if isinstance(each.ask, Received | Placed | Closed)
    ]
    return effects, [each for each in calls if not isinstance(each.ask, EFFECTS)]


def witnessed(calls: Sequence[Call[PoolAsk]]) -> bool:
    """Whether the journal, in which effects stand as they do here, explains everything."""
    effects, sightings = split(calls)
    timeline = Timeline(effects)
    seen = [
        Call(ask=each.ask, asked_ns=each.asked_ns, answered_ns=each.answered_ns)
        for each in sightings
        if isinstance(each.ask, WasShort | WasClosed | SawNumbers | SawOrder)
    ]
    return not (timeline.impossible or overtakings(effects) or unexplained(timeline, seen))


@given(seed=st.integers(), count=st.integers(0, 14))
def test_whatever_happened_in_some_order_is_accepted(seed: int, count: int) -> None:
    dice = Random(seed)
    calls = overlapping(asks_of(dice, count), dice)
    shuffled = dice.sample(calls, len(calls))

    assert verdict(*shuffled) is Verdict.LINEARIZABLE
    assert witnessed(calls)


@given(seed=st.integers(), count=st.integers(1, 14))
def test_one_answer_that_is_wrong_is_rejected(seed: int, count: int) -> None:
    dice = Random(seed)
    calls = overlapping([*asks_of(dice, count), numbers(0, 0, 0)], dice)
    place = dice.randrange(len(calls))
    lies: list[PoolAsk] = [WasShort(2000, 1000), numbers(99, 0, 0), SawOrder("c", "new")]
    lie = dice.choice(lies)
    calls[place] = call(lie, calls[place].asked_ns, calls[place].asked_ns + 20)

    assert verdict(*calls) is Verdict.NOT_LINEARIZABLE
    assert not witnessed(calls)


def at_any_time(asks: Sequence[PoolAsk], dice: Random) -> list[Call[PoolAsk]]:
    """Give each ask any interval, whether or not its own moment is in it."""
    calls = []
    for ask in asks:
        asked = dice.randint(0, 12)
        never = isinstance(ask, EFFECTS) and dice.random() < 0.3
        calls.append(call(ask, asked, None if never else asked + dice.randint(0, 6)))
    return calls


def is_explained_by(order: Sequence[Call[PoolAsk]]) -> bool:
    """Whether this very order gives every answer, and has nothing before what preceded it."""
    for index, late in enumerate(order):
        for early in order[:index]:
            if late.answered_ns is not None and late.answered_ns < early.asked_ns:
                return False
    state: PoolState | None = EMPTY
    for each in order:
        state = step(state, each.ask) if state is not None else None
    return state is not None


def any_order_explains(calls: Sequence[Call[PoolAsk]]) -> bool:
    """Try all orders, with and without each change that was never answered."""
    answered = [each for each in calls if each.answered_ns is not None]
    never = [each for each in calls if each.answered_ns is None]
    return any(
        is_explained_by(order)
        for count in range(len(never) + 1)
        for some in combinations(never, count)
        for order in permutations([*answered, *some])
    )


@given(seed=st.integers(), count=st.integers(1, 5))
def test_the_search_finds_an_order_exactly_if_there_is_one(seed: int, count: int) -> None:
    dice = Random(seed)
    calls = at_any_time(asks_of(dice, count), dice)

    there_is = any_order_explains(calls)
    assert verdict(*calls) is (Verdict.LINEARIZABLE if there_is else Verdict.NOT_LINEARIZABLE)


@given(seed=st.integers(), count=st.integers(1, 6))
def test_the_journal_explains_exactly_what_an_order_with_its_effects_does(
    seed: int, count: int
) -> None:
    dice = Random(seed)
    calls = at_any_time(asks_of(dice, count), dice)
    places = {id(each): place for place, each in enumerate(calls)}

    def keeps_the_journal(order: Sequence[Call[PoolAsk]]) -> bool:
        seqs = [places[id(each)] for each in order if isinstance(each.ask, EFFECTS)]
        return all(before < after for before, after in pairwise(seqs))

    assert witnessed(calls) == any(
        keeps_the_journal(order) and is_explained_by(order) for order in permutations(calls)
    )


def test_ties_are_nobodys_precedence() -> None:
    late = call(Received(1), 5, 9)
    early = msgspec.structs.replace(late, ask=numbers(1, 1, 0), asked_ns=0, answered_ns=5)

    assert verdict(late, early) is Verdict.LINEARIZABLE
    assert witnessed([late, early])
