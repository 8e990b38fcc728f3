"""Which steps of the projection a batch needs: those whose statements name a kind that it has."""

from typing import get_args

import pytest

from allocator.domain.adjustments import Adjustment
from allocator.domain.carts import CartEvent
from allocator.domain.codec import KINDS, STOCK_KINDS
from allocator.domain.holds import HoldEvent
from allocator.domain.moves import MoveEvent
from allocator.domain.orders import OrderEvent
from allocator.domain.reconciling import FedEvent
from allocator.domain.transfers import Transit
from allocator.persistence.projection import COUNTING_STEPS, STEPS, kinds_of

PROCESSES = (Adjustment, MoveEvent, OrderEvent, CartEvent, Transit, HoldEvent, FedEvent)
PROJECTED = (*STOCK_KINDS, *(event for each in PROCESSES for event in get_args(each)))


@pytest.mark.parametrize("kind", sorted({KINDS[event] for event in PROJECTED}))
def test_every_event_is_counted_by_some_step(kind: str) -> None:
    assert any(kind in kinds_of(step) for step in COUNTING_STEPS)


@pytest.mark.parametrize("step", [*STEPS, *COUNTING_STEPS])
def test_no_step_is_left_out_of_every_batch(step: str) -> None:
    assert kinds_of(step)


def test_a_step_is_about_the_kinds_that_its_statement_names() -> None:
    assert kinds_of("project_order_ends") == {"order_dispatched", "order_cancelled"}
