"""That ordered units are missing is said once, and again when it is more, fewer, or none."""

import pytest

from allocator.domain import laws, rules
from allocator.domain.messages import CancelOrder, Wake
from allocator.domain.pool import Pool
from allocator.domain.reconciling import Detach, Reconcile, ShortfallChanged, Statement
from allocator.domain.snapshots import dump_pool, load_pool
from tests.builders import NOW_MS, do, place

FEED = 522


def hears(pool: Pool, as_of: int, **orderable: int) -> None:
    """Have the WMS say what there is of everything."""
    do(
        pool,
        Reconcile(
            process=FEED,
            step=1,
            sent_at_ms=NOW_MS,
            as_of=as_of,
            turn=0 if pool.fed is None else pool.fed.turn,
            lots=tuple(Statement(code=code, orderable=units) for code, units in orderable.items()),
            complete=True,
        ),
    )


def said(pool: Pool) -> list[ShortfallChanged]:
    """Let everything be done that is due; return what is said of missing units."""
    events: list[ShortfallChanged] = []
    while rules.wake_at(pool) == pool.last_at_ms:
        decision = rules.decide(pool, Wake(), now_ms=NOW_MS)
        assert isinstance(decision, tuple)
        for each in decision:
            rules.evolve(pool, each, at_ms=NOW_MS)
            events += [each] if isinstance(each, ShortfallChanged) else []
    return events


@pytest.fixture
def pool() -> Pool:
    """Two batches, of which one is ordered in two parts: rows 4 and 5."""
    pool = Pool()
    hears(pool, 1, A=10, B=0)
    do(pool, place(6))
    do(pool, place(3))
    return pool


def orders(pool: Pool) -> list[int]:
    return [seq for seq, _ in pool.orders]


def test_a_shortfall_is_said_when_it_appears_and_only_once(pool: Pool) -> None:
    hears(pool, 2, A=5)

    assert said(pool) == [ShortfallChanged(before=0, short=4)]
    assert said(pool) == []


def test_it_is_said_again_when_it_grows_and_when_it_ends(pool: Pool) -> None:
    hears(pool, 2, A=8)
    assert said(pool) == [ShortfallChanged(before=0, short=1)]

    hears(pool, 3, A=6)
    assert said(pool) == [ShortfallChanged(before=1, short=3)]

    do(pool, CancelOrder(order=orders(pool)[1]))
    assert said(pool) == [ShortfallChanged(before=3, short=0)]


def test_nothing_is_missing_as_long_as_another_batch_can_stand_in(pool: Pool) -> None:
    hears(pool, 2, A=5, B=4)

    assert said(pool) == []


def test_what_stands_in_later_ends_it(pool: Pool) -> None:
    hears(pool, 2, A=5)
    assert said(pool) == [ShortfallChanged(before=0, short=4)]

    hears(pool, 3, A=5, B=9)

    assert said(pool) == [ShortfallChanged(before=4, short=0)]


def test_it_ends_with_the_feed(pool: Pool) -> None:
    hears(pool, 2, A=5)
    said(pool)

    do(pool, Detach(process=FEED, step=2, sent_at_ms=NOW_MS))

    assert said(pool) == [ShortfallChanged(before=4, short=0)]


def test_a_snapshot_remembers_what_was_said(pool: Pool) -> None:
    hears(pool, 2, A=5)
    said(pool)

    again = load_pool(dump_pool(pool))

    assert said(again) == []
    assert dump_pool(again) == dump_pool(pool)


def test_what_is_said_must_be_so(pool: Pool) -> None:
    hears(pool, 2, A=5)

    assert not laws.unlawful(pool, ShortfallChanged(before=0, short=4))
    assert laws.unlawful(pool, ShortfallChanged(before=0, short=3))
    assert laws.unlawful(pool, ShortfallChanged(before=1, short=4))


def test_a_pool_that_is_short_is_looked_at_before_each_message(pool: Pool) -> None:
    """Else somebody could buy what an order is waiting for."""
    assert not pool.may_be_due
    hears(pool, 2, A=5)

    assert pool.may_be_due
