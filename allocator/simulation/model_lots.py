"""A lot as one who only adds up would keep it, and by which product a location is occupied."""

from bisect import bisect_right
from typing import Final, NamedTuple

from allocator.domain.messages import StockReceived
from allocator.domain.pool import Lot
from allocator.domain.transfers import UnitsTaken
from allocator.domain.values import States, moved, units_of


class Numbers(NamedTuple):
    """Units for sale, promised, past their date, held, and in other states; of a pool or a lot."""

    available: int
    ordered: int
    expired: int
    held: int = 0
    aside: int = 0

    def plus(self, other: "Numbers", *, times: int = 1) -> "Numbers":
        """Return the sum, column by column, of these and so many times the others."""
        return Numbers(*(one + times * more for one, more in zip(self, other, strict=True)))


NOTHING: Final = Numbers(0, 0, 0)


class Marks(NamedTuple):
    """What else is to be seen of a lot.

    Attributes:
        quantity: Units that ever were of it.
        aside: Those that cannot be sold, by state; `recalled`, those that it owes.
    """

    quantity: int
    aside: States = ()
    recalled: States = ()


class LotModel:
    """A lot since it came; `numbers[i]` holds from `versions[i]` on, and `marks[i]` likewise.

    Attributes:
        gone: Units that were dispatched, sent elsewhere or written off.
    """

    __slots__ = ("_shown", "gone", "marks", "numbers", "versions")

    def __init__(self, shown: Lot) -> None:
        self._shown = shown
        self.gone = 0
        self.versions = [shown.seq]
        self.numbers = [Numbers(shown.quantity, 0, 0)]
        self.marks = [Marks(shown.quantity)]

    @property
    def seq(self) -> int:
        """Of the event with which it came."""
        return self.versions[0]

    @property
    def quantity(self) -> int:
        """Units that came, and that were found since."""
        return self.marks[-1].quantity

    @property
    def on_hand(self) -> int:
        """Units that are there, in the end."""
        return sum(self.numbers[-1])

    @property
    def code(self) -> str | None:
        """Of the batch."""
        return self._shown.code

    @property
    def ever_owed(self) -> bool:
        """Whether it ever owed anything."""
        return any(mark.recalled for mark in self.marks)

    @property
    def recalled(self) -> States:
        """What it owes to states, in the end."""
        return self.marks[-1].recalled

    def book(self, seq: int, numbers: Numbers) -> None:
        """Have these numbers from a version on."""
        self.versions.append(seq)
        self.numbers.append(numbers)
        self.marks.append(self.marks[-1])

    def find(self, units: int) -> None:
        """Have it be more units, as of the version that was booked last."""
        mark = self.marks[-1]
        self.marks[-1] = mark._replace(quantity=mark.quantity + units)

    def put(self, state: str, units: int) -> None:
        """Have units be in a state, or not any more, as of the version that was booked last."""
        mark = self.marks[-1]
        self.marks[-1] = mark._replace(aside=moved(mark.aside, state, units))

    def owe(self, seq: int, state: str, units: int) -> None:
        """Owe units to a state from a version on, or not any more."""
        self.book(seq, self.numbers[-1])
        mark = self.marks[-1]
        self.marks[-1] = mark._replace(recalled=moved(mark.recalled, state, units))

    def at(self, version: int) -> tuple[Numbers, Marks] | None:
        """Return how it was at a version; None if nothing was on hand."""
        index = bisect_right(self.versions, version) - 1
        if index < 0 or not any(self.numbers[index]):
            return None
        return self.numbers[index], self.marks[index]

    def good(self, version: int) -> int:
        """Return how many units, ordered or held, it did not owe at a version."""
        numbers, marks = self.at(version) or (NOTHING, Marks(0))
        there = numbers.ordered + numbers.held + numbers.available
        return max(0, there - units_of(marks.recalled))

    @property
    def expires_at_ms(self) -> int | None:
        """When its units can no longer be sold; None if they always can."""
        return self._shown.expires_at_ms

    def looks_like(self, seen: Lot | None, index: int) -> bool:
        """Say whether this was to be seen of it after its `index`th change; None: not on hand."""
        numbers = self.numbers[index]
        if seen is None or not any(numbers):
            return seen is None and not any(numbers)
        shown = self._shown
        shown.available, shown.ordered, shown.expired, shown.held, _ = numbers
        shown.quantity, shown.aside, shown.recalled = self.marks[index]
        return shown == seen


def lot_of(arrival: StockReceived | UnitsTaken, *, seq: int, at_ms: int) -> Lot:
    """Return a lot as it is shown when it comes."""
    if isinstance(arrival, StockReceived):
        return Lot(
            seq=seq,
            quantity=arrival.quantity,
            available=0,
            code=arrival.lot,
            expires_at_ms=arrival.expires_at_ms,
            received_at_ms=at_ms,
            reference=arrival.reference,
        )
    lot = arrival.lot
    return Lot(
        seq=seq,
        quantity=lot.quantity,
        available=0,
        code=lot.code,
        expires_at_ms=lot.expires_at_ms,
        received_at_ms=lot.received_at_ms,
        reference=lot.reference,
        origin=lot.origin,
    )


class Occupancy:
    """By which product a location that holds one at a time is occupied; by none, anything else.

    Attributes:
        told: By version, the product that came or was expected last; None where that is not told.
        there: By version, the product of what is on hand or expected; None if nothing is.
        mixed: Where there were two, each in a sentence.
    """

    def __init__(self) -> None:
        self.told: list[str | None] = [None]
        self.there: list[str | None] = [None]
        self.mixed: list[str] = []
        self._told: str | None = None
        self._lots: dict[int, str | None] = {}
        self._expected: dict[int, str | None] = {}

    @property
    def is_single(self) -> bool:
        """Whether anybody ever told the pool of a product."""
        return self._told is not None

    @property
    def expecting(self) -> list[int]:
        """The processes whose product is still to come."""
        return list(self._expected)

    def come(self, seq: int, product: str | None) -> None:
        """A lot is there."""
        self._tell(seq, product)
        self._lots[seq] = product

    def go(self, seq: int) -> None:
        """Nothing of a lot is on hand any more."""
        self._lots.pop(seq, None)

    def expect(self, seq: int, process: int, product: str) -> None:
        """A process says that something will come."""
        self._tell(seq, product)
        self._expected[process] = product

    def forget(self, process: int) -> None:
        """Whatever a process expected has come, or will not."""
        self._expected.pop(process, None)

    def note(self) -> None:
        """That was the next version."""
        self.told.append(self._told)
        self.there.append(self._told if self._lots or self._expected else None)

    def _tell(self, seq: int, product: str | None) -> None:
        others = {*self._lots.values(), *self._expected.values()} - {product}
        if others:
            named = " and ".join(sorted(str(other) for other in others))
            self.mixed.append(f"seq {seq} brings {product} where there is {named}")
        self._told = product
