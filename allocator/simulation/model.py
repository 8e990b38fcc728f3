"""A pool as one who only adds up would keep it: the model that answers are held against.

It has none of the rules: what is picked, what is refused and what expires is the journal's word.
It knows what every version looked like, and so at which versions an answer would have been true.
"""

from bisect import bisect_left, bisect_right
from typing import assert_never

from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.pool import Balance, Lot
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transit,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.values import Picks, units_of
from allocator.simulation.model_lots import NOTHING, LotModel, Numbers, Occupancy


class _Order:
    """An order since it was placed; `closed` is the version that ended it."""

    __slots__ = ("closed", "picks", "quantity")

    def __init__(self, picks: Picks, quantity: int) -> None:
        self.picks = picks
        self.quantity = quantity
        self.closed: int | None = None


class PoolModel:
    """All versions of a pool, 0 being empty.

    Attributes:
        numbers: By version, as the quantities of events add up.
        at_ms: The time of each version's event.
        impossible: What the events cannot have been, each in a sentence.
        occupancy: By version, the product of a location that holds one at a time.
    """

    def __init__(self) -> None:
        self.numbers = [NOTHING]
        self.at_ms = [0]
        self.impossible: list[str] = []
        self._versions_with: dict[int, list[int]] = {0: [0]}
        self._orders: dict[int, _Order] = {}
        self._lots: dict[int, LotModel] = {}
        self._received = self._gone = 0
        self.occupancy = Occupancy()

    @property
    def version(self) -> int:
        """The newest."""
        return len(self.at_ms) - 1

    @property
    def next_expiry_ms(self) -> int | None:
        """When the first lot with units for sale expires, as things stand; None if none does."""
        dates = (lot.expires_at_ms for lot in self._lots.values() if lot.numbers[-1].available)
        return min((date for date in dates if date is not None), default=None)

    def add(self, event: Event, *, at_ms: int) -> None:
        """Enter the next event, whatever it says."""
        seq = len(self.at_ms)
        available, ordered, expired = self.numbers[-1]
        match event:
            case OrderPlaced(quantity=quantity, picks=picks):
                self._place(seq, picks, quantity)
                available, ordered = available - quantity, ordered + quantity
            case StockReceived(quantity=quantity, product=product):
                self._take_in(LotModel(event, seq=seq, at_ms=at_ms), product)
                available += quantity
            case OrderDispatched(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._let_leave(seq, picks, ordered=-1)
                ordered -= quantity
            case OrderCancelled(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._book(seq, picks, available=1, ordered=-1)
                available, ordered = available + quantity, ordered - quantity
            case LotExpired(lot=lot, quantity=quantity):
                self._book(seq, ((lot, quantity),), available=-1, expired=1)
                available, expired = available - quantity, expired + quantity
            case UnitsSent() | UnitsTaken() | SendRefused() | ProductExpected() | ProcessLetGo():
                available += self._serve(seq, event, at_ms=at_ms)
            case _:
                raise TypeError(f"no client of the simulator asks for {event}")
        self.at_ms.append(at_ms)
        self.numbers.append(Numbers(available, ordered, expired))
        self.occupancy.note()
        self._versions_with.setdefault(available, []).append(seq)
        if self._received != available + ordered + expired + self._gone:
            self.impossible.append(f"at seq {seq} units are lost, or made")

    def unbalanced(self) -> list[str]:
        """Return where the lots do not add up to what came and to the pool's numbers."""
        lots = self._lots.values()
        wrong = [
            f"lot {lot.seq} is not whole: {lot.numbers[-1]} and {lot.gone} gone"
            for lot in lots
            if sum(lot.numbers[-1]) + lot.gone != lot.quantity
        ]
        sums = tuple(sum(column) for column in zip(*(lot.numbers[-1] for lot in lots), strict=True))
        if (sums or NOTHING) != self.numbers[-1]:
            wrong.append(f"the lots hold {sums}, the pool {tuple(self.numbers[-1])}")
        return wrong

    # From which version on is it true? Each returns the first from `first` on, or None.

    def with_balance(
        self, balance: Balance, first: int, *, product: str | None, there: str | None
    ) -> int | None:
        """Look for a balance of a product, and by which one the place is occupied.

        A balance names its own version.
        """
        version = balance.version
        if not first <= version < len(self.numbers) or balance.held:
            return None
        holds = product is None or self._is_of(product, version)
        numbers = self.numbers[version] if holds else NOTHING
        seen = (balance.available, balance.ordered, balance.expired)
        return version if (seen, there) == (numbers, self.occupancy.there[version]) else None

    def with_available(self, units: int, first: int, *, product: str | None) -> int | None:
        """Look for so many units of a product for sale."""
        if self.occupancy.is_single:
            fitting = (
                version
                for version in range(first, len(self.numbers))
                if units
                == (self.numbers[version].available if self._is_of(product, version) else 0)
            )
            return next(fitting, None)
        versions = self._versions_with.get(units, [])
        index = bisect_left(versions, first)
        return versions[index] if index < len(versions) else None

    def occupied_by(self, product: str, first: int) -> int | None:
        """Look for a product's being there, or expected."""
        there = self.occupancy.there
        return next((v for v in range(first, len(there)) if there[v] == product), None)

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
            if lot.looks_like(seen, index):
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

    def _is_of(self, product: str | None, version: int) -> bool:
        """Say whether what a version has is of a product; a pool that is not told has no other."""
        told = self.occupancy.told[version]
        return told is None or told == product

    def _serve(self, seq: int, event: Transit, *, at_ms: int) -> int:
        """Enter what was done for a process; return how many more units are for sale."""
        occupancy = self.occupancy
        match event:
            case UnitsSent(quantity=quantity, lots=lots):
                picks = tuple((lot.origin[1], lot.quantity) for lot in lots)
                if units_of(picks) != quantity:
                    self.impossible.append(f"seq {seq} sends {quantity} units and picks {picks}")
                self._let_leave(seq, picks, available=-1)
                return -quantity
            case UnitsTaken(process=process, lot=lot, product=product):
                self._take_in(LotModel(event, seq=seq, at_ms=at_ms), product)
                if event.last:
                    occupancy.forget(process)
                return lot.quantity
            case ProductExpected(process=process, product=product):
                occupancy.expect(seq, process, product)
            case ProcessLetGo(process=process):
                occupancy.forget(process)
            case SendRefused():
                pass
            case _:
                assert_never(event)
        return 0

    def _take_in(self, lot: LotModel, product: str | None) -> None:
        self._lots[lot.seq] = lot
        self._received += lot.quantity
        self.occupancy.come(lot.seq, product)

    def _let_leave(self, seq: int, picks: Picks, *, available: int = 0, ordered: int = 0) -> None:
        self._book(seq, picks, available=available, ordered=ordered)
        self._gone += units_of(picks)
        for number, units in picks:
            if number in self._lots:
                self._lots[number].gone += units
                if not any(self._lots[number].numbers[-1]):
                    self.occupancy.go(number)

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
