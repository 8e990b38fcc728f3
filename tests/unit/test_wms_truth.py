"""What the simulated warehouse system knows adds up, whatever it is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.wms import simulator_truth
from allocator.wms.shapes import LineBody, PushBody
from allocator.wms.simulator_truth import Truth

BATCHES = ("a", "b", None)


def push(number: int, *lines: LineBody) -> PushBody:
    return PushBody(number=number, sku="tea", lines=lines)


def line(batch: str | None, decrease: int, *, aside: int = 0, shipped: int = 0) -> LineBody:
    return LineBody(batch=batch, decrease=decrease, aside=aside, shipped=shipped)


def never() -> bool:
    return False


def stocked(units: int) -> Truth:
    truth = Truth()
    for batch in BATCHES:
        truth.receive(("tea", batch), units)
    return truth


def test_nothing_is_applied_before_the_batch_runs() -> None:
    truth = stocked(5)
    assert truth.tell([push(1, line("a", 2)), push(2, line("a", 1))]) == 2

    assert (truth.applied_through, truth.waiting) == (0, 2)
    assert truth.batch(("tea", "a")).orderable == 5
    truth.apply(swaps=never)
    assert (truth.applied_through, truth.waiting) == (2, 0)
    assert truth.batch(("tea", "a")).orderable == 2


def test_pushes_that_do_not_fit_are_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_truth, "WAITING_MAX", 2)
    truth = stocked(5)

    assert truth.tell([push(number, line("a", 1)) for number in (1, 2, 3, 4)]) == 2
    truth.apply(swaps=never)
    assert truth.tell([push(3, line("a", 1))]) == 3
    assert truth.gaps == 0


def test_numbers_that_are_left_out_are_counted() -> None:
    truth = stocked(5)
    truth.tell([push(1, line("a", 1)), push(4, line("a", 1))])

    assert truth.gaps == 2


def test_what_leaves_and_was_never_promised_is_a_mistake() -> None:
    truth = stocked(5)
    truth.tell([push(1, line("a", 1, shipped=3)), push(2, line("b", -2))])
    truth.apply(swaps=never)

    assert truth.mistakes == [
        "push 1 ships 2 units of tea a that nobody had",
        "push 2 gives back 2 units of tea b that nobody had",
    ]
    assert truth.batch(("tea", "a")).shipped == 1


def test_a_picker_takes_no_other_batch_that_has_not_enough() -> None:
    truth = Truth()
    truth.receive(("tea", "a"), 5)
    truth.receive(("tea", "b"), 2)
    truth.tell([push(1, line("a", 3))])
    truth.apply(swaps=lambda: True)

    assert (truth.swaps, truth.batch(("tea", "a")).allocated) == (0, 3)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(BATCHES),
            st.integers(-3, 5),
            st.integers(0, 3),
            st.integers(-1, 2),
            st.booleans(),
        ),
        max_size=30,
    ),
    swapped=st.sets(st.integers(0, 30)),
)
@settings(max_examples=60)
def test_what_is_missing_is_what_was_promised_whoever_picked_what(
    steps: list[tuple[str | None, int, int, int, bool]], swapped: set[int]
) -> None:
    truth, picks = stocked(20), iter(range(10_000))
    promised, shipped, aside = dict.fromkeys(BATCHES, 0), dict.fromkeys(BATCHES, 0), 0
    for number, (batch, wanted, leaving, moved, runs) in enumerate(steps, start=1):
        decrease = max(wanted, shipped[batch] - promised[batch])
        promised[batch] += decrease
        leaves = min(leaving, promised[batch] - shipped[batch])
        shipped[batch] += leaves
        aside += moved
        truth.tell([push(number, line(batch, decrease, aside=moved, shipped=leaves))])
        if runs:
            truth.apply(swaps=lambda: next(picks) in swapped)
    truth.apply(swaps=never)

    batches = list(truth.batches())
    assert truth.mistakes == []
    assert sum(batch.shipped for batch in batches) == sum(shipped.values())
    assert sum(batch.received - batch.orderable for batch in batches) == (
        sum(promised.values()) + aside
    )
    assert min(batch.allocated for batch in batches) >= 0
