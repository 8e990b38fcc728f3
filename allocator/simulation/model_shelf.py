"""The lots of a pool, and what is booked of them, as one who only adds up would keep them."""

from collections import Counter
from typing import Final

from allocator.domain.adjustments import AVAILABLE, EXPIRED, UnitsAdjusted, UnitsRecalled
from allocator.domain.pool import Lot
from allocator.domain.values import Picks, States, moved, units_of
from allocator.simulation.model_lots import NOTHING, LotModel, Numbers, Occupancy

_OF_STATE: Final = {AVAILABLE: Numbers(1, 0, 0), EXPIRED: Numbers(0, 0, 1)}
_ASIDE: Final = Numbers(0, 0, 0, 0, 1)
_MISSED: Final = Numbers(-1, 0, 0)


class Shelf:
    """All lots that ever were.

    Attributes:
        lots: By seq.
        impossible: What events cannot have been, each in a sentence.
        occupancy: By version, the product of a location that holds one at a time.
        received: Units that ever came; `gone`, those that are not here any more.
        states: What is set aside of all lots, by state.
        is_fed: Whether a feed says what comes.
        left: By code, units that have left since it does.
        owing: The lots that owe units to a state.
        short: By code, units that are missing where a feed says so.
    """

    def __init__(self) -> None:
        self.lots: dict[int, LotModel] = {}
        self.impossible: list[str] = []
        self.occupancy = Occupancy()
        self.received = self.gone = 0
        self.is_fed = False
        self.left: Counter[str | None] = Counter()
        self.states: States = ()
        self.owing: dict[int, LotModel] = {}
        self.short: Counter[str | None] = Counter()

    def take_in(self, shown: Lot, product: str | None) -> LotModel:
        """Have a lot come, for sale."""
        lot = self.lots[shown.seq] = LotModel(shown)
        self.received += lot.quantity
        self.occupancy.come(lot.seq, product)
        return lot

    def let_leave(self, seq: int, picks: Picks, signs: Numbers, *, for_good: bool = True) -> None:
        """Have units be gone from a column; not for good if they were never there."""
        self.book(seq, picks, signs)
        for number, units in picks:
            if number in self.lots:
                self._lose(self.lots[number], units)
                if self.is_fed and for_good:
                    self.left[self.lots[number].code] += units

    def book(self, seq: int, picks: Picks, signs: Numbers) -> None:
        """Move units of lots from one column to another, by signs."""
        for number, units in picks:
            lot = self.lots.get(number)
            if lot is None:
                self.object(seq, f"takes units of lot {number}, which is none")
                continue
            before = lot.numbers[-1]
            after = Numbers(
                before.available + signs.available * units,
                before.ordered + signs.ordered * units,
                before.expired + signs.expired * units,
                before.held + signs.held * units,
                before.aside + signs.aside * units,
            )
            if min(after) < 0:
                self.object(seq, f"sells units of lot {number} twice: {after}")
            lot.book(seq, after)

    def find(self, seq: int, number: int, units: int) -> None:
        """Have more units of a lot be for sale."""
        self.book(seq, ((number, units),), _OF_STATE[AVAILABLE])
        if number in self.lots:
            self.lots[number].find(units)
            self.received += units

    def miss(self, seq: int, missing: Picks) -> int:
        """Have units that came back stand for missing ones, and be gone; return how many."""
        self.let_leave(seq, missing, _MISSED, for_good=False)
        for number, units in missing:
            code = self.lots[number].code if number in self.lots else None
            self.short[code] -= units
            if self.short[code] < 0 or units < 1:
                self.object(seq, f"has {units} units of lot {number} stand for others than missing")
        return units_of(missing)

    def move(self, seq: int, number: int, state: str | None, units: int) -> Numbers:
        """Have units of a lot enter a state, or leave it if negative; None is outside.

        Returns:
            By how much the numbers of the pool change.
        """
        lot = self.lots.get(number)
        if lot is None:
            self.object(seq, f"changes lot {number}, which is none")
            return NOTHING
        if state is None:
            self._cross(lot, seq, units)
            return NOTHING
        column = _OF_STATE.get(state, _ASIDE)
        signs = column if units > 0 else Numbers(*(-sign for sign in column))
        self.book(seq, ((number, abs(units)),), signs)
        if column is _ASIDE:
            lot.put(state, units)
            if any(there < 0 for _, there in lot.marks[-1].aside):
                self.object(seq, f"takes {units} units of lot {number} that are not {state}")
            self.states = moved(self.states, state, units)
        return NOTHING.plus(column, times=units)

    def adjust(self, seq: int, event: UnitsAdjusted | UnitsRecalled, *, at_ms: int) -> Numbers:
        """Have units change their state; return by how much the numbers of the pool change."""
        if isinstance(event, UnitsRecalled):
            number, state, units = event.lot, event.state, event.quantity
            total = self.move(seq, number, AVAILABLE, -units)
            total = total.plus(self.move(seq, number, state, units))
            self.owe(seq, number, state, -units)
            return total
        total = NOTHING
        for number, source, target, units in event.changes:
            if number == seq:
                came = Lot(seq=seq, quantity=units, available=0, received_at_ms=at_ms)
                self.take_in(came, event.product)
                total = total.plus(_OF_STATE[AVAILABLE], times=units)
            origin = AVAILABLE if number == seq else source
            total = total.plus(self.move(seq, number, origin, -units))
            total = total.plus(self.move(seq, number, target, units))
        for number, state, units in event.recalled:
            self.owe(seq, number, state, units)
        return total

    def owe(self, seq: int, number: int, state: str, units: int) -> None:
        """Have a lot owe units to a state, or not any more."""
        lot = self.lots.get(number)
        if lot is None:
            self.object(seq, f"recalls units of lot {number}, which is none")
            return
        lot.owe(seq, state, units)
        if lot.recalled:
            self.owing[number] = lot
        else:
            self.owing.pop(number, None)
        numbers, owed = lot.numbers[-1], lot.recalled
        there = numbers.ordered + numbers.held + numbers.available
        if not 0 <= units_of(owed) <= there or any(units < 0 for _, units in owed):
            self.object(seq, f"has lot {number} owe {owed}, with {there} units ordered or held")

    def unbalanced(self, total: Numbers) -> list[str]:
        """Return where the lots do not add up to what came, and to the numbers of the pool."""
        wrong = [
            f"lot {lot.seq} is not whole: {lot.numbers[-1]} and {lot.gone} gone"
            for lot in self.lots.values()
            if sum(lot.numbers[-1]) + lot.gone != lot.quantity
        ]
        columns = zip(*(lot.numbers[-1] for lot in self.lots.values()), strict=True)
        sums = tuple(sum(column) for column in columns)
        if (sums or NOTHING) != total:
            wrong.append(f"the lots hold {sums}, the pool {tuple(total)}")
        return wrong

    def object(self, seq: int, objection: str) -> None:
        """Note what an event cannot have been, if there is anything."""
        if objection:
            self.impossible.append(f"seq {seq} {objection}")

    def _cross(self, lot: LotModel, seq: int, units: int) -> None:
        """Have units be found, if they leave outside for here, or be written off."""
        lot.book(seq, lot.numbers[-1])
        if units < 0:
            self.received -= units
            lot.find(-units)
        else:
            self._lose(lot, units)

    def _lose(self, lot: LotModel, units: int) -> None:
        self.gone += units
        lot.gone += units
        if not any(lot.numbers[-1]):
            self.occupancy.go(lot.seq)
