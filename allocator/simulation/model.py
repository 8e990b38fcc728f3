"""A pool as one who only adds up would keep it: the model that answers are held against.

It has none of the rules: what is picked, what is refused and what expires is the journal's word.
It knows what every version looked like, and so at which versions an answer would have been true.
"""

from bisect import bisect_left, bisect_right
from typing import Final, assert_never, get_args

from allocator.domain.holds import HoldConfirmed, HoldEvent, HoldRefused, UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
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
from allocator.simulation.model_holds import HoldModel, OrderModel
from allocator.simulation.model_lots import NOTHING, LotModel, Numbers, Occupancy

_TRANSITS: Final = frozenset(get_args(Transit))
_HOLDS: Final = frozenset(get_args(HoldEvent))

_ORDERED: Final = Numbers(-1, 1, 0)
_CANCELLED: Final = Numbers(1, -1, 0)
_DISPATCHED: Final = Numbers(0, -1, 0)
_EXPIRED: Final = Numbers(-1, 0, 1)
_SENT: Final = Numbers(-1, 0, 0)
_HELD: Final = Numbers(-1, 0, 0, 1)
_RELEASED: Final = Numbers(1, 0, 0, -1)
_CONFIRMED: Final = Numbers(0, 1, 0, -1)
"""By what each unit of a lot goes from one column to another."""


class PoolModel:
    """All versions of a pool, 0 being empty.

    Attributes:
        numbers: By version, as the quantities of events add up.
        at_ms: The time of each version's event.
        impossible: What the events cannot have been, each in a sentence.
        occupancy: By version, the product of a location that holds one at a time.
        holds: What processes hold, and held.
        orders: By the number of each, those that ended included.
    """

    def __init__(self) -> None:
        self.numbers = [NOTHING]
        self.at_ms = [0]
        self.impossible: list[str] = []
        self._versions_with: dict[int, list[int]] = {0: [0]}
        self.orders: dict[int, OrderModel] = {}
        self.holds = HoldModel()
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
        available, ordered, expired, held = self.numbers[-1]
        match event:
            case OrderPlaced(quantity=quantity, picks=picks):
                self._place(seq, picks, quantity)
                available, ordered = available - quantity, ordered + quantity
            case StockReceived(quantity=quantity, product=product):
                self._take_in(LotModel(event, seq=seq, at_ms=at_ms), product)
                available += quantity
            case OrderDispatched(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._let_leave(seq, picks, _DISPATCHED)
                ordered -= quantity
            case OrderCancelled(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._book(seq, picks, _CANCELLED)
                available, ordered = available + quantity, ordered - quantity
            case LotExpired(lot=lot, quantity=quantity):
                self._book(seq, ((lot, quantity),), _EXPIRED)
                available, expired = available - quantity, expired + quantity
            case OrderPartlyDispatched(order=order, quantity=quantity, picks=picks, left=left):
                self._part(seq, order, picks, left=left)
                self._let_leave(seq, picks, _DISPATCHED)
                ordered -= quantity
            case _ if type(event) in _TRANSITS:
                more, fewer = self._serve(seq, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
                available, held = available + more, held - fewer
            case _ if type(event) in _HOLDS:
                more, promised = self._hold(seq, event)  # type: ignore[arg-type]  # it is
                available, ordered = available - more, ordered + promised
                held += more - promised
            case _:
                raise TypeError(f"no client of the simulator asks for {event}")
        self.at_ms.append(at_ms)
        self.numbers.append(Numbers(available, ordered, expired, held))
        self.occupancy.note()
        self._versions_with.setdefault(available, []).append(seq)
        if self._received != available + ordered + expired + held + self._gone:
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
        if not first <= version < len(self.numbers):
            return None
        holds = product is None or self._is_of(product, version)
        numbers = self.numbers[version] if holds else NOTHING
        seen = (balance.available, balance.ordered, balance.expired, balance.held)
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
        order = self.orders.get(seq)
        if order is None or first < seq:
            return first
        return None if order.closed is None else max(first, order.closed)

    def with_picks(self, seq: int, picks: Picks | None, first: int) -> int | None:
        """Look for an open order's units; None: for its not being open."""
        if picks is None:
            return self.without_open_order(seq, first)
        order = self.orders.get(seq)
        return None if order is None else order.version_with(picks, first)

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
        self.orders[seq] = OrderModel(seq, picks)
        if units_of(picks) != quantity:
            self.impossible.append(f"seq {seq} places {quantity} units and picks {picks}")
        self._book(seq, picks, _ORDERED)

    def _close(self, seq: int, number: int, picks: Picks, quantity: int) -> None:
        order = self.orders.get(number)
        if order is None or order.closed is not None:
            self.impossible.append(f"seq {seq} closes order {number}, which is not open")
            return
        order.closed = seq
        if sorted(order.picks) != sorted(picks) or units_of(picks) != quantity:
            self.impossible.append(f"seq {seq} closes order {number} with units it did not have")

    def _part(self, seq: int, number: int, picks: Picks, *, left: int) -> None:
        order = self.orders.get(number)
        if order is None or order.closed is not None:
            self.impossible.append(f"seq {seq} is of order {number}, which is not open")
        elif not order.part(seq, picks, left=left):
            self.impossible.append(f"seq {seq} takes {picks} of order {number}, and leaves {left}")

    def _is_of(self, product: str | None, version: int) -> bool:
        """Say whether what a version has is of a product; a pool that is not told has no other."""
        told = self.occupancy.told[version]
        return told is None or told == product

    def _serve(self, seq: int, event: Transit, *, at_ms: int) -> tuple[int, int]:
        """Enter what was done for a process.

        Returns:
            How many more units are for sale, and how many fewer are held.
        """
        occupancy = self.occupancy
        match event:
            case UnitsSent(quantity=quantity, lots=lots):
                picks = tuple((lot.origin[1], lot.quantity) for lot in lots)
                if units_of(picks) != quantity:
                    self.impossible.append(f"seq {seq} sends {quantity} units and picks {picks}")
                self._let_leave(seq, picks, _SENT)
                return -quantity, 0
            case UnitsTaken(process=process, lot=lot, product=product):
                self._take_in(LotModel(event, seq=seq, at_ms=at_ms), product)
                if event.last:
                    occupancy.forget(process)
                return lot.quantity, 0
            case ProductExpected(process=process, product=product):
                occupancy.expect(seq, process, product)
            case ProcessLetGo(process=process, quantity=quantity, picks=picks):
                occupancy.forget(process)
                self._object(seq, self.holds.release(process, picks, quantity))
                self._book(seq, picks, _RELEASED)
                return quantity, quantity
            case SendRefused():
                pass
            case _:
                assert_never(event)
        return 0, 0

    def _hold(self, seq: int, event: HoldEvent) -> tuple[int, int]:
        """Enter what became of a hold; return how many units left the sale, or were promised."""
        match event:
            case UnitsHeld(added=added, returned=returned):
                self._object(seq, self.holds.hold(event))
                self._book(seq, added, _HELD)
                self._book(seq, returned, _RELEASED)
                return units_of(added) - units_of(returned), 0
            case HoldConfirmed(process=process, order=order, picks=picks, quantity=quantity):
                self._object(seq, "" if order not in self.orders else f"makes order {order} again")
                self.orders[order] = OrderModel(seq, picks, process=process)
                if event.held:
                    self._object(seq, self.holds.confirm(process, picks, order=order))
                    self._book(seq, picks, _CONFIRMED)
                    return 0, quantity
                self._object(seq, "" if units_of(picks) == quantity else f"picks {picks}")
                self._book(seq, picks, _ORDERED)
                return quantity, quantity
            case HoldRefused():
                return 0, 0
            case _:
                assert_never(event)

    def _object(self, seq: int, objection: str) -> None:
        if objection:
            self.impossible.append(f"seq {seq} {objection}")

    def _take_in(self, lot: LotModel, product: str | None) -> None:
        self._lots[lot.seq] = lot
        self._received += lot.quantity
        self.occupancy.come(lot.seq, product)

    def _let_leave(self, seq: int, picks: Picks, signs: Numbers) -> None:
        self._book(seq, picks, signs)
        self._gone += units_of(picks)
        for number, units in picks:
            if number in self._lots:
                self._lots[number].gone += units
                if not any(self._lots[number].numbers[-1]):
                    self.occupancy.go(number)

    def _book(self, seq: int, picks: Picks, signs: Numbers) -> None:
        """Move units of lots from one column to another, by signs."""
        for number, units in picks:
            lot = self._lots.get(number)
            if lot is None:
                self.impossible.append(f"seq {seq} takes units of lot {number}, which is none")
                continue
            before = lot.numbers[-1]
            after = Numbers(
                before.available + signs.available * units,
                before.ordered + signs.ordered * units,
                before.expired + signs.expired * units,
                before.held + signs.held * units,
            )
            if min(after) < 0:
                self.impossible.append(f"seq {seq} sells units of lot {number} twice: {after}")
            lot.versions.append(seq)
            lot.numbers.append(after)
