"""Every law of moves is silent about what is right, and names what is wrong."""

from collections.abc import Callable

import msgspec
import pytest

from allocator.actors.messages import KeyReused, Noted
from allocator.domain.messages import InsufficientStock, OrderPlaced, PlaceOrder, ReceiveStock
from allocator.domain.moves import Move, MoveDone, MoveRefused, RequestMove, SamePlace
from allocator.domain.pool import Balance
from allocator.domain.queries import BalanceQuery, MoveQuery, View
from allocator.domain.transfers import (
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transfer,
    UnitsSent,
    UnitsTaken,
)
from allocator.errors import BrokenRuleError, OutcomeUnknownError, UnavailableError
from allocator.simulation.history import Moved, Operation
from allocator.simulation.oracle import judge, law_of
from tests.builders import ACTOR, HOUR_MS, NOW_MS, place, receive
from tests.simulation.stories import Story

THERE, SHELF = ACTOR + 256, ACTOR + 512
"""A pool, and a location that holds one product at a time."""

FIRST = 1000 << 8
LAST = FIRST + 4 * 256
"""The processes of the first and the last move."""


def request(
    number: int, quantity: int, *, to: int, product: str = "tea", source: int = ACTOR
) -> RequestMove:
    return RequestMove(
        product=product,
        source=source,
        destination=to,
        from_code=f"from {number}",
        to_code=f"to {number}",
        quantity=quantity,
        expects=to == SHELF,
    )


def a_day() -> Story:
    """Return a story in which everything is moved that may be."""
    story = Story()
    story.ask(receive(5, expires_at_ms=NOW_MS + HOUR_MS))
    story.ask(receive(5))
    story.move(request(1, 7, to=THERE), key="a")  # of both lots; operation 2
    story.move(request(2, 4, to=THERE))  # refused: there are three left
    story.move(request(3, 1, to=SHELF), key="b")  # operation 4
    story.move(request(4, 1, to=SHELF, product="pot", source=SHELF))  # refused: one place
    story.move(request(5, 1, to=SHELF, product="pot", source=THERE))  # refused: there is tea
    story.ask(ReceiveStock(quantity=1, product="pot"), actor_id=SHELF)  # likewise; operation 7
    story.ask(PlaceOrder(quantity=1, product="pot"), actor_id=SHELF)  # refused
    story.ask(BalanceQuery(product="pot"), actor_id=SHELF)  # zeros
    story.ask(BalanceQuery(product="tea"), actor_id=SHELF)
    story.ask(PlaceOrder(quantity=1, product="tea"), actor_id=SHELF)  # seq 4
    story.ask(place(6), actor_id=THERE)
    story.now_ms += HOUR_MS
    story.ask(BalanceQuery(), actor_id=THERE)
    story.move(request(6, 9, to=ACTOR, source=THERE))
    seen = story.ask(MoveQuery(), actor_id=FIRST)
    seen.attempts[0].answer = View(move=moved(story.operations[2]).move)
    return story


def moved(operation: Operation) -> Moved:
    """Return what came of a move, as it was told."""
    answer = operation.attempts[0].answer
    assert isinstance(answer, Moved)
    return answer


def laws_broken(story: Story) -> set[str]:
    return {law_of(failure) for failure in judge(story.evidence(), searched=9)}


def test_what_is_right_breaks_no_law() -> None:
    assert judge(a_day().evidence(), searched=9) == []


def the_answer(story: Story, number: int, answer: object) -> None:
    """Let an operation have been told something else."""
    story.operations[number].attempts[0].answer = answer  # type: ignore[assignment]


def a_lot(quantity: int = 1, *, seq: int = 1, source: int = ACTOR) -> Transfer:
    return Transfer(quantity=quantity, origin=(source, seq), received_at_ms=NOW_MS)


def taken(process: int, *, product: str | None = None) -> UnitsTaken:
    return UnitsTaken(process=process, step=3, lot=a_lot(), last=True, product=product)


def units_arrive_twice(story: Story) -> None:
    story.add(taken(FIRST), actor_id=THERE)


def units_arrive_of_nowhere(story: Story) -> None:
    story.add(taken(77 << 8), actor_id=THERE)


def units_never_arrive(story: Story) -> None:
    story.cut(FIRST + 512, after_seq=3)
    story.cut(SHELF, after_seq=1)


def units_arrive_before_they_leave(story: Story) -> None:
    left = story.order.index((ACTOR, 3))
    story.order.insert(story.order.index((THERE, 2)), story.order.pop(left))


def units_leave_twice(story: Story) -> None:
    story.add(UnitsSent(process=FIRST, step=2, quantity=1, lots=(a_lot(seq=2),)), actor_id=ACTOR)


def units_leave_though_they_were_refused(story: Story) -> None:
    lots = (a_lot(4, seq=2),)
    story.bend(5, UnitsSent(process=FIRST + 256, step=2, quantity=4, lots=lots))


def a_lot_arrives_as_another(story: Story) -> None:
    story.bend(2, UnitsTaken(process=FIRST, step=3, lot=a_lot(2, seq=9), last=True), actor_id=THERE)


def a_move_leaves_no_trace_at_its_source(story: Story) -> None:
    story.cut(ACTOR, after_seq=2)


def a_move_says_nothing_more(story: Story) -> None:
    story.cut(FIRST, after_seq=2)


def a_place_is_never_let_go_of(story: Story) -> None:
    story.cut(THERE, after_seq=2)


def a_location_waits_for_ever(story: Story) -> None:
    expected = ProductExpected(process=FIRST + 512, step=1, product="tea")
    story.add(expected, actor_id=SHELF)


def an_ask_came_late(story: Story) -> None:
    story.add(SendRefused(process=FIRST, step=2, requested=7, available=2), actor_id=ACTOR)


def a_move_let_go_twice(story: Story) -> None:
    story.add(ProcessLetGo(process=LAST, step=4), actor_id=THERE)


def an_ask_left_before_its_event(story: Story) -> None:
    first = story.order.index((FIRST, 1))
    story.order.insert(story.order.index((ACTOR, 3)), story.order.pop(first))


def an_answer_was_heard_before_it_was_stored(story: Story) -> None:
    ended = story.order.index((FIRST, 4))
    story.order.insert(story.order.index((ACTOR, 4)), story.order.pop(ended))


def a_repeat_begins_another_move(story: Story) -> None:
    story.begin(story.operations[2])


def a_location_holds_two_products(story: Story) -> None:
    story.bend(
        2,
        UnitsTaken(process=FIRST + 512, step=3, lot=a_lot(seq=2), last=True, product="pot"),
        actor_id=SHELF,
    )


def a_move_is_nobodys(story: Story) -> None:
    del story.operations[4]


def a_move_has_lost_its_key(story: Story) -> None:
    rows = story.rows[FIRST]
    rows[0] = msgspec.structs.replace(rows[0], idempotency_key=None, request_digest=None)


def a_move_was_denied(story: Story) -> None:
    the_answer(story, 3, UnavailableError(reason="the server is stopping"))


def a_move_was_told_that_never_was(story: Story) -> None:
    told = moved(story.operations[2])
    outcome = msgspec.structs.replace(told.outcome, actor_id=5 << 8)
    the_answer(story, 2, Moved(outcome=outcome, move=told.move))


def a_move_was_told_of_another_s(story: Story) -> None:
    the_answer(story, 2, moved(story.operations[4]))


def a_done_move_was_told_as_refused(story: Story) -> None:
    told = moved(story.operations[2])
    reason = InsufficientStock(requested=7, available=1)
    move = msgspec.structs.replace(told.move, stage="refused", reason=reason)
    the_answer(story, 2, Moved(outcome=told.outcome, move=move))


def a_move_was_told_before_its_end(story: Story) -> None:
    told = moved(story.operations[2])
    move = msgspec.structs.replace(told.move, version=2, stage="sent", asked=3)
    the_answer(story, 2, Moved(outcome=told.outcome, move=move))


def a_move_was_seen_as_it_never_was(story: Story) -> None:
    move = msgspec.structs.replace(moved(story.operations[2]).move, lots=())
    the_answer(story, -1, View(move=move))


def a_move_was_seen_under_way_after_its_end(story: Story) -> None:
    request = moved(story.operations[2]).move.request
    begun = Move(
        version=1,
        last_at_ms=NOW_MS,
        requested_at_ms=NOW_MS,
        stage="requested",
        asked=2,
        request=request,
    )
    the_answer(story, -1, View(move=begun))


def a_move_within_a_place_was_noted(story: Story) -> None:
    the_answer(story, 5, Noted())


def two_places_were_called_one(story: Story) -> None:
    the_answer(story, 2, SamePlace())


def a_key_of_a_move_was_called_reused(story: Story) -> None:
    story.operations[4].attempts.append(story.unheard(story.operations[4]))
    attempt = story.operations[4].attempts[-1]
    attempt.answer, attempt.answered_at = KeyReused(key="b"), story.tick()


def a_rule_failed(story: Story) -> None:
    the_answer(story, 2, BrokenRuleError(actor_id=FIRST))


def a_move_decided_otherwise(story: Story) -> None:
    story.bend(3, MoveRefused(reason=Occupied(product="pot")), actor_id=FIRST)


def a_move_was_done_before_anything_left(story: Story) -> None:
    story.bend(2, MoveDone(), actor_id=FIRST)


def a_location_was_called_free_that_was_not(story: Story) -> None:
    balance = Balance(version=3, available=0, ordered=0, held=0, expired=0)
    the_answer(story, 9, View(balance=balance))


def a_product_was_seen_where_there_is_another(story: Story) -> None:
    balance = Balance(version=3, available=1, ordered=0, held=0, expired=0)
    the_answer(story, 9, View(balance=balance, product="tea"))


def a_location_was_called_occupied_by_what_is_not_there(story: Story) -> None:
    the_answer(story, 7, Occupied(product="cup"))


def a_location_was_called_occupied_by_what_was_to_come(story: Story) -> None:
    the_answer(story, 7, Occupied(product="pot"))


def a_location_sold_another_product(story: Story) -> None:
    story.bend(4, OrderPlaced(quantity=1, picks=((2, 1),), product="pot"), actor_id=SHELF)


def who_was_told_of_a_move_does_not_see_it(story: Story) -> None:
    nothing = Balance(version=0, available=0, ordered=0, held=0, expired=0)
    the_answer(story, 10, View(balance=nothing))


TOLD = "every acknowledged change is in the journal as it was told"
TRUE = "every answer was true when it was given"
WRONG: dict[Callable[[Story], None], str] = {
    units_arrive_twice: "units are on hand or on their way",
    units_arrive_of_nowhere: "every row is somebodys",
    units_never_arrive: "units are on hand or on their way",
    units_arrive_before_they_leave: "units are on hand or on their way",
    units_leave_twice: "a move brings what it has taken",
    units_leave_though_they_were_refused: "a move brings what it has taken",
    a_lot_arrives_as_another: "a move brings what it has taken",
    a_move_leaves_no_trace_at_its_source: "a move brings what it has taken",
    a_move_says_nothing_more: "every move ends",
    a_place_is_never_let_go_of: "every move ends",
    a_location_waits_for_ever: "every move ends",
    an_ask_came_late: "nothing is done for who has let go",
    a_move_let_go_twice: "nothing is done for who has let go",
    an_ask_left_before_its_event: "nothing is asked before it is stored",
    an_answer_was_heard_before_it_was_stored: "nothing is asked before it is stored",
    a_repeat_begins_another_move: "a move is begun once",
    a_location_holds_two_products: "no place holds two products",
    a_move_is_nobodys: "every row is somebodys",
    a_move_has_lost_its_key: "every row is somebodys",
    a_move_was_denied: "nothing denied was done",
    a_move_was_told_that_never_was: TOLD,
    a_move_was_told_of_another_s: TOLD,
    a_done_move_was_told_as_refused: TOLD,
    a_move_was_told_before_its_end: TOLD,
    a_move_was_seen_as_it_never_was: TOLD,
    a_move_was_seen_under_way_after_its_end: TOLD,
    a_move_within_a_place_was_noted: "no answer is outside the contract",
    two_places_were_called_one: "no answer is outside the contract",
    a_key_of_a_move_was_called_reused: "a key is called reused only if it is",
    a_rule_failed: "no error is a bug",
    a_move_decided_otherwise: "every row of a move is what the rules decide",
    a_move_was_done_before_anything_left: "every row of a move is what the rules decide",
    a_location_was_called_free_that_was_not: TRUE,
    a_product_was_seen_where_there_is_another: TRUE,
    a_location_was_called_occupied_by_what_is_not_there: TRUE,
    a_location_was_called_occupied_by_what_was_to_come: "no answer is outside the contract",
    a_location_sold_another_product: "every row is what the rules decide",
    who_was_told_of_a_move_does_not_see_it: TRUE,
}


@pytest.mark.parametrize("bend", WRONG, ids=lambda bend: bend.__name__)
def test_what_is_wrong_breaks_its_law(bend: Callable[[Story], None]) -> None:
    story = a_day()
    bend(story)

    assert WRONG[bend] in laws_broken(story)


def test_a_move_that_nobody_heard_of_may_be_there_or_not() -> None:
    story = a_day()
    the_answer(story, 2, OutcomeUnknownError())
    story.operations[3].attempts[0].answered_at = None
    the_answer(story, 3, None)

    assert judge(story.evidence(), searched=9) == []
