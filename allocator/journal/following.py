"""The journal as it was committed, line by line, and on from there."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from allocator.domain.catalogue import product_key, warehouse_key
from allocator.domain.ids import IdSeal
from allocator.domain.positions import Position
from allocator.errors import JournalError, UsageError
from allocator.journal.happenings import Happening, Place, meaning_of, place_of
from allocator.journal.output import Output
from allocator.persistence.tail import Entry, HeldBack, Tail, Wanted, open_tail

NAME: Final = "allocator journal"
_PAUSE_S: Final = 0.2
_RETRY_S: Final = 1.0
_HELD_BACK_LOOKS: Final = 10
"""How often in a row a transaction must be found in the way before it is named."""
_PLACES_MAX: Final = 100_000


class Words(Protocol):
    """Makes a line of what happened."""

    def __call__(self, happening: Happening, /, *, ids: IdSeal) -> str:
        """Return it without an end of line."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to see.

    Attributes:
        wanted: Which rows.
        after: Where to begin; None for the time that `wanted` names, or else near the end.
        last: How many rows of the past to begin with, if neither says where.
        limit: How many to show at most; None for no limit.
        follow: Whether to wait for more.
    """

    wanted: Wanted
    after: Position | None
    last: int
    limit: int | None
    follow: bool


class Follower:
    """Shows the tail, and remembers how far it came.

    Attributes:
        reached: Everything up to it was shown; None before anything was read.
    """

    def __init__(self, url: str, wish: Wish, *, output: Output, words: Words) -> None:
        self._url = url
        self._wish = wish
        self._output = output
        self._words = words
        self._left = wish.limit
        self._places: dict[int, Place] = {}
        self._in_the_way: tuple[int, int] = (0, 0)
        self._is_away = False
        self.reached: Position | None = wish.after

    async def run(self) -> None:
        """Show what there is, and unless that is to be all, what comes, until cancelled.

        Raises:
            JournalError: The database does not answer. One that did before is waited for.
            BrokenPipeError: Nobody reads any more.
        """
        while True:
            try:
                async with open_tail(self._url, name=NAME) as tail:
                    return await self._show(tail)
            except JournalError as error:
                if not self._wish.follow or self.reached is None:
                    raise
                if not self._is_away:
                    self._output.warn(f"{error}; trying again")
                self._is_away = True
            await asyncio.sleep(_RETRY_S)

    async def _show(self, tail: Tail) -> None:
        await self._refuse_unknown_names(tail)
        self._is_away = False
        ids = IdSeal(tail.installation.id_secret)
        if self.reached is None:
            self.reached = await self._beginning(tail)
        while not await self._catch_up(tail, ids) and self._wish.follow:
            await self._look_around(tail)
            await asyncio.sleep(_PAUSE_S)

    async def _refuse_unknown_names(self, tail: Tail) -> None:
        wanted = self._wish.wanted
        for what, name, key_of in (
            ("warehouse", wanted.warehouse, warehouse_key),
            ("product", wanted.product, product_key),
        ):
            if name is not None and await tail.actor_of(key_of(name)) is None:
                raise UsageError(f"there is no {what} {name!r} in this database")

    async def _beginning(self, tail: Tail) -> Position:
        wanted = self._wish.wanted
        if wanted.since_ms is not None:
            return await tail.before_time(wanted.since_ms)
        return await tail.before_last(self._wish.last, wanted=wanted)

    async def _catch_up(self, tail: Tail, ids: IdSeal) -> bool:
        """Show all that is settled; return whether the limit is reached."""
        assert self.reached is not None
        async for chunk in tail.chunks(self.reached, wanted=self._wish.wanted):
            entries = chunk.entries[: self._left]
            lines = [
                self._words(happening, ids=ids)
                for happening in await self._happenings(tail, entries)
            ]
            self._output.show(lines)
            if self._left is not None:
                self._left -= len(entries)
                if not self._left:
                    self.reached = entries[-1].position if entries else self.reached
                    return True
            self.reached = chunk.reached
        return False

    async def _happenings(self, tail: Tail, entries: Sequence[Entry]) -> list[Happening]:
        unknown = {entry.record.actor_id for entry in entries} - self._places.keys()
        if unknown:
            if len(self._places) > _PLACES_MAX:
                self._places.clear()
                unknown = {entry.record.actor_id for entry in entries}
            for actor_id, key in (await tail.keys(unknown)).items():
                self._places[actor_id] = Place.of(key)
        return [
            Happening(
                place=place_of(self._places[entry.record.actor_id], entry.record),
                record=entry.record,
                meaning=meaning_of(entry.record),
                position=str(entry.position),
            )
            for entry in entries
        ]

    async def _look_around(self, tail: Tail) -> None:
        """See whether anybody still reads, and whether something keeps rows from us."""
        self._output.check()
        held_back = await tail.held_back()
        xid, times = self._in_the_way
        if held_back is None:
            self._in_the_way = (0, 0)
            return
        times = times + 1 if held_back.xid == xid else 1
        self._in_the_way = (held_back.xid, times)
        if times == _HELD_BACK_LOOKS:
            self._output.warn(held_back_by(held_back))


def held_back_by(held_back: HeldBack) -> str:
    """Name the transaction that rows wait for, and what to do about it."""
    if held_back.prepared is not None:
        whose = f"the prepared transaction {held_back.prepared!r}"
        ends = "COMMIT PREPARED or ROLLBACK PREPARED ends it"
    elif held_back.pid is not None:
        whose = f"process {held_back.pid}"
        ends = f"SELECT pg_terminate_backend({held_back.pid}) ends it"
    else:
        whose = f"transaction {held_back.xid}, of which PostgreSQL tells us nothing"
        ends = "ask pg_stat_activity as a superuser"
    facts = [
        held_back.application or "",
        f"role {held_back.role}" if held_back.role else "",
        f"database {held_back.database}" if held_back.database else "",
        held_back.state or "",
        f"for {held_back.lasted_ms // 1000} s" if held_back.lasted_ms is not None else "",
    ]
    rows = "1 row is" if held_back.events == 1 else f"{held_back.events} rows are"
    about = ", ".join(fact for fact in facts if fact)
    return (
        f"{rows} held back by {whose}{f' ({about})' if about else ''}, which has not ended: {ends}"
    )
