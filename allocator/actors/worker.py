"""A worker: it owns shards, serves their actors, and replaces itself when it may not write.

Everything that can go wrong with the journal ends in one place, `_repair`: answer "unknown",
drop what was under way, fence our own incarnation (which waits for whatever is in flight), go
on under a new one with the shards that are still ours, and let recovery read the truth.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
import structlog

from allocator.actors.actor import Actor
from allocator.actors.directory import Directory
from allocator.actors.errands import Office
from allocator.actors.keys import KeyedRequest, Keys
from allocator.actors.messages import Answer, Envelope, Read
from allocator.actors.numbers import Numbers
from allocator.actors.ports import Clock, Journal
from allocator.actors.statistics import HandOverStatistics
from allocator.actors.wakes import WakeUps
from allocator.actors.writer import JournalWriter
from allocator.domain.ids import SHARD_BITS, SHARD_MASK, SHARDS, shard_of
from allocator.domain.kinds import Command, State
from allocator.domain.pool import Pool
from allocator.domain.queries import Query, View, look
from allocator.errors import (
    JournalError,
    MovedError,
    OutcomeUnknownError,
    OverloadedError,
    UnavailableError,
)

log = structlog.get_logger()

T = TypeVar("T")

_RETRY_MIN_MS: Final = 50
_RETRY_MAX_MS: Final = 1_000
_SWEEPS_PER_IDLE: Final = 10
_SWEEP_MAX_MS: Final = 30_000
_QUIETEN_MS: Final = 1_000
"""So long may answers take when shards are given away; clients wait meanwhile."""
_POLL_S: Final = 0.001
_MOVING: Final = "another worker is taking this shard over"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a worker.

    Attributes:
        mailbox_max: Unanswered messages of one actor; more are refused.
        worker_max: Unanswered messages of all actors.
        batch_max: Rows of one append.
        actors_max: Actors in memory, above which the longest unused are passivated.
        idle_ms: An actor that got no message for so long is passivated.
        snapshot_events: An actor that leaves memory after so many new ones leaves a snapshot.
        heartbeat_ms: How often a worker says that it lives, and looks for free shards.
    """

    mailbox_max: int = 4096
    worker_max: int = 65_536
    batch_max: int = 1024
    actors_max: int = 200_000
    idle_ms: int = 600_000
    snapshot_events: int = 100
    heartbeat_ms: int = 500


class Worker:
    """Serves the actors of the shards it owns.

    Args:
        has_peers: Whether somebody else sees to it that free shards are claimed.

    Attributes:
        shards: Of which it accepts messages; empty while another worker has them all.
        lives: How many incarnations it has had.
        tasks: What runs beside the requests; none of them ends before `stop` unless by a bug.
    """

    def __init__(
        self, journal: Journal, *, clock: Clock, limits: Limits, has_peers: bool = False
    ) -> None:
        self.shards: frozenset[int] = frozenset()
        self.repairs = 0
        self.hand_overs = HandOverStatistics()
        self.lives = 0
        self._owned = self.shards  # those that it is giving away as well
        self._listed = self.shards, list(range(SHARDS))
        self.writer = JournalWriter(
            journal, clock=clock, batch_max=limits.batch_max, repair=self._repair
        )
        self.numbers = Numbers(journal)
        self.directory = Directory(
            journal,
            make=self._make,
            is_new=self.numbers.use,
            snapshot_events=limits.snapshot_events,
        )
        self.office = Office(
            asker=self, proven_ms=lambda: self.writer.proven_ms, is_hosted=self.directory.hosts
        )
        self.keys = Keys(self.writer, self._find)
        self.wakes = WakeUps(
            journal,
            clock=clock,
            shards=lambda: self.shards if self._closed is None else frozenset(),
            find=self._find,
        )
        self._journal = journal
        self._clock = clock
        self._limits = limits
        self._has_peers = has_peers
        # Not looked up again at every request: each time asks the kernel for the process id.
        self._new_reply: Callable[[], asyncio.Future[Answer]] = (
            asyncio.get_running_loop().create_future
        )
        self._closed: str | None = "the server is starting"
        self._stopping = False
        self._retired = False
        self._ownership = asyncio.Lock()  # a claim that overlaps a renewal would be of neither
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether every shard is served."""
        return self._closed is None and len(self.shards) == SHARDS

    @property
    def open(self) -> bool:
        """Whether messages are accepted, for the shards that are ours."""
        return self._closed is None

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

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        """Have an actor decide; the answer comes when it is durable.

        Args:
            actor_id: Of a shard that is ours.
            command: What it is to do.
            principal: Who asks, for the journal; "" if that is not known.

        Raises:
            UnavailableError: Not accepted; nothing was done.
            QuarantinedError: The actor cannot be recovered.
        """
        self._admit(actor_id)
        reply = self._new_reply()
        self._find(actor_id).tell(Envelope(command, reply, principal))
        return reply

    def ask_once(self, request: KeyedRequest) -> asyncio.Future[Answer]:
        """Like `ask`, but a repeat of a request that succeeded gets the first answer again."""
        self._admit(request.actor_id)
        reply = self._new_reply()
        self.keys.ask(request, reply)
        return reply

    async def read(self, actor_id: int, view: Callable[[Pool], T]) -> T:
        """Look at a pool, which is durable and still ours when this returns.

        Raises: as `ask`.
        """
        seen: list[T] = []

        def see(state: State) -> None:
            assert isinstance(state, Pool), "another kind of actor"
            seen.append(view(state))

        await self._watch(actor_id, see)
        return seen[0]

    async def begin(self, scope: str | None) -> int:
        """Return the id of an actor that is about to come into being, with its first message.

        Args:
            scope: What is the same for the same request, so that a repeat of it goes the same
                way; None if there is no telling: then it is one of our own, if possible.

        Raises:
            UnavailableError: The database does not answer.
        """
        number = await self.numbers.take()
        shard = self._shard_for(number) if scope is None else shard_of(scope)
        actor_id = number << SHARD_BITS | shard
        if shard in self.shards:
            self.numbers.note_unused(actor_id)
        return actor_id

    def _shard_for(self, number: int) -> int:
        """Spread what comes into being over our shards; over all of them if we have none."""
        if self._listed[0] is not self.shards:
            self._listed = self.shards, sorted(self.shards) or list(range(SHARDS))
        ours = self._listed[1]
        return ours[number % len(ours)]

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state, durable and still ours when this returns.

        Raises: as `ask`.
        """
        seen: list[View] = []

        def view(state: State) -> bool:
            found = look(state, query)
            if found is not None:
                seen.append(found)
            return found is not None

        await self._watch(actor_id, view)
        return seen[0]

    async def _watch(self, actor_id: int, view: Callable[[State], object]) -> None:
        self._admit(actor_id)
        reply = self._new_reply()
        self._find(actor_id).tell(Envelope(Read(view), reply))
        await reply

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
        moved = MovedError(reason=_MOVING)
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
                each.lose_patience(MovedError(reason=_MOVING))
            if not busy and not self.keys.any_under_way(shards):
                return True
            if self._closed is not None or self._clock() > until_ms:
                return False
            await asyncio.sleep(_POLL_S)

    def _own(self, shards: frozenset[int]) -> None:
        self.lives += 1
        self.numbers.forget_unused()
        self.shards = self._owned = frozenset() if self._retired else shards

    def _admit(self, actor_id: int) -> None:
        if actor_id & SHARD_MASK not in self.shards:
            raise MovedError(reason=self._closed or _MOVING)
        if self._closed is not None:
            raise UnavailableError(reason=self._closed)
        if self.writer.unanswered >= self._limits.worker_max:
            raise OverloadedError(whose="server", limit=self._limits.worker_max)

    def _find(self, actor_id: int) -> Actor:
        if actor_id & SHARD_MASK not in self._owned:
            raise MovedError(reason=_MOVING)
        return self.directory.get(actor_id)

    def _make(self, actor_id: int) -> Actor:
        return Actor(
            actor_id,
            writer=self.writer,
            office=self.office,
            clock=self._clock,
            mailbox_max=self._limits.mailbox_max,
        )

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
