"""A pool as one who only adds up would keep it: the model that answers are held against.

It has none of the rules: what is picked, what is refused and what expires is the journal's word.
It knows what every version looked like, and so at which versions an answer would have been true.
"""

from typing import Final, assert_never, get_args

from allocator.domain.adjustments import (
    OrderRepicked,
    UnitsAdjusted,
    UnitsRecalled,
)
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
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled, ShortfallChanged
from allocator.domain.transfers import (
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transit,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.values import Picks, units_of
from allocator.simulation.model_feed import FeedModel
from allocator.simulation.model_holds import HoldModel, OrderModel
from allocator.simulation.model_lots import NOTHING, Numbers, lot_of
from allocator.simulation.model_versions import Versions

_TRANSITS: Final = frozenset(get_args(Transit))
_HOLDS: Final = frozenset(get_args(HoldEvent))

_GIVES: Final = frozenset(
    {OrderPlaced, OrderDispatched, OrderPartlyDispatched, UnitsHeld, HoldConfirmed, UnitsSent}
)
"""Somebody gets units with these, for whom others may have waited."""
_ORDERED: Final = Numbers(-1, 1, 0)
_CANCELLED: Final = Numbers(1, -1, 0)
_DISPATCHED: Final = Numbers(0, -1, 0)
_EXPIRED: Final = Numbers(-1, 0, 1)
_SENT: Final = Numbers(-1, 0, 0)
_HELD: Final = Numbers(-1, 0, 0, 1)
_RELEASED: Final = Numbers(1, 0, 0, -1)
_CONFIRMED: Final = Numbers(0, 1, 0, -1)
"""By what each unit of a lot goes from one column to another."""


class PoolModel(Versions):
    """All versions of a pool, 0 being empty.

    Attributes:
        holds: What processes hold, and held.
        feed: What a feed makes of it.
        missed: By version, units that came back and stood for missing ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.holds = HoldModel()
        self.feed = FeedModel(self._shelf)
        self.missed: dict[int, int] = {}

    @property
    def version(self) -> int:
        """The newest."""
        return len(self.at_ms) - 1

    @property
    def next_expiry_ms(self) -> int | None:
        """When the first lot with units for sale expires, as things stand; None if none does."""
        dates = (lot.expires_at_ms for lot in self._lots.values() if lot.numbers[-1].available)
        return min((date for date in dates if date is not None), default=None)

    @property
    def is_due(self) -> bool:
        """Whether, as things stand, a lot could pay what it owes, or its orders get others."""
        if self.feed.is_due:
            return True
        owing = [lot.numbers[-1] for lot in self._shelf.owing.values()]
        if any(numbers.available for numbers in owing):
            return True
        return self.numbers[-1].available > 0 and any(numbers.ordered for numbers in owing)

    def add(self, event: Event, *, at_ms: int) -> None:
        """Enter the next event, whatever it says."""
        seq, shelf = len(self.at_ms), self._shelf
        available, ordered, expired, held, aside = self.numbers[-1]
        if (shelf.owing or shelf.short) and type(event) in _GIVES:
            self._object_to_recalled(seq, event)
        match event:
            case OrderPlaced(quantity=quantity, picks=picks):
                self._place(seq, picks, quantity)
                available, ordered = available - quantity, ordered + quantity
            case StockReceived(quantity=quantity, product=product):
                shelf.take_in(lot_of(event, seq=seq, at_ms=at_ms), product)
                available += quantity
            case OrderDispatched(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._shelf.let_leave(seq, picks, _DISPATCHED)
                ordered -= quantity
            case OrderCancelled(order=order, quantity=quantity, picks=picks):
                self._close(seq, order, picks, quantity)
                self._shelf.book(seq, picks, _CANCELLED)
                available, ordered = available + quantity, ordered - quantity
            case LotExpired(lot=lot, quantity=quantity):
                self._shelf.book(seq, ((lot, quantity),), _EXPIRED)
                available, expired = available - quantity, expired + quantity
            case OrderPartlyDispatched(order=order, quantity=quantity, picks=picks, left=left):
                self._part(seq, order, picks, left=left)
                self._shelf.let_leave(seq, picks, _DISPATCHED)
                ordered -= quantity
            case _:
                change = self._enter_otherwise(seq, event, at_ms=at_ms)
                available, ordered = available + change.available, ordered + change.ordered
                expired, held = expired + change.expired, held + change.held
                aside += change.aside
        if shelf.short and (missing := getattr(event, "missing", ())):
            self.missed[seq] = shelf.miss(seq, missing)
            available -= self.missed[seq]
        self.at_ms.append(at_ms)
        self.numbers.append(Numbers(available, ordered, expired, held, aside))
        self._asides.append(shelf.states)
        self.occupancy.note()
        self._versions_with.setdefault(available, []).append(seq)
        if shelf.received != available + ordered + expired + held + aside + shelf.gone:
            self.impossible.append(f"at seq {seq} units are lost, or made")
        self.feed.note(seq)

    def unbalanced(self) -> list[str]:
        """Return where the lots do not add up to what came and to the pool's numbers."""
        return self._shelf.unbalanced(self.numbers[-1])

    def _enter_otherwise(self, seq: int, event: Event, *, at_ms: int) -> Numbers:
        """Enter what happens more rarely; return by how much the numbers change."""
        if type(event) in _TRANSITS:
            more, fewer = self._serve(seq, event, at_ms=at_ms)  # type: ignore[arg-type]  # it is
            return Numbers(more, 0, 0, -fewer)
        if type(event) in _HOLDS:
            more, promised = self._hold(seq, event)  # type: ignore[arg-type]  # it is
            return Numbers(-more, promised, 0, more - promised)
        match event:
            case UnitsAdjusted() | UnitsRecalled():
                return self._shelf.adjust(seq, event, at_ms=at_ms)
            case FeedAttached() | LotReconciled() | FeedDetached() | ShortfallChanged():
                return self.feed.enter(seq, event, at_ms=at_ms)
            case OrderRepicked(order=number, returned=returned, added=added):
                self._repick(seq, number, returned=returned, added=added)
                return NOTHING
            case _:
                raise TypeError(f"no client of the simulator asks for {event}")

    def _place(self, seq: int, picks: Picks, quantity: int) -> None:
        self.orders[seq] = OrderModel(seq, picks)
        if units_of(picks) != quantity:
            self.impossible.append(f"seq {seq} places {quantity} units and picks {picks}")
        self._shelf.book(seq, picks, _ORDERED)

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
                self._shelf.let_leave(seq, picks, _SENT)
                return -quantity, 0
            case UnitsTaken(process=process, lot=lot, product=product):
                self._shelf.take_in(lot_of(event, seq=seq, at_ms=at_ms), product)
                if event.last:
                    occupancy.forget(process)
                return lot.quantity, 0
            case ProductExpected(process=process, product=product):
                occupancy.expect(seq, process, product)
            case ProcessLetGo(process=process, quantity=quantity, picks=picks):
                occupancy.forget(process)
                self._shelf.object(seq, self.holds.release(process, picks, quantity))
                self._shelf.book(seq, picks, _RELEASED)
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
                self._shelf.object(seq, self.holds.hold(event))
                self._shelf.book(seq, added, _HELD)
                self._shelf.book(seq, returned, _RELEASED)
                return units_of(added) - units_of(returned), 0
            case HoldConfirmed(process=process, order=order, picks=picks, quantity=quantity):
                self._shelf.object(
                    seq, "" if order not in self.orders else f"makes order {order} again"
                )
                self.orders[order] = OrderModel(seq, picks, process=process)
                if event.held:
                    self._shelf.object(seq, self.holds.confirm(process, picks, order=order))
                    self._shelf.book(seq, picks, _CONFIRMED)
                    return 0, quantity
                self._shelf.object(seq, "" if units_of(picks) == quantity else f"picks {picks}")
                self._shelf.book(seq, picks, _ORDERED)
                return quantity, quantity
            case HoldRefused():
                return 0, 0
            case _:
                assert_never(event)

    def _repick(self, seq: int, number: int, *, returned: Picks, added: Picks) -> None:
        order = self.orders.get(number)
        if order is None or not order.repick(seq, returned=returned, added=added):
            self._shelf.object(seq, f"gives order {number} {added} instead of {returned}")
        self._shelf.book(seq, added, _ORDERED)
        self._shelf.book(seq, returned, _CANCELLED)
        self._repicks.append(seq)

    def _object_to_recalled(self, seq: int, event: Event) -> None:
        """Object if units leave that are recalled, or somebody gets those that others wait for."""
        if self.is_due:
            self._shelf.object(seq, "comes before those who wait for units of another lot")
        if isinstance(event, OrderDispatched | OrderPartlyDispatched):
            for number, units in event.picks:
                lot = self._shelf.owing.get(number)
                if lot is not None and units > lot.good(seq):
                    self._shelf.object(seq, f"lets units of lot {number} leave that are recalled")
