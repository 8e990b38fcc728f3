"""Which actors are in memory: activation on the first message, passivation when idle.

Memory is a cache of the journal. An actor comes from its snapshot and the rows above it, and
may go whenever nothing of it is under way.
"""

import asyncio
from collections.abc import Callable, Iterable
from operator import attrgetter
from time import perf_counter
from typing import Final

import msgspec
import structlog

from allocator.actors.actor import Actor
from allocator.actors.ports import Journal
from allocator.actors.statistics import DirectoryStatistics
from allocator.domain.ids import SHARD_MASK
from allocator.domain.kinds import State, blank, dump, kind_of, load, weight
from allocator.domain.records import SEQ_END, Origin, StoredSnapshot
from allocator.domain.replay import replay
from allocator.errors import AllocatorError, JournalError, QuarantinedError, UnavailableError

log = structlog.get_logger()

_SWEEP_CHUNK: Final = 1000
_RECENT_MS: Final = 1000
_SNAPSHOT_WEIGHT_MAX: Final = 10_000  # more would stall the loop; the folding process does those


class Directory:
    """The actors in memory, by id.

    Args:
        journal: Where they are recovered from.
        make: Returns a new actor without state.
        is_new: Says, once, whether an actor cannot be known to the journal.
        snapshot_events: So many since the last snapshot make another worth its while; fewer are
            replayed faster than a snapshot is fetched.
        recoveries_max: How many are recovered at a time; the others wait.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        make: Callable[[int], Actor],
        is_new: Callable[[int], bool],
        snapshot_events: int = 100,
        recoveries_max: int = 6,
    ) -> None:
        self.statistics = DirectoryStatistics()
        self.quarantined: dict[int, QuarantinedError] = {}
        self._journal = journal
        self._make = make
        self._is_new = is_new
        self._actors: dict[int, Actor] = {}
        self._recoveries: dict[asyncio.Task[None], Actor] = {}
        self._snapshot_events = snapshot_events
        self._turn = asyncio.Semaphore(recoveries_max)

    def __len__(self) -> int:
        return len(self._actors)

    def get(self, actor_id: int) -> Actor:
        """Return an actor that accepts messages; it may still be recovering.

        Raises:
            QuarantinedError: Its journal cannot be replayed.
        """
        actor = self._actors.get(actor_id)
        if actor is not None:
            return actor
        if actor_id in self.quarantined:
            raise self.quarantined[actor_id]
        actor = self._actors[actor_id] = self._make(actor_id)
        if self._is_new(actor_id):
            actor.is_new = True
            return actor
        task = asyncio.create_task(self._activate(actor))
        self._recoveries[task] = actor
        task.add_done_callback(self._recoveries.pop)
        return actor

    def active(self, actor_id: int) -> Actor | None:
        """Return an actor that decides at once, or None: it has to be recovered first."""
        actor = self._actors.get(actor_id)
        return None if actor is None or actor.state is None else actor

    def of(self, shards: frozenset[int]) -> list[Actor]:
        """Return the actors in memory that these shards hold."""
        return [a for a in self._actors.values() if a.actor_id & SHARD_MASK in shards]

    def hosts(self, actor: Actor) -> bool:
        """Say whether this is the actor of its id, and not one that was dropped."""
        return self._actors.get(actor.actor_id) is actor

    def fullest_mailbox(self) -> int:
        """Return the unanswered messages of the fullest mailbox among actors being recovered."""
        return max((actor.unanswered for actor in self._recoveries.values()), default=0)

    def drop(self, actors: Iterable[Actor], *, because: AllocatorError) -> None:
        """Forget actors whose memory may be wrong; their next message recovers them."""
        for actor in actors:
            if self._actors.get(actor.actor_id) is actor:
                self._remove(actor)
            actor.abandon(because)

    def drop_recovering(self, *, because: AllocatorError) -> None:
        """Forget actors that were being read while the right to write was lost."""
        self.drop([a for a in self._actors.values() if a.state is None], because=because)

    def keep_only(self, shards: frozenset[int], *, because: AllocatorError) -> None:
        """Forget the actors of shards that are no longer ours."""
        self.drop(
            [a for a in self._actors.values() if a.actor_id & SHARD_MASK not in shards],
            because=because,
        )

    async def sweep(self, *, now_ms: int, idle_ms: int, actors_max: int) -> None:
        """Passivate what is idle, and the longest unused if there are more than `actors_max`."""
        actors = list(self._actors.values())
        if len(actors) > actors_max:
            actors.sort(key=attrgetter("used_ms"))
        for number, actor in enumerate(actors):
            if number and number % _SWEEP_CHUNK == 0:
                await asyncio.sleep(0)
            soon = len(self._actors) > actors_max or actor.is_at_rest
            if now_ms - actor.used_ms > (_RECENT_MS if soon else idle_ms):
                await self._passivate(actor)

    async def _passivate(self, actor: Actor) -> None:
        if actor.unanswered or actor.is_busy:
            return
        state = actor.state
        if state is None:
            if actor.is_new and self.hosts(actor):  # its id was taken, and then not used
                self._forget(actor)
            return
        version = state.version
        due = version - actor.snapshot_seq >= self._snapshot_events
        if due and weight(state) <= _SNAPSHOT_WEIGHT_MAX:
            snapshot = StoredSnapshot(seq=version, state=dump(state))
            try:
                await self._journal.save_snapshot(actor.actor_id, snapshot)
            except JournalError:
                return  # it can go next time
            actor.snapshot_seq = version
        untouched = state.version == version and not actor.unanswered
        if untouched and self.hosts(actor):
            self._forget(actor)

    def _forget(self, actor: Actor) -> None:
        self._remove(actor)
        self.statistics.passivations += 1

    def _remove(self, actor: Actor) -> None:
        del self._actors[actor.actor_id]
        if actor.errand is not None:
            actor.errand.end()

    async def _activate(self, actor: Actor) -> None:
        try:
            async with self._turn:
                await self._recover(actor)
        except JournalError as error:
            log.warning("actor.recovery_failed", actor=actor.actor_id, error=str(error))
            because = UnavailableError(reason="the journal cannot be read")
            self.drop([actor], because=because)
        except Exception as error:  # its journal cannot be replayed: this one actor stops
            log.exception("actor.quarantined", actor=actor.actor_id)
            quarantine = QuarantinedError(actor_id=actor.actor_id, why=repr(error))
            if self._actors.get(actor.actor_id) is actor:
                self.quarantined[actor.actor_id] = quarantine
            self.drop([actor], because=quarantine)

    async def _recover(self, actor: Actor) -> None:
        started = perf_counter()
        state, origin = await self._begin(actor)
        digest, snapshot_seq = origin.head, state.version
        async for records in self._journal.records(actor.actor_id, after_seq=state.version):
            replay(state, records)
            self.statistics.replayed += len(records)
            digest = records[-1].digest
        if self._actors.get(actor.actor_id) is not actor:
            return  # dropped meanwhile, its messages answered
        self.statistics.recoveries += 1
        self.statistics.recovery_seconds += perf_counter() - started
        if origin.kind is None and not state.version:  # there is nothing of it yet
            actor.is_new = True
            if not actor.unanswered:
                return  # who asked for it asks something else first; its first message is to come
            state = actor.first_state()
        actor.activate(
            state, digest=digest, snapshot_seq=snapshot_seq, wake_at_ms=origin.wake_at_ms
        )

    async def _begin(self, actor: Actor) -> tuple[State, Origin]:
        """Return the state to replay upon and where it comes from: the newest that can be read."""
        below = SEQ_END
        while True:
            origin = await self._journal.origin(actor.actor_id, below=below)
            kind = kind_of(origin.kind)
            if origin.snapshot is None:
                return blank(kind), origin
            try:
                return load(kind, origin.snapshot.state), origin
            except msgspec.DecodeError as error:
                log.error("snapshot.unreadable", actor=actor.actor_id, error=str(error))  # noqa: TRY400
            below = origin.snapshot.seq
