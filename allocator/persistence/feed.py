"""The feed: what happens, told to everybody in this process who listens.

One reader follows the tail and keeps the newest of it; whoever listens has a position and takes
what is kept after it. Who is so far behind that this is no longer kept, because he comes back after
a while or is slow, reads the tail by himself until he meets it. So nobody misses anything or is
told it twice, and nobody who is slow costs memory. While nobody listens nothing is read.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from allocator.domain.interests import Interest, Site
from allocator.domain.occurrences import Occurrence, UnknownPositionError, site_of
from allocator.domain.positions import Position
from allocator.errors import JournalError, UsageError
from allocator.persistence.late_readers import LateReaders
from allocator.persistence.tail import Entry, Seen, Tail, Wanted, open_tail

log = structlog.get_logger()

ROWS: Final = 500
"""Rows that are read, or told, in one go: they are worked on in the loop that serves."""
_KEPT_ROWS: Final = 10_000
_KEPT_BYTES: Final = 8 << 20
_PAUSE_MIN_S: Final = 0.02
_PAUSE_MAX_S: Final = 0.06
_PAUSE_GROWTH: Final = 1.3
_RETRY_S: Final = 0.5
_SITES_MAX: Final = 100_000


class Feed:
    """What is settled in one database's journal, as it comes to be.

    Args:
        url: Of the database.
        name: Of the reader, for people who look at the sessions of the database.
        kept_rows: How many rows are kept at most, for those who are a little behind.
        kept_bytes: How many bytes of bodies that may be.

    Attributes:
        closed: Whether it has ended; what is told after that is told by another.
        news: Happens when more is kept than now, or at the end; then there is another.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "allocator events",
        kept_rows: int = _KEPT_ROWS,
        kept_bytes: int = _KEPT_BYTES,
    ) -> None:
        self.closed = False
        self._url = url
        self._name = name
        self._kept_rows = kept_rows
        self._kept_bytes = kept_bytes
        self._kept: list[Occurrence] = []
        self._bytes = 0
        self._begin: Position | None = None  # everything after it, up to _end, is kept
        self._end: Position | None = None
        self._listeners = 0
        self._wanted = asyncio.Event()
        self.news = asyncio.Event()
        self._sites: dict[int, Site | None] = {}
        self._late = LateReaders(url, name=f"{name} (late)")

    @asynccontextmanager
    async def listen(
        self, interest: Interest, *, after: Position | None = None
    ) -> AsyncIterator["Listener"]:
        """Have everything told that is settled after a position; None: from now on.

        Raises:
            JournalError: The database does not answer.
            UnknownPositionError: Nobody was ever told of this position by this journal.
        """
        seen: Seen | None = None
        async with self._late.borrowed() as tail:
            end = await tail.before_last(0)
            if after is None:  # what is committed by now may be settled only later
                seen = await tail.seen()
        if after is not None and after > end:
            raise UnknownPositionError(f"{after} is not a position that this journal has reached")
        self._listeners += 1
        self._wanted.set()
        try:
            yield Listener(self, interest, after=after or end, seen=seen)
        finally:
            self._listeners -= 1

    async def is_whole_after(self, position: Position) -> bool:
        """Say whether nothing behind a position has been pruned, as far as is known.

        Raises:
            JournalError: The database does not answer.
        """
        async with self._late.borrowed() as tail:
            return await tail.is_whole_after(position)

    async def run(self) -> None:
        """Read for those who listen, for ever; cancel to stop."""
        try:
            while True:
                await self._wanted.wait()
                try:
                    async with open_tail(self._url, name=self._name) as tail:
                        await self._follow(tail)
                except (JournalError, UsageError) as error:
                    log.warning("events.interrupted", error=str(error))
                    await asyncio.sleep(_RETRY_S)
        finally:
            self.close()

    def close(self) -> None:
        """End; everybody who listens stops at once, at the position that he has come to."""
        self.closed = True
        self._late.close()
        self._tell()

    def kept_after(self, position: Position) -> tuple[Sequence[Occurrence], Position] | None:
        """Return the next that is kept after a position, and how far that reaches.

        None if something after it may have been let go; nothing if it is all there is.
        """
        if self._begin is None or self._end is None or position < self._begin:
            return None
        first = bisect_right(self._kept, position, key=_position_of)
        found = self._kept[first : first + ROWS]
        if first + len(found) < len(self._kept):
            return found, found[-1].position
        return found, max(position, self._end)

    async def read_after(
        self, position: Position, interest: Interest
    ) -> tuple[Sequence[Occurrence], Position]:
        """Read the next of the tail, for somebody who is behind; and how far that reaches.

        Raises:
            JournalError: The database does not answer.
        """
        reached = max(position, self._begin or position)
        wanted = Wanted(
            warehouse=interest.warehouse, product=interest.product, kinds=interest.kinds
        )
        async with self._late.borrowed() as tail:
            chunk = await tail.chunk(position, wanted=wanted, rows=ROWS)
            if chunk is not None:
                return await self._occurrences(tail, chunk.entries), chunk.reached
        return (), reached  # nothing is left up to where the kept begins, so the two have met

    async def _follow(self, tail: Tail) -> None:
        if self._end is None:
            self._begin = self._end = await tail.before_last(0)
            self._tell()
        pause_s = _PAUSE_MIN_S
        while self._listeners:
            pause_s = min(pause_s * _PAUSE_GROWTH, _PAUSE_MAX_S)
            chunk = await tail.chunk(self._end, rows=ROWS)
            if chunk is not None:
                self._keep(await self._occurrences(tail, chunk.entries))
                self._end = chunk.reached
                self._tell()
                pause_s = _PAUSE_MIN_S
            if chunk is None or len(chunk.entries) < ROWS:
                await asyncio.sleep(pause_s)
        self._forget()

    def _forget(self) -> None:
        """Keep nothing while nobody listens."""
        self._wanted.clear()
        self._kept, self._bytes, self._begin, self._end = [], 0, None, None
        self._late.close()

    def _keep(self, occurrences: Sequence[Occurrence]) -> None:
        self._kept += occurrences
        self._bytes += sum(len(occurrence.record.body) for occurrence in occurrences)
        while len(self._kept) > self._kept_rows or self._bytes > self._kept_bytes:
            self._let_go(len(self._kept) // 2 or 1)

    def _let_go(self, count: int) -> None:
        """Keep the first so many no longer; who has not been told them reads them himself."""
        self._begin = self._kept[count - 1].position
        del self._kept[:count]
        self._bytes = sum(len(occurrence.record.body) for occurrence in self._kept)

    def _tell(self) -> None:
        self.news.set()
        if not self.closed:
            self.news = asyncio.Event()

    async def _occurrences(self, tail: Tail, entries: Sequence[Entry]) -> list[Occurrence]:
        await self._learn_sites(tail, {entry.record.actor_id for entry in entries})
        found = []
        for entry in entries:
            site = self._sites.get(entry.record.actor_id)
            if site is not None:
                at = site_of(site, entry.record)
                found.append(Occurrence(entry.position, at, entry.record))
        return found

    async def _learn_sites(self, tail: Tail, actor_ids: Collection[int]) -> None:
        if len(self._sites) > _SITES_MAX:
            self._sites.clear()
        unknown = [actor_id for actor_id in actor_ids if actor_id not in self._sites]
        if unknown:
            for actor_id, key in (await tail.keys(unknown)).items():
                self._sites[actor_id] = Site.of(key)


class Listener:
    """Somebody who is told; one task's.

    Attributes:
        reached: Everything that interests him up to here has been returned to him.
    """

    def __init__(
        self, feed: Feed, interest: Interest, *, after: Position, seen: Seen | None
    ) -> None:
        self.reached = after
        self._seen = seen  # until nothing of it can come any more
        self._feed = feed
        self._interest = interest

    @property
    def ended(self) -> bool:
        """Whether nothing more will be told here."""
        return self._feed.closed

    async def more(self, *, within_s: float) -> Sequence[Occurrence]:
        """Return the next that interests him, in order; empty if nothing came in time, or no more.

        Raises:
            JournalError: The database does not answer; he may ask again.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while not self.ended:
            news, before = self._feed.news, self.reached
            found = self._unseen(await self._step())
            if found or loop.time() >= until:
                return found
            if self.reached > before:
                await asyncio.sleep(0)  # thousands that interest nobody must not stop the loop
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await news.wait()
        return ()

    def _unseen(self, found: Sequence[Occurrence]) -> Sequence[Occurrence]:
        """Leave out what was committed before he began to listen."""
        seen = self._seen
        if seen is None:
            return found
        if self.reached.era > seen.era or self.reached.xid >= seen.xmax:
            self._seen = None
        return [each for each in found if not seen.shows(each.position)]

    async def _step(self) -> Sequence[Occurrence]:
        """Go on over what is next, kept or not; return what of it interests him."""
        kept = self._feed.kept_after(self.reached)
        if kept is None:
            found, self.reached = await self._feed.read_after(self.reached, self._interest)
            return found
        found, self.reached = kept
        covers = self._interest.covers
        return [each for each in found if covers(each.site, each.record.kind)]


def _position_of(occurrence: Occurrence) -> Position:
    return occurrence.position
