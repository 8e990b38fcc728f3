"""Every law of the oracle is silent about what is right, and names what is wrong."""

from collections.abc import Callable

import msgspec
import pytest

from allocator.actors.messages import KeyReused, Noted, Outcome
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    InsufficientStock,
    LotExpired,
    OrderDispatched,
    OrderNotOpen,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
)
from allocator.domain.pool import Balance, Lot
from allocator.domain.queries import BalanceQuery, LotQuery, OpenOrderQuery, View
from allocator.errors import (
    AllocatorError,
    BrokenRuleError,
    MovedError,
    OutcomeUnknownError,
    QuarantinedError,
)
from allocator.simulation.history import Operation
from allocator.simulation.oracle import judge, law_of
from tests.builders import ACTOR, HOUR_MS, place, receive
from tests.simulation.stories import Story, chained

OTHER = ACTOR + 256


def laws_broken(story: Story) -> set[str]:
    return {law_of(failure) for failure in judge(story.evidence(), searched=9)}


def told(operation: Operation, attempt: int = 0) -> Outcome:
    """Return the success that an operation heard of."""
    answer = operation.attempts[attempt].answer
    assert isinstance(answer, Outcome)
    return answer


def numbers(version: int, available: int, ordered: int) -> View:
    balance = Balance(version=version, available=available, ordered=ordered, held=0, expired=0)
    return View(balance=balance)


def a_day() -> Story:
    """Return a story in which everything happens that may, one thing after the other."""
    story = Story()
    story.ask(place(1))  # refused: nothing there
    story.ask(receive(5), key="a")
    story.ask(receive(3, expires_at_ms=story.now_ms + HOUR_MS), actor_id=ACTOR)
    story.ask(receive(1, expires_at_ms=story.now_ms - 1))  # refused: past its date
    story.ask(PlaceOrder(quantity=4, customer="ada"), key="b")  # seq 3, of both lots
    story.ask(place(2), heard=False)  # seq 4
    story.ask(OpenOrderQuery(3))
    story.ask(LotQuery(1))
    story.ask(place(9), key="c")  # refused, and the key is free
    story.attempt(story.ask(place(1), key="d"))  # seq 5, told twice
    story.ask(receive(2), key="d", actor_id=OTHER)  # reused
    story.ask(DispatchOrder(order=3), key="e", heard=False)  # seq 6
    story.ask(DispatchOrder(order=3))  # refused
    story.ask(OpenOrderQuery(3))
    story.ask(CancelOrder(order=4), client=2)  # seq 7
    story.now_ms += HOUR_MS
    story.ask(BalanceQuery())
    story.ask(LotQuery(2))
    story.ask(LotQuery(77))
    story.ask(receive(1), actor_id=OTHER)
    never = story.ask(place(1))
    never.attempts[0] = msgspec.structs.replace(never.attempts[0], answer=None, answered_at=None)
    return story


def test_what_is_right_breaks_no_law() -> None:
    assert judge(a_day().evidence(), searched=9) == []


def test_nothing_at_all_breaks_no_law() -> None:
    assert judge(Story().evidence(), searched=9) == []


def a_row_is_missing(story: Story) -> None:
    del story.rows[ACTOR][1]


def a_row_is_unreadable(story: Story) -> None:
    story.rows[ACTOR][1] = msgspec.structs.replace(story.rows[ACTOR][1], version=9)


def a_time_goes_back(story: Story) -> None:
    rows = story.rows[ACTOR]
    rows[1] = msgspec.structs.replace(rows[1], at_ms=rows[0].at_ms - 1)
    story.rows[ACTOR] = chained(rows)


def a_row_was_tampered_with(story: Story) -> None:
    story.rows[ACTOR][0] = msgspec.structs.replace(story.rows[ACTOR][0], digest=b"\0" * 16)


def a_lot_is_sold_twice(story: Story) -> None:
    story.bend(4, OrderPlaced(quantity=6, picks=((1, 6),)))


def an_order_picks_less_than_it_promises(story: Story) -> None:
    story.bend(4, OrderPlaced(quantity=2, picks=((1, 1),)))


def an_order_is_closed_twice(story: Story) -> None:
    story.bend(7, OrderDispatched(order=3, quantity=4, picks=((2, 3), (1, 1))))


def an_order_is_closed_with_other_units(story: Story) -> None:
    story.bend(6, OrderDispatched(order=3, quantity=4, picks=((2, 2), (1, 2))))


def an_order_takes_the_wrong_lot_first(story: Story) -> None:
    story.bend(3, OrderPlaced(quantity=4, picks=((1, 4),), customer="ada"))
    story.operations[4].attempts[0].answer = None


def a_lot_expires_before_its_time(story: Story) -> None:
    story.bend(8, LotExpired(lot=1, quantity=1))


def a_lot_is_sold_past_its_date(story: Story) -> None:
    rows = story.rows[ACTOR]
    rows[2:] = [msgspec.structs.replace(row, at_ms=row.at_ms + 2 * HOUR_MS) for row in rows[2:]]
    story.rows[ACTOR] = chained(rows)


def a_wake_up_is_forgotten(story: Story) -> None:
    story.ask(receive(1, expires_at_ms=story.now_ms + HOUR_MS))
    del story.wakes[ACTOR]


def a_wake_up_is_for_nothing(story: Story) -> None:
    story.wakes[ACTOR] = story.now_ms


def a_success_is_lost(story: Story) -> None:
    last = story.rows[OTHER].pop()
    assert last.seq == 1


def a_success_was_another(story: Story) -> None:
    answer = told(story.operations[4])
    story.operations[4].attempts[0].answer = msgspec.structs.replace(answer, at_ms=answer.at_ms + 1)


def a_success_is_of_another_actor(story: Story) -> None:
    answer = told(story.operations[1])
    story.operations[1].attempts[0].answer = msgspec.structs.replace(answer, actor_id=OTHER)


def somebody_was_told_of_something_else(story: Story) -> None:
    operation = story.ask(place(1))
    operation.attempts[0].answer = told(story.operations[4])


def two_were_told_the_same(story: Story) -> None:
    first = story.ask(receive(1))
    second = story.ask(receive(1))
    second.attempts[0].answer = told(first)


def a_keyed_success_was_stored_without_its_key(story: Story) -> None:
    rows = story.rows[ACTOR]
    rows[2] = msgspec.structs.replace(
        rows[2], idempotency_key=None, principal="", request_digest=None
    )
    story.rows[ACTOR] = chained(rows)


def a_row_is_nobodys(story: Story) -> None:
    del story.operations[5]  # who never heard of seq 4


def a_keyed_row_is_nobodys(story: Story) -> None:
    story.operations[11].key = "another"


def a_row_is_of_somebody_who_asked_once(story: Story) -> None:
    lost = story.ask(place(1), heard=False)
    story.attempt(lost, heard=False)
    del lost.attempts[1]


def a_refusal_did_it_all_the_same(story: Story) -> None:
    dispatch = story.operations[11].attempts[0]
    dispatch.answer, dispatch.answered_at = OrderNotOpen(order=3), dispatch.asked_at + 1


def an_unavailable_worker_did_it_all_the_same(story: Story) -> None:
    dispatch = story.operations[11].attempts[0]
    dispatch.answer, dispatch.answered_at = MovedError(reason="moved"), dispatch.asked_at + 1


def a_key_had_two_effects(story: Story) -> None:
    cancelled = story.operations[14]
    cancelled.attempts[0].answer = None
    rows = story.rows[ACTOR]
    rows[6] = msgspec.structs.replace(
        rows[6], principal="shop", idempotency_key="e", request_digest=b"another"
    )
    story.rows[ACTOR] = chained(rows)


def a_key_had_effects_on_two_pools_one_after_the_other(story: Story) -> None:
    operation = story.ask(receive(4), key="fresh", actor_id=OTHER)
    rows = story.rows[OTHER]
    rows[-1] = msgspec.structs.replace(rows[-1], idempotency_key="b")
    story.rows[OTHER] = chained(rows)
    operation.key = "b"


def a_repeat_was_refused(story: Story) -> None:
    again = story.attempt(story.operations[4])
    again.answer = InsufficientStock(requested=4, available=1)


def a_repeat_of_something_else_was_refused_elsewhere(story: Story) -> None:
    other = story.ask(place(7), key="b", actor_id=OTHER)
    other.attempts[0].answer = InsufficientStock(requested=7, available=1)


def a_key_was_called_reused_that_was_not(story: Story) -> None:
    fresh = story.ask(place(1), key="fresh")
    fresh.attempts[0].answer = KeyReused(key="fresh")
    del story.rows[ACTOR][-1]


def a_key_was_called_reused_for_the_same_request(story: Story) -> None:
    story.attempt(story.operations[4]).answer = KeyReused(key="b")


def a_key_was_called_reused_before_it_was_used(story: Story) -> None:
    early = Operation(0, 9, ACTOR, place(3), "shop", "z", b"early")
    attempt = story.unheard(early)
    attempt.answer, attempt.answered_at = KeyReused(key="z"), story.tick()
    story.operations.append(early)
    story.ask(receive(3), key="z")


def a_later_ask_was_done_earlier(story: Story) -> None:
    first, second = story.ask(receive(1)), story.ask(receive(1))
    one, other = first.attempts[0], second.attempts[0]
    one.answer, other.answer = other.answer, one.answer


def a_later_ask_of_another_client_was_done_earlier(story: Story) -> None:
    a_later_ask_was_done_earlier(story)
    story.operations[-1].client = 2


def a_deposed_writer_showed_an_old_balance(story: Story) -> None:
    story.ask(BalanceQuery()).attempts[0].answer = numbers(1, 5, 0)


def a_balance_never_was(story: Story) -> None:
    read = story.ask(BalanceQuery()).attempts[0]
    assert isinstance(read.answer, View)
    assert read.answer.balance is not None
    balance = msgspec.structs.replace(read.answer.balance, ordered=99)
    read.answer = View(balance=balance)


def a_balance_is_of_the_future(story: Story) -> None:
    story.ask(BalanceQuery())
    read = story.operations.pop()
    story.ask(receive(1))
    read.attempts[0].answer = numbers(9, 6, 1)
    story.operations.append(read)


def a_refusal_was_too_late(story: Story) -> None:
    refused = story.ask(place(90))
    refused.attempts[0].answer = InsufficientStock(requested=90, available=0)


def an_open_order_was_called_closed(story: Story) -> None:
    placed = told(story.ask(place(1)))
    denied = story.ask(CancelOrder(order=placed.seq), heard=False).attempts[0]
    story.rows[ACTOR].pop()
    denied.answer, denied.answered_at = OrderNotOpen(order=placed.seq), story.tick()


def a_closed_order_was_shown(story: Story) -> None:
    story.ask(OpenOrderQuery(3)).attempts[0].answer = View(picks=((2, 3), (1, 1)))


def an_order_was_shown_with_other_units(story: Story) -> None:
    story.operations[6].attempts[0].answer = View(picks=((2, 4),))


def a_used_up_lot_was_shown(story: Story) -> None:
    story.ask(LotQuery(2)).attempts[0].answer = story.operations[16].attempts[0].answer
    story.ask(LotQuery(2)).attempts[0].answer = View(
        lot=msgspec.structs.replace(_lot_seen(story), available=3)
    )


def _lot_seen(story: Story) -> Lot:
    answer = story.operations[7].attempts[0].answer
    assert isinstance(answer, View)
    assert answer.lot is not None
    return answer.lot


def an_answer_belongs_to_another_question(story: Story) -> None:
    story.ask(BalanceQuery()).attempts[0].answer = View(picks=None)


def a_refusal_belongs_to_another_question(story: Story) -> None:
    story.operations[0].attempts[0].answer = OrderNotOpen(order=1)


def a_refusal_contradicts_itself(story: Story) -> None:
    story.operations[0].attempts[0].answer = InsufficientStock(requested=1, available=1)


def nothing_is_said_of_an_order(story: Story) -> None:
    story.operations[0].attempts[0].answer = Noted()


def a_rule_failed(story: Story) -> None:
    story.operations[0].attempts[0].answer = BrokenRuleError(actor_id=ACTOR)


def an_error_of_no_kind(story: Story) -> None:
    story.operations[0].attempts[0].answer = AllocatorError("another worker failed: KeyError")


def a_sound_pool_was_quarantined(story: Story) -> None:
    story.operations[0].attempts[0].answer = QuarantinedError(actor_id=ACTOR, why="gap")


WRONG: dict[Callable[[Story], None], str] = {
    a_row_is_missing: "rows have no gap and can be read",
    a_row_is_unreadable: "rows have no gap and can be read",
    a_time_goes_back: "times never go back",
    a_row_was_tampered_with: "digests chain",
    a_lot_is_sold_twice: "no unit is sold twice or lost",
    an_order_picks_less_than_it_promises: "no unit is sold twice or lost",
    an_order_is_closed_twice: "no unit is sold twice or lost",
    an_order_is_closed_with_other_units: "no unit is sold twice or lost",
    an_order_takes_the_wrong_lot_first: "every row is what the rules decide",
    a_lot_expires_before_its_time: "every row is what the rules decide",
    a_lot_is_sold_past_its_date: "every row is what the rules decide",
    a_wake_up_is_forgotten: "the stored wake up is the wanted one",
    a_wake_up_is_for_nothing: "the stored wake up is the wanted one",
    a_success_is_lost: "every acknowledged change is in the journal as it was told",
    a_success_was_another: "every acknowledged change is in the journal as it was told",
    a_success_is_of_another_actor: "every acknowledged change is in the journal as it was told",
    somebody_was_told_of_something_else: (
        "every acknowledged change is in the journal as it was told"
    ),
    two_were_told_the_same: "every acknowledged change is in the journal as it was told",
    a_keyed_success_was_stored_without_its_key: (
        "every acknowledged change is in the journal as it was told"
    ),
    a_row_is_nobodys: "every row is somebodys",
    a_keyed_row_is_nobodys: "every row is somebodys",
    a_row_is_of_somebody_who_asked_once: "every row is somebodys",
    a_refusal_did_it_all_the_same: "nothing denied was done",
    an_unavailable_worker_did_it_all_the_same: "nothing denied was done",
    a_key_had_two_effects: "a key has one effect",
    a_key_had_effects_on_two_pools_one_after_the_other: "a key has one effect",
    a_repeat_was_refused: "a repeat has the first answer",
    a_repeat_of_something_else_was_refused_elsewhere: "a repeat has the first answer",
    a_key_was_called_reused_that_was_not: "a key is called reused only if it is",
    a_key_was_called_reused_for_the_same_request: "a key is called reused only if it is",
    a_key_was_called_reused_before_it_was_used: "a key is called reused only if it is",
    a_later_ask_was_done_earlier: "first come first served",
    a_later_ask_of_another_client_was_done_earlier: "effects keep the order of their asking",
    a_deposed_writer_showed_an_old_balance: "every answer was true when it was given",
    a_balance_never_was: "every answer was true when it was given",
    a_balance_is_of_the_future: "every answer was true when it was given",
    a_refusal_was_too_late: "every answer was true when it was given",
    an_open_order_was_called_closed: "every answer was true when it was given",
    a_closed_order_was_shown: "every answer was true when it was given",
    an_order_was_shown_with_other_units: "every answer was true when it was given",
    a_used_up_lot_was_shown: "every answer was true when it was given",
    an_answer_belongs_to_another_question: "no answer is outside the contract",
    a_refusal_belongs_to_another_question: "no answer is outside the contract",
    a_refusal_contradicts_itself: "no answer is outside the contract",
    nothing_is_said_of_an_order: "no answer is outside the contract",
    a_rule_failed: "no error is a bug",
    an_error_of_no_kind: "no error is a bug",
    a_sound_pool_was_quarantined: "no error is a bug",
}


@pytest.mark.parametrize("bend", WRONG, ids=lambda bend: bend.__name__)
def test_what_is_wrong_breaks_its_law(bend: Callable[[Story], None]) -> None:
    story = a_day()
    bend(story)

    assert WRONG[bend] in laws_broken(story)


def test_who_still_waits_and_who_broke_a_contract_is_named() -> None:
    evidence = a_day().evidence()
    evidence.hanging = ["client 3"]
    evidence.violations = ["two appends at once"]

    assert judge(evidence) == [
        "every question is answered: client 3",
        "no part breaks its contract: two appends at once",
    ]


def test_of_many_contradictions_a_few_are_told() -> None:
    evidence = a_day().evidence()
    evidence.hanging = [f"client {number}" for number in range(9)]

    [failure] = judge(evidence)
    assert failure.endswith("client 0; client 1; client 2; and 6 more")


def test_an_unknown_outcome_may_take_effect_after_it_was_told() -> None:
    story = Story()
    operation = story.ask(receive(3), heard=False)
    attempt = operation.attempts[0]
    attempt.answer, attempt.answered_at = OutcomeUnknownError(), attempt.asked_at + 1
    before = story.unheard(Operation(9, 2, ACTOR, BalanceQuery()))
    before.answer, before.answered_at = numbers(0, 0, 0), story.tick()
    story.operations.append(Operation(9, 2, ACTOR, BalanceQuery(), attempts=[before]))
    story.ask(BalanceQuery())

    assert judge(story.evidence(), searched=1) == []


def test_a_refused_key_is_free_and_its_next_success_begins_anew() -> None:
    story = Story()
    order = story.ask(place(2), key="k")
    story.ask(BalanceQuery())
    story.ask(receive(5))
    story.attempt(order)

    assert judge(story.evidence(), searched=1) == []


def test_two_pools_may_race_under_one_key() -> None:
    story = Story()
    one = story.ask(receive(1), key="one")
    other = story.ask(receive(2), key="other", actor_id=OTHER)
    one.attempts[0].answered_at = story.tick()
    for operation in (one, other):
        rows = story.rows[operation.actor_id]
        rows[0] = msgspec.structs.replace(rows[0], idempotency_key="both")
        story.rows[operation.actor_id] = chained(rows)
        operation.key = "both"

    assert judge(story.evidence()) == []


def test_a_stolen_key_is_answered_as_a_repeat_if_it_asks_for_the_same() -> None:
    story = Story()
    story.ask(ReceiveStock(quantity=2), key="k", client=1)
    story.ask(BalanceQuery())
    story.ask(ReceiveStock(quantity=2), key="k", client=2)

    assert judge(story.evidence(), searched=1) == []


def test_an_event_is_told_by_what_it_is() -> None:
    story = Story()
    story.ask(receive(2))
    story.bend(1, StockReceived(quantity=3))

    assert laws_broken(story) == {
        "every acknowledged change is in the journal as it was told",
        "every row is somebodys",
    }
