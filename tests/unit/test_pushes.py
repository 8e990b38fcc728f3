"""What the warehouse's own system is told of what happened to a pool."""

from allocator.domain.holds import Confirm, Hold
from allocator.domain.kinds import Event
from allocator.domain.messages import CancelOrder, Command, DispatchOrder, DispatchPart
from allocator.domain.pool import Pool
from allocator.domain.pushes import Account, Line, Push, applied
from allocator.domain.reconciling import Detach, Reconcile, Statement
from allocator.domain.transfers import SendOut
from tests.builders import NOW_MS, do, place, receive

FEED, POOL = 522, 266


class Story:
    """A pool, its rows, and what the WMS is told of them."""

    def __init__(self, *commands: Command) -> None:
        self.pool = Pool()
        self.rows: list[tuple[int, Event]] = []
        self.account = Account(actor_id=POOL)
        self.also(*commands)

    def also(self, *commands: Command) -> None:
        """Have more happen."""
        for command in commands:
            for event in do(self.pool, command):
                self.rows.append((len(self.rows) + 1, event))

    def told(self) -> list[Line]:
        """Tell of everything that was not told."""
        self.account.take(self.rows)
        push = self.account.push()
        return [] if push is None else list(push.lines)


def attach(*, turn: int = 0, as_of: int = 1, excludes: tuple[str, ...] = ()) -> Reconcile:
    """Return what attaches a pool: there are ten units of batch A."""
    return Reconcile(
        process=FEED,
        step=1,
        sent_at_ms=NOW_MS,
        as_of=as_of,
        turn=turn,
        lots=(Statement(code="A", orderable=10),),
        complete=True,
        excludes=excludes,
    )


def detach() -> Detach:
    return Detach(process=FEED, step=2, sent_at_ms=NOW_MS)


def test_nothing_is_told_of_a_pool_that_is_not_fed() -> None:
    assert Story(receive(5), place(2)).told() == []


def test_what_was_ordered_before_is_told_when_the_pool_is_attached() -> None:
    story = Story(receive(5), place(2), attach())

    assert story.told() == [Line(code=None, decrease=2, after=2)]
    assert story.told() == []


def test_what_happened_in_between_is_told_at_once_batch_by_batch() -> None:
    """Row N11."""
    story = Story(attach(), place(3), place(2), CancelOrder(order=3), place(1))

    assert story.told() == [Line(code="A", decrease=3, after=3)]


def test_what_came_to_nothing_is_not_told() -> None:
    assert Story(attach(), place(3), CancelOrder(order=3)).told() == []


def test_what_leaves_is_told_and_is_promised_no_more_than_once() -> None:
    story = Story(attach(), place(3))
    assert story.told() == [Line(code="A", decrease=3, after=3)]

    story.also(DispatchPart(order=3, quantity=1), DispatchOrder(order=3))

    assert story.told() == [Line(code="A", shipped=3, after=3)]


def test_a_hold_is_told_when_it_becomes_an_order() -> None:
    story = Story(attach(), Hold(process=7, step=1, sent_at_ms=NOW_MS, quantity=2))
    assert story.told() == []

    story.also(Confirm(process=7, step=2, sent_at_ms=NOW_MS))

    assert story.told() == [Line(code="A", decrease=2, after=2)]


def test_units_that_move_elsewhere_are_promised_and_gone() -> None:
    story = Story(attach())
    story.also(SendOut(process=7, step=1, sent_at_ms=NOW_MS, source=POOL, quantity=4))

    assert story.told() == [Line(code="A", decrease=4, shipped=4, after=4)]


def test_what_was_open_is_taken_back_when_a_pool_is_detached_and_told_anew_later() -> None:
    story = Story(attach(), place(3), place(2), DispatchOrder(order=3))
    story.told()

    story.also(detach())
    assert story.told() == [Line(code="A", decrease=-2, after=3)]
    assert story.account.base == {"A": 3}

    story.also(attach(turn=6, as_of=2))
    assert story.told() == [Line(code="A", decrease=2, after=5)]
    assert story.account.turn == 7


def test_what_the_wms_has_applied_is_what_the_last_push_of_it_says() -> None:
    def push(after: int, code: str = "A") -> Push:
        lines = (Line(code=code, decrease=1, after=after),)
        return Push(actor_id=POOL, lines=lines)

    pushes = [(3, push(5)), (4, push(1, "B")), (8, push(6))]

    assert applied(pushes, through=2, before={"A": 4}) == {"A": 4}
    assert applied(pushes, through=7, before={"A": 4}) == {"A": 5, "B": 1}
    assert applied(pushes, through=8, before={}) == {"A": 6, "B": 1}
