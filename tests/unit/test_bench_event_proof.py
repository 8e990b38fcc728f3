"""Each claim about an event, holding for a right one and failing for one that is not."""

from collections.abc import Callable

import msgspec
import pytest

from bench.event_evidence import Evidence, Facts
from bench.event_history import Edit, Look, Short, Wanted
from bench.event_proof import CLAIMS, holds
from tests.unit.sold import (
    ADA,
    BOB,
    CLEO,
    EVE,
    TEA,
    Told,
    begun,
    cart,
    confirmed,
    events_of,
    facts,
    held,
    journal_of,
)

Doctor = Callable[[Facts], None]


def contradicted(seen: Facts) -> dict[str, str]:
    """What contradicts which claim."""
    evidence = Evidence(seen)
    verdicts = {claim.__name__: claim(evidence) for _, claim in CLAIMS}
    return {name: verdict for name, verdict in verdicts.items() if verdict}


def tea(seen: Facts, change: Callable[[list[Told]], None]) -> None:
    """Change what the journal of tea says; its numbers and digests stay right."""
    told = events_of(seen.journal.pools["tea"])
    change(told)
    seen.journal.pools["tea"] = journal_of(TEA, *told)


def carts(seen: Facts, actor: int, *told: Told) -> None:
    seen.journal.carts[actor] = journal_of(actor, *told)


def test_an_event_in_which_nothing_went_wrong_has_no_contradiction() -> None:
    assert contradicted(facts()) == {}
    assert holds(Evidence(facts()))


def a_doubled_charge(seen: Facts) -> None:
    seen.charges = [*seen.charges, msgspec.structs.replace(seen.charges[0], id="charge-3")]


def a_doubled_charge_that_failed(seen: Facts) -> None:
    again = msgspec.structs.replace(seen.charges[1], id="charge-3", outcome="failed")
    seen.charges = [*seen.charges, again]


def a_charge_of_nobody(seen: Facts) -> None:
    seen.charges = [*seen.charges, msgspec.structs.replace(seen.charges[0], client_id=99)]


def a_charge_of_too_much(seen: Facts) -> None:
    seen.charges = [msgspec.structs.replace(seen.charges[0], amount=5.01), seen.charges[1]]


def a_purchase_that_names_another_charge(seen: Facts) -> None:
    paid = ("checkout_paid", "", {"attempt": 3, "held": [], "reference": "charge-2"})
    carts(seen, ADA, *cart(1, 2, begun(1, 2), paid))


def a_price_that_nobody_had_named(seen: Facts) -> None:
    seen.prices["tea"] = 249


def a_purchase_that_nobody_paid_for(seen: Facts) -> None:
    seen.charges = seen.charges[1:]


def money_taken_for_a_failure(seen: Facts) -> None:
    failed: Told = ("checkout_failed", "", {"attempt": 3})
    carts(seen, BOB, *cart(2, 4, begun(2, 4), failed, ("cart_closed", "", {})))


def a_purchase_lost_from_the_list(seen: Facts) -> None:
    seen.purchases = []


def a_purchase_listed_twice(seen: Facts) -> None:
    seen.purchases = [*seen.purchases] * 2


def a_purchase_listed_with_another_amount(seen: Facts) -> None:
    seen.purchases = [msgspec.structs.replace(seen.purchases[0], amount=501)]


def an_item_that_was_paid_for_and_never_ordered(seen: Facts) -> None:
    def change(told: list[Told]) -> None:
        told[5] = ("process_let_go", "", {"process": ADA, "quantity": 2, "picks": [[1, 2]]})

    tea(seen, change)


def an_item_ordered_for_a_cart_that_nobody_paid_for(seen: Facts) -> None:
    tea(seen, lambda told: told.append(confirmed(BOB, order=8, units=4)))


def money_for_a_cart_that_had_expired(seen: Facts) -> None:
    paid = ("checkout_paid", "", {"attempt": 3, "held": [], "reference": "charge-1"})
    carts(seen, ADA, *cart(1, 2, begun(1, 2), ("cart_expired", "", {}), paid))


def a_unit_sold_twice(seen: Facts) -> None:
    def change(told: list[Told]) -> None:
        told[0] = ("stock_received", "", {"quantity": 10})

    tea(seen, change)


def a_unit_that_vanishes(seen: Facts) -> None:
    def change(told: list[Told]) -> None:
        told[9] = ("order_dispatched", "", {"order": 3, "quantity": 1, "picks": [[1, 2]]})

    tea(seen, change)


def a_hold_refused_though_there_was_enough(seen: Facts) -> None:
    def change(told: list[Told]) -> None:
        told.insert(
            2, ("hold_refused", "", {"process": CLEO, "step": 2, "requested": 1, "available": 0})
        )

    tea(seen, change)


def an_order_decided_at_once_of_what_another_holds(seen: Facts) -> None:
    tea(seen, lambda told: told.append(confirmed(EVE, order=14, units=1, at_once=True)))


def an_accepted_order_cancelled(seen: Facts) -> None:
    def change(told: list[Told]) -> None:
        told[9] = ("order_cancelled", "", told[9][2])

    tea(seen, change)


def an_accepted_order_that_cannot_leave(seen: Facts) -> None:
    seen.history.sent[0] = msgspec.structs.replace(seen.history.sent[0], status=409)


def a_paid_order_that_leaves_with_too_little(seen: Facts) -> None:
    seen.history.sent[3] = msgspec.structs.replace(seen.history.sent[3], lines={"tea": 1})


def a_negative_number(seen: Facts) -> None:
    seen.history.negative.append('{"available":-1}')


def a_negative_number_in_the_end(seen: Facts) -> None:
    seen.ends["pot"] = (6, (-1, 0, 1, 0))


def seen_as(seen: Facts, version: int, *numbers: int) -> None:
    available, ordered, units, on_hand = numbers
    [look] = seen.history.looks
    told = (available, ordered, units, on_hand)
    seen.history.looks = [msgspec.structs.replace(look, version=version, numbers=told)]


def what_is_in_a_cart_shown_as_available(seen: Facts) -> None:
    seen_as(seen, 2, 11, 0, 0, 11)


def a_balance_from_before_what_was_answered(seen: Facts) -> None:
    seen_as(seen, 1, 11, 0, 0, 11)


def a_balance_from_before_anybody_asked_for_it(seen: Facts) -> None:
    seen_as(seen, 3, 8, 1, 2, 11)


def a_refusal_while_there_was_enough(seen: Facts) -> None:
    [short] = seen.history.shorts
    early = msgspec.structs.replace(short, asked_ns=2, answered_ns=3)
    seen.history.shorts = [short, early]


def a_line_of_a_cart_refused_with_invented_numbers(seen: Facts) -> None:
    seen.history.visits[2].edits[0].short = (1, 5)


def a_balance_that_ends_otherwise(seen: Facts) -> None:
    seen.ends["tea"] = (13, (4, 0, 0, 4))


def somebody_overtaken(seen: Facts) -> None:
    dan = seen.history.orders[0]
    dan.asked_ns, dan.answered_ns = 10_000, 10_001


def a_gap_in_the_numbers(seen: Facts) -> None:
    del seen.journal.carts[ADA][1]


def a_digest_of_something_else(seen: Facts) -> None:
    row = seen.journal.orders[next(iter(seen.journal.orders))][0]
    seen.journal.orders[row.actor_id][0] = msgspec.structs.replace(row, body=row.body + " ")


def an_accepted_order_lost(seen: Facts) -> None:
    seen.history.orders.append(order := seen.history.orders[0])
    seen.history.orders[-1] = msgspec.structs.replace(order, key="order-10", ids={"id-99"})


def an_accepted_line_lost(seen: Facts) -> None:
    lost = Edit(key="edit-9", product="pot", quantity=1, status=200, answered_ns=9)
    seen.history.visits[0].edits.append(lost)


def two_ids_for_one_key(seen: Facts) -> None:
    seen.history.orders[0].ids.add("id-99")


def one_id_for_two_keys(seen: Facts) -> None:
    seen.history.orders[0].ids = seen.history.orders[1].ids


def a_payment_that_was_paid_and_is_not(seen: Facts) -> None:
    seen.history.payments[1].seen = "paid"


def a_checkout_that_is_gone(seen: Facts) -> None:
    seen.checkouts = {}


def a_checkout_shown_as_it_is_not(seen: Facts) -> None:
    name = next(iter(seen.history.payments[1].ids))
    shown = seen.checkouts[name]
    assert shown is not None
    seen.checkouts[name] = msgspec.structs.replace(shown, status="failed")


def a_key_with_two_effects(seen: Facts) -> None:
    carts(seen, CLEO, *cart(1, 1, ("cart_closed", "", {})))


def an_order_that_nobody_asked_for(seen: Facts) -> None:
    del seen.history.orders[0]


def an_order_of_something_else(seen: Facts) -> None:
    seen.history.orders[0].lines = {"tea": 2}


def an_order_that_was_refused(seen: Facts) -> None:
    seen.history.orders[0].status = 409


def a_hold_of_a_cart_that_has_ended(seen: Facts) -> None:
    def change(told: list[Told]) -> None:
        told[7] = held(BOB, 2, order=8, units=3)
        told[8] = held(CLEO, 2, order=9, units=1)

    tea(seen, change)


def a_hold_lost_while_nobody_knows(seen: Facts) -> None:
    gone: Told = ("process_let_go", "", {"process": BOB, "quantity": 4, "picks": [[1, 4]]})
    tea(seen, lambda told: told.append(gone))


def a_cart_that_never_ends(seen: Facts) -> None:
    carts(seen, CLEO, *cart(3, 1))


def somebody_who_was_never_answered(seen: Facts) -> None:
    seen.history.visits[2].opened.status = None


def an_answer_for_which_there_is_no_room(seen: Facts) -> None:
    seen.history.unexpected.append("cart-1 was answered 500")


def an_end_that_nobody_had_caused(seen: Facts) -> None:
    seen.unexplained_ends = ["the server ended with exit code 1"]


CHARGED = "every_charge_is_a_purchase_or_visibly_unresolved"
ONCE = "no_attempt_was_charged_twice"
AMOUNT = "every_charge_was_of_the_right_amount"
RECORD = "every_purchase_is_on_record_with_what_was_paid"
ITEMS = "no_item_that_was_paid_for_is_missing"
UNITS = "each_unit_was_sold_once"
KEPT = "no_accepted_order_was_cancelled_later"
NEGATIVE = "no_quantity_was_negative_in_any_answer"
NUMBERS = "every_number_told_was_right_and_leaves_out_what_is_in_carts"
FIRST = "first_come_first_served"
SEALED = "numbers_have_no_gap_and_digests_chain"
THERE = "everything_that_was_accepted_is_there"
UNASKED = "nothing_was_done_twice_or_unasked"
HELD = "nothing_is_held_but_for_what_nobody_has_resolved"
ANSWERED = "everybody_was_answered_and_as_the_contract_says"
ENDED = "the_server_ended_only_when_it_was_killed"


@pytest.mark.parametrize(
    ("doctor", "claim"),
    [
        (a_doubled_charge, ONCE),
        (a_doubled_charge_that_failed, ONCE),
        (a_charge_of_nobody, ONCE),
        (a_doubled_charge, CHARGED),
        (a_purchase_that_nobody_paid_for, CHARGED),
        (money_taken_for_a_failure, CHARGED),
        (a_charge_of_too_much, AMOUNT),
        (a_purchase_that_names_another_charge, AMOUNT),
        (a_price_that_nobody_had_named, AMOUNT),
        (a_purchase_lost_from_the_list, RECORD),
        (a_purchase_listed_twice, RECORD),
        (a_purchase_listed_with_another_amount, RECORD),
        (an_item_that_was_paid_for_and_never_ordered, ITEMS),
        (an_item_ordered_for_a_cart_that_nobody_paid_for, ITEMS),
        (money_for_a_cart_that_had_expired, ITEMS),
        (a_unit_sold_twice, UNITS),
        (a_unit_that_vanishes, UNITS),
        (a_hold_refused_though_there_was_enough, UNITS),
        (an_order_decided_at_once_of_what_another_holds, UNITS),
        (an_order_decided_at_once_of_what_another_holds, ITEMS),
        (an_accepted_order_cancelled, KEPT),
        (an_accepted_order_that_cannot_leave, KEPT),
        (a_paid_order_that_leaves_with_too_little, KEPT),
        (a_unit_sold_twice, NEGATIVE),
        (a_negative_number, NEGATIVE),
        (a_negative_number_in_the_end, NEGATIVE),
        (what_is_in_a_cart_shown_as_available, NUMBERS),
        (a_balance_from_before_what_was_answered, NUMBERS),
        (a_balance_from_before_anybody_asked_for_it, NUMBERS),
        (a_refusal_while_there_was_enough, NUMBERS),
        (a_line_of_a_cart_refused_with_invented_numbers, NUMBERS),
        (a_balance_that_ends_otherwise, NUMBERS),
        (somebody_overtaken, FIRST),
        (a_gap_in_the_numbers, SEALED),
        (a_digest_of_something_else, SEALED),
        (an_accepted_order_lost, THERE),
        (an_accepted_line_lost, THERE),
        (two_ids_for_one_key, THERE),
        (one_id_for_two_keys, THERE),
        (a_payment_that_was_paid_and_is_not, THERE),
        (a_checkout_that_is_gone, THERE),
        (a_checkout_shown_as_it_is_not, THERE),
        (a_key_with_two_effects, UNASKED),
        (an_order_that_nobody_asked_for, UNASKED),
        (an_order_of_something_else, UNASKED),
        (an_order_that_was_refused, UNASKED),
        (a_hold_of_a_cart_that_has_ended, HELD),
        (a_hold_lost_while_nobody_knows, HELD),
        (a_cart_that_never_ends, HELD),
        (somebody_who_was_never_answered, ANSWERED),
        (an_answer_for_which_there_is_no_room, ANSWERED),
        (an_end_that_nobody_had_caused, ENDED),
    ],
    ids=lambda each: each.__name__ if callable(each) else each,
)
def test_what_went_wrong_contradicts_the_claim_about_it(doctor: Doctor, claim: str) -> None:
    seen = facts()
    doctor(seen)

    assert claim in contradicted(seen)


def test_who_was_not_answered_may_have_ordered_after_a_refusal() -> None:
    seen = facts()
    seen.history.orders[0].status = 409
    seen.history.orders[0].strays = True

    assert UNASKED not in contradicted(seen)


def test_what_was_held_once_may_be_asked_for_again() -> None:
    """The answer was about the first row, whatever comes later."""
    seen = facts()

    def change(told: list[Told]) -> None:
        told.append(("units_held", "", {"process": ADA, "step": 2, "order": 14, "quantity": 0}))

    tea(seen, change)

    assert FIRST not in contradicted(seen)


def test_each_number_is_held_against_the_moments_that_others_have_seen() -> None:
    seen = facts()
    [look] = seen.history.looks
    earlier = Look(
        product="tea",
        version=1,
        numbers=(11, 0, 0, 11),
        asked_ns=look.answered_ns + 1,
        answered_ns=look.answered_ns + 2,
    )
    seen.history.looks.append(earlier)
    seen.history.shorts.append(
        Short(product="pot", requested=1, available=0, asked_ns=5_000, answered_ns=5_001)
    )

    assert contradicted(seen).keys() == {NUMBERS}


def test_what_was_wanted_is_done_only_if_it_was_told_so() -> None:
    assert Wanted(key="a", status=201, answered_ns=5).done_ns == 5
    assert Wanted(key="a", status=409, answered_ns=5).done_ns is None
    assert not Wanted(key="a").is_done
