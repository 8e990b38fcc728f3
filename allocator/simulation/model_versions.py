"""All versions of a pool, as one who only adds up would keep them: what was to be seen at which."""

from bisect import bisect_left, bisect_right
from typing import Final

from allocator.domain.adjustments import AVAILABLE, EXPIRED, Adjust, FlaggedUnits
from allocator.domain.pool import Balance, Lot
from allocator.domain.queries import View
from allocator.domain.values import Picks, States, units_of
from allocator.simulation.model_holds import OrderModel
from allocator.simulation.model_lots import NOTHING, Numbers
from allocator.simulation.model_shelf import Shelf

_OWN_COLUMN: Final = frozenset({AVAILABLE, EXPIRED})


class Versions:
    """What a pool was at every version, 0 being empty.

    Attributes:
        numbers: By version, as the quantities of events add up.
        at_ms: The time of each version's event.
        orders: By the number of each, those that ended included.
        impossible: What the events cannot have been, each in a sentence.
        occupancy: By version, the product of a location that holds one at a time.
    """

    def __init__(self) -> None:
        self.numbers = [NOTHING]
        self.at_ms = [0]
        self.orders: dict[int, OrderModel] = {}
        self._versions_with: dict[int, list[int]] = {0: [0]}
        self._asides: list[States] = [()]
        self._repicks = [0]
        self._shelf = Shelf()
        self._lots = self._shelf.lots
        self.impossible = self._shelf.impossible
        self.occupancy = self._shelf.occupancy

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
        numbers = self.numbers[version][:-1] if holds else NOTHING[:-1]
        states = self._asides[version] if holds else ()
        seen = (balance.available, balance.ordered, balance.expired, balance.held)
        told = (seen, balance.aside, there)
        return version if told == (numbers, states, self.occupancy.there[version]) else None

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

    def with_picks(self, seq: int, view: View, first: int) -> int | None:
        """Look for an open order's units, and what is wrong with them; None: it is not open."""
        picks, order = view.picks, self.orders.get(seq)
        if len(self._repicks) == 1 and not any(lot.ever_owed for lot in self._lots.values()):
            if view.flagged or view.blocked or view.repicked:
                return None
            if picks is None:
                return self.without_open_order(seq, first)
            return None if order is None else order.version_with(picks, first)
        for version in range(first, len(self.numbers)):
            seen = self._picks_seen(order, version)
            if (picks, view.flagged, view.blocked, view.repicked) == seen:
                return version
        return None

    def with_flagged(self, refusal: FlaggedUnits, first: int) -> int | None:
        """Look for an order of which so many units of a lot cannot leave."""
        order, lot = self.orders.get(refusal.order), self._lots.get(refusal.lot)
        if order is None or lot is None:
            return None
        for version in range(first, len(self.numbers)):
            units = dict(order.picks_at(version) or ()).get(refusal.lot, 0)
            owes = lot.at(version)
            seen = (units, lot.good(version))
            if owes is not None and seen == (refusal.requested, refusal.available):
                return version
        return None

    def without_lot(self, seq: int, first: int, *, product: str | None) -> int | None:
        """Look for a lot's not being there, or not being of a product."""
        lot = self._lots.get(seq)
        for version in range(first, len(self.numbers)):
            if lot is None or lot.at(version) is None or not self._is_of(product, version):
                return version
        return None

    def with_too_few(self, ask: Adjust, units: int, first: int) -> int | None:
        """Look for so many units that could leave a state, which are too few."""
        for version in range(first, len(self.numbers)):
            there = self._could_leave(ask, version)
            wanted = there if ask.quantity is None else ask.quantity
            if there == units and not 0 < wanted <= there:
                return version
        return None

    def with_lot(self, seq: int, seen: Lot | None, first: int) -> int | None:
        """Look for a lot as it was seen; None: for its not being on hand."""
        lot = self._lots.get(seq)
        if lot is None or first < seq:
            if seen is None:
                return first
            if lot is None:
                return None
        versions = lot.versions
        start = max(bisect_right(versions, first) - 1, 0)
        for index in range(start, len(versions)):
            is_last = versions[index] not in versions[index + 1 : index + 2]  # of its version
            if is_last and lot.looks_like(seen, index):
                return max(first, versions[index])
        return None

    def not_after(self, now_ms: int, first: int) -> int | None:
        """Look for a version whose event is not younger than `now_ms`."""
        return first if first < len(self.at_ms) and self.at_ms[first] <= now_ms else None

    def _is_of(self, product: str | None, version: int) -> bool:
        """Say whether what a version has is of a product; a pool that is not told has no other."""
        told = self.occupancy.told[version]
        return told is None or told == product

    def _picks_seen(
        self, order: OrderModel | None, version: int
    ) -> tuple[Picks | None, bool, int, int]:
        """Return what is to be seen of an order at a version."""
        repicked = self._repicks[bisect_right(self._repicks, version) - 1]
        picks = None if order is None else order.picks_at(version)
        owing = {
            number: lot.good(version)
            for number, lot in self._lots.items()
            if (at := lot.at(version)) is not None and at[1].recalled
        }
        flagged = any(number in owing for number, _ in picks or ())
        excess = (units - owing.get(number, units) for number, units in picks or ())
        return picks, flagged, sum(max(0, units) for units in excess), repicked

    def _could_leave(self, ask: Adjust, version: int) -> int:
        """Return how many units an adjustment could have taken, at most."""
        if not self._is_of(ask.product, version) or ask.source is None:
            return 0
        if ask.lot is None:
            return _units_in(self.numbers[version], self._asides[version], ask.source)
        lot = self._lots.get(ask.lot)
        at = None if lot is None else lot.at(version)
        if at is None:
            return 0
        numbers, marks = at
        there = _units_in(numbers, marks.aside, ask.source)
        if ask.source == AVAILABLE:
            promised = numbers.ordered + numbers.held - units_of(marks.recalled)
            return there + (promised if ask.target is not None else 0)
        owed = dict(marks.recalled).get(ask.source, 0)
        return there + (owed if ask.target == AVAILABLE else 0)


def _units_in(numbers: Numbers, aside: States, state: str) -> int:
    if state in _OWN_COLUMN:
        return numbers.available if state == AVAILABLE else numbers.expired
    return dict(aside).get(state, 0)
