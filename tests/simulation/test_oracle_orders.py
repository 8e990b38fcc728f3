"""Every law of orders of several lines is silent about what is right, and names what is wrong."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.messages import OrderPartlyDispatched
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    Line,
    NotOpen,
    OrderDeclined,
    RequestOrder,
    Shortage,
    TooMuch,
)
from allocator.domain.queries import BalanceQuery, LinesQuery, View
from allocator.errors import OutcomeUnknownError, UnavailableError
from allocator.simulation.history import Ordered
from allocator.simulation.oracle import judge, law_of
from tests.builders import ACTOR, HOUR_MS, NOW_MS, place, receive
from tests.simulation.stories import Story

THERE = ACTOR + 256
FIRST = 1000 << 8
SECOND, THIRD, FOURTH = FIRST + 256, FIRST + 512, FIRST + 768
"""The processes of the orders, as they come."""


def request(number: int, here: int, there: int) -> RequestOrder:
    lines = tuple(
        Line(pool=pool, warehouse=f"place {pool}", product="tea", quantity=quantity)
        for pool, quantity in ((ACTOR, here), (THERE, there))
    )
    return RequestOrder(lines=lines, customer=f"customer {number}")


def a_day() -> Story:
    """Return a story in which orders are accepted, declined, dispatched in parts and cancelled."""
    story = Story()
    story.ask(receive(6, expires_at_ms=NOW_MS + HOUR_MS))  # seq 1 here
    story.ask(receive(4), actor_id=THERE)  # seq 1 there
    story.lead(request(1, 4, 2), key="a")  # held and ordered, seqs 2 and 3; operation 2
    story.lead(request(2, 9, 1))  # declined by the first pool; operation 3
    story.lead(request(3, 1, 9))  # declined by the second, when the first has held; operation 4
    story.lead(request(4, 1, 1), key="b")  # operation 5
    story.tell(FIRST, DispatchLines(parts=((0, 3),)))  # operation 6
    story.tell(FIRST, DispatchLines(parts=((0, 3),)))  # there is one left; operation 7
    story.tell(FIRST, DispatchLines())  # operation 8
    story.tell(FIRST, CancelLines())  # it is gone; operation 9
    story.tell(FOURTH, CancelLines())  # operation 10
    story.ask(LinesQuery(), actor_id=FIRST)  # operation 11
    story.ask(BalanceQuery())  # operation 12
    story.ask(place(2), actor_id=THERE)
    return story


def ordered(story: Story, number: int) -> Ordered:
    """Return what came of an order, as it was told."""
    answer = story.operations[number].attempts[0].answer
    assert isinstance(answer, Ordered)
    return answer


def the_answer(story: Story, number: int, answer: object) -> None:
    """Let an operation have been told something else."""
    story.operations[number].attempts[0].answer = answer  # type: ignore[assignment]


def laws_broken(story: Story) -> set[str]:
    return {law_of(failure) for failure in judge(story.evidence(), searched=9)}


def test_what_is_right_breaks_no_law() -> None:
    assert judge(a_day().evidence(), searched=9) == []


def test_what_happened_is_what_it_was_to_be() -> None:
    story = a_day()
    answers = [story.operations[number].attempts[0].answer for number in (7, 9)]

    assert ordered(story, 2).order.status == "new"
    assert [shortage.line for shortage in ordered(story, 3).order.shortages] == [0]
    assert [shortage.line for shortage in ordered(story, 4).order.shortages] == [1]
    assert answers == [TooMuch(line=0, requested=3, left=1), NotOpen(status="dispatched")]


def a_line_is_held_by_nobody(story: Story) -> None:
    del story.operations[2]


def an_order_begins_twice(story: Story) -> None:
    story.begin(story.operations[2])


def a_line_is_confirmed_of_a_declined_order(story: Story) -> None:
    held = UnitsHeld(process=THIRD, step=1, order=99, quantity=1, added=((1, 1),))
    story.add(held, actor_id=ACTOR)
    story.add(
        HoldConfirmed(process=THIRD, step=2, order=99, quantity=1, picks=((1, 1),)), actor_id=ACTOR
    )


def more_is_confirmed_than_was_held(story: Story) -> None:
    story.bend(
        3,
        HoldConfirmed(process=FIRST, step=2, order=2, quantity=5, picks=((1, 5),)),
        actor_id=ACTOR,
    )


def fewer_units_are_held_than_were_wanted(story: Story) -> None:
    story.bend(
        2,
        UnitsHeld(process=FIRST, step=1, order=2, quantity=1, added=((1, 1),)),
        actor_id=THERE,
    )


def a_pool_is_not_told_of_what_was_dispatched(story: Story) -> None:
    rows = story.rows[THERE]
    left = next(row.seq for row in rows if row.kind == "order_dispatched")
    story.cut(THERE, after_seq=left - 1)


def more_leaves_than_was_dispatched(story: Story) -> None:
    rows = story.rows[ACTOR]
    seq = next(row.seq for row in rows if row.kind == "order_partly_dispatched")
    parted = OrderPartlyDispatched(order=2, quantity=2, picks=((1, 2),), left=2)
    story.bend(seq, parted, actor_id=ACTOR)


def an_ask_comes_late(story: Story) -> None:
    story.add(HoldRefused(process=THIRD, step=1, requested=1, available=0), actor_id=ACTOR)


def an_order_is_never_decided(story: Story) -> None:
    story.cut(SECOND, after_seq=1)


def a_hold_is_stored_before_its_request(story: Story) -> None:
    story.order.remove((FIRST, 1))
    story.order.append((FIRST, 1))


def an_order_is_accepted_before_it_is_held(story: Story) -> None:
    story.order.remove((FIRST, 2))
    story.order.insert(story.order.index((FIRST, 1)) + 1, (FIRST, 2))


def a_shortage_that_never_was_is_told(story: Story) -> None:
    shortages = (
        Shortage(line=0, requested=9, available=2),
        Shortage(line=1, requested=1, available=0),
    )
    story.bend(2, OrderDeclined(shortages=shortages), actor_id=SECOND)
    told = ordered(story, 3)
    the_answer(story, 3, replace(told, order=replace(told.order, shortages=shortages)))


def an_order_was_told_that_never_was(story: Story) -> None:
    told = ordered(story, 2)
    the_answer(story, 2, replace(told, outcome=replace(told.outcome, actor_id=77 << 8)))


def a_declined_order_was_told_as_accepted(story: Story) -> None:
    told = ordered(story, 4)
    the_answer(story, 4, replace(told, order=replace(told.order, status="new", shortages=())))


def an_order_was_told_undecided(story: Story) -> None:
    told = ordered(story, 2)
    the_answer(story, 2, replace(told, order=replace(told.order, status="requested")))


def an_order_was_denied_and_done(story: Story) -> None:
    the_answer(story, 5, UnavailableError(reason="the server is stopping"))


def an_end_was_denied_and_done(story: Story) -> None:
    the_answer(story, 10, NotOpen(status="cancelled"))


def a_dispatch_was_refused_that_was_possible(story: Story) -> None:
    the_answer(story, 7, TooMuch(line=0, requested=3, left=2))


def an_order_was_seen_as_it_no_longer_was(story: Story) -> None:
    the_answer(story, 11, View(order=ordered(story, 2).order))


def units_that_are_held_were_seen_for_sale(story: Story) -> None:
    seen = story.operations[12].attempts[0].answer
    assert isinstance(seen, View)
    assert seen.balance is not None
    balance = replace(seen.balance, held=1, available=seen.balance.available - 1)
    the_answer(story, 12, View(balance=balance))


TOLD = "every acknowledged change is in the journal as it was told"
TRUE = "every answer was true when it was given"
WRONG: dict[Callable[[Story], None], str] = {
    a_line_is_held_by_nobody: "every row is somebodys",
    an_order_begins_twice: "a process is begun once",
    a_line_is_confirmed_of_a_declined_order: "an order is all or nothing",
    more_is_confirmed_than_was_held: "no unit is sold twice or lost",
    fewer_units_are_held_than_were_wanted: "every row is what the rules decide",
    a_pool_is_not_told_of_what_was_dispatched: "pools have what their processes say",
    more_leaves_than_was_dispatched: "every row is what the rules decide",
    an_ask_comes_late: "nothing is held for who has let go",
    an_order_is_never_decided: "every process settles",
    a_hold_is_stored_before_its_request: "no step is stored before its cause",
    an_order_is_accepted_before_it_is_held: "no step is stored before its cause",
    a_shortage_that_never_was_is_told: TRUE,
    an_order_was_told_that_never_was: TOLD,
    a_declined_order_was_told_as_accepted: TRUE,
    an_order_was_told_undecided: TOLD,
    an_order_was_denied_and_done: "nothing denied was done",
    an_end_was_denied_and_done: "every row is somebodys",
    a_dispatch_was_refused_that_was_possible: TRUE,
    an_order_was_seen_as_it_no_longer_was: TRUE,
    units_that_are_held_were_seen_for_sale: TRUE,
}


@pytest.mark.parametrize("bend", WRONG, ids=lambda bend: bend.__name__)
def test_what_is_wrong_breaks_its_law(bend: Callable[[Story], None]) -> None:
    story = a_day()
    bend(story)

    assert WRONG[bend] in laws_broken(story)


def test_an_order_that_nobody_heard_of_may_be_there_or_not() -> None:
    story = a_day()
    the_answer(story, 2, OutcomeUnknownError())
    story.operations[3].attempts[0].answered_at = None
    the_answer(story, 3, None)

    assert judge(story.evidence(), searched=9) == []
