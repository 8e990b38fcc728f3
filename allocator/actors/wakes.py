"""Wake-ups: an actor whose time has come is told so, whether or not it is in memory.

The database knows who wants to be woken, and since when. A process with something outstanding
wants it at once, whatever the clock says, and so wakes in every new life of a worker, and with
whomever its shard comes to. Some go on wanting it: a process that waits for a pool which cannot
answer, an actor that cannot be replayed. So who is due is read page by page, and from the
earliest on again once the end is reached: those who are stuck take time to be passed by, and
nobody sleeps on because of them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from allocator.actors.actor import Actor
from allocator.actors.messages import Envelope
from allocator.actors.ports import Clock, Journal
from allocator.domain.ids import SHARD_MASK
from allocator.domain.messages import Wake
from allocator.domain.processes import AT_ONCE
from allocator.domain.records import WakeUp
from allocator.errors import AllocatorError, JournalError

log = structlog.get_logger()

EVERY_MS: Final = 500
PAGE: Final = 1_000
PAGES_MAX: Final = 10
"""So many pages are read at a time if few of whom they name have to be woken."""
WOKEN_MAX: Final = 1_000
"""Whoever is not in memory is recovered: with so many, those who wait come first."""

_WAKE: Final = Envelope(Wake())


class WakeUps:
    """Wakes the actors of one worker.

    Args:
        journal: Knows who is due.
        clock: Says what time it is.
        shards: Returns those whose actors are ours; none while messages are not accepted.
        find: Returns an actor of theirs, or raises `AllocatorError`.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Clock,
        shards: Callable[[], frozenset[int]],
        find: Callable[[int], Actor],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._shards = shards
        self._find = find
        self._passed: WakeUp | None = None
        self._lag = _Lag()

    def lag_ms(self) -> int:
        """Return for how long whoever waits longest has wanted to be woken, as far as is known."""
        return self._lag.ms(self._clock())

    async def run(self) -> None:
        """Wake whoever is due, again and again."""
        while True:
            await asyncio.sleep(EVERY_MS / 1000)
            try:
                await self._go_on()
            except JournalError as error:
                log.warning("worker.wake_failed", error=str(error))

    async def _go_on(self) -> None:
        """Wake those who come next, if they sleep: a bounded number of them."""
        woken = 0
        for _ in range(PAGES_MAX):
            shards = self._shards()
            if not shards:
                self._lag = _Lag()
                return
            passed = self._passed
            page = await self._journal.due_wakes(
                now_ms=self._clock(), limit=PAGE, shards=shards, after=passed
            )
            self._passed = page[-1] if len(page) == PAGE else None
            if passed is None:
                self._lag.begin(page, now_ms=self._clock())
            self._lag.go_on(page, is_last=self._passed is None)
            woken += sum(self._wake(each.actor_id) for each in page)
            if self._passed is None or woken >= WOKEN_MAX:
                return

    def _wake(self, actor_id: int) -> bool:
        """Wake an actor that sleeps; return whether that was necessary and possible."""
        if actor_id & SHARD_MASK not in self._shards():
            return False
        try:
            actor = self._find(actor_id)
            if actor.is_awake:
                return False
            actor.tell(_WAKE)
        except AllocatorError:  # full, quarantined, or elsewhere: the others are woken all the same
            return False
        return True


class _Lag:
    """Since when those have waited who wait longest, as pages from the earliest on show it.

    Of a process that is to be woken at once nobody knows since when. The first of them is the one
    that began first, more or less; if it stays the first, it does not come to its end.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._first_since_ms = 0
        self._due_ms: int | None = None  # of whoever waits for a time
        self._looks = False

    def ms(self, now_ms: int) -> int:
        """Return for how long somebody has waited."""
        since_ms = now_ms if self._first is None else self._first_since_ms
        return max(now_ms - since_ms, now_ms - (self._due_ms or now_ms), 0)

    def begin(self, page: Sequence[WakeUp], *, now_ms: int) -> None:
        """Look at the first page, once more."""
        first = page[0].actor_id if page and page[0].at_ms == AT_ONCE else None
        if first != self._first:
            self._first, self._first_since_ms = first, now_ms
        self._looks = True

    def go_on(self, page: Sequence[WakeUp], *, is_last: bool) -> None:
        """Look at a page for the first of those who wait for a time."""
        due_ms = next((each.at_ms for each in page if each.at_ms != AT_ONCE), None)
        if self._looks and (due_ms is not None or is_last):
            self._due_ms, self._looks = due_ms, False
