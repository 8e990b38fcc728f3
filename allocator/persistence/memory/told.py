"""What warehouse systems tell by themselves, in memory. Satisfies `feeding.told.Told`."""

from collections import Counter, defaultdict
from collections.abc import Generator, Mapping, Sequence
from functools import partial

import msgspec

from allocator.feeding.dry_runs import Comparison
from allocator.feeding.told import Applied, Event, Snapshot, Taken
from allocator.persistence.memory.feed_tables import FeedRow
from allocator.persistence.memory.feeds import Calls
from allocator.persistence.memory.transaction import Transaction


class MemoryTold(Calls):
    """What was told, in a `MemoryDatabase`. Every method raises `JournalError`."""

    async def take_events(self, feed: int, events: Sequence[Event]) -> Taken:
        """Keep events that are news; no batch twice."""

        def take(transaction: Transaction) -> Generator[None, None, Taken]:
            row = self._tables.rows[feed]
            yield from transaction.hold(row.lock)
            counts: Counter[str] = Counter()
            news = []
            for each in events if row.is_on else ():
                known = row.events.get((each.actor_id, each.code))
                if known is None or known.event.as_of < each.as_of:
                    news.append(each)
                else:
                    counts["same" if known.event.as_of == each.as_of else "older"] += 1
            transaction.effects.append(partial(row.take, news))
            return Taken(taken=len(news), duplicates=counts["same"], older=counts["older"])

        return await self._change(take)

    async def waiting(self, feed: int, *, besides: Sequence[int], limit: int) -> Sequence[Event]:
        """Return events that wait, the oldest first, but none of the pools `besides`."""

        def waiting() -> list[Event]:
            rows = self._tables.rows[feed].events.values()
            found = [row.event for row in rows if row.is_waiting]
            found = [each for each in found if each.actor_id not in besides]
            return sorted(found, key=lambda each: each.as_of)[:limit]

        return await self._read(waiting)

    async def worked_off(self, feed: int, events: Sequence[Event]) -> None:
        """Note that events wait no longer, unless newer ones have taken their places."""

        def note(row: FeedRow) -> None:
            for each in events:
                known = row.events.get((each.actor_id, each.code))
                if known is not None and known.event.as_of == each.as_of:
                    done = msgspec.structs.replace(known, is_waiting=False)
                    row.events[each.actor_id, each.code] = done

        await self._change(partial(self._alone, feed, note))

    async def wished_ms(self, feed: int) -> int:
        """Return when it was last told of units that may have arrived; 0 for never of late."""

        def wished() -> int:
            rows = self._tables.rows[feed].events.values()
            return max((row.event.wished_ms or 0 for row in rows), default=0)

        return await self._read(wished)

    async def newer(
        self, feed: int, *, as_of: int, actor_ids: Sequence[int]
    ) -> Mapping[int, Sequence[Event]]:
        """Return the events of pools that are newer than a run."""

        def newer() -> dict[int, list[Event]]:
            found: defaultdict[int, list[Event]] = defaultdict(list)
            for (actor_id, _), row in self._tables.rows[feed].events.items():
                if row.event.as_of > as_of and actor_id in actor_ids:
                    found[actor_id].append(row.event)
            return dict(found)

        return await self._read(newer)

    async def applied(
        self, feed: int, *, actor_ids: Sequence[int], through: int
    ) -> Mapping[int, Applied]:
        """Return what was applied with a push; nothing once more is known to be applied."""

        def applied() -> dict[int, Applied]:
            row = self._tables.rows[feed]
            if row.applied > through:
                return {}
            return {each: row.applied_with(each, through) for each in actor_ids}

        return await self._read(applied)

    async def forget(self, feed: int, *, as_of: int) -> None:
        """Forget what is no newer than a complete run."""
        await self._change(partial(self._alone, feed, lambda row: row.forget(as_of)))

    async def take_part(
        self, feed: int, snapshot: Snapshot, *, part: int, items: bytes
    ) -> tuple[bool, Snapshot | None]:
        """Keep a part of a snapshot, and forget older ones.

        Returns:
            Whether it is news, and what there is of the newest snapshot.
        """

        def take(transaction: Transaction) -> Generator[None, None, tuple[bool, Snapshot | None]]:
            row = self._tables.rows[feed]
            yield from transaction.hold(row.lock)
            newest = _newest(row)
            is_other = newest is not None and (
                newest.as_of > snapshot.as_of
                or (newest.as_of == snapshot.as_of and not _are_one(newest, snapshot))
            )
            if is_other or not row.is_on or (snapshot.as_of, part) in row.parts:
                return False, newest
            there = () if newest is None or newest.as_of < snapshot.as_of else newest.there
            whole = msgspec.structs.replace(snapshot, there=tuple(sorted({*there, part})))

            def keep() -> None:
                row.parts = {key: kept for key, kept in row.parts.items() if key[0] >= whole.as_of}
                row.parts[whole.as_of, part] = (snapshot, items)

            transaction.effects.append(keep)
            return True, whole

        return await self._change(take)

    async def snapshot(self, feed: int) -> Snapshot | None:
        """Return what there is of the newest snapshot."""
        return await self._read(lambda: _newest(self._tables.rows[feed]))

    async def part(self, feed: int, *, as_of: int, part: int) -> bytes | None:
        """Return the items of a part, as they were taken; None if it was forgotten."""

        def find() -> bytes | None:
            kept = self._tables.rows[feed].parts.get((as_of, part))
            return None if kept is None else kept[1]

        return await self._read(find)

    async def forget_snapshots(self, feed: int, *, as_of: int) -> None:
        """Forget snapshots that are no newer than this."""

        def forget(row: FeedRow) -> None:
            row.parts = {key: part for key, part in row.parts.items() if key[0] > as_of}

        await self._change(partial(self._alone, feed, forget))


def _newest(row: FeedRow) -> Snapshot | None:
    """Return what is there of the newest snapshot."""
    if not row.parts:
        return None
    as_of = max(key[0] for key in row.parts)
    there = tuple(sorted(part for of, part in row.parts if of == as_of))
    told = row.parts[as_of, there[0]][0]
    return msgspec.structs.replace(told, there=there)


def _are_one(one: Snapshot, other: Snapshot) -> bool:
    return (one.parts, one.applied_through) == (other.parts, other.applied_through)


class MemoryDryRuns(Calls):
    """Nobody wants to know what a run would change. Satisfies `feeding.dry_runs.DryRuns`."""

    async def ask(self, _feed: int, *, at_ms: int) -> int:
        """Return when it was asked for."""
        return at_ms

    async def answer(self, _feed: int, *, asked_ms: int) -> Comparison | None:  # noqa: ARG002
        """Return nothing."""
        return None

    async def wanted(self, _feed: int) -> int | None:
        """Return nothing."""
        return None

    async def tell(self, _feed: int, _comparison: Comparison, *, asked_ms: int) -> None:
        """Tell nobody."""

    async def known(self, skus: Sequence[str]) -> frozenset[str]:
        """Return those of which there are products."""
        pools = self._tables.catalogue.values()
        return frozenset(sku for sku in skus if any(sku in each for each in pools))

    async def pools(self, warehouse: str, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return pools of a warehouse and their products, in order."""
        found = [(pool, sku) for sku, pool in self._tables.products(warehouse) if pool > after]
        return found[:limit]
