"""Where warehouse systems tell something by themselves: it is taken once it is durable.

Whoever owns the feed works it off, perhaps in another worker; here nothing is decided.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from allocator.domain.fed import Code
from allocator.domain.feeds import Feed
from allocator.feeding.kit import Pools
from allocator.feeding.ports import Standing
from allocator.feeding.told import Event, Snapshot, Taken, Told
from allocator.wms.shapes import ItemBody

log = structlog.get_logger()

_NAMED_MAX: Final = 10
"""Of the products that nobody has named here, the log names so many a request."""

_encode: Final = msgspec.json.Encoder().encode


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it comes: of a sku.

    Attributes:
        brings_units: Whether units may have arrived, so that a poll would tell more.
    """

    sku: str
    code: Code
    as_of: int
    applied_through: int
    orderable: int
    expires_at_ms: int | None
    received_at_ms: int | None
    brings_units: bool


class Letterbox:
    """Takes events and snapshots.

    Args:
        told: Keeps them.
        pools: Finds the pools of products, and makes them.
        knock: Told of which feed something was taken.
        clock: Milliseconds of Unix time.
    """

    def __init__(
        self,
        told: Told,
        pools: Pools,
        *,
        knock: Callable[[int], None],
        clock: Callable[[], int],
    ) -> None:
        self._told = told
        self._pools = pools
        self._knock = knock
        self._clock = clock

    async def take_events(self, standing: Standing, feed: Feed, letters: Sequence[Letter]) -> Taken:
        """Take what is told of batches.

        Raises:
            FullError: Too much is waiting.
            JournalError: The database does not answer.
        """
        actor_ids = await self._open(standing.warehouse, [each.sku for each in letters])
        newest: dict[tuple[int, Code], Event] = {}
        counts: Counter[str] = Counter()
        now_ms = self._clock()
        for each in letters:
            if each.sku not in actor_ids:
                continue
            event = _event(each, actor_ids[each.sku], now_ms=now_ms)
            place = (event.actor_id, event.code)
            if feed.completed is not None and event.as_of <= feed.completed.as_of:
                counts["older"] += 1
                continue
            other = newest.get(place)
            if other is None or event.as_of > other.as_of:
                newest[place] = event
            if other is not None:
                counts["duplicates" if other.as_of == event.as_of else "older"] += 1
                if (
                    wished_ms := event.wished_ms or other.wished_ms
                ) is not None:  # of the older one
                    newest[place] = replace(newest[place], wished_ms=wished_ms)
        taken = await self._told.take_events(standing.actor_id, list(newest.values()))
        if taken.taken:
            self._knock(standing.actor_id)
        return Taken(
            taken=taken.taken,
            duplicates=taken.duplicates + counts["duplicates"],
            older=taken.older + counts["older"],
            unknown=tuple(sorted({each.sku for each in letters} - actor_ids.keys())),
        )

    async def take_part(
        self, standing: Standing, snapshot: Snapshot, *, part: int, items: Sequence[ItemBody]
    ) -> tuple[Taken, Snapshot | None]:
        """Take a part of a snapshot; return what became of it, and what there is of the newest.

        Raises:
            JournalError: The database does not answer.
        """
        actor_ids = await self._open(standing.warehouse, [each.sku for each in items])
        is_new, newest = await self._told.take_part(
            standing.actor_id, snapshot, part=part, items=_encode(items)
        )
        if is_new:
            self._knock(standing.actor_id)
        unknown = tuple(sorted({each.sku for each in items} - actor_ids.keys()))
        known = sum(each.sku in actor_ids for each in items)
        if is_new:
            return Taken(taken=known, unknown=unknown), newest
        if newest is not None and newest.as_of == snapshot.as_of:
            return Taken(duplicates=known, unknown=unknown), newest
        return Taken(older=known, unknown=unknown), newest

    async def _open(self, warehouse: str, skus: Sequence[str]) -> Mapping[str, int]:
        """Return the pools of products; nothing of those that nobody has named."""
        wanted = sorted(set(skus))
        found = await self._pools.open_all(warehouse, wanted)
        strangers = [sku for sku in wanted if sku not in found]
        for sku in strangers[:_NAMED_MAX]:
            log.warning("wms.unknown_product", warehouse=warehouse, product=sku)
        return found


def _event(letter: Letter, actor_id: int, *, now_ms: int) -> Event:
    return Event(
        actor_id=actor_id,
        code=letter.code,
        as_of=letter.as_of,
        applied_through=letter.applied_through,
        orderable=letter.orderable,
        expires_at_ms=letter.expires_at_ms,
        received_at_ms=letter.received_at_ms,
        wished_ms=now_ms if letter.brings_units else None,
    )
