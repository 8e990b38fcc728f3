"""Whether a sale was fair, from what the customers remember and what the journal says.

Everything here is arithmetic on values, so that a test can show each claim failing.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import msgspec

from bench.messages import Balance, Order


class Wish(msgspec.Struct, kw_only=True):
    """What one customer wanted once, and what came of it.

    Attributes:
        key: The Idempotency-Key of every attempt.
        asked_ns: When the first attempt began.
        answered_ns: When the first answer that settles it had come; None if none ever did.
        status: That answer's status: 201, or 409 for too little stock. None: walked away.
        order_ids: Every id that a 201 for this key has named.
    """

    key: str
    customer: str
    quantity: int
    asked_ns: int = 0
    answered_ns: int | None = None
    status: int | None = None
    order_ids: set[str] = msgspec.field(default_factory=set)


class EventBody(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a journaled event that a sale cares for."""

    quantity: int = 0
    customer: str | None = None


class JournalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the pool's journal."""

    seq: int
    at: datetime
    kind: str
    idempotency_key: str | None
    body: EventBody


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known after a sale.

    Attributes:
        events: The pool's whole journal, in its order.
        orders: What the API shows for each acknowledged order, by id; None: not found.
    """

    units: int
    wishes: list[Wish]
    events: list[JournalEvent]
    orders: dict[str, Order | None]
    balance: Balance

    @property
    def placed(self) -> list[JournalEvent]:
        """The events that sold something."""
        return [event for event in self.events if event.kind == "order_placed"]

    @property
    def bought(self) -> list[Wish]:
        """The wishes that ended with an order."""
        return [wish for wish in self.wishes if wish.order_ids]

    @property
    def refused(self) -> list[Wish]:
        """The wishes that ended with too little stock."""
        return [wish for wish in self.wishes if wish.status is not None and not wish.order_ids]


def exactly_the_stock_was_sold(seen: Evidence) -> str:
    """Neither one unit too many nor one too few."""
    sold = sum(event.body.quantity for event in seen.placed)
    return "" if sold == seen.units else f"{sold} units were sold of {seen.units}"


def no_key_bought_twice(seen: Evidence) -> str:
    """However often a customer asked, the journal has one order for the key."""
    counts = Counter(event.idempotency_key for event in seen.placed)
    return _list([f"{key}: {count} orders" for key, count in counts.items() if count > 1])


def every_order_was_wished_for(seen: Evidence) -> str:
    """Each order in the journal has the key, the customer and the quantity of a wish."""
    wishes = {wish.key: (wish.customer, wish.quantity) for wish in seen.wishes}
    return _list(
        [
            f"seq {event.seq} is nobody's order"
            for event in seen.placed
            if wishes.get(event.idempotency_key or "") != (event.body.customer, event.body.quantity)
        ]
    )


def every_acknowledged_order_is_in_the_journal(seen: Evidence) -> str:
    """Who was told 201 has bought."""
    keys = {event.idempotency_key for event in seen.placed}
    return _list([f"{wish.key} is missing" for wish in seen.bought if wish.key not in keys])


def every_acknowledged_order_is_found_by_its_id(seen: Evidence) -> str:
    """Who was told an id finds that order under it."""
    wrong = []
    for wish in seen.bought:
        for order_id in wish.order_ids:
            order = seen.orders.get(order_id)
            if order is None or not _is_order_of(order, wish):
                wrong.append(f"{wish.key}: {order_id} shows {order}")
    return _list(wrong)


def one_key_had_one_order_id(seen: Evidence) -> str:
    """Every repeat was told the same order, and no two keys were told the same one."""
    wrong = [
        f"{wish.key} had {sorted(wish.order_ids)}"
        for wish in seen.bought
        if len(wish.order_ids) != 1
    ]
    counts = Counter(order_id for wish in seen.bought for order_id in wish.order_ids)
    wrong += [
        f"{order_id} was given to {count} keys" for order_id, count in counts.items() if count > 1
    ]
    return _list(wrong)


def nobody_refused_was_sold_to(seen: Evidence) -> str:
    """Who was told 409 and left has no order."""
    keys = {event.idempotency_key for event in seen.placed}
    return _list([f"{wish.key} has an order" for wish in seen.refused if wish.key in keys])


def nobody_was_refused_while_there_was_enough(seen: Evidence) -> str:
    """A refusal means that too little was left: less than what later customers still bought.

    Whatever was bought by customers who first asked after a refusal had come was there when
    it was decided.
    """
    quantities = {event.idempotency_key: event.body.quantity for event in seen.placed}
    moments = [
        (wish.asked_ns, quantities[wish.key], 0) for wish in seen.wishes if wish.key in quantities
    ]
    moments += [(wish.answered_ns or 0, 0, wish.quantity) for wish in seen.refused]
    bought_later = 0
    wrong = 0
    for _, bought, refused in sorted(moments, reverse=True):
        bought_later += bought
        wrong += 0 < refused <= bought_later
    return f"{wrong} were refused too early" if wrong else ""


def the_balance_adds_up(seen: Evidence) -> str:
    """Everything is ordered and still there, nothing is available."""
    balance = seen.balance
    parts = balance.available + balance.ordered + balance.held + sum(balance.unallocatable.values())
    expected = (0, seen.units, seen.units)
    if parts == seen.units and (balance.available, balance.ordered, balance.on_hand) == expected:
        return ""
    return str(balance)


def sequence_numbers_have_no_gap_and_times_no_way_back(seen: Evidence) -> str:
    """Events are numbered 1, 2, 3 … and no event is older than the one before it."""
    wrong = [
        f"seq {event.seq} where {number} should be"
        for number, event in enumerate(seen.events, start=1)
        if event.seq != number
    ]
    wrong += [f"seq {b.seq} is older than {a.seq}" for a, b in pairwise(seen.events) if b.at < a.at]
    return _list(wrong)


def first_come_first_served(seen: Evidence) -> str:
    """Who had the order in hand before another asked stands before the other."""
    wishes = {wish.key: wish for wish in seen.wishes}
    overtaken = 0
    earliest_answer_ns: float = float("inf")
    for event in reversed(seen.placed):
        wish = wishes.get(event.idempotency_key or "")
        if wish is None:
            continue
        # Everything visited so far has a higher number.
        overtaken += earliest_answer_ns < wish.asked_ns
        if wish.answered_ns is not None:
            earliest_answer_ns = min(earliest_answer_ns, wish.answered_ns)
    return f"{overtaken} customers were overtaken" if overtaken else ""


CLAIMS: tuple[Callable[[Evidence], str], ...] = (
    exactly_the_stock_was_sold,
    no_key_bought_twice,
    every_order_was_wished_for,
    every_acknowledged_order_is_in_the_journal,
    every_acknowledged_order_is_found_by_its_id,
    one_key_had_one_order_id,
    nobody_refused_was_sold_to,
    nobody_was_refused_while_there_was_enough,
    the_balance_adds_up,
    sequence_numbers_have_no_gap_and_times_no_way_back,
    first_come_first_served,
)
"""Each returns what contradicts it, or "" when nothing does."""

_SHOWN_MAX = 3


def _is_order_of(order: Order, wish: Wish) -> bool:
    quantity = sum(line.quantity for line in order.lines)
    return order.status == "new" and (order.customer, quantity) == (wish.customer, wish.quantity)


def _list(wrong: list[str]) -> str:
    """Join the first few; the rest as a number."""
    more = len(wrong) - _SHOWN_MAX
    return "; ".join(wrong[:_SHOWN_MAX]) + (f"; and {more} more" if more > 0 else "")
