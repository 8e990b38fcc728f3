"""What warehouse systems tell by themselves, kept until pools have followed it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import asyncpg

from allocator.feeding.told import WAITING_MAX, Applied, Event, FullError, Snapshot, Taken
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement
from allocator.persistence.wms import stated_of


class PostgresTold:
    """It in PostgreSQL. Every method raises `JournalError` when that does not answer."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take_events(self, feed: int, events: Sequence[Event]) -> Taken:
        """Keep events that are news; no batch twice.

        Raises:
            FullError: Too many are waiting.
        """
        if not events:
            return Taken()
        ordered = sorted(events, key=_place)  # in one order, so that requests do not block another
        async with borrowed(self._pool) as connection, connection.transaction():
            if await connection.fetchval(statement("wms_count_events"), feed) >= WAITING_MAX:
                raise FullError
            taken = await connection.fetch(
                statement("wms_take_events"),
                feed,
                [each.actor_id for each in ordered],
                [each.code or "" for each in ordered],
                [each.as_of for each in ordered],
                [each.applied_through for each in ordered],
                [each.orderable for each in ordered],
                [each.expires_at_ms for each in ordered],
                [each.received_at_ms for each in ordered],
                [each.wished_ms for each in ordered],
            )
            news = {(row["actor_id"], row["code"]) for row in taken}
            others = {_place(each): each.as_of for each in ordered if _place(each) not in news}
            known = await connection.fetch(
                statement("wms_events_of"),
                feed,
                [actor_id for actor_id, _ in others],
                [code for _, code in others],
            )
        duplicates = sum(others[row["actor_id"], row["code"]] == row["as_of"] for row in known)
        return Taken(taken=len(news), duplicates=duplicates, older=len(known) - duplicates)

    async def waiting(self, feed: int, *, besides: Sequence[int], limit: int) -> Sequence[Event]:
        """Return events that wait to be worked off, the oldest first."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_waiting_events"), feed, besides, limit)
        return [_event_of(row) for row in rows]

    async def worked_off(self, feed: int, events: Sequence[Event]) -> None:
        """Note that events wait no longer, unless newer ones have taken their places."""
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("wms_worked_off"),
                feed,
                [each.actor_id for each in events],
                [each.code or "" for each in events],
                [each.as_of for each in events],
            )

    async def wished_ms(self, feed: int) -> int:
        """Return when it was last told of units that may have arrived; 0 for never of late."""
        async with borrowed(self._pool) as connection:
            return await connection.fetchval(statement("wms_wish"), feed) or 0

    async def newer(
        self, feed: int, *, as_of: int, actor_ids: Sequence[int]
    ) -> Mapping[int, Sequence[Event]]:
        """Return the events of pools that are newer than a run."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_newer_events"), feed, as_of, actor_ids)
        newer: defaultdict[int, list[Event]] = defaultdict(list)
        for row in rows:
            newer[row["actor_id"]].append(_event_of(row))
        return dict(newer)

    async def applied(
        self, feed: int, *, actor_ids: Sequence[int], through: int
    ) -> Mapping[int, Applied]:
        """Return what was applied with a push; nothing once more is known to be applied."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("wms_applied"), feed, actor_ids, through)
        stated = [stated_of(row, lots=None) for row in rows]
        return {
            each.actor_id: Applied(
                turn=each.turn, units={lot.code: lot.applied for lot in each.lots}
            )
            for each in stated
        }

    async def forget(self, feed: int, *, as_of: int) -> None:
        """Forget what is no newer than a complete run."""
        async with borrowed(self._pool) as connection, connection.transaction():
            await connection.execute(statement("wms_forget_events"), feed, as_of)
            await connection.execute(statement("wms_forget_parts"), feed, as_of)

    async def take_part(
        self, feed: int, snapshot: Snapshot, *, part: int, items: bytes
    ) -> tuple[bool, Snapshot | None]:
        """Keep a part of a snapshot, and forget older ones.

        Returns:
            Whether it is news, and what there is of the newest snapshot.
        """
        async with borrowed(self._pool) as connection, connection.transaction():
            taken = await connection.fetchval(
                statement("wms_take_part"),
                feed,
                snapshot.as_of,
                part,
                snapshot.parts,
                snapshot.applied_through,
                items.decode(),
            )
            if taken is not None:
                await connection.execute(statement("wms_forget_parts"), feed, snapshot.as_of - 1)
            row = await connection.fetchrow(statement("wms_parts_there"), feed)
        return taken is not None, _snapshot_of(row)

    async def snapshot(self, feed: int) -> Snapshot | None:
        """Return what there is of the newest snapshot."""
        async with borrowed(self._pool) as connection:
            return _snapshot_of(await connection.fetchrow(statement("wms_parts_there"), feed))

    async def part(self, feed: int, *, as_of: int, part: int) -> bytes | None:
        """Return the items of a part, as they were taken; None if it was forgotten."""
        async with borrowed(self._pool) as connection:
            items = await connection.fetchval(statement("wms_part"), feed, as_of, part)
        return None if items is None else str(items).encode()

    async def forget_snapshots(self, feed: int, *, as_of: int) -> None:
        """Forget snapshots that are no newer than this."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("wms_forget_parts"), feed, as_of)


def _place(event: Event) -> tuple[int, str]:
    return event.actor_id, event.code or ""


def _event_of(row: asyncpg.Record) -> Event:
    return Event(
        actor_id=row["actor_id"],
        code=row["code"] or None,
        as_of=row["as_of"],
        applied_through=row["applied_through"],
        orderable=row["orderable"],
        expires_at_ms=row["expires_at"],
        received_at_ms=row["received_at"],
        wished_ms=row["wished_at"],
    )


def _snapshot_of(row: asyncpg.Record | None) -> Snapshot | None:
    if row is None:
        return None
    return Snapshot(
        as_of=row["as_of"],
        applied_through=row["applied_through"],
        parts=row["parts"],
        there=tuple(row["there"]),
    )
