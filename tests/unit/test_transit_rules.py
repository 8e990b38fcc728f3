"""What processes ask of a pool: each step once, late, twice or out of order."""

import pytest

from allocator.domain.messages import (
    InsufficientStock,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.processes import stamped
from allocator.domain.rules import decide, evolve
from allocator.domain.snapshots import dump_pool, load_pool
from allocator.domain.transfers import (
    LOTS_MAX,
    AlreadySent,
    Asked,
    Expect,
    LetGo,
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendOut,
    SendRefused,
    Stale,
    TakeIn,
    TooManyLots,
    Transfer,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.transit import RELEASES_KEPT_MS, STALE_AFTER_MS
from tests.builders import HOUR_MS, NOW_MS, do, place, pool_of, received, refusal, units

SOURCE = 5
MOVE = 1000
SOON_MS = NOW_MS + HOUR_MS


def sent(command: Asked, *, process: int = MOVE, at_ms: int = NOW_MS) -> Asked:
    return stamped(command, process=process, sent_at_ms=at_ms)


def send_out(quantity: int, *, process: int = MOVE, product: str | None = None) -> Asked:
    command = SendOut(step=2, source=SOURCE, quantity=quantity, product=product)
    return sent(command, process=process)


def expect(product: str, *, process: int = MOVE) -> Asked:
    return sent(Expect(step=1, product=product), process=process)


def take_in(*lots: Transfer, product: str | None = None, process: int = MOVE) -> Asked:
    return sent(TakeIn(step=3, lots=lots, product=product), process=process)


def let_go(*, process: int = MOVE, at_ms: int = NOW_MS) -> Asked:
    return sent(LetGo(step=4), process=process, at_ms=at_ms)


def lot_of(quantity: int, *, seq: int = 1, expires_at_ms: int | None = None) -> Transfer:
    return Transfer(
        quantity=quantity,
        origin=(SOURCE, seq),
        received_at_ms=NOW_MS,
        expires_at_ms=expires_at_ms,
    )


def location_of(product: str, quantity: int) -> Pool:
    pool = Pool()
    evolve(pool, StockReceived(quantity=quantity, product=product), at_ms=NOW_MS)
    return pool


def test_the_units_that_expire_first_leave_first_and_say_what_they_were() -> None:
    pool = pool_of(
        5, StockReceived(quantity=2, lot="A", expires_at_ms=SOON_MS, reference="delivery 9")
    )
    [event] = do(pool, send_out(3))
    first = Transfer(
        quantity=2,
        origin=(SOURCE, 2),
        received_at_ms=NOW_MS,
        code="A",
        expires_at_ms=SOON_MS,
        reference="delivery 9",
    )

    assert event == UnitsSent(process=MOVE, step=2, quantity=3, lots=(first, lot_of(1)))
    assert units(pool.balance()) == (4, 0, 0, 4)
    assert set(pool.lots) == {1}


def test_what_arrives_is_a_new_lot_with_the_dates_of_the_old_one() -> None:
    pool = pool_of(1)
    arrived = Transfer(
        quantity=2, origin=(SOURCE, 9), received_at_ms=7, code="A", expires_at_ms=SOON_MS
    )
    do(pool, take_in(arrived))
    lot = pool.lots[2]

    assert (lot.quantity, lot.available, lot.origin) == (2, 2, (SOURCE, 9))
    assert (lot.code, lot.expires_at_ms, lot.received_at_ms) == ("A", SOON_MS, 7)
    assert do(pool, place(1)) == (OrderPlaced(quantity=1, picks=((2, 1),)),)


def test_only_units_that_nobody_was_promised_can_leave() -> None:
    pool = pool_of(5)
    do(pool, place(3))

    assert do(pool, send_out(3)) == (SendRefused(process=MOVE, step=2, requested=3, available=2),)
    assert units(pool.balance()) == (2, 3, 0, 5)


def test_a_repeat_is_told_what_left_and_nothing_more_leaves() -> None:
    pool = pool_of(5)
    do(pool, send_out(3))

    assert refusal(pool, send_out(3)) == AlreadySent(lots=(lot_of(3),))


def test_what_was_refused_once_is_never_sent_whatever_comes_in() -> None:
    """Else the first answer could be "no", and the units gone all the same."""
    pool = pool_of(1)
    do(pool, send_out(3))
    do(pool, ReceiveStock(quantity=9))

    assert refusal(pool, send_out(3)) == InsufficientStock(requested=3, available=1)


def test_units_of_more_lots_than_an_answer_can_name_stay() -> None:
    pool = pool_of(*[1] * (LOTS_MAX + 1))
    [event] = do(pool, send_out(LOTS_MAX + 1))
    again = refusal(pool, send_out(LOTS_MAX + 1))

    assert isinstance(event, SendRefused)
    assert again == TooManyLots(lots=LOTS_MAX + 1, limit=LOTS_MAX)
    assert len(do(pool, send_out(LOTS_MAX, process=MOVE + 1))) == 1


def test_a_step_that_is_done_or_behind_changes_nothing() -> None:
    pool = Pool()
    do(pool, take_in(lot_of(2)))

    assert do(pool, take_in(lot_of(2))) == ()
    assert do(pool, expect("tea")) == ()
    assert do(pool, send_out(1)) == ()


def test_lots_of_which_some_were_stored_before_a_crash_arrive_once() -> None:
    """Rows of one decision may be stored in two appends."""
    pool, lots = Pool(), (lot_of(1), lot_of(2, seq=2), lot_of(4, seq=3))
    decision = decide(pool, take_in(*lots), now_ms=NOW_MS)
    assert isinstance(decision, tuple)
    evolve(pool, decision[0], at_ms=NOW_MS)
    pool = load_pool(dump_pool(pool))

    assert do(pool, take_in(*lots)) == tuple(decision[1:])
    assert do(pool, take_in(*lots)) == ()
    assert units(pool.balance()) == (7, 0, 0, 7)


def test_nothing_of_a_process_counts_after_it_has_let_go() -> None:
    pool = pool_of(5)
    do(pool, let_go())

    assert do(pool, send_out(1)) == do(pool, expect("tea")) == do(pool, let_go()) == ()
    assert do(pool, send_out(1, process=MOVE + 1)) != ()


def test_an_ask_that_was_under_way_for_too_long_is_refused() -> None:
    pool = pool_of(5)
    now_ms = NOW_MS + STALE_AFTER_MS

    assert refusal(pool, send_out(1), now_ms=now_ms + 1) == Stale(now_ms=now_ms + 1)
    assert do(pool, send_out(1), now_ms=now_ms) != ()


def test_an_ask_that_was_never_stamped_is_not_believed() -> None:
    assert refusal(pool_of(5), SendOut(step=2, source=SOURCE, quantity=1)) == Stale(now_ms=NOW_MS)


def test_a_release_is_remembered_for_longer_than_any_ask_is_believed() -> None:
    assert RELEASES_KEPT_MS >= 2 * STALE_AFTER_MS

    pool = pool_of(5)
    do(pool, let_go())
    do(pool, place(1), now_ms=NOW_MS + RELEASES_KEPT_MS)

    assert pool.processes is not None

    do(pool, place(1), now_ms=NOW_MS + RELEASES_KEPT_MS + 1)

    assert pool.processes is None


def test_releases_are_forgotten_faster_than_they_come() -> None:
    pool = pool_of(5)
    for process in range(100):
        do(pool, let_go(process=process))
    for later in range(50):
        assert pool.processes is not None
        do(pool, place(1) if later < 5 else ReceiveStock(quantity=1), now_ms=NOW_MS + HOUR_MS)

    assert pool.processes is None


def test_a_snapshot_keeps_all_that_is_remembered() -> None:
    pool = pool_of(5)
    do(pool, send_out(3))
    do(pool, send_out(9, process=MOVE + 1))
    do(pool, let_go(process=MOVE + 2))
    do(pool, let_go(process=MOVE + 3))
    location = Pool()
    do(location, expect("tea"))
    loaded, claimed = load_pool(dump_pool(pool)), load_pool(dump_pool(location))

    assert refusal(loaded, send_out(3)) == AlreadySent(lots=(lot_of(3),))
    assert refusal(loaded, send_out(9, process=MOVE + 1)) == InsufficientStock(
        requested=9, available=2
    )
    assert do(loaded, send_out(1, process=MOVE + 2)) == ()
    assert refusal(claimed, expect("pot", process=MOVE + 1)) == Occupied(product="tea")
    for one in (pool, loaded):
        do(one, place(1), now_ms=NOW_MS + HOUR_MS)
    assert dump_pool(loaded) == dump_pool(pool)


def test_a_pool_that_no_process_asked_remembers_nothing() -> None:
    assert pool_of(5).processes is None


def test_a_lot_that_expires_on_its_way_arrives_and_expires() -> None:
    pool = Pool()
    do(pool, take_in(lot_of(2, expires_at_ms=NOW_MS - 1)))
    do(pool, Wake())

    assert units(pool.balance()) == (0, 0, 2, 2)


# A location that holds one product at a time. O4.


def test_a_location_takes_no_second_product_while_anything_of_the_first_is_there() -> None:
    """O4."""
    pool = location_of("tea", 1)
    pot = ReceiveStock(quantity=1, product="pot")

    assert refusal(pool, pot) == Occupied(product="tea")
    assert refusal(pool, expect("pot")) == Occupied(product="tea")

    do(pool, PlaceOrder(quantity=1, product="tea"))

    assert refusal(pool, pot) == Occupied(product="tea")

    do(pool, ReceiveStock(quantity=1, product="tea"))
    assert pool.product == "tea"


def test_a_location_that_was_emptied_may_take_another_product() -> None:
    pool = location_of("tea", 1)
    do(pool, send_out(1, product="tea"))
    [event] = do(pool, ReceiveStock(quantity=2, product="pot"))

    assert event == StockReceived(quantity=2, product="pot")
    assert pool.product == "pot"


def test_a_location_is_there_for_what_it_expects_until_that_has_come_or_never_will() -> None:
    pool = Pool()

    assert do(pool, expect("tea")) == (ProductExpected(process=MOVE, step=1, product="tea"),)
    assert refusal(pool, ReceiveStock(quantity=1, product="pot")) == Occupied(product="tea")
    assert do(pool, expect("tea", process=MOVE + 1)) != ()

    do(pool, let_go())
    assert refusal(pool, expect("pot", process=MOVE + 2)) == Occupied(product="tea")

    do(pool, take_in(lot_of(1), product="tea", process=MOVE + 1))
    do(pool, send_out(1, product="tea", process=MOVE + 3))
    assert do(pool, expect("pot", process=MOVE + 2)) != ()


def test_of_another_product_a_location_has_nothing() -> None:
    pool = location_of("tea", 3)

    for product in ("pot", None):
        assert refusal(pool, PlaceOrder(quantity=1, product=product)) == InsufficientStock(
            requested=1, available=0
        )
    [event] = do(pool, send_out(1, product="pot"))
    assert event == SendRefused(process=MOVE, step=2, requested=1, available=0, product="tea")


def test_what_happens_at_a_location_says_to_which_product() -> None:
    pool = location_of("tea", 3)
    [placed] = do(pool, PlaceOrder(quantity=1, product="tea"))
    [left] = do(pool, send_out(1, product="tea"))
    [came] = do(pool, take_in(lot_of(1), product="tea", process=MOVE + 1))

    assert isinstance(placed, OrderPlaced)
    assert isinstance(left, UnitsSent)
    assert isinstance(came, UnitsTaken)
    assert placed.product == left.product == came.product == "tea"


def test_an_ordinary_pool_ignores_which_product_a_sender_knows() -> None:
    pool = pool_of(3)
    [event] = do(pool, send_out(1, product="tea"))

    assert isinstance(event, UnitsSent)
    assert event.product is None


@pytest.mark.parametrize("process", [MOVE, MOVE + 1])
def test_to_let_go_is_stored_whether_or_not_anything_came_before(process: int) -> None:
    pool = pool_of(5)
    do(pool, send_out(1))

    assert do(pool, let_go(process=process)) == (ProcessLetGo(process=process, step=4),)
    assert units(pool.balance()) == (4, 0, 0, 4)
    assert received(1) == StockReceived(quantity=1)
