"""Whatever of a journal is there, it recovers to the state that it had then."""

from hypothesis import given, settings
from hypothesis import strategies as st

from allocator.domain.pool import Pool
from allocator.domain.replay import replay
from allocator.domain.snapshots import dump_pool, load_pool
from tests.builders import records_of
from tests.property.strategies import History, events_of, histories


@given(history=histories())
@settings(max_examples=60)
def test_any_prefix_of_a_journal_recovers_to_the_state_it_had(
    history: History,
) -> None:
    """Q7."""
    records = records_of(events_of(history))
    for length, (_, _, state) in enumerate(history, start=1):
        pool = Pool()
        replay(pool, records[:length])

        assert dump_pool(pool) == state


@given(history=histories(), data=st.data())
@settings(max_examples=100)
def test_any_snapshot_and_the_rows_above_it_recover_the_same(
    history: History, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(history)), label="snapshot after")
    pool = load_pool(history[cut - 1][2])
    replay(pool, records_of(events_of(history))[cut:])

    assert dump_pool(pool) == history[-1][2]


@given(history=histories())
@settings(max_examples=60)
def test_a_snapshot_loads_and_dumps_to_the_same_bytes(
    history: History,
) -> None:
    for _, _, state in history:
        assert dump_pool(load_pool(state)) == state
