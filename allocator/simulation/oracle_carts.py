"""Laws of carts, and of the money for what is in them. Each returns what contradicts it."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from allocator.domain.carts import (
    Cart,
    CartClosed,
    CartEnded,
    CartExpired,
    CartOpened,
    LineWanted,
)
from allocator.domain.checkout_rules import KEPT_AFTER_FAILURE_MS
from allocator.domain.checkouts import (
    Checkout,
    CheckoutBegun,
    CheckoutFailed,
    CheckoutPaid,
    CheckoutUnknown,
    RefundDue,
)
from allocator.domain.holds import UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.orders import LinesDispatched, LinesSettled
from allocator.domain.transfers import ProcessLetGo
from allocator.domain.values import units_of
from allocator.simulation.handling import price_of
from allocator.simulation.oracle_holds import Holdings
from allocator.simulation.oracle_lead import LeadEvidence
from allocator.simulation.provider import Entry

_OVER: Final = (CartEnded, CheckoutPaid, RefundDue, LinesDispatched, LinesSettled)
"""What may still happen to a cart that is not open any more; to be paid for late, if unknown."""
_OPEN_ENDS: Final = (CheckoutPaid, CheckoutFailed, CheckoutUnknown, RefundDue)
"""What may happen to a cart of which an attempt to pay is not settled."""


class Purchases:
    """All carts of a run, and the books of the provider.

    Attributes:
        holdings: What pools did for them.
        carts: By actor.
        ledger: What the provider was asked for.
    """

    def __init__(self, holdings: Holdings, ledger: list[Entry]) -> None:
        self.holdings = holdings
        self.ledger = ledger
        self.carts = {
            lead.actor_id: lead for lead in holdings.sound() if isinstance(lead.state, Cart)
        }

    def attempts(self) -> Iterator["Attempt"]:
        """Yield every checkout, with what the provider knows of it."""
        for lead in self.carts.values():
            assert isinstance(lead.state, Cart)
            for checkout in lead.state.checkouts:
                name = checkout.begun.client_id, checkout.attempt
                mine = [entry for entry in self.ledger if (entry.client_id, entry.attempt) == name]
                yield Attempt(lead, checkout, mine)


class Attempt(NamedTuple):
    """An attempt to pay: as it ended, and what the provider was asked."""

    lead: LeadEvidence
    checkout: Checkout
    entries: list[Entry]

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"checkout {self.checkout.attempt} of {self.lead.name}, {self.checkout.status},"


def nobody_is_charged_twice(purchases: Purchases) -> list[str]:
    """The provider is asked once for an attempt, and never again, whatever breaks."""
    asked = Counter((entry.client_id, entry.attempt) for entry in purchases.ledger)
    return [f"{name} is asked for {times} times" for name, times in asked.items() if times > 1]


def a_charge_is_asked_for_when_its_checkout_is_stored(purchases: Purchases) -> list[str]:
    """And for its amount, of its customer."""
    begun = {
        (attempt.checkout.begun.client_id, attempt.checkout.attempt): attempt.checkout.begun.amount
        for attempt in purchases.attempts()
    }
    return [
        f"{entry} of which {begun.get((entry.client_id, entry.attempt))} is stored"
        for entry in purchases.ledger
        if not entry.begun or begun.get((entry.client_id, entry.attempt)) != entry.amount
    ]


def money_that_was_taken_buys_or_is_owed(purchases: Purchases) -> list[str]:
    """Each charge is a purchase, or an operator sees that it is none.

    But an operator may be wrong, and nobody left who heard what the provider said.
    """
    return [
        f"{attempt.name} although the money is gone: {entry}"
        for attempt in purchases.attempts()
        for entry in attempt.entries
        if entry.took and attempt.checkout.status == "failed"
        if _knows(entry, "paid") or not attempt.checkout.resolved
    ]


def what_a_worker_has_heard_is_known(purchases: Purchases) -> list[str]:
    """If it lived on, its checkout knows of it in the end, whoever has that by then."""
    return [
        f"{attempt.name} and was told: {entry}"
        for attempt in purchases.attempts()
        for entry in attempt.entries
        if (attempt.checkout.status == "capturing" and entry.is_known)
        or (attempt.checkout.status == "unknown" and _knows(entry, "paid", "failed"))
    ]


def nothing_is_bought_without_money(purchases: Purchases) -> list[str]:
    """What is paid was charged, unless an operator says so; what is owed back was, too."""
    return [
        f"{attempt.name} but no money was taken"
        for attempt in purchases.attempts()
        if attempt.checkout.status in {"paid", "refund_due"}
        if not (attempt.checkout.status == "paid" and attempt.checkout.resolved)
        if not any(entry.took for entry in attempt.entries)
    ]


def a_checkout_is_of_what_is_in_the_cart(purchases: Purchases) -> list[str]:
    """Each item costs what it cost when the checkout began, and is bought, in just that number."""
    wrong = []
    for attempt in purchases.attempts():
        begun, state = attempt.checkout.begun, attempt.lead.states[attempt.checkout.attempt]
        assert isinstance(state, Cart)
        wanted = [
            (line.line.pool, units_of(line.picks), price_of(line.line.pool))
            for line in state.lines
            if line.picks
        ]
        items = [(item.pool, item.quantity, item.price) for item in begun.items]
        amount = sum(quantity * price for _, quantity, price in wanted)
        if (items, begun.amount) != (wanted, amount) or not items:
            wrong.append(f"{attempt.name} is of {items} for {begun.amount}, the cart has {wanted}")
        if attempt.checkout.status == "paid" and _bought(attempt.lead) != items:
            wrong.append(f"{attempt.name} is of {items}, and buys {_bought(attempt.lead)}")
    return wrong


def nothing_happens_to_a_cart_that_is_over_or_paid_for(purchases: Purchases) -> list[str]:
    """A cart that is closed or expired sells nothing, and one that is paid for does not change."""
    return [
        f"{lead.name}: seq {seq}, {event}, when it was {before.status}"
        for lead in purchases.carts.values()
        for seq, event in enumerate(lead.events, start=1)
        if isinstance(before := lead.states[seq - 1], Cart) and not _may_happen(before, event)
    ]


def no_hold_changes_while_it_is_paid_for(purchases: Purchases) -> list[str]:
    """From the beginning of a checkout until it has failed, pools neither give back nor add."""
    moments = purchases.holdings.moments()
    wrong = []
    for lead in purchases.carts.values():
        for begun, settled in _frozen(lead):
            first = moments.get((lead.actor_id, begun), 0)
            last = moments.get((lead.actor_id, settled), 0) if settled else 1 << 62
            wrong += [
                f"{lead.name} is paid for since seq {begun}, and {done}"
                for deeds in purchases.holdings.by_pool(lead.actor_id).values()
                for done in deeds
                if isinstance(done.event, UnitsHeld | ProcessLetGo)
                if first < moments.get((done.pool, done.seq), 0) < last
            ]
    return wrong


def a_cart_expires_when_it_is_time(purchases: Purchases) -> list[str]:
    """Not before, and nothing is added to it, or paid for, from then on."""
    wrong = []
    for lead in purchases.carts.values():
        until_ms = 0
        for row, event in zip(lead.rows, lead.events, strict=True):
            late = isinstance(event, LineWanted | CheckoutBegun | CartClosed)
            if (
                (row.at_ms >= until_ms)
                if late
                else (isinstance(event, CartExpired) and row.at_ms < until_ms)
            ):
                wrong.append(f"{lead.name} is to end at {until_ms}, and at {row.at_ms}: {event}")
            until_ms = _until_ms(lead, event, until_ms, at_ms=row.at_ms)
    return wrong


def _knows(entry: Entry, *outcomes: str) -> bool:
    """Say whether somebody who lived on was told one of these."""
    return entry.is_known and entry.said is not None and entry.said.outcome in outcomes


def _until_ms(lead: LeadEvidence, event: Event, until_ms: int, *, at_ms: int) -> int:
    """Return when a cart ends that would have ended at a time before an event."""
    opened = lead.events[0]
    if not isinstance(opened, CartOpened):
        return until_ms
    if isinstance(event, CheckoutFailed):
        return max(until_ms, at_ms + KEPT_AFTER_FAILURE_MS)
    if isinstance(event, CartOpened | LineWanted):
        capped_ms = lead.rows[0].at_ms + opened.cap_ms
        return max(until_ms, min(at_ms + opened.ttl_ms, capped_ms))
    return until_ms


def _may_happen(cart: Cart, event: Event) -> bool:
    if cart.status in {"closed", "expired", "paid"}:
        allowed = isinstance(event, _OVER) and not isinstance(event, CheckoutPaid)
        return allowed and (cart.status == "paid" or not isinstance(event, LinesDispatched))
    if cart.checkouts and cart.checkouts[-1].status in {"capturing", "unknown"}:
        return isinstance(event, _OPEN_ENDS)
    return not isinstance(event, CheckoutPaid | CheckoutUnknown)


def _frozen(lead: LeadEvidence) -> Iterator[tuple[int, int | None]]:
    """Yield from which seq to which one nothing may change; to None, if that goes on."""
    seqs = [
        seq
        for seq, event in enumerate(lead.events, start=1)
        if isinstance(event, CheckoutBegun | CheckoutPaid | CheckoutFailed)
    ]
    for seq, after in pairwise([*seqs, 0]):
        if isinstance(lead.events[seq - 1], CheckoutBegun):
            yield seq, after or None


def _bought(lead: LeadEvidence) -> list[tuple[int, int, int]]:
    if lead.order is None:
        return []
    return [(line.pool, line.quantity, price_of(line.pool)) for line in lead.order.lines]
