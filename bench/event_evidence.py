"""All that is known after an event: what visitors remember, the journal, the provider's ledger."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from allocator.simulation.oracle_places import ALWAYS, NEVER, Span
from bench.chaos_ledger import Row
from bench.event_history import History, Numbers, Wanted
from bench.event_ledger import Book, Journal, pool_body
from bench.event_requests import Checkout, Purchase
from bench.event_stories import Attempt, CartStory, OrderStory


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the provider's ledger; `amount` is in major units, and `outcome` what it took."""

    id: str
    client_id: int
    amount: float
    at_ms: int
    outcome: str
    answered: int | None = None


class Facts(msgspec.Struct, kw_only=True):
    """What was found, as it was found.

    Attributes:
        history: What visitors remember.
        journal: Its rows.
        charges: The provider's ledger, in its order.
        prices: In minor units, by product.
        ends: (version, numbers) of each balance in the end, by product.
        checkouts: What the API shows in the end of each that a visitor was told of, by id.
        purchases: The list of all of them.
        unexplained_ends: Ends of the server that nobody had caused.
    """

    history: History
    journal: Journal
    charges: Sequence[Charge]
    prices: dict[str, int]
    ends: dict[str, tuple[int, Numbers]]
    checkouts: dict[str, Checkout | None]
    purchases: Sequence[Purchase]
    unexplained_ends: Sequence[str] = ()


class Evidence:
    """An event, looked at when all is over.

    Attributes:
        facts: What was found.
        books: Pools, added up, by product.
        carts: By actor; `orders`, those of several lines.
        placed: (product, units) of each order of one line, by key.
        rows_of_key: How many rows carry each key.
        charges_of: What the ledger has for each attempt, by (cart's actor, seq).
        strangers: Charges that no attempt has asked for.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.history = facts.history
        journal = facts.journal
        self.books = {product: Book(rows) for product, rows in journal.pools.items()}
        self.carts = {actor: CartStory(rows) for actor, rows in journal.carts.items()}
        self.orders = {actor: OrderStory(rows) for actor, rows in journal.orders.items()}
        self.placed = {
            row.idempotency_key or "": (product, pool_body(row).quantity)
            for product, rows in journal.pools.items()
            for row in rows
            if row.kind == "order_placed"
        }
        self.rows_of_key: defaultdict[str, int] = defaultdict(int)
        for row in self.rows():
            self.rows_of_key[row.idempotency_key or ""] += 1
        self.charges_of: dict[tuple[int, int], list[Charge]] = {}
        self.strangers: list[Charge] = []
        self._match()

    def actors(self) -> list[list[Row]]:
        """Return the rows of each actor."""
        journal = self.facts.journal
        return [*journal.pools.values(), *journal.carts.values(), *journal.orders.values()]

    def rows(self) -> list[Row]:
        """Return all rows."""
        return [row for rows in self.actors() for row in rows]

    def attempts(self) -> list[tuple[int, int, Attempt]]:
        """Return every attempt to pay as (cart's actor, seq, attempt)."""
        return [
            (actor, seq, attempt)
            for actor, cart in self.carts.items()
            for seq, attempt in cart.attempts.items()
        ]

    def spans(self, product: str) -> list[Span]:
        """Return when each row of a pool was asked for, and when that was answered."""
        known = _Spans(self)
        return [known.of(row) for row in self.facts.journal.pools[product]]

    def _match(self) -> None:
        """Find the attempt that each charge is of: the last that had begun by then."""
        begun: dict[int, list[tuple[int, tuple[int, int]]]] = defaultdict(list)
        for actor, seq, attempt in self.attempts():
            self.charges_of[actor, seq] = []
            begun[attempt.client_id].append((attempt.began_ms, (actor, seq)))
        for charge in self.facts.charges:
            before = [place for at, place in sorted(begun[charge.client_id]) if at <= charge.at_ms]
            if before:
                self.charges_of[before[-1]].append(charge)
            else:
                self.strangers.append(charge)


class _Spans:
    """Finds out who asked for the rows of pools."""

    def __init__(self, seen: Evidence) -> None:
        self._seen = seen
        self._orders = {order.key: order for order in seen.history.orders}
        self._visits = {visit.opened.key: visit for visit in seen.history.visits}
        self._found: set[tuple[str, str, int]] = set()

    def of(self, row: Row) -> Span:
        if row.kind == "stock_received":
            return Span(ALWAYS, self._seen.history.opened_ns)
        if row.kind == "order_placed":
            return _span(self._orders.get(row.idempotency_key or ""))
        body = pool_body(row)
        led = self._seen.orders.get(body.process)
        if led is not None:
            order = self._orders.get(led.key)
            # Units are held, or ordered at once, before anybody hears of the order; what comes
            # later nobody waits for.
            is_awaited = row.kind == "units_held" or not body.held
            return _span(order) if is_awaited else _asked(order)
        cart = self._seen.carts.get(body.process)
        if cart is None:
            return Span(ALWAYS, NEVER)  # it leaves: all orders do in the end
        visit = self._visits.get(cart.key)
        if visit is None or row.kind not in {"units_held", "hold_refused"}:
            return _asked(None if visit is None else visit.opened)
        wanted = cart.edits.get(body.step, ("", 0))
        edit = next((each for each in visit.edits if (each.product, each.quantity) == wanted), None)
        # Who asked for the same again, or was not answered, was told of the first row.
        is_first = (cart.key, *wanted) not in self._found
        self._found.add((cart.key, *wanted))
        return _span(edit) if is_first else _asked(edit)


def _span(wanted: Wanted | None) -> Span:
    if wanted is None:
        return Span(ALWAYS, NEVER)
    return Span(wanted.asked_ns, NEVER if wanted.done_ns is None else wanted.done_ns)


def _asked(wanted: Wanted | None) -> Span:
    return Span(ALWAYS if wanted is None else wanted.asked_ns, NEVER)
