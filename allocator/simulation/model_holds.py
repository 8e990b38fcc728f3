"""Orders and holds of a pool, as one who only adds up would keep them."""

from allocator.domain.holds import UnitsHeld
from allocator.domain.values import Picks, units_of, with_more


class OrderModel:
    """An order since it was placed.

    Attributes:
        process: Whose it is; None if it is of one line.
        picks: What is left of it; of one that ended, what was last.
        closed: The version that ended it, or None.
        placed: Units.
    """

    __slots__ = ("_versions", "closed", "picks", "placed", "process")

    def __init__(self, seq: int, picks: Picks, *, process: int | None = None) -> None:
        self.process = process
        self.picks = picks
        self.placed = units_of(picks)
        self.closed: int | None = None
        self._versions = [(seq, picks)]

    @property
    def left(self) -> int:
        """Units that are still ordered."""
        return 0 if self.closed is not None else units_of(self.picks)

    def part(self, seq: int, picks: Picks, *, left: int) -> bool:
        """Let units leave; return whether that could be."""
        units = dict(self.picks)
        for number, gone in picks:
            units[number] = units.get(number, 0) - gone
        self.picks = tuple((number, rest) for number, rest in units.items() if rest)
        self._versions.append((seq, self.picks))
        return units_of(self.picks) == left > 0 and all(rest >= 0 for rest in units.values())

    def repick(self, seq: int, *, returned: Picks, added: Picks) -> bool:
        """Have other units; return whether that could be."""
        units = dict(with_more(self.picks, added))
        for number, back in returned:
            units[number] = units.get(number, 0) - back
        self.picks = tuple((number, rest) for number, rest in units.items() if rest)
        self._versions.append((seq, self.picks))
        return units_of(returned) == units_of(added) > 0 and min(units.values()) >= 0

    def picks_at(self, version: int) -> Picks | None:
        """Return what it had at a version; None if it was not open."""
        if self.closed is not None and version >= self.closed:
            return None
        return next((left for seq, left in reversed(self._versions) if seq <= version), None)

    def version_with(self, picks: Picks, first: int) -> int | None:
        """Return the first version from `first` on at which it is open with these units."""
        ends = [seq for seq, _ in self._versions[1:]] + [self.closed]
        for (seq, left), end in zip(self._versions, ends, strict=True):
            version = max(first, seq)
            if left == picks and (end is None or version < end):
                return version
        return None


class HoldModel:
    """What processes hold of a pool. Each change returns what speaks against it, or "".

    Attributes:
        picks: By process, as they last were; none when it has let go.
    """

    def __init__(self) -> None:
        self.picks: dict[int, Picks] = {}
        self._orders: dict[int, int] = {}

    def hold(self, event: UnitsHeld) -> str:
        """A process holds so many units from now on."""
        process, units = event.process, dict(self.picks.get(event.process, ()))
        for number, more in event.added:
            units[number] = units.get(number, 0) + more
        for number, fewer in event.returned:
            units[number] = units.get(number, 0) - fewer
        picks = tuple((number, left) for number, left in units.items() if left)
        self.picks[process] = picks
        if min(units.values(), default=0) < 0 or units_of(picks) != event.quantity:
            return f"holds {event.quantity} units, and has {picks}"
        if self._orders.setdefault(process, event.order) != event.order:
            return f"calls the order {event.order}, and it was {self._orders[process]}"
        return ""

    def confirm(self, process: int, picks: Picks, *, order: int) -> str:
        """What is held is ordered."""
        held = self.picks.pop(process, ())
        if held != picks or not picks:
            return f"confirms {picks}, and {held} is held"
        return "" if self._orders[process] == order else f"calls the order {order}"

    def release(self, process: int, picks: Picks, quantity: int) -> str:
        """What is held goes back."""
        held = self.picks.pop(process, ())
        return (
            "" if (held, units_of(held)) == (picks, quantity) else f"gives {picks} of {held} back"
        )
