"""What has to be true after an event, whatever was killed: claims about stock, money and answers.

Everything here is arithmetic on values, so that a test can show each claim failing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

from bench.chaos_ledger import misnumbered, unchained
from bench.event_evidence import Charge, Evidence
from bench.event_history import RESOLVE, STOCK, Sent, Wanted
from bench.event_stories import Attempt
from bench.event_witness import Timeline

_SHOWN_MAX: Final = 3
_MINOR: Final = 100
_NO_VISITORS: Final = (STOCK, RESOLVE)
_TAKEN: Final = {"paid", "unknown", "capturing", "refund_due"}
"""What an attempt may be for which money was taken."""


def every_charge_is_a_purchase_or_visibly_unresolved(seen: Evidence) -> str:
    """Whose money was taken has bought, or is one that an operator finds; and nobody else."""
    wrong = []
    for actor, seq, attempt in seen.attempts():
        taken = _taken(seen.charges_of[actor, seq])
        if taken and attempt.status not in _TAKEN:
            wrong.append(f"{attempt.key} was charged, and is {attempt.status}")
        if not taken and attempt.status in {"paid", "refund_due"}:
            wrong.append(f"{attempt.key} is {attempt.status}, and was not charged")
    counts = Counter(attempt.status for _, _, attempt in seen.attempts())
    unresolved = [
        attempt
        for actor, seq, attempt in seen.attempts()
        if attempt.status in {"unknown", "capturing"} and _taken(seen.charges_of[actor, seq])
    ]
    known = counts["paid"] + counts["refund_due"] + len(unresolved)
    if known != (charged := len(_taken(seen.facts.charges))):
        wrong.append(f"{charged} charges are {known} purchases, refunds and unresolved")
    return _brief(wrong)


def no_attempt_was_charged_twice(seen: Evidence) -> str:
    """The provider was asked once for each attempt, whatever became of it."""
    return _brief(
        [
            f"{seen.carts[actor].attempts[seq].key}: {[charge.id for charge in charges]}"
            for (actor, seq), charges in seen.charges_of.items()
            if len(charges) > 1
        ]
        + [f"{charge.id} is of no attempt" for charge in seen.strangers]
    )


def every_charge_was_of_the_right_amount(seen: Evidence) -> str:
    """Nobody paid anything but what the items cost, and each purchase names its charge."""
    wrong = []
    for actor, seq, attempt in seen.attempts():
        cost = sum(units * price for units, price in attempt.items.values())
        listed = sum(
            units * seen.facts.prices[product] for product, (units, _) in attempt.items.items()
        )
        if not attempt.amount == cost == listed:
            wrong.append(f"{attempt.key} is to pay {attempt.amount} for what costs {listed}")
        for charge in seen.charges_of[actor, seq]:
            if round(charge.amount * _MINOR) != attempt.amount:
                wrong.append(f"{attempt.key} costs {attempt.amount}, and {charge} was asked for")
            if attempt.status == "paid" and attempt.reference != charge.id:
                wrong.append(f"{attempt.key} names {attempt.reference}, not {charge.id}")
    return _brief(wrong)


def every_purchase_is_on_record_with_what_was_paid(seen: Evidence) -> str:
    """The list of purchases has each that was paid for, its items and its amount, and no other."""
    bought = Counter(
        (seen.carts[actor].customer, attempt.amount, tuple(sorted(attempt.items.items())))
        for actor, _, attempt in seen.attempts()
        if attempt.status == "paid"
    )
    listed = Counter(
        (
            each.customer,
            each.amount,
            tuple(sorted((item.product, (item.quantity, item.price)) for item in each.items)),
        )
        for each in seen.facts.purchases
    )
    return _brief(
        [f"the purchase {each} is missing" for each in bought - listed]
        + [f"the purchase {each} is nobody's" for each in listed - bought]
    )


def no_item_that_was_paid_for_is_missing(seen: Evidence) -> str:
    """What was paid for, or accepted, became an order at every pool; what was not, at none."""
    promised: dict[int, dict[str, int]] = {}
    for actor, _, attempt in seen.attempts():
        if attempt.status == "paid":
            promised[actor] = {product: units for product, (units, _) in attempt.items.items()}
    for actor, order in seen.orders.items():
        if order.status not in {"requested", "declined"}:
            promised[actor] = order.lines
    confirmed: dict[int, dict[str, int]] = {}
    for product, book in seen.books.items():
        for process, units in book.confirmed.items():
            confirmed.setdefault(process, {})[product] = units
    wrong = [
        f"process {actor} was promised {promised.get(actor)}, and has {confirmed.get(actor)}"
        for actor in promised.keys() | confirmed.keys()
        if promised.get(actor) != confirmed.get(actor)
    ]
    wrong += [each for cart in seen.carts.values() for each in cart.wrong]
    return _brief(wrong)


def each_unit_was_sold_once(seen: Evidence) -> str:
    """At every version all units of every lot are for sale, held, ordered or gone."""
    return _brief([f"{name}: {each}" for name, book in seen.books.items() for each in book.wrong])


def no_accepted_order_was_cancelled_later(seen: Evidence) -> str:
    """Everybody who was told that they have an order had it leave in the end, as they wanted it."""
    wrong = [
        f"{product}: seq {seq} cancels an order"
        for product, book in seen.books.items()
        for seq in book.cancelled
    ]
    sent = {each.key: each for each in seen.history.sent}
    owed = [
        Sent(key=each.key, status=HTTPStatus.OK, customer=each.customer, lines=each.lines)
        for each in seen.history.orders
        if each.is_done
    ]
    told = {each.key for each in seen.history.payments if each.ids}
    for actor, _, attempt in seen.attempts():
        if attempt.status == "paid" and attempt.key in told:
            lines = {product: units for product, (units, _) in attempt.items.items()}
            customer = seen.carts[actor].customer
            owed.append(Sent(key=attempt.key, status=HTTPStatus.OK, customer=customer, lines=lines))
    wrong += [
        f"{each.key} has {each.lines}, and sends {sent.get(each.key)}"
        for each in owed
        if sent.get(each.key) != each
    ]
    return _brief(wrong)


def no_quantity_was_negative_in_any_answer(seen: Evidence) -> str:
    """Neither in what anybody was told, nor in the end, nor at any version."""
    wrong = [f"somebody was told {each}" for each in seen.history.negative]
    wrong += [f"{name} ends with {end}" for name, end in seen.facts.ends.items() if min(end[1]) < 0]
    wrong += [
        f"{name}: version {version} has {numbers}"
        for name, book in seen.books.items()
        for version, numbers in enumerate(book.numbers)
        if min(numbers) < 0
    ]
    return _brief(wrong)


def every_number_told_was_right_and_leaves_out_what_is_in_carts(seen: Evidence) -> str:
    """Each balance and each refusal was true at a moment between asking and answering."""
    wrong = []
    for product, book in seen.books.items():
        timeline = Timeline(book, seen.spans(product))
        looks = [look for look in seen.history.looks if look.product == product]
        shorts = [short for short in seen.history.shorts if short.product == product]
        wrong += [f"{product}: {each}" for each in timeline.unexplained(looks, shorts)]
        if seen.facts.ends.get(product) != (len(book.numbers) - 1, book.numbers[-1]):
            wrong.append(
                f"{product} ends with {seen.facts.ends.get(product)}, not {book.numbers[-1]}"
            )
    return _brief(wrong + _wrong_refusals(seen))


def first_come_first_served(seen: Evidence) -> str:
    """Who was answered before another asked has the lower number."""
    return _brief(
        [
            f"{product}: {each}"
            for product, book in seen.books.items()
            for each in Timeline(book, seen.spans(product)).overtakings()
        ]
    )


def numbers_have_no_gap_and_digests_chain(seen: Evidence) -> str:
    """The events of each actor are numbered 1, 2, 3 … and each digest seals those before it."""
    return _brief(
        [
            f"actor {rows[0].actor_id}: {each}"
            for rows in seen.actors()
            for each in [*misnumbered(rows), *unchained(rows)]
        ]
    )


def everything_that_was_accepted_is_there(seen: Evidence) -> str:
    """Whatever anybody was told is in the journal, once, under the one id that they were told."""
    wrong = []
    for each in seen.history.wanted():
        count = seen.rows_of_key[each.key]
        if each.is_done and count != 1:
            wrong.append(f"{each.key} is {count} times in the journal")
        if len(each.ids) > 1:
            wrong.append(f"{each.key} had the ids {sorted(each.ids)}")
    owners = Counter(name for each in seen.history.wanted() for name in each.ids)
    wrong += [f"{name} was given to {count}" for name, count in owners.items() if count > 1]
    carts = {cart.key: cart for cart in seen.carts.values()}
    for visit in seen.history.visits:
        cart = carts.get(visit.opened.key)
        edits = set() if cart is None else set(cart.edits.values())
        wrong += [
            f"{edit.key} is missing"
            for edit in visit.edits
            if edit.is_done and edit.quantity and (edit.product, edit.quantity) not in edits
        ]
    return _brief(wrong + _wrongly_shown(seen))


def nothing_was_done_twice_or_unasked(seen: Evidence) -> str:
    """However often somebody asked, a key had one effect, and who was refused for good had none."""
    known = {each.key: each for each in seen.history.wanted()}
    wrong = []
    for key, count in seen.rows_of_key.items():
        if count > 1 and key:
            wrong.append(f"{key} had {count} effects")
        if key and key not in known and not key.startswith(_NO_VISITORS):
            wrong.append(f"nobody asked for {key}")
    for order in seen.history.orders:
        done = _order_in_journal(seen, order.key)
        if done is not None and done != order.lines:
            wrong.append(f"{order.key} wanted {order.lines}, and has {done}")
        if done is not None and _was_denied(order):
            wrong.append(f"{order.key} was refused, and has {done}")
    wrong += [
        f"{payment.key} was refused, and began"
        for payment in seen.history.payments
        if _was_denied(payment) and seen.rows_of_key[payment.key]
    ]
    return _brief(wrong)


def nothing_is_held_but_for_what_nobody_has_resolved(seen: Evidence) -> str:
    """In the end carts that have ended hold nothing, and those that are unknown all of theirs."""
    wrong = [
        f"{cart.key} is still open"
        for cart in seen.carts.values()
        if cart.status == "open" and cart.unsettled is None
    ]
    wanted: dict[str, dict[int, int]] = {product: {} for product in seen.books}
    for actor, cart in seen.carts.items():
        if (attempt := cart.unsettled) is not None:
            for product, (units, _) in attempt.items.items():
                wanted[product][actor] = units
    for product, book in seen.books.items():
        held = {process: book.held_units(process) for process in book.held}
        held = {process: units for process, units in held.items() if units}
        if held != wanted[product]:
            wrong.append(f"{product} holds {held}, and should hold {wanted[product]}")
    return _brief(wrong)


def everybody_was_answered_and_as_the_contract_says(seen: Evidence) -> str:
    """Whoever kept asking was told what became of it, and nothing that there is no room for."""
    unanswered = [
        f"{each.key} was not answered"
        for each in seen.history.wanted()
        if each.status is None and not each.given_up
    ]
    return _brief([*seen.history.unexpected, *unanswered])


def the_server_ended_only_when_it_was_killed(seen: Evidence) -> str:
    """Nothing that happens to its parts ends the whole."""
    return _brief(seen.facts.unexplained_ends)


CLAIMS: Final[tuple[tuple[str, Callable[[Evidence], str]], ...]] = (
    ("Q4 O10", every_charge_is_a_purchase_or_visibly_unresolved),
    ("Q4", no_attempt_was_charged_twice),
    ("O10", every_charge_was_of_the_right_amount),
    ("O10", every_purchase_is_on_record_with_what_was_paid),
    ("Q4", no_item_that_was_paid_for_is_missing),
    ("Q5", each_unit_was_sold_once),
    ("Q1", no_accepted_order_was_cancelled_later),
    ("Q2", no_quantity_was_negative_in_any_answer),
    ("Q3 O9", every_number_told_was_right_and_leaves_out_what_is_in_carts),
    ("Q6", first_come_first_served),
    ("Q6", numbers_have_no_gap_and_digests_chain),
    ("Q7", everything_that_was_accepted_is_there),
    ("Q7", nothing_was_done_twice_or_unasked),
    ("O9", nothing_is_held_but_for_what_nobody_has_resolved),
    ("", everybody_was_answered_and_as_the_contract_says),
    ("", the_server_ended_only_when_it_was_killed),
)
"""With the rows of the acceptance list that each is about. Each returns what contradicts it, or ""
when nothing does."""


def holds(seen: Evidence) -> bool:
    """Say whether nothing contradicts any claim."""
    return not any(claim(seen) for _, claim in CLAIMS)


def _taken(charges: Sequence[Charge]) -> list[Charge]:
    return [charge for charge in charges if charge.outcome == "paid"]


def _wrong_refusals(seen: Evidence) -> list[str]:
    """Return the lines of carts that were refused with numbers of which the journal has no word."""
    refused: set[tuple[str, str, int, int]] = set()
    for product, book in seen.books.items():
        for process, requested, available in book.refused:
            cart = seen.carts.get(process)
            refused.add(("" if cart is None else cart.key, product, requested, available))
    return [
        f"{edit.key} was told {edit.short}"
        for visit in seen.history.visits
        for edit in visit.edits
        if edit.short is not None and (visit.opened.key, edit.product, *edit.short) not in refused
    ]


def _wrongly_shown(seen: Evidence) -> list[str]:
    """Return the attempts to pay that the API shows in the end as they are not."""
    attempts = {attempt.key: attempt for _, _, attempt in seen.attempts()}
    wrong = []
    for payment in seen.history.payments:
        for name in payment.ids:
            shown, attempt = seen.facts.checkouts.get(name), attempts.get(payment.key)
            if shown is None or attempt is None:
                wrong.append(f"{payment.key} is gone")
            elif (shown.status, shown.amount) != (attempt.status, attempt.amount):
                wrong.append(f"{payment.key} is shown as {shown}, and is {attempt.status}")
            elif payment.seen in {"paid", "failed"} and not _may_become(payment.seen, attempt):
                wrong.append(f"{payment.key} was {payment.seen}, and is {attempt.status}")
    return wrong


def _may_become(seen: str, attempt: Attempt) -> bool:
    return attempt.status == seen or (seen, attempt.status) == ("failed", "refund_due")


def _order_in_journal(seen: Evidence, key: str) -> dict[str, int] | None:
    """Return units by product of what a key has ordered, or None if nothing."""
    if key in seen.placed:
        product, units = seen.placed[key]
        return {product: units}
    led = next((order for order in seen.orders.values() if order.key == key), None)
    return None if led is None or led.status in {"requested", "declined"} else led.lines


def _was_denied(wanted: Wanted) -> bool:
    """Whether all attempts were refused, and none of them can have come later."""
    return wanted.status is not None and not wanted.is_done and not wanted.strays


def _brief(wrong: Sequence[str]) -> str:
    """Join the first few; the rest as a number."""
    more = len(wrong) - _SHOWN_MAX
    return "; ".join(wrong[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
