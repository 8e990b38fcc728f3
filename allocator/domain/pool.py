"""The state of one product at one warehouse, or of a location that holds one product at a time.

Two rules make it a ledger: every unit that was received and has not left is in exactly one of
`available`, `ordered` or an unallocatable state of exactly one lot; and only `evolve` changes it.

A location that holds one product at a time is a pool that is told, with what it is asked, of which
product. It is occupied by the last one as long as anything of it is there or expected. All other
pools are of one product for ever, are never told, and have no `product`.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

import msgspec

from allocator.domain.fed import Fed
from allocator.domain.open_orders import OpenOrders
from allocator.domain.transit import Processes
from allocator.domain.values import Picks, States, moved, units_of

NEVER_MS = 1 << 62
"""Sorts after every date: the expiry of a lot that has none."""

_COMPACT_AFTER = 1024


class Lot(msgspec.Struct, gc=False, kw_only=True, omit_defaults=True):
    """Units that arrived together and still have some on hand.

    Attributes:
        quantity: All that ever belonged to it: what is on hand and what has left.
        origin: (actor, seq) of the lot elsewhere of which they were part; None if they came from
            outside.
        aside: Units that are there and cannot be sold, by state; but for those past their date,
            which are `expired`.
        recalled: Units that it owes to states: ordered or held, and bad (`adjustments`).
    """

    seq: int
    quantity: int
    available: int
    ordered: int = 0
    held: int = 0
    expired: int = 0
    code: str | None = None
    expires_at_ms: int | None = None
    received_at_ms: int
    reference: str | None = None
    origin: tuple[int, int] | None = None
    aside: States = ()
    recalled: States = ()

    @property
    def on_hand(self) -> int:
        """Units of this lot that are still in the warehouse."""
        on_hand = self.available + self.ordered + self.held + self.expired
        return on_hand + units_of(self.aside) if self.aside else on_hand

    @property
    def rank(self) -> tuple[int, int]:
        """The place in the order of use: earliest expiry first, then earliest received."""
        return (NEVER_MS if self.expires_at_ms is None else self.expires_at_ms, self.seq)


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's numbers at a version, in units.

    Attributes:
        aside: Those that cannot be sold for another reason than their date, by state.
    """

    version: int
    available: int
    ordered: int
    held: int
    expired: int
    aside: States = ()

    @property
    def on_hand(self) -> int:
        """Everything that is physically there."""
        return self.available + self.ordered + self.held + self.expired + units_of(self.aside)

    @property
    def unallocatable(self) -> dict[str, int]:
        """Units that are there and cannot be sold, by state; `expired` is always among them."""
        return {"expired": self.expired, **dict(self.aside)}


class Pool:
    """Lots, open orders and their sums.

    Attributes:
        version: The seq of the last event, 0 when there is none.
        last_at_ms: The time of the last event, milliseconds of Unix time.
        lots: Lots with units on hand, by seq.
        orders: Open orders, by seq.
        product: That of the last claim, if this is a location that holds one at a time.
        processes: Those that asked it something; None if it remembers none.
        fed: Its part in a feed; None if it never was fed.
        recalls: Seqs of the lots that owe units to a state.
        repicked: The seq of the last event with which an order got other lots; 0 if none ever did.
        available: Units for sale, summed over `lots`; `ordered`, `held`, `expired` and `aside`
            likewise.
        next_expiry_ms: When the first lot with unsold units expires, None if none does.
    """

    __slots__ = (
        "_first",
        "_queue",
        "aside",
        "available",
        "expired",
        "fed",
        "held",
        "last_at_ms",
        "lots",
        "next_expiry_ms",
        "ordered",
        "orders",
        "processes",
        "product",
        "recalls",
        "repicked",
        "version",
    )

    def __init__(self) -> None:
        self.version = 0
        self.last_at_ms = 0
        self.lots: dict[int, Lot] = {}
        self.orders = OpenOrders()
        self.product: str | None = None
        self.processes: Processes | None = None
        self.fed: Fed | None = None
        self.recalls: set[int] = set()
        self.repicked = 0
        self.available = 0
        self.ordered = 0
        self.held = 0
        self.expired = 0
        self.aside: States = ()
        self.next_expiry_ms: int | None = None
        # Ranks of the lots with units available, ascending from index `_first`; what stands
        # before it is used up. A head that moves makes taking from the front O(1).
        self._queue: list[tuple[int, int]] = []
        self._first = 0

    @property
    def may_be_due(self) -> bool:
        """Whether anything can be due some time without a message: hardly ever."""
        if self.next_expiry_ms is not None or self.recalls:
            return True
        return self.fed is not None and bool(self.fed.short or self.fed.told or self.aside)

    @property
    def occupied(self) -> bool:
        """Whether anything is on hand, or expected."""
        return bool(self.lots) or (self.processes is not None and self.processes.expecting > 0)

    @property
    def is_fed(self) -> bool:
        """Whether its increases come from a feed."""
        return self.fed is not None and self.fed.feed > 0

    def has_room_for(self, product: str | None) -> bool:
        """Say whether units of this product may come: no other one is there or expected."""
        return product == self.product or not self.occupied

    def available_of(self, product: str | None) -> int:
        """Say how many units for sale are of this product; a pool without one has no other."""
        return self.available if self.has_product(product) else 0

    def has_product(self, product: str | None) -> bool:
        """Say whether what is here is of this product; a pool without one has no other."""
        return self.product is None or product == self.product

    def balance(self) -> Balance:
        """Return the numbers as they stand."""
        return Balance(
            version=self.version,
            available=self.available,
            ordered=self.ordered,
            held=self.held,
            expired=self.expired,
            aside=self.aside,
        )

    def pick(self, quantity: int) -> Picks:
        """Say from which lots `quantity` units, at most `available`, would come."""
        seq = self._queue[self._first][1]
        if self.lots[seq].available >= quantity:
            return ((seq, quantity),)
        picks = []
        index = self._first
        while quantity:
            seq = self._queue[index][1]
            units = min(quantity, self.lots[seq].available)
            picks.append((seq, units))
            quantity -= units
            index += 1
        return tuple(picks)

    def for_sale(self) -> Iterator[Lot]:
        """Yield the lots with units available, in the order of use."""
        for index in range(self._first, len(self._queue)):
            yield self.lots[self._queue[index][1]]

    def due(self, now_ms: int) -> list[Lot]:
        """Return the lots with unsold units whose expiry is not after `now_ms`, in order."""
        until = bisect_left(self._queue, (now_ms + 1, 0), lo=self._first)
        return [self.lots[seq] for _, seq in self._queue[self._first : until]]

    # Changes, for `evolve` alone.

    def claim(self, product: str | None) -> None:
        """Be there for a product from now on; None for a pool that is not told."""
        self.product = product

    def put(self, lot: Lot) -> None:
        """Add a lot, whatever has become of its units."""
        self.lots[lot.seq] = lot
        self.available += lot.available
        self.ordered += lot.ordered
        self.held += lot.held
        self.expired += lot.expired
        for state, units in lot.aside:
            self.aside = moved(self.aside, state, units)
        if lot.recalled:
            self.recalls.add(lot.seq)
        if lot.available:
            self._enqueue(lot)

    def take(self, seq: int, units: int) -> Lot:
        """Remove `units` from the available ones of a lot; the caller books them elsewhere."""
        lot = self.lots[seq]
        lot.available -= units
        self.available -= units
        if not lot.available:
            self._unqueue(lot)
        return lot

    def hold(self, seq: int, units: int) -> None:
        """Set `units` of the available ones of a lot aside."""
        self.take(seq, units).held += units
        self.held += units

    def release(self, seq: int, units: int) -> None:
        """Have `units` of a lot that were held available again."""
        lot = self.lots[seq]
        lot.held -= units
        self.held -= units
        self.give_back(lot, units)

    def order_held(self, seq: int, units: int) -> None:
        """Have `units` of a lot that were held ordered."""
        lot = self.lots[seq]
        lot.held -= units
        lot.ordered += units
        self.held -= units
        self.ordered += units

    def give_back(self, lot: Lot, units: int) -> None:
        """Add `units` to the available ones of a lot."""
        if not lot.available:
            self._enqueue(lot)
        lot.available += units
        self.available += units

    def miss(self, missing: Picks) -> None:
        """Have available units that came back stand for missing ones: they are gone."""
        for seq, units in missing:
            lot = self.take(seq, units)
            if self.fed is not None:
                self.fed.settle(lot.code, units)
            self.forget_if_gone(lot)

    def set_aside(self, lot: Lot, state: str, units: int) -> None:
        """Add units of a lot, not booked elsewhere, to a state; remove them if negative."""
        lot.aside = moved(lot.aside, state, units)
        self.aside = moved(self.aside, state, units)

    def leave(self, lot: Lot, units: int) -> None:
        """Have `units` of a lot, not booked anywhere any more, be gone from the warehouse."""
        if self.fed is not None:
            self.fed.leave(lot.code, units)
        self.forget_if_gone(lot)

    def recall(self, lot: Lot, state: str, units: int) -> None:
        """Have a lot owe so many units more to a state, or fewer if negative."""
        lot.recalled = moved(lot.recalled, state, units)
        if lot.recalled:
            self.recalls.add(lot.seq)
        else:
            self.recalls.discard(lot.seq)

    def forget_if_gone(self, lot: Lot) -> None:
        """Drop a lot of which nothing is on hand."""
        if not lot.on_hand:
            del self.lots[lot.seq]

    def _enqueue(self, lot: Lot) -> None:
        insort(self._queue, lot.rank, lo=self._first)
        self._note_first()

    def _unqueue(self, lot: Lot) -> None:
        index = bisect_left(self._queue, lot.rank, lo=self._first)
        if index != self._first:
            del self._queue[index]
            return
        self._first += 1
        if self._first > _COMPACT_AFTER and self._first * 2 > len(self._queue):
            del self._queue[: self._first]
            self._first = 0
        self._note_first()

    def _note_first(self) -> None:
        expires_at_ms = NEVER_MS
        if self._first < len(self._queue):
            expires_at_ms = self._queue[self._first][0]
        self.next_expiry_ms = None if expires_at_ms == NEVER_MS else expires_at_ms
