"""Which steps of the projection a batch needs: those whose statements name a kind that it has."""

import pytest

from allocator.domain.codec import KINDS
from allocator.persistence.projection import COUNTING_STEPS, STEPS, kinds_of


@pytest.mark.parametrize("kind", sorted(KINDS.values()))
def test_every_event_is_counted_by_some_step(kind: str) -> None:
    assert any(kind in kinds_of(step) for step in COUNTING_STEPS)


@pytest.mark.parametrize("step", (*STEPS, *COUNTING_STEPS))
def test_no_step_is_left_out_of_every_batch(step: str) -> None:
    assert kinds_of(step)


def test_a_step_is_about_the_kinds_that_its_statement_names() -> None:
    assert kinds_of("project_order_ends") == {"order_dispatched", "order_cancelled"}
