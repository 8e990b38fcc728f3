"""The asks of a process that are under way, as its shell counts them."""

from allocator.domain.holds import Check, Hold
from allocator.domain.messages import InsufficientStock
from allocator.domain.processes import Answered, Ask, Errands, stamped
from allocator.domain.transfers import LetGo, Stale

FIRST, SECOND = (Ask(number=4, actor_id=place, command=LetGo(step=4)) for place in (5, 6))
TURN, TURN_AFTER = (
    Ask(
        number=1,
        actor_id=place,
        command=Hold(step=1, quantity=2),
        in_turn=True,
        otherwise=Check(step=1, quantity=2),
    )
    for place in (5, 6)
)
NEXT = Ask(number=5, actor_id=5, command=LetGo(step=5))


def test_an_ask_is_sent_for_the_first_time_once() -> None:
    errands = Errands()

    assert errands.renew([FIRST, SECOND]) == [FIRST, SECOND]
    assert errands.renew([FIRST, SECOND]) == []
    assert errands.waiting() == [FIRST, SECOND]


def test_asks_of_one_number_are_told_of_when_all_have_been_answered() -> None:
    errands = Errands()
    errands.renew([FIRST, SECOND])

    assert errands.hear(SECOND, None, [FIRST, SECOND]) is None
    assert errands.renew([FIRST, SECOND]) == []
    assert errands.waiting() == [FIRST]
    told = errands.hear(FIRST, None, [FIRST, SECOND])
    assert told == Answered(number=4, answer=None, answers=((5, None), (6, None)))


def test_an_answer_that_nobody_waits_for_is_not_told() -> None:
    errands = Errands()
    errands.renew([FIRST])
    errands.renew([NEXT])

    assert errands.hear(FIRST, None, [NEXT]) is None
    told = errands.hear(NEXT, None, [NEXT])
    assert told == Answered(number=5, answer=None, answers=((5, None),))
    assert errands.hear(NEXT, None, [NEXT]) is None


def test_a_stale_ask_keeps_waiting() -> None:
    errands = Errands()
    errands.renew([FIRST])

    assert errands.hear(FIRST, Stale(now_ms=1), [FIRST]) is None
    assert errands.waiting() == [FIRST]


def test_what_is_still_intended_after_its_answer_is_sent_again() -> None:
    errands = Errands()
    errands.renew([FIRST])
    errands.hear(FIRST, None, [FIRST])

    assert errands.renew([FIRST]) == [FIRST]


def test_asks_in_turn_leave_one_after_the_other() -> None:
    errands = Errands()

    assert errands.renew([TURN, TURN_AFTER]) == [TURN]
    assert errands.renew([TURN, TURN_AFTER]) == []
    assert errands.hear(TURN, None, [TURN, TURN_AFTER]) is None
    assert errands.renew([TURN, TURN_AFTER]) == [TURN_AFTER]


def test_after_a_refusal_something_else_is_asked_in_turn() -> None:
    errands = Errands()
    errands.renew([TURN, TURN_AFTER])
    errands.hear(TURN, InsufficientStock(requested=2, available=1), [TURN, TURN_AFTER])

    [asked] = errands.renew([TURN, TURN_AFTER])

    assert asked.command == TURN_AFTER.otherwise


def test_a_stamp_says_who_asks_and_when_and_changes_nothing_else() -> None:
    command = stamped(FIRST.command, process=7, sent_at_ms=9)

    assert command == LetGo(process=7, step=4, sent_at_ms=9)
