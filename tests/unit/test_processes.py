"""The asks of a process that are under way, as its shell counts them."""

from allocator.domain.processes import Answered, Ask, Errands, stamped
from allocator.domain.transfers import LetGo, Stale

FIRST, SECOND = (Ask(number=4, actor_id=place, command=LetGo(step=4)) for place in (5, 6))
NEXT = Ask(number=5, actor_id=5, command=LetGo(step=5))


def test_an_ask_is_sent_for_the_first_time_once() -> None:
    errands = Errands()

    assert errands.renew([FIRST, SECOND]) == [FIRST, SECOND]
    assert errands.renew([FIRST, SECOND]) == []
    assert errands.waiting() == [FIRST, SECOND]


def test_asks_of_one_number_are_told_of_when_all_have_been_answered() -> None:
    errands = Errands()
    errands.renew([FIRST, SECOND])

    assert errands.hear(SECOND, None) is None
    assert errands.renew([FIRST, SECOND]) == []
    assert errands.waiting() == [FIRST]
    assert errands.hear(FIRST, None) == Answered(number=4, answer=None)


def test_an_answer_that_nobody_waits_for_is_not_told() -> None:
    errands = Errands()
    errands.renew([FIRST])
    errands.renew([NEXT])

    assert errands.hear(FIRST, None) is None
    assert errands.hear(NEXT, None) == Answered(number=5, answer=None)
    assert errands.hear(NEXT, None) is None


def test_a_stale_ask_keeps_waiting() -> None:
    errands = Errands()
    errands.renew([FIRST])

    assert errands.hear(FIRST, Stale(now_ms=1)) is None
    assert errands.waiting() == [FIRST]


def test_what_is_still_intended_after_its_answer_is_sent_again() -> None:
    errands = Errands()
    errands.renew([FIRST])
    errands.hear(FIRST, None)

    assert errands.renew([FIRST]) == [FIRST]


def test_a_stamp_says_who_asks_and_when_and_changes_nothing_else() -> None:
    command = stamped(FIRST.command, process=7, sent_at_ms=9)

    assert command == LetGo(process=7, step=4, sent_at_ms=9)
