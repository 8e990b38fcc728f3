"""Units that come back where promised ones are missing: they stand for these, and are gone.

A feed may say that fewer units of a batch are there than we count. Those beyond what was available
are `short`: nobody knows which order will find nothing. Whatever of the batch becomes free after
that is taken to be what was missing. A row that has units become available says which of them
were (`missing`), so that whoever adds rows up need not know what was short.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias, assert_never

from allocator.domain.adjustments import AVAILABLE, OrderRepicked, UnitsAdjusted
from allocator.domain.fed import Code
from allocator.domain.holds import UnitsHeld
from allocator.domain.messages import OrderCancelled
from allocator.domain.pool import Pool
from allocator.domain.transfers import ProcessLetGo, UnitsTaken
from allocator.domain.values import Picks

Freeing: TypeAlias = (
    OrderCancelled | UnitsHeld | ProcessLetGo | UnitsTaken | UnitsAdjusted | OrderRepicked
)
"""What has units become available that a feed did not speak of."""


class Missing:
    """What is missing of each batch, less what stands for it already in one decision."""

    __slots__ = ("_left", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._left: dict[Code, int] = {}

    def among(self, returned: Picks) -> Picks:
        """Return those of some units, of lots that are there, that stand for missing ones."""
        fed = self._pool.fed
        if fed is None or not fed.short:
            return ()
        return tuple(
            self._found((seq, self._pool.lots[seq].code, units) for seq, units in returned)
        )

    def among_new(self, *, seq: int, code: Code, units: int) -> Picks:
        """Return those of the units of a lot that is new that stand for missing ones."""
        fed = self._pool.fed
        if fed is None or not fed.short:
            return ()
        return tuple(self._found([(seq, code, units)]))

    def _found(self, came: Iterable[tuple[int, Code, int]]) -> Iterator[tuple[int, int]]:
        fed = self._pool.fed
        assert fed is not None, "something is short"
        for seq, code, units in came:
            left = self._left.get(code)
            if left is None:
                batch = fed.batches.get(code)
                left = 0 if batch is None else batch.short
            found = min(left, units)
            self._left[code] = left - found
            if found:
                yield seq, found


def missing_among(pool: Pool, returned: Picks) -> Picks:
    """Return those of some units that stand for missing ones, where nothing else comes back."""
    if pool.fed is None or not pool.fed.short:
        return ()
    return Missing(pool).among(returned)


def freed_by(event: Freeing, *, seq: int) -> Picks:
    """Return the units that an event has become available, missing ones included; no lot twice."""
    match event:
        case OrderCancelled(picks=picks) | ProcessLetGo(picks=picks):
            return picks
        case UnitsHeld(returned=returned) | OrderRepicked(returned=returned):
            return returned
        case UnitsTaken(lot=lot):
            return ((seq, lot.quantity),)
        case UnitsAdjusted(changes=changes):
            freed = ((lot, units) for lot, _, target, units in changes if target == AVAILABLE)
            return tuple(freed)
        case _:
            assert_never(event)
