"""What may happen to a pool, drawn at random."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from hypothesis import strategies as st

from allocator.domain.messages import (
    QUANTITY_MAX,
    CancelOrder,
    Command,
    DispatchOrder,
    Event,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.rules import decide, evolve
from allocator.domain.snapshots import dump_pool
from tests.builders import NOW_MS

SEQS = st.integers(1, (1 << 36) - 1)
UNITS = st.integers(1, QUANTITY_MAX)
TIMES_MS = st.integers(0, 253_402_300_799_999)
"""Up to the end of the year 9999."""
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PICKS = st.lists(st.tuples(SEQS, UNITS), min_size=1, max_size=4).map(tuple)

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        StockReceived,
        quantity=UNITS,
        lot=st.none() | TEXTS,
        expires_at_ms=st.none() | TIMES_MS,
        reference=st.none() | TEXTS,
    ),
    st.builds(OrderPlaced, quantity=UNITS, picks=PICKS, customer=st.none() | TEXTS),
    st.builds(OrderDispatched, order=SEQS, quantity=UNITS, picks=PICKS),
    st.builds(OrderCancelled, order=SEQS, quantity=UNITS, picks=PICKS),
    st.builds(LotExpired, lot=SEQS, quantity=UNITS),
)
"""Any event that can be stored, whether or not it makes sense."""


History: TypeAlias = list[tuple[int, Event, bytes]]
"""What happened to a pool, as (milliseconds, event, the state after it)."""


class Step(NamedTuple):
    """A command to come; what does not matter to its kind is not looked at."""

    kind: Literal["receive", "place", "dispatch", "cancel"]
    elapsed_ms: int
    quantity: int
    ttl_ms: int | None
    which: int


STEPS = st.builds(
    Step,
    kind=st.sampled_from(["receive", "place", "place", "dispatch", "cancel"]),
    elapsed_ms=st.integers(0, 3),
    quantity=st.integers(1, 9),
    ttl_ms=st.none() | st.integers(1, 5),
    which=st.integers(0, 50),
)


def histories(*, length_max: int = 40) -> st.SearchStrategy[History]:
    """Draw what happened to a pool; never nothing."""
    return st.lists(STEPS, max_size=length_max).map(_play)


def _play(steps: Sequence[Step]) -> History:
    pool, now_ms = Pool(), NOW_MS
    history: History = []
    for step in (Step("receive", 0, 9, None, 0), *steps):
        now_ms += step.elapsed_ms
        for command in (Wake(), _command(step, pool, now_ms)):
            decision = decide(pool, command, now_ms=now_ms)
            for event in decision if isinstance(decision, tuple) else ():
                evolve(pool, event, at_ms=now_ms)
                history.append((now_ms, event, dump_pool(pool)))
    return history


def _command(step: Step, pool: Pool, now_ms: int) -> Command:
    open_orders = [seq for seq, _ in pool.orders]
    if step.kind == "receive" or (step.kind != "place" and not open_orders):
        expires_at_ms = None if step.ttl_ms is None else now_ms + step.ttl_ms
        return ReceiveStock(quantity=step.quantity, expires_at_ms=expires_at_ms)
    if step.kind == "place":
        return PlaceOrder(quantity=step.quantity)
    order = open_orders[step.which % len(open_orders)]
    return DispatchOrder(order=order) if step.kind == "dispatch" else CancelOrder(order=order)


def events_of(history: History) -> list[tuple[int, Event]]:
    """Return (milliseconds, event) of a history."""
    return [(at_ms, event) for at_ms, event, _ in history]
