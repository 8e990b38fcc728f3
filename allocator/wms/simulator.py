"""A warehouse system to try things on: slow, limited, stale, and it keeps its own truth.

It hears of orders at once and applies them when its batch runs, as real ones do; until then its
figures are those from before.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

from allocator.wms.shapes import ItemBody, PageBody, PushBody
from allocator.wms.simulator_entrance import Entrance
from allocator.wms.simulator_nature import Dice, Nature
from allocator.wms.simulator_shapes import EventBody
from allocator.wms.simulator_truth import Batch, Key, Truth
from allocator.wms.simulator_webhooks import Webhooks

SNAPSHOTS_MAX: Final = 3
"""So many runs can be under way: who asks for the next page of an older one begins again."""

Kind: TypeAlias = Literal["receipt", "adjustment", "orderable"]


class Simulator:
    """A warehouse system.

    Args:
        nature: How it behaves.
        clock: Seconds of a clock that does not go back.

    Attributes:
        truth: What is really so.
        entrance: Who came.
        webhooks: Who was told.
        answers_lost: How many pushes were taken without an answer.
    """

    def __init__(self, nature: Nature, *, clock: Callable[[], float]) -> None:
        self._nature = nature
        self._dice = Dice(nature.seed)
        self.truth = Truth()
        self.entrance = Entrance(nature, self._dice, clock=clock)
        self.webhooks = Webhooks(nature, self._dice)
        self.answers_lost = 0
        self._snapshots: dict[int, PageBody] = {}
        self._snap()

    async def run(self) -> None:
        """Run batches, and tell of what happens, for ever; cancel to stop."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_batches(), name="wms-sim batches")
            tasks.create_task(self.webhooks.run(), name="wms-sim webhooks")

    def receive(self, batch: Batch, units: int) -> None:
        """Have units arrive."""
        self.truth.receive((batch.sku, batch.batch), units)
        self._tell("receipt", batch, delta=units)

    def damage(self, key: Key, units: int) -> bool:
        """Have units become useless; return whether there were so many."""
        batch = self.truth.batch(key)
        if units > batch.received - batch.damaged - batch.shipped:
            return False
        self.truth.damage(key, units)
        self._tell("adjustment", batch, delta=-units)
        return True

    def run_batch(self) -> None:
        """Apply everything that it was told."""
        changed = self.truth.apply(swaps=lambda: self._dice.picks.random() < self._nature.swap_rate)
        for batch in changed:
            self._tell("orderable", batch)
        self._snap()

    def page(self, as_of: int, *, begin: int, limit: int) -> PageBody:
        """Return a page of a snapshot; one of the newest if that is gone, or at the beginning."""
        snapshot = self._snapshots.get(as_of) if begin else None
        if snapshot is None:
            snapshot, begin = self._newest(), 0
        end = begin + limit
        return PageBody(
            as_of=snapshot.as_of,
            applied_through=snapshot.applied_through,
            items=snapshot.items[begin:end],
            next_cursor=f"{snapshot.as_of}.{end}" if end < len(snapshot.items) else None,
        )

    def push(self, pushes: Iterable[PushBody]) -> int | None:
        """Hear of pushes; return what to answer, None if the answer gets lost."""
        through = self.truth.tell(pushes)
        if self._dice.answers.random() < self._nature.lost_rate:
            self.answers_lost += 1
            return None
        return through

    def drawn_latency_s(self) -> float:
        """Return how long the next answer takes."""
        mean_s = self._nature.latency_s
        return self._dice.answers.expovariate(1 / mean_s) if mean_s else 0.0

    async def _run_batches(self) -> None:
        while True:
            await asyncio.sleep(self._nature.batch_s)
            self.run_batch()

    def _tell(self, kind: Kind, batch: Batch, *, delta: int | None = None) -> None:
        """Have webhooks tell of what has just happened to a batch."""
        truth = self.truth
        event = EventBody(
            id=f"{kind}-{truth.as_of}-{batch.sku}-{batch.batch}",
            type=kind,
            sku=batch.sku,
            batch=batch.batch,
            orderable=batch.orderable,
            as_of=truth.as_of,
            applied_through=truth.applied_through,
            delta=delta,
            expires_at=batch.expires_at,
            received_at=batch.received_at,
        )
        self.webhooks.tell(event)

    def _newest(self) -> PageBody:
        if not self._nature.stale:
            self._snap()
        return self._snapshots[max(self._snapshots)]

    def _snap(self) -> None:
        """Have a snapshot of what is so now, later than anything before it."""
        truth = self.truth
        last = self._snapshots.get(truth.as_of)  # nothing has happened since, if there is one
        items = _items(truth.batches()) if last is None else last.items
        truth.as_of += 1
        self._snapshots[truth.as_of] = PageBody(
            as_of=truth.as_of,
            applied_through=truth.applied_through,
            items=items,
            next_cursor=None,
        )
        if len(self._snapshots) > SNAPSHOTS_MAX:
            del self._snapshots[min(self._snapshots)]


def _items(batches: Iterable[Batch]) -> tuple[ItemBody, ...]:
    return tuple(
        ItemBody(
            sku=batch.sku,
            batch=batch.batch,
            orderable=batch.orderable,
            expires_at=batch.expires_at,
            received_at=batch.received_at,
        )
        for batch in batches
        if batch.orderable
    )
