"""Each claim about a soak, holding for a right one and failing for one that is not."""

import re
from collections.abc import Callable, Sequence

import msgspec
import pytest

from allocator.domain.records import GENESIS, chain
from allocator.simulation.linearizability import Call
from bench import chaos_proof
from bench.chaos_evidence import Evidence, Listed, PoolEvidence, ShownOrder
from bench.chaos_history import (
    Answer,
    Attempt,
    Done,
    Kind,
    NotNow,
    NotOpen,
    Numbers,
    Operation,
    Shown,
    TooLittle,
    effect_call,
)
from bench.chaos_ledger import Row
from bench.chaos_pool import Placed
from bench.chaos_proof import CLAIMS


def rows_of(*events: tuple[str, str, str]) -> list[Row]:
    """A sound journal of (kind, key, body)."""
    rows: list[Row] = []
    for seq, (kind, key, body) in enumerate(events, start=1):
        row = Row(
            actor_id=256,
            seq=seq,
            at_ms=1000 + seq,
            kind=kind,
            version=1,
            body=body,
            digest=b"",
            principal="",
            idempotency_key=key,
            request_digest=b"asked",
        )
        rows.append(rechained(row, rows[-1].digest if rows else GENESIS))
    return rows


def rechained(row: Row, previous: bytes) -> Row:
    digest = chain(
        previous,
        actor_id=row.actor_id,
        seq=row.seq,
        at_ms=row.at_ms,
        kind=row.kind,
        version=row.version,
        body=row.body,
        principal=row.principal,
        idempotency_key=row.idempotency_key,
        request_digest=row.request_digest,
    )
    return msgspec.structs.replace(row, digest=digest)


def asked(
    key: str,
    kind: Kind,
    *answers: tuple[int, Answer | None],
    quantity: int = 0,
    order: str = "",
    given_up: bool = False,
) -> Operation:
    """An operation whose attempts began at these times and were answered 5 later, or never."""
    return Operation(
        key=key,
        product="tea",
        kind=kind,
        quantity=quantity,
        order=order,
        given_up=given_up,
        attempts=[
            Attempt(begun, None if answer is None else begun + 5, answer)
            for begun, answer in answers
        ],
    )


EVENTS = (
    ("stock_received", "stock", '{"quantity":3}'),
    ("order_placed", "ada", '{"quantity":2,"picks":[[1,2]],"customer":"ada"}'),
    ("order_placed", "bob", '{"quantity":1,"picks":[[1,1]],"customer":"bob"}'),
    ("order_dispatched", "ada goes", '{"order":2,"quantity":2,"picks":[[1,2]]}'),
    ("order_cancelled", "bob leaves", '{"order":3,"quantity":1,"picks":[[1,1]]}'),
)


def operations() -> list[Operation]:
    return [
        asked("stock", Kind.RECEIVE, (0, Done("lot")), quantity=3),
        asked("ada", Kind.PLACE, (10, NotNow(nothing_done=False)), (20, Done("A")), quantity=2),
        asked("bob", Kind.PLACE, (30, None), (40, Done("B")), (50, Done("B")), quantity=1),
        asked("eve", Kind.PLACE, (60, TooLittle(0)), quantity=1),
        asked("look", Kind.SEE_BALANCE, (70, Numbers(3, 0, 3, 3))),
        asked("ada goes", Kind.DISPATCH, (80, Done("A")), order="ada"),
        asked("ada again", Kind.CANCEL, (90, NotOpen()), order="ada"),
        asked("bob leaves", Kind.CANCEL, (100, None), order="bob", given_up=True),
        asked("how is bob", Kind.SEE_ORDER, (110, Shown("cancelled")), order="bob"),
        asked("denied", Kind.PLACE, (120, NotNow(nothing_done=True)), given_up=True, quantity=1),
    ]


def pool(
    *,
    rows: Sequence[Row] = rows_of(*EVENTS),
    told: Sequence[Operation] | None = None,
    listed: Sequence[Listed] | None = None,
    numbers: Numbers | None = Numbers(5, 1, 0, 1),  # noqa: B008 (frozen)
) -> PoolEvidence:
    if listed is None:
        listed = [
            Listed(seq=row.seq, kind=row.kind, idempotency_key=row.idempotency_key) for row in rows
        ]
    return PoolEvidence(
        "tea",
        operations=operations() if told is None else told,
        rows=rows,
        listed=listed,
        numbers=numbers,
    )


SHOWN = {
    "A": ShownOrder(customer="ada", quantity=2, status="dispatched"),
    "B": ShownOrder(customer="bob", quantity=1, status="cancelled"),
}


def evidence(*, of: PoolEvidence | None = None, **changes: object) -> Evidence:
    right = Evidence(pools=[of or pool()], shown=dict(SHOWN), repeated={"ada": "A"})
    return msgspec.structs.replace(right, **changes)


def contradicted(seen: Evidence) -> dict[str, str]:
    return {claim.__name__: found for claim in CLAIMS if (found := claim(seen))}


def told(change: Callable[[dict[str, Operation]], object]) -> PoolEvidence:
    """The right evidence, but for what somebody remembers."""
    remembered = {operation.key: operation for operation in operations()}
    change(remembered)
    return pool(told=list(remembered.values()))


def test_every_claim_holds_for_a_right_soak() -> None:
    assert contradicted(evidence()) == {}


def test_an_acknowledged_order_that_is_lost_is_seen() -> None:
    lost = evidence(of=pool(rows=rows_of(*EVENTS[:2])))

    claim = chaos_proof.every_acknowledged_change_is_in_the_journal_once
    assert claim(lost) == "bob is 0 times in the journal; ada goes is 0 times in the journal"


def test_a_key_with_two_effects_is_seen() -> None:
    again = ("stock_received", "stock", '{"quantity":3}')
    twice = evidence(of=pool(rows=rows_of(*EVENTS, again)))

    assert chaos_proof.no_key_had_two_effects(twice) == "stock: 2 effects"
    assert "stock" in chaos_proof.every_acknowledged_change_is_in_the_journal_once(twice)


@pytest.mark.parametrize("found", [None, ShownOrder(customer="ada", quantity=2, status="new")])
def test_an_id_that_shows_nothing_or_a_stale_status_is_seen(found: ShownOrder | None) -> None:
    stale = evidence(shown={**SHOWN, "A": found})

    claim = chaos_proof.every_acknowledged_order_is_found_by_its_id
    assert claim(stale) == f"ada: A shows {found}"


@pytest.mark.parametrize(
    "event",
    [
        ("order_placed", "nobody", '{"quantity":1,"picks":[[1,1]]}'),
        ("order_placed", "bob", '{"quantity":2,"picks":[[1,2]]}'),
        ("order_dispatched", "bob", '{"order":2,"quantity":2,"picks":[[1,2]]}'),
    ],
)
def test_a_row_that_is_not_what_its_key_asked_for_is_seen(event: tuple[str, str, str]) -> None:
    strange = evidence(of=pool(rows=rows_of(*EVENTS[:2], event)))

    claim = chaos_proof.nothing_was_done_that_was_not_asked_for
    assert claim(strange) == "tea seq 3 is nobody's"


@pytest.mark.parametrize("key", ["denied", "eve"])
def test_something_that_was_denied_and_done_is_seen(key: str) -> None:
    event = ("order_placed", key, '{"quantity":1,"picks":[[1,1]]}')
    denied = evidence(of=pool(rows=rows_of(*EVENTS, event)))

    claim = chaos_proof.nothing_was_done_that_was_not_asked_for
    assert claim(denied) == f"{key} was denied, and was done all the same"


def test_an_attempt_that_was_given_up_may_arrive_after_a_refusal() -> None:
    late = asked("eve", Kind.PLACE, (60, None), (62, TooLittle(0)), quantity=1)

    assert effect_call(late) == Call(ask=Placed("eve", 1), asked_ns=60, answered_ns=None)


def test_a_refused_attempt_cannot_have_acted_and_the_next_one_can() -> None:
    second = asked("eve", Kind.PLACE, (60, TooLittle(0)), (70, Done("E")), quantity=1)

    assert effect_call(second) == Call(ask=Placed("eve", 1), asked_ns=70, answered_ns=75)


@pytest.mark.parametrize("answer", [Done("other"), TooLittle(0)], ids=["another id", "a refusal"])
def test_a_repeat_with_another_answer_is_seen(answer: Answer) -> None:
    two_faced = told(lambda told: told["ada"].attempts.append(Attempt(30, 35, answer)))

    assert chaos_proof.one_key_had_one_answer(evidence(of=two_faced)).startswith("ada had")


@pytest.mark.parametrize("answer", ["other", ""])
def test_a_repeat_in_the_end_with_another_answer_is_seen(answer: str) -> None:
    forgotten = evidence(repeated={"ada": answer})

    assert chaos_proof.one_key_had_one_answer(forgotten).startswith("ada had")


def test_an_id_that_two_keys_were_told_is_seen() -> None:
    shared = told(lambda told: told["stock"].attempts.append(Attempt(5, 6, Done("A"))))

    assert "A was given to 2 keys" in chaos_proof.one_key_had_one_answer(evidence(of=shared))


def test_a_close_that_was_told_of_another_order_is_seen() -> None:
    mixed_up = told(lambda told: setattr(told["ada goes"].attempts[0], "answer", Done("B")))

    found = chaos_proof.one_key_had_one_answer(evidence(of=mixed_up))
    assert found == "ada goes was told of another order than its own"


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (("order_placed", "bob", '{"quantity":2,"picks":[[1,2]]}'), "seq 3 sells units of lot 1"),
        (("order_placed", "bob", '{"quantity":1,"picks":[[1,2]]}'), "seq 3 loses units"),
        (("order_placed", "bob", '{"quantity":2,"picks":[[1,1]]}'), "seq 3 loses units"),
        (("order_cancelled", "bob", '{"order":2,"quantity":1,"picks":[[1,2]]}'), "3 loses units"),
        (("order_dispatched", "bob", '{"order":2,"quantity":1,"picks":[[1,2]]}'), "3 loses units"),
        (("order_cancelled", "bob", '{"order":9,"quantity":1,"picks":[]}'), "which is not open"),
        (
            ("order_cancelled", "bob", '{"order":2,"quantity":1,"picks":[[1,1]]}'),
            "units that the order did not have",
        ),
        (("lot_expired", "bob", '{"lot":1,"quantity":1}'), "lot_expired, which nobody asked"),
    ],
)
def test_units_that_are_sold_twice_or_lost_are_seen(event: tuple[str, str, str], what: str) -> None:
    wrong = evidence(of=pool(rows=rows_of(*EVENTS[:2], event)))

    assert what in chaos_proof.no_unit_was_sold_twice_or_lost(wrong)


def test_a_gap_and_a_time_that_goes_back_are_seen() -> None:
    first, second, third = rows_of(*EVENTS[:3])
    older = msgspec.structs.replace(third, at_ms=1)

    claim = chaos_proof.numbers_have_no_gap_and_times_no_way_back
    assert claim(evidence(of=pool(rows=[first, third]))) == "tea: seq 3 where 2 should be"
    assert claim(evidence(of=pool(rows=[first, second, older]))) == "tea: seq 3 is older than 2"


def test_a_row_that_was_edited_is_seen() -> None:
    first, second, third = rows_of(*EVENTS[:3])
    edited = msgspec.structs.replace(second, body=second.body.replace("2,", "3,", 1))

    seen = evidence(of=pool(rows=[first, edited, third]))
    assert chaos_proof.digests_chain(seen) == "tea: seq 2 has another digest"


def test_a_row_that_was_replaced_with_its_digest_is_seen_by_the_next() -> None:
    first, second, third = rows_of(*EVENTS[:3])
    edited = msgspec.structs.replace(second, at_ms=second.at_ms + 1)
    replaced = rechained(edited, first.digest)

    seen = evidence(of=pool(rows=[first, replaced, third]))
    assert chaos_proof.digests_chain(seen) == "tea: seq 3 has another digest"


def test_a_client_who_was_overtaken_is_seen() -> None:
    swapped = [EVENTS[0], EVENTS[2], EVENTS[1]]
    late = told(lambda told: told["bob"].attempts.pop(0))
    overtaken = pool(rows=rows_of(*swapped), told=late.operations)

    found = chaos_proof.first_come_first_served(evidence(of=overtaken))
    assert re.match(r"tea: seq 3, Placed\(order='ada', .* stands behind", found)


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("eve", TooLittle(1)),
        ("look", Numbers(2, 1, 2, 3)),
        ("look", Numbers(3, 1, 3, 4)),
        ("how is bob", Shown("dispatched")),
    ],
)
def test_a_refusal_or_a_reading_that_was_never_true_is_seen(key: str, answer: Answer) -> None:
    lied_to = told(lambda told: setattr(told[key].attempts[0], "answer", answer))

    assert set(contradicted(evidence(of=lied_to))) == {
        "every_refusal_and_reading_was_true_when_it_was_given",
        "small_histories_are_linearizable_by_search",
    }


def test_a_large_history_is_not_searched() -> None:
    look = asked("look", Kind.SEE_BALANCE, (70, Numbers(99, 0, 0, 0)))
    looks = [look] * (chaos_proof.SEARCHED_CALLS_MAX + 1)

    seen = evidence(of=pool(told=looks))
    assert chaos_proof.small_histories_are_linearizable_by_search(seen) == ""
    assert chaos_proof.every_refusal_and_reading_was_true_when_it_was_given(seen) != ""


def test_an_api_that_shows_other_events_or_numbers_is_seen() -> None:
    claim = chaos_proof.the_api_shows_what_the_journal_holds

    assert "other events" in claim(evidence(of=pool(listed=[])))
    assert "the balance is None" in claim(evidence(of=pool(numbers=None)))
    assert "the balance is" in claim(evidence(of=pool(numbers=Numbers(5, 0, 1, 1))))


def test_a_client_who_was_never_answered_is_seen() -> None:
    unheard = told(lambda told: setattr(told["bob leaves"], "given_up", False))

    claim = chaos_proof.every_change_was_answered_in_the_end
    assert claim(evidence(of=unheard)) == "tea: bob leaves was not answered"


def test_what_must_not_be_answered_and_an_end_without_a_cause_are_seen() -> None:
    seen = evidence(unexpected=["500", "404", "500", "500"], unexplained_ends=["exit code 1"])

    assert contradicted(seen) == {
        "no_answer_was_outside_the_contract": "500; 404; 500; and 1 more",
        "the_server_ended_only_when_it_was_killed": "exit code 1",
    }
