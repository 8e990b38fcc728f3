"""A pool as one who only adds up would keep it: the model that answers are held against.

It has none of the rules: what is picked, what is refused and what expires is the journal's word.
It knows what every version looked like, and so at which versions an answer would have been true.
"""

from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    Picks,
    StockReceived,
)
from allocator.domain.pool import Balance, Lot
from allocator.domain.rules import units_of


class Numbers(NamedTuple):
    """Units for sale, promised, and past their date; of a pool or of one lot."""

    available: int
    ordered: int
    expired: int


_NOTHING: Final = Numbers(0, 0, 0)


class _Order:
    """An order since it was placed; `closed` is the version that ended it."""

    __slots__ = ("closed", "picks", "quantity")

    def __init__(self, picks: Picks, quantity: int) -> None:
        self.picks = picks
        self.quantity = quantity
        self.closed: int | None = None


class _Lot:
    """A lot since it came; `numbers[i]` holds from `versions[i]` on."""

    __slots__ = ("arrival", "dispatched", "numbers", "received_at_ms", "versions")

    def __init__(self, arrival: StockReceived, *, seq: int, at_ms: int) -> None:
        self.arrival = arrival
        self.received_at_ms = at_ms
        self.dispatched = 0
        self.versions = [seq]
        self.numbers = [Numbers(arrival.quantity, 0, 0)]

    @property
    def seq(self) -> int:
        return self.versions[0]

    def shows(self, index: int) -> Lot | None:
        """Return what was to be seen of it after its `index`th change; None: not on hand."""
        numbers, arrival = self.numbers[index], self.arrival
        if numbers == _NOTHING:
            return None
        return Lot(
            seq=self.seq,
            quantity=arrival.quantity,
            available=numbers.available,
            ordered=numbers.ordered,
            expired=numbers.expired,
            code=arrival.lot,
            expires_at_ms=arrival.expires_at_ms,
            received_at_ms=self.received_at_ms,
            reference=arrival.reference,
        )


class PoolModel:
    """All versions of a pool, 0 being empty.

    Attributes:
        numbers: By version, as the quantities of events add up.
        at_ms: The time of each version's event.
        impossible: What the events cannot have been, each in a sentence.
    """

    def __init__(self) -> None:
        self.numbers = [_NOTHING]
        self.at_ms = [0]
        self.impossible: list[str] = []
        self._versions_with: dict[int, list[int]] = {0: [0]}
        self._orders: dict[int, _Order] = {}
        self._lots: dict[int, _Lot] = {}
        self._received = self._dispatched = 0

    @property
    def version(self) -> int:
        """The newest."""
        return len(self.at_ms) - 1

    @property
    def next_expiry_ms(self) -> int | None:
        """When the first lot with units for sale expires, as things stand; None if none does."""
        dates = (
            lot.arrival.expires_at_ms for lot in self._lots.values() if lot.numbers[-1].available
        )
        return min((date for date in dates if date is not None), default=None)

    def add(self, event: Event, *, at_ms: int) -> None:
        """Enter the next event, whatever it says."""
        seq = len(self.at_ms)
        available, ordered, expired = self.numbers[-1]
        match event:
            case OrderPlaced(quantity=quantity, picks=picks):
                self._place(seq, picks, quantity)
                available, ordered = available - quantity, ordered + quantity
            case StockReceived(quantity=quantity):
                self._lots[seq] = _Lot(event, seq=seq, at_ms=at_ms)
                self._received += quantity
                available += quantity
            case OrderDispatched(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._dispatch(seq, picks)
                ordered -= quantity
            case OrderCancelled(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._book(seq, picks, available=1, ordered=-1)
                available, ordered = available + quantity, ordered - quantity
            case LotExpired(lot=lot, quantity=quantity):
                self._book(seq, ((lot, quantity),), available=-1, expired=1)
                available, expired = available - quantity, expired + quantity
            case _:
                raise TypeError(f"no client of the simulator asks for {event}")
        self.at_ms.append(at_ms)
        self.numbers.append(Numbers(available, ordered, expired))
        self._versions_with.setdefault(available, []).append(seq)
        if self._received != available + ordered + expired + self._dispatched:
            self.impossible.append(f"at seq {seq} units are lost, or made")

    def unbalanced(self) -> list[str]:
        """Return where the lots do not add up to what came and to the pool's numbers."""
        lots = self._lots.values()
        wrong = [
            f"lot {lot.seq} is not whole: {lot.numbers[-1]} and {lot.dispatched} dispatched"
            for lot in lots
            if sum(lot.numbers[-1]) + lot.dispatched != lot.arrival.quantity
        ]
        sums = tuple(sum(column) for column in zip(*(lot.numbers[-1] for lot in lots), strict=True))
        if (sums or _NOTHING) != self.numbers[-1]:
            wrong.append(f"the lots hold {sums}, the pool {tuple(self.numbers[-1])}")
        return wrong

    # From which version on is it true? Each returns the first from `first` on, or None.

    def with_balance(self, balance: Balance, first: int) -> int | None:
        """Look for a balance; a balance names its own version."""
        version = balance.version
        if not first <= version < len(self.numbers) or balance.held:
            return None
        seen = (balance.available, balance.ordered, balance.expired)
        return version if seen == self.numbers[version] else None

    def with_available(self, units: int, first: int) -> int | None:
        """Look for so many units for sale."""
        versions = self._versions_with.get(units, [])
        index = bisect_left(versions, first)
        return versions[index] if index < len(versions) else None

    def without_open_order(self, seq: int, first: int) -> int | None:
        """Look for an order's not being open: closed, or not placed yet."""
        order = self._orders.get(seq)
        if order is None or first < seq:
            return first
        return None if order.closed is None else max(first, order.closed)

    def with_picks(self, seq: int, picks: Picks | None, first: int) -> int | None:
        """Look for an open order's units; None: for its not being open."""
        if picks is None:
            return self.without_open_order(seq, first)
        order = self._orders.get(seq)
        if order is None or order.picks != picks:
            return None
        version = max(first, seq)
        return version if order.closed is None or version < order.closed else None

    def with_lot(self, seq: int, seen: Lot | None, first: int) -> int | None:
        """Look for a lot as it was seen; None: for its not being on hand."""
        lot = self._lots.get(seq)
        if lot is None or first < seq:
            if seen is None:
                return first
            if lot is None:
                return None
        start = max(bisect_right(lot.versions, first) - 1, 0)
        for index in range(start, len(lot.versions)):
            if lot.shows(index) == seen:
                return max(first, lot.versions[index])
        return None

    def not_after(self, now_ms: int, first: int) -> int | None:
        """Look for a version whose event is not younger than `now_ms`."""
        return first if first < len(self.at_ms) and self.at_ms[first] <= now_ms else None

    def _place(self, seq: int, picks: Picks, quantity: int) -> None:
        self._orders[seq] = _Order(picks, quantity)
        if units_of(picks) != quantity:
            self.impossible.append(f"seq {seq} places {quantity} units and picks {picks}")
        self._book(seq, picks, available=-1, ordered=1)

    def _close(self, seq: int, number: int, picks: Picks, quantity: int) -> None:
        order = self._orders.get(number)
        if order is None or order.closed is not None:
            self.impossible.append(f"seq {seq} closes order {number}, which is not open")
            return
        order.closed = seq
        if (order.picks, order.quantity) != (picks, quantity):
            self.impossible.append(f"seq {seq} closes order {number} with units it did not have")

    def _dispatch(self, seq: int, picks: Picks) -> None:
        self._book(seq, picks, ordered=-1)
        self._dispatched += units_of(picks)
        for number, units in picks:
            if number in self._lots:
                self._lots[number].dispatched += units

    def _book(
        self, seq: int, picks: Picks, *, available: int = 0, ordered: int = 0, expired: int = 0
    ) -> None:
        """Move units of lots from one column to another, by signs."""
        for number, units in picks:
            lot = self._lots.get(number)
            if lot is None:
                self.impossible.append(f"seq {seq} takes units of lot {number}, which is none")
                continue
            before = lot.numbers[-1]
            after = Numbers(
                before.available + available * units,
                before.ordered + ordered * units,
                before.expired + expired * units,
            )
            if min(after) < 0:
                self.impossible.append(f"seq {seq} sells units of lot {number} twice: {after}")
            lot.versions.append(seq)
            lot.numbers.append(after)
