"""A shrunk list still fails, and nothing can be left out of it."""

from hypothesis import given
from hypothesis import strategies as st

from allocator.simulation.shrink import shrink

NUMBERS = st.lists(st.integers(0, 30), max_size=60)


def test_of_many_steps_the_one_that_matters_is_left() -> None:
    shrunk = shrink(range(1_000), lambda steps: 777 in steps)

    assert shrunk.steps == [777]
    assert shrunk.complete
    assert shrunk.tries < 30


def test_steps_that_only_matter_together_are_left_in_their_order() -> None:
    shrunk = shrink(range(200), lambda steps: {3, 100, 101, 199} <= {*steps})

    assert shrunk.steps == [3, 100, 101, 199]


def test_what_fails_with_nothing_at_all_is_left_with_nothing() -> None:
    assert shrink([1, 2, 3], lambda _: True).steps == []


def test_an_empty_list_is_not_tried() -> None:
    nothing: list[int] = []
    shrunk = shrink(nothing, lambda _: True)

    assert (shrunk.steps, shrunk.tries, shrunk.complete) == ([], 0, True)


def test_a_step_that_another_needed_goes_after_it() -> None:
    # 1 cannot go before 2 has gone, which is tried later.
    fails = {(1, 2, 3), (1, 3), (3,)}

    assert shrink([1, 2, 3], lambda steps: tuple(steps) in fails).steps == [3]


def test_after_so_many_tries_it_returns_what_it_has() -> None:
    shrunk = shrink(range(64), lambda steps: 5 in steps, tries_max=3)

    assert shrunk.tries == 3
    assert not shrunk.complete
    assert 5 in shrunk.steps
    assert len(shrunk.steps) < 64


def test_when_its_time_is_up_it_returns_what_it_has() -> None:
    moments = iter(range(1_000))
    shrunk = shrink(
        range(64), lambda steps: 5 in steps, seconds_max=4, clock=lambda: float(next(moments))
    )

    assert shrunk.tries == 3
    assert not shrunk.complete


@given(steps=NUMBERS, needed=st.lists(st.integers(0, 30), max_size=5, unique=True))
def test_no_single_step_of_a_shrunk_list_can_go(steps: list[int], needed: list[int]) -> None:
    every = [*steps, *needed]

    def fails(some: list[int]) -> bool:
        return {*needed} <= {*some}

    shrunk = shrink(every, fails)
    assert sorted(shrunk.steps) == sorted(needed)


@given(steps=NUMBERS, odd=st.integers(2, 5))
def test_of_any_predicate_one_step_less_does_not_fail(steps: list[int], odd: int) -> None:
    def fails(some: list[int]) -> bool:
        return sum(some) % odd == 1 and len(some) > 1

    if not fails(steps):
        return
    shrunk = shrink(steps, fails)
    left = shrunk.steps
    assert fails(left)
    assert not any(fails(left[:place] + left[place + 1 :]) for place in range(len(left)))
