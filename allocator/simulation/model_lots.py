"""A lot as one who only adds up would keep it, and by which product a location is occupied."""

from typing import Final, NamedTuple

from allocator.domain.messages import StockReceived
from allocator.domain.pool import Lot
from allocator.domain.transfers import UnitsTaken


class Numbers(NamedTuple):
    """Units for sale, promised, past their date, and set aside; of a pool or of one lot."""

    available: int
    ordered: int
    expired: int
    held: int = 0


NOTHING: Final = Numbers(0, 0, 0)


class LotModel:
    """A lot since it came; `numbers[i]` holds from `versions[i]` on.

    Attributes:
        gone: Units that were dispatched, or sent elsewhere.
    """

    __slots__ = ("_shown", "gone", "numbers", "versions")

    def __init__(self, arrival: StockReceived | UnitsTaken, *, seq: int, at_ms: int) -> None:
        self._shown = _shown_of(arrival, seq=seq, at_ms=at_ms)
        self.gone = 0
        self.versions = [seq]
        self.numbers = [Numbers(self.quantity, 0, 0)]

    @property
    def seq(self) -> int:
        """Of the event with which it came."""
        return self.versions[0]

    @property
    def quantity(self) -> int:
        """Units that came."""
        return self._shown.quantity

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
        shown.available, shown.ordered, shown.expired, shown.held = numbers
        return shown == seen


def _shown_of(arrival: StockReceived | UnitsTaken, *, seq: int, at_ms: int) -> Lot:
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
