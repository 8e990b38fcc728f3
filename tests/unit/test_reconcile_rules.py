"""What a warehouse's own system says, and what a pool makes of it."""

import pytest
from msgspec.structs import replace

from allocator.domain import laws, reconcile_rules
from allocator.domain.adjustments import Adjust
from allocator.domain.holds import Hold
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    InsufficientStock,
    PlaceOrder,
    ReceiveStock,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.reconciling import (
    STATEMENT_STALE_MS,
    Committed,
    Detach,
    FeedAttached,
    FeedDetached,
    IsFed,
    LotReconciled,
    NotFed,
    Reconcile,
    Statement,
    TurnUnknown,
)
from allocator.domain.snapshots import dump_pool, load_pool
from allocator.domain.stand_ins import owed
from allocator.domain.transfers import Expect, Stale
from allocator.http.reconciliations import explanation
from tests.builders import NOW_MS, do, place, pool_of, receive, refusal

FEED = 522


def says(  # noqa: PLR0913 (what the WMS says)
    pool: Pool,
    *lots: Statement,
    as_of: int = 10,
    complete: bool = True,
    lowered: bool = False,
    turn: int | None = None,
    excludes: tuple[str, ...] = (),
    sent_at_ms: int = NOW_MS,
) -> Reconcile:
    """Return what the WMS says of everything, unless told otherwise."""
    now = pool.fed.turn if pool.fed is not None else 0
    return Reconcile(
        process=FEED,
        step=1,
        sent_at_ms=sent_at_ms,
        as_of=as_of,
        turn=now if turn is None else turn,
        lots=lots,
        complete=complete,
        lowered=lowered,
        excludes=excludes,
    )


def batch(code: str | None, orderable: int, applied: int = 0) -> Statement:
    """Return what is said of a batch."""
    return Statement(code=code, orderable=orderable, applied=applied)


def fed(**batches: int) -> Pool:
    """Return a pool whose feed has said once what is there."""
    pool = Pool()
    do(pool, says(pool, *(batch(code, units) for code, units in batches.items())))
    return pool


def there(pool: Pool) -> dict[str | None, tuple[int, int]]:
    """Return, by code, what is available and what is ordered."""
    codes = {lot.code for lot in pool.lots.values()}
    return {
        code: (
            sum(lot.available for lot in pool.lots.values() if lot.code == code),
            sum(lot.ordered for lot in pool.lots.values() if lot.code == code),
        )
        for code in codes
    }


def short(pool: Pool) -> int:
    """Return how many units we count that the WMS does not."""
    assert pool.fed is not None
    assert not laws.unbalanced(pool)
    return pool.fed.short


def test_a_pool_is_attached_by_the_first_run_that_names_all_its_batches() -> None:
    pool = pool_of(5)
    do(pool, place(2))

    events = do(pool, says(pool, batch("A", 4), as_of=7))

    assert events == (
        FeedAttached(feed=FEED, lots=(Committed(lot=1, code=None, ordered=2),)),
        LotReconciled(
            feed=FEED,
            as_of=7,
            code=None,
            orderable=0,
            applied=0,
            before=5,
            changes=((1, -3),),
            available=0,
            short=2,
        ),
        LotReconciled(
            feed=FEED, as_of=7, code="A", orderable=4, applied=0, before=0, opened=4, available=4
        ),
    )
    assert there(pool) == {None: (0, 2), "A": (4, 0)}


def test_a_pool_is_not_attached_by_a_part_of_what_there_is() -> None:
    pool = pool_of(5)

    assert do(pool, says(pool, batch("A", 4), complete=False)) == ()
    assert not pool.is_fed


def test_an_order_changes_nothing_whether_or_not_the_wms_has_applied_it() -> None:
    """Row N10: it leaves what is orderable and enters what is applied at the same instant."""
    pool = fed(A=10)
    do(pool, place(3))

    assert do(pool, says(pool, batch("A", 10), as_of=11)) == ()
    assert do(pool, says(pool, batch("A", 7, applied=3), as_of=12)) == ()
    do(pool, DispatchOrder(order=3))
    assert do(pool, says(pool, batch("A", 7, applied=3), as_of=13)) == ()
    assert there(pool) == {"A": (7, 0)}


def test_a_batch_of_which_everything_has_left_stays_what_it_was() -> None:
    pool = fed(A=3)
    do(pool, place(3))
    do(pool, DispatchOrder(order=3))

    assert not pool.lots
    assert do(pool, says(pool, batch("A", 3), as_of=11)) == ()
    assert do(pool, says(pool, batch("A", 0, applied=3), as_of=12)) == ()
    do(pool, says(pool, batch("A", 2, applied=3), as_of=13))
    assert there(pool) == {"A": (2, 0)}


def test_receipts_and_losses_are_what_differs() -> None:
    pool = fed(A=10, B=5)
    do(pool, place(4))

    events = do(pool, says(pool, batch("A", 12), batch("B", 4), as_of=11))

    assert [type(event) for event in events] == [LotReconciled, LotReconciled]
    assert there(pool) == {"A": (8, 4), "B": (4, 0)}
    assert pool.available == 12


def test_what_is_missing_of_promised_units_is_recorded_and_nothing_is_cancelled() -> None:
    pool = fed(A=10)
    do(pool, place(8))

    do(pool, says(pool, batch("A", 6), as_of=11))

    assert there(pool) == {"A": (0, 8)}
    assert short(pool) == 2
    assert owed(pool) == 2
    assert refusal(pool, place(1)) == InsufficientStock(requested=1, available=0)


def test_units_that_come_back_stand_for_missing_ones_first() -> None:
    pool = fed(A=10)
    do(pool, place(5))
    do(pool, place(5))
    do(pool, says(pool, batch("A", 7), as_of=11))

    do(pool, CancelOrder(order=3))

    assert there(pool) == {"A": (2, 5)}
    assert short(pool) == 0


def test_a_lot_of_which_all_units_were_missing_is_gone_when_its_order_is_cancelled() -> None:
    pool = fed(A=5)
    do(pool, place(5))
    do(pool, says(pool, as_of=11))

    do(pool, CancelOrder(order=3))

    assert not pool.lots
    assert short(pool) == 0


def test_an_order_of_missing_units_gets_others_before_anybody_can_buy_them() -> None:
    """Row N10: its units are of another lot, and so the WMS is told."""
    pool = fed(A=5)
    do(pool, place(5))
    do(pool, says(pool, batch("A", 2), batch("B", 4), as_of=11))

    do(pool, Wake())

    assert there(pool) == {"A": (0, 2), "B": (1, 3)}
    assert pool.orders.get(3) == ((2, 2), (5, 3))
    assert short(pool) == 0
    assert refusal(pool, place(2)) == InsufficientStock(requested=2, available=1)


def test_units_that_are_found_end_a_shortfall() -> None:
    pool = fed(A=10)
    do(pool, place(8))
    do(pool, says(pool, batch("A", 6), as_of=11))

    do(pool, says(pool, batch("A", 9), as_of=12))

    assert there(pool) == {"A": (1, 8)}
    assert short(pool) == 0


@pytest.mark.parametrize("as_of", [9, 10])
def test_what_is_no_newer_says_nothing(as_of: int) -> None:
    """Rows N4 and N12: older after newer, and the same twice."""
    pool = fed(A=10)

    assert do(pool, says(pool, batch("A", 99), as_of=as_of)) == ()
    assert do(pool, says(pool, batch("A", 1), as_of=as_of)) == ()


def test_units_appear_only_where_all_batches_are_stated() -> None:
    pool = fed(A=10, B=10)

    assert do(pool, says(pool, batch("A", 12), as_of=11, complete=False)) == ()
    assert do(pool, says(pool, batch("C", 5), as_of=11, complete=False)) == ()
    do(pool, says(pool, batch("A", 12), as_of=12, complete=False, lowered=True))
    assert there(pool) == {"A": (12, 0), "B": (10, 0)}


def test_units_vanish_whatever_else_is_stated() -> None:
    pool = fed(A=10, B=10)

    do(pool, says(pool, batch("A", 4), as_of=11, complete=False))

    assert there(pool) == {"A": (4, 0), "B": (10, 0)}


def test_units_of_the_only_batch_may_appear_alone() -> None:
    pool = fed(A=10)

    do(pool, says(pool, batch("A", 12), as_of=11, complete=False))

    assert there(pool) == {"A": (12, 0)}


def test_a_wms_may_count_its_moments_from_nought() -> None:
    """What it does not name then is not there, however many we had."""
    pool = pool_of(5)

    do(pool, says(pool, batch("A", 2), as_of=0))

    assert there(pool) == {"A": (2, 0)}
    assert do(pool, says(pool, batch("A", 3), as_of=0)) == ()


def test_what_is_older_than_anything_that_was_heard_never_raises() -> None:
    pool = fed(A=10, B=10)
    do(pool, says(pool, batch("B", 9), as_of=20, complete=False))

    assert do(pool, says(pool, batch("A", 11), batch("B", 9), as_of=15)) == ()
    do(pool, says(pool, batch("A", 8), batch("B", 9), as_of=15))
    assert there(pool) == {"A": (8, 0), "B": (9, 0)}


def test_what_vanishes_comes_before_what_appears() -> None:
    """A crash between two rows of a decision leaves less for sale, not more."""
    pool = fed(A=10, B=10)

    events = do(pool, says(pool, batch("A", 11), batch("B", 9), as_of=11))

    assert [event.code for event in events if isinstance(event, LotReconciled)] == ["B", "A"]


def test_units_in_a_state_that_the_wms_excludes_count_once_it_knows_of_them() -> None:
    pool = pool_of()
    do(pool, receive(10, expires_at_ms=NOW_MS + 5))
    do(pool, says(pool, batch(None, 10), excludes=("expired",)))
    later = NOW_MS + 10

    events = do(pool, says(pool, batch(None, 0), as_of=11, sent_at_ms=later), now_ms=later)

    assert pool.expired == 10
    assert len(events) == 1
    assert short(pool) == 10
    assert owed(pool) == 0
    told = says(pool, batch(None, 0, applied=10), as_of=12, sent_at_ms=later)
    do(pool, told, now_ms=later)
    assert short(pool) == 0
    assert pool.available == 0


def test_a_feed_that_does_not_know_of_the_last_row_that_attached_is_not_heard() -> None:
    """It could not tell what the WMS has applied since."""
    pool = fed(A=10)

    ask = says(pool, batch("A", 12), as_of=11, turn=0)
    assert reconcile_rules.decide(pool, ask, now_ms=NOW_MS) == TurnUnknown(turn=1)
    do(pool, Detach(process=FEED, step=2, sent_at_ms=NOW_MS))
    ask = says(pool, batch("A", 12), as_of=12, turn=1)
    assert reconcile_rules.decide(pool, ask, now_ms=NOW_MS) == TurnUnknown(turn=pool.version)
    assert not pool.is_fed


def test_a_pool_that_is_detached_gives_back_what_was_open() -> None:
    pool = fed(A=10)
    do(pool, place(3))

    assert do(pool, Detach(process=FEED, step=2, sent_at_ms=NOW_MS)) == (
        FeedDetached(feed=FEED, lots=(Committed(lot=2, code="A", ordered=3),)),
    )
    assert do(pool, Detach(process=FEED, step=3, sent_at_ms=NOW_MS)) == ()
    assert do(pool, receive(1))


def test_nobody_but_the_feed_has_units_come_in() -> None:
    pool = fed(A=10)

    assert refusal(pool, ReceiveStock(quantity=1)) == IsFed()
    expect = Expect(process=7, step=1, sent_at_ms=NOW_MS, product="tea")
    assert refusal(pool, expect) == IsFed()


def test_another_feed_is_refused_and_so_is_a_location_of_one_product() -> None:
    pool, single = fed(A=10), Pool()
    do(single, ReceiveStock(quantity=1, product="tea"))
    stranger = Detach(process=FEED + 256, step=1, sent_at_ms=NOW_MS)

    assert refusal(pool, stranger) == NotFed(feed=FEED)
    assert refusal(single, says(single)) == NotFed(feed=0)


def test_a_pool_is_not_attached_before_what_is_recalled_has_come_back() -> None:
    """Its orders may yet get other batches, of which nobody would tell the WMS."""
    pool = pool_of(5)
    do(pool, place(5))
    do(pool, Adjust(source="available", target="quarantined", quantity=None, lot=1, reason="bad"))

    assert refusal(pool, says(pool)) == NotFed(feed=0)

    do(pool, CancelOrder(order=2))
    do(pool, says(pool, batch("A", 3), as_of=11))
    assert pool.is_fed
    assert not pool.recalls
    assert there(pool)["A"] == (3, 0)


def test_what_was_under_way_for_too_long_is_stale() -> None:
    pool = fed(A=10)
    command = says(pool, batch("A", 12), as_of=11, sent_at_ms=NOW_MS - STATEMENT_STALE_MS - 1)

    assert refusal(pool, command) == Stale(now_ms=NOW_MS)


def test_held_units_are_neither_told_nor_taken() -> None:
    pool = fed(A=5)
    do(pool, Hold(process=7, step=1, sent_at_ms=NOW_MS, quantity=4))

    do(pool, says(pool, batch("A", 3), as_of=11))

    assert (pool.available, pool.held) == (0, 4)
    assert short(pool) == 1


def test_a_fed_pool_is_the_same_after_a_snapshot() -> None:
    pool = fed(A=10, B=3)
    do(pool, PlaceOrder(quantity=12))
    do(pool, says(pool, batch("A", 6), as_of=11))
    do(pool, DispatchOrder(order=4))

    again = load_pool(dump_pool(pool))

    assert dump_pool(again) == dump_pool(pool)
    assert short(again) == short(pool) == 6


def test_the_law_knows_a_row_that_cannot_be() -> None:
    pool = fed(A=10)
    event = do(pool, says(pool, batch("A", 12), as_of=11))[0]
    assert isinstance(event, LotReconciled)

    assert "comes after" in laws.unlawful(pool, event)
    assert "it is attached" in laws.unlawful(pool, FeedAttached(feed=FEED))
    assert "not attached" in laws.unlawful(Pool(), event)
    assert "not attached" in laws.unlawful(Pool(), FeedDetached(feed=FEED))


def aged(*, excludes: tuple[str, ...] = ()) -> Pool:
    """Return a fed pool of which ten units of a batch expire at `NOW_MS + 5`, and twenty do not."""
    pool = pool_of()
    do(pool, receive(10, expires_at_ms=NOW_MS + 5))
    do(pool, receive(20))
    do(pool, says(pool, batch(None, 30), excludes=excludes))
    return pool


def test_expired_units_that_the_wms_writes_off_hide_no_good_ones() -> None:
    pool, later = aged(), NOW_MS + 10

    (event,) = do(pool, says(pool, batch(None, 24), as_of=11, sent_at_ms=later), now_ms=later)

    assert isinstance(event, LotReconciled)
    assert (event.expired, event.changes, event.available) == (((1, 6),), (), 20)
    assert (pool.available, pool.expired, short(pool)) == (20, 4, 0)
    do(pool, says(pool, batch(None, 17), as_of=12, sent_at_ms=later), now_ms=later)
    assert (pool.available, pool.expired, short(pool)) == (17, 0, 0)
    assert 1 not in pool.lots


def test_a_batch_that_is_past_its_date_is_short_of_nothing_when_it_is_written_off() -> None:
    pool, later = pool_of(), NOW_MS + 10
    do(pool, receive(10, expires_at_ms=NOW_MS + 5))
    do(pool, says(pool, batch(None, 10)))

    do(pool, says(pool, as_of=11, sent_at_ms=later), now_ms=later)

    assert short(pool) == 0
    assert not pool.lots


def test_expired_units_stay_where_the_wms_knows_of_them_by_itself() -> None:
    """They will be applied: were they gone before, so many would be for sale then."""
    pool, later = aged(excludes=("expired",)), NOW_MS + 10

    do(pool, says(pool, batch(None, 20), as_of=11, sent_at_ms=later), now_ms=later)
    assert (pool.available, pool.expired) == (10, 10)

    told = says(pool, batch(None, 20, applied=10), as_of=12, sent_at_ms=later)
    do(pool, told, now_ms=later)
    assert (pool.available, pool.expired, short(pool)) == (20, 10, 0)


def test_the_law_knows_expired_units_that_cannot_be_gone() -> None:
    pool, later = aged(), NOW_MS + 10
    do(pool, Wake(), now_ms=later)
    (event,) = do(aged(), says(pool, batch(None, 24), as_of=11, sent_at_ms=later), now_ms=later)
    assert isinstance(event, LotReconciled)

    assert not laws.unlawful(pool, event)
    for said in (((1, 11),), ((2, 6),), ((1, 0),)):
        assert "past their date" in laws.unlawful(pool, replace(event, expired=said))
    assert "are said to be" in laws.unlawful(pool, replace(event, expired=()))


def test_units_past_their_date_that_are_gone_are_explained() -> None:
    pool, later = aged(), NOW_MS + 10
    (event,) = do(pool, says(pool, batch(None, 24), as_of=11, sent_at_ms=later), now_ms=later)
    assert isinstance(event, LotReconciled)

    assert explanation(event).endswith("nothing became available, 6 past their date are gone")
