"""What a warehouse's own system tells by itself: late, twice, in any order, or never.

Each change is told as an event of its batch, and everything, now and then, as a snapshot in parts.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Final

from allocator.feeding.letterbox import Letter
from allocator.feeding.told import Snapshot
from allocator.simulation.feeders import Door
from allocator.simulation.loop import SimulationLoop
from allocator.simulation.processes import WorkerProcess
from allocator.simulation.warehouse import Change, View, Warehouse
from allocator.wms.interface import InventoryItem
from allocator.wms.shapes import ItemBody

_LATE_S: Final = (0.0005, 0.002, 0.02, 0.3, 3.0)
"""What it takes until something arrives; what was told later comes before it then."""
_TWICE: Final = 1 / 4
_LOST: Final = 1 / 6
_PART_ITEMS: Final = 3

Tell = Callable[[Door], object]


class Teller:
    """Tells of one warehouse.

    Args:
        dice: Its own: what is told decides about nothing else.
        workers: Returns those that take requests.
    """

    def __init__(
        self,
        loop: SimulationLoop,
        *,
        dice: Random,
        warehouse: Warehouse,
        workers: Callable[[], Sequence[WorkerProcess]],
    ) -> None:
        self._wire = loop.outside
        self._dice = dice
        self._warehouse = warehouse
        self._workers = workers
        self._snapshot_s = warehouse.terms.snapshot_ms / 1000
        if warehouse.terms.tells:
            warehouse.listener = self._tell_of
        if self._snapshot_s:
            self._wire.call_later(self._snapshot_s, self._tell_all)

    def _tell_of(self, changes: Sequence[Change]) -> None:
        """Tell of some batches, as they are now."""
        letters = [_letter(change) for change in changes]
        self._send(lambda door: door.events(letters))

    def _tell_all(self) -> None:
        """Tell everything, in parts."""
        self._wire.call_later(self._snapshot_s, self._tell_all)
        view = self._warehouse.view()
        starts = range(0, len(view.items), _PART_ITEMS)
        snapshot = Snapshot(
            as_of=view.as_of, applied_through=view.applied_through, parts=len(starts)
        )
        for part, start in enumerate(starts, start=1):
            self._send_part(snapshot, part, _items(view, start))

    def _send_part(self, snapshot: Snapshot, part: int, items: Sequence[ItemBody]) -> None:
        self._send(lambda door: door.part(snapshot, part=part, items=items))

    def _send(self, tell: Tell) -> None:
        """Have somebody hear it, once, twice or never."""
        dice = self._dice
        copies = 1 + (dice.random() < _TWICE)
        if not self._warehouse.is_well and dice.random() < _LOST:
            copies = 0
        for _ in range(copies):
            late_s = _LATE_S[int(dice.random() * len(_LATE_S))]
            self._wire.call_later(late_s, self._arrive, tell)

    def _arrive(self, tell: Tell) -> None:
        doors = [worker.door for worker in self._workers() if worker.accepting and worker.door]
        if doors:
            tell(doors[int(self._dice.random() * len(doors))])


def _letter(change: Change) -> Letter:
    item = change.item
    return Letter(
        sku=item.sku,
        code=item.batch,
        as_of=change.as_of,
        applied_through=change.applied_through,
        orderable=item.orderable,
        expires_at_ms=item.expires_at_ms,
        received_at_ms=None,
        brings_units=change.brings_units,
    )


def _items(view: View, start: int) -> list[ItemBody]:
    return [_body(each) for each in view.items[start : start + _PART_ITEMS]]


def _body(item: InventoryItem) -> ItemBody:
    at_ms = item.expires_at_ms
    return ItemBody(
        sku=item.sku,
        batch=item.batch,
        orderable=item.orderable,
        expires_at=None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, tz=UTC),
    )
