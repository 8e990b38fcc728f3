"""What a simulated warehouse system knows: what is physically there, and what it was told.

Nothing here waits, reads a clock or rolls dice. Time is a count of changes, `as_of`: what has a
larger number came later.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final, TypeAlias

import msgspec

from allocator.wms.shapes import LineBody, PushBody

WAITING_MAX: Final = 1_000_000
"""With so many pushes that no batch has applied, it hears of no more."""
PUSHES_KEPT_MAX: Final = 1_000_000
"""Of so many it knows what they said; older ones it knows by their number alone."""
MISTAKES_KEPT_MAX: Final = 100

Key: TypeAlias = tuple[str, str | None]
"""(sku, batch)."""


class Batch(msgspec.Struct, kw_only=True):
    """Units of one product that arrived together.

    Attributes:
        received: All that ever came.
        damaged: How many of them it has found to be of no use to anybody.
        aside: How many are set aside because it was told so.
        allocated: How many are set aside for pushes that were applied, and are still there.
        shipped: How many have left.
        expires_at: When they do.
        received_at: When the first of them came.
    """

    sku: str
    batch: str | None
    received: int = 0
    damaged: int = 0
    aside: int = 0
    allocated: int = 0
    shipped: int = 0
    expires_at: datetime | None = None
    received_at: datetime | None = None

    @property
    def orderable(self) -> int:
        """Below zero: so many were promised and are missing."""
        return self.received - self.damaged - self.aside - self.allocated - self.shipped


class Truth:
    """The warehouse system's own truth. Pushes wait until a batch run applies them, in order.

    Attributes:
        as_of: How often anything has changed.
        received_through: The highest number that it was told of.
        applied_through: The highest number that is in its figures.
        repeats: How many pushes came again.
        gaps: How many numbers were left out, of which it may never hear.
        swaps: How often units of another batch were taken than the push named.
        mistakes: What it was told that cannot be, in words; the first hundred.
    """

    def __init__(self) -> None:
        self.as_of = 0
        self.received_through = 0
        self.applied_through = 0
        self.repeats = 0
        self.gaps = 0
        self.swaps = 0
        self.mistakes: list[str] = []
        self._batches: dict[Key, Batch] = {}
        self._of_sku: dict[str, list[Batch]] = {}
        self._waiting: list[PushBody] = []
        self._told: dict[int, int] = {}
        self._taken: dict[Key, dict[Key, int]] = {}

    @property
    def waiting(self) -> int:
        """How many pushes no batch run has applied."""
        return len(self._waiting)

    def batches(self) -> Iterator[Batch]:
        """All there ever were, in the order in which they came."""
        yield from self._batches.values()

    def batch(self, key: Key) -> Batch:
        """Return a batch, a new one if there is none."""
        found = self._batches.get(key)
        if found is None:
            found = self._batches[key] = Batch(sku=key[0], batch=key[1])
            self._of_sku.setdefault(key[0], []).append(found)
        return found

    def receive(self, key: Key, units: int) -> Batch:
        """Have units of a batch arrive."""
        self.as_of += 1
        batch = self.batch(key)
        batch.received += units
        return batch

    def damage(self, key: Key, units: int) -> Batch:
        """Have units of a batch become useless, those that can be ordered or others."""
        self.as_of += 1
        batch = self.batch(key)
        batch.damaged += units
        return batch

    def tell(self, pushes: Iterable[PushBody]) -> int:
        """Take pushes; those whose numbers it knows do nothing.

        Returns:
            The number up to which it has everything.
        """
        for push in pushes:
            if push.number <= self.received_through:
                self._compare(push)
                continue
            if len(self._waiting) >= WAITING_MAX:
                break
            if push.number > self.received_through + 1:
                self.gaps += push.number - self.received_through - 1
            self._waiting.append(push)
            self._told[push.number] = _digest(push)
            self._told.pop(push.number - PUSHES_KEPT_MAX, None)
            self.received_through = push.number
        return self.received_through

    def apply(self, *, swaps: Callable[[], bool]) -> list[Batch]:
        """Run the batch: apply what waits, in order of its numbers.

        Args:
            swaps: Whether the picker takes another batch than the one that is named.

        Returns:
            The batches that changed.
        """
        self.as_of += 1
        changed: dict[Key, Batch] = {}
        for push in self._waiting:
            for line in push.lines:
                for key in self._apply(push, line, swaps=swaps):
                    changed[key] = self._batches[key]
            self.applied_through = push.number
        self._waiting.clear()
        return list(changed.values())

    def _compare(self, push: PushBody) -> None:
        self.repeats += 1
        if self._told.get(push.number, _digest(push)) != _digest(push):
            self._mistake(f"push {push.number} was told again with other contents")

    def _apply(self, push: PushBody, line: LineBody, *, swaps: Callable[[], bool]) -> Iterator[Key]:
        named = (push.sku, line.batch)
        if line.decrease > 0:
            yield self._take(named, line.decrease, swaps=swaps)
        elif line.decrease < 0:
            yield from self._release(named, -line.decrease, number=push.number, ship=False)
        if line.aside:
            self.batch(named).aside += line.aside
            yield named
        if line.shipped:
            yield from self._release(named, line.shipped, number=push.number, ship=True)

    def _take(self, named: Key, units: int, *, swaps: Callable[[], bool]) -> Key:
        actual = self.batch(named)
        if swaps():
            for other in self._of_sku[named[0]]:
                if other is not actual and other.orderable >= units:
                    actual = other
                    self.swaps += 1
                    break
        actual.allocated += units
        key = (actual.sku, actual.batch)
        taken = self._taken.setdefault(named, {})
        taken[key] = taken.get(key, 0) + units
        return key

    def _release(self, named: Key, units: int, *, number: int, ship: bool) -> Iterator[Key]:
        """Put units back, or send them away: those of the batch that was named first."""
        taken = self._taken.get(named, {})
        for key in sorted(taken, key=lambda key: key != named):
            part = min(units, taken[key])
            batch = self._batches[key]
            batch.allocated -= part
            batch.shipped += part if ship else 0
            taken[key] -= part
            units -= part
            if part:
                yield key
        if units:
            verb = "ships" if ship else "gives back"
            self._mistake(
                f"push {number} {verb} {units} units of {named[0]} {named[1]} that nobody had"
            )

    def _mistake(self, what: str) -> None:
        if len(self.mistakes) < MISTAKES_KEPT_MAX:
            self.mistakes.append(what)


def _digest(push: PushBody) -> int:
    return hash(msgspec.json.encode(push))  # of a push itself, -1 and -2 would be the same
