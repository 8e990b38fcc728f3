"""A worker: it owns shards, serves their actors, and replaces itself when it may not write.

Everything that can go wrong with the journal ends in one place, `_repair`: answer "unknown",
drop what was under way, fence our own incarnation (which waits for whatever is in flight), go
on under a new one with the shards that are still ours, and let recovery read the truth.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from allocator.actors.actor import Actor
from allocator.actors.host import MOVING, Host
from allocator.actors.limits import Limits
from allocator.actors.ports import Clock, Journal
from allocator.actors.statistics import HandOverStatistics
from allocator.actors.writer import JournalWriter
from allocator.domain.ids import SHARDS
from allocator.errors import JournalError, MovedError, OutcomeUnknownError

log = structlog.get_logger()

_RETRY_MIN_MS: Final = 50
_RETRY_MAX_MS: Final = 1_000
_SWEEPS_PER_IDLE: Final = 10
_SWEEP_MAX_MS: Final = 30_000
_QUIETEN_MS: Final = 1_000
"""So long may answers take when shards are given away; clients wait meanwhile."""
_POLL_S: Final = 0.001


class Worker(Host):
    """Serves the actors of the shards it owns.

    Args:
        journal: Under whose incarnations it writes.
        clock: Says what time it is.
        limits: Of all that waits.
        has_peers: Whether somebody else sees to it that free shards are claimed.

    Attributes:
        lives: How many incarnations it has had.
        tasks: What runs beside the requests; none of them ends before `stop` unless by a bug.
    """

    def __init__(
        self, journal: Journal, *, clock: Clock, limits: Limits, has_peers: bool = False
    ) -> None:
        writer = JournalWriter(
            journal, clock=clock, batch_max=limits.batch_max, repair=self._repair
        )
        super().__init__(journal, writer, clock=clock, limits=limits)
        self.repairs = 0
        self.hand_overs = HandOverStatistics()
        self.lives = 0
        self._journal = journal
        self._has_peers = has_peers
        self._stopping = False
        self._retired = False
        self._ownership = asyncio.Lock()  # a claim that overlaps a renewal would be of neither
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def retired(self) -> bool:
        """Whether our shards are given up for good."""
        return self._retired

    async def start(self) -> None:
        """Open an incarnation, claim what is free, and begin to serve.

        Raises:
            JournalError: The database does not answer.
        """
        await self._journal.renew()
        self._own(await self._journal.claim())
        self._closed = None
        self.tasks = [
            asyncio.create_task(self.writer.run(), name="journal writer"),
            asyncio.create_task(self._beat(), name="heartbeat"),
            asyncio.create_task(self.wakes.run(), name="wake-ups"),
            asyncio.create_task(self._sweep(), name="passivation"),
        ]

    async def stop(self, *, drain_ms: int) -> None:
        """Accept nothing more, answer what was accepted, and give the shards back.

        Whatever takes longer than `drain_ms` is answered "unknown".
        """
        self._stopping = True
        self._closed = "the server is stopping"
        try:
            async with asyncio.timeout(drain_ms / 1000):
                while self.writer.unanswered:
                    await self.writer.flush()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.warning("worker.drain_timed_out", unanswered=self.writer.unanswered)
        self.numbers.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self._give_up(self.writer.abandon())
        await self._resign()

    async def _resign(self) -> None:
        try:
            await self._journal.resign()
        except JournalError as error:
            log.warning("worker.resign_failed", error=str(error))

    async def claim(self, *, dead: Sequence[str] = ()) -> None:
        """Take free shards up to the fair share.

        Args:
            dead: Incarnations whose process is known to have ended.

        Raises:
            JournalError: The database does not answer.
        """
        async with self._ownership:
            if self._closed is not None or self._stopping:
                return
            try:
                claimed = await self._journal.claim(dead=dead)
            except JournalError as error:
                self.writer.doubt(error)  # it may be granted: a repair finds out what is ours
                raise
            if claimed > self.shards:
                self.hand_overs.taken += len(claimed - self.shards)
                log.info("worker.claimed", shards=len(claimed))
            self._own(claimed)

    async def give(self, shards: frozenset[int]) -> bool:
        """Let other workers take some of our shards; what was accepted is answered before.

        Returns:
            Whether they are free now; if answers do not come in time, everything stays as it was.
        """
        async with self._ownership:
            if self._stopping:
                return False
            giving = shards & self.shards
            keeping = self.shards - giving
            self.numbers.forget_unused()
            self.shards = keeping
            if not await self._quieten(giving):
                self.shards = self._owned
                return False
            if not await self._renew_for(keeping):
                return False
        moved = MovedError(reason=MOVING)
        self.directory.keep_only(self.shards, because=moved)
        self.hand_overs.given += len(giving)
        log.info("worker.gave", shards=len(giving), kept=len(self.shards))
        return True

    async def _renew_for(self, keeping: frozenset[int]) -> bool:
        """Go on with these shards alone; return whether they are still ours."""
        try:
            async with self.writer.sending:
                self._own(await self._journal.renew(keeping))
                if self.shards == keeping:
                    return True
                # We had been deposed. What is decided was decided on memory of that life, and
                # must not leave under this one, which may write.
                self.writer.doubt(JournalError("another worker has taken the shards"))
        except JournalError as error:
            self.writer.doubt(error)  # the repair finds out whose they are
        return False

    async def retire(self) -> None:
        """Give everything away for good, and beat no more; requests are to go elsewhere."""
        self._stopping = True
        if self._closed is None:  # a repair may take for ever, and has answered everybody
            async with self._ownership:
                leaving, self.shards = self.shards, frozenset()
                await self._quieten(leaving)  # if that fails, they are answered "unknown"
        self.numbers.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self._retired = True
        self._own(frozenset())
        self._closed = "the server is stopping"
        self._give_up(self.writer.abandon())
        await self._resign()

    async def _quieten(self, shards: frozenset[int]) -> bool:
        """Wait until nothing of these shards is under way; no new message is let in meanwhile.

        Returns:
            False if it takes too long, or if a repair has begun, which waits for us.
        """
        until_ms = self._clock() + _QUIETEN_MS
        busy: list[Actor] = []
        while True:
            busy = [each for each in busy or self.directory.of(shards) if each.unanswered]
            for each in busy:
                each.lose_patience(MovedError(reason=MOVING))
            if not busy and not self.keys.any_under_way(shards):
                return True
            if self._closed is not None or self._clock() > until_ms:
                return False
            await asyncio.sleep(_POLL_S)

    def _own(self, shards: frozenset[int]) -> None:
        self.lives += 1
        self.numbers.forget_unused()
        self.shards = self._owned = frozenset() if self._retired else shards

    async def _repair(self, error: JournalError, unreleased: list[Actor]) -> None:
        log.warning("worker.repairing", error=str(error), actors=len(unreleased))
        self._closed = "the journal is unavailable"
        self.repairs += 1
        self._give_up(unreleased)
        async with self._ownership:
            self._own(await self._renew())
        moved = MovedError(reason="another worker has taken this shard over")
        self.directory.keep_only(self.shards, because=moved)
        if not self._stopping:
            self._closed = None
        log.info("worker.repaired", shards=len(self.shards))

    def _give_up(self, unreleased: list[Actor]) -> None:
        """Drop what had something under way, and answer "unknown" to whoever waits for it."""
        unknown = OutcomeUnknownError()
        self.directory.drop(unreleased, because=unknown)
        self.directory.drop_recovering(because=unknown)
        self.keys.forget_unanswered(unknown)

    async def _renew(self) -> frozenset[int]:
        """Try for ever: without the database there is nothing else to do."""
        delay_ms = _RETRY_MIN_MS
        while True:
            try:
                return await self._journal.renew()
            except JournalError as error:
                log.warning("worker.repair_failed", error=str(error), retry_ms=delay_ms)
            await asyncio.sleep(delay_ms / 1000)
            delay_ms = min(delay_ms * 2, _RETRY_MAX_MS)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._limits.heartbeat_ms / 1000)
            if self._closed is not None and not self._stopping:
                continue
            lives = self.lives
            doubt: JournalError | None = None
            try:
                if not await self._journal.beat():
                    doubt = JournalError("this incarnation has been fenced")
                elif len(self.shards) < SHARDS and not (self._has_peers or self._stopping):
                    await self.claim()
            except JournalError as error:
                doubt = error
            if doubt is not None and lives == self.lives:  # or it is of a former incarnation
                self.writer.doubt(doubt)

    async def _sweep(self) -> None:
        every_ms = min(self._limits.idle_ms // _SWEEPS_PER_IDLE + 1, _SWEEP_MAX_MS)
        while True:
            await asyncio.sleep(every_ms / 1000)
            await self.directory.sweep(
                now_ms=self._clock(),
                idle_ms=self._limits.idle_ms,
                actors_max=self._limits.actors_max,
            )
