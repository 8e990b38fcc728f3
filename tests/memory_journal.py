"""A journal in memory that keeps PostgreSQL's promises, and breaks down where a test wants it to.

Several `MemoryJournal`s, one a worker, share one `MemoryDatabase`; each is a server of its own,
unless told which it is of. What matters is modelled:

- the primary key (actor, seq) and nothing else is checked, so a gap is accepted, as there;
- an append is stored whole or not at all, only under an incarnation that is not fenced;
- an append that failed for its caller may be stored all the same, at once or later; fencing its
  incarnation waits for it, and afterwards it cannot appear any more;
- a renewal whose answer is lost has happened, and the shards are gone with an incarnation that
  nobody knows.

A test stops a call with `hold`, before it is done or before its caller hears, and breaks the next
one with `break_next`. `journal.log` says what was done in which order.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from enum import Enum, auto
from itertools import count
from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.records import GENESIS, Batch, KeyName, Origin, Record, StoredSnapshot
from allocator.domain.shares import Survey
from allocator.errors import FencedError, JournalError
from tests.memory_database import Life, MemoryDatabase

Operation: TypeAlias = Literal[
    "append",
    "confirm",
    "renew",
    "claim",
    "survey",
    "beat",
    "resign",
    "origin",
    "records",
    "find_keys",
    "save_snapshot",
    "due_wakes",
]

_CHUNK: Final = 3
_SNAPSHOTS_KEPT: Final = 3
_SERVERS: Final = count(1)


class Fault(Enum):
    """How a call breaks. Its caller sees the same `JournalError` each time."""

    NOT_DONE = auto()
    DONE = auto()  # and the answer was lost
    DONE_LATER = auto()  # an append that is stored when its incarnation is fenced, or by `land`


class Hold:
    """Stops one call until the test lets it go on.

    Args:
        stubborn: Being cancelled does not end the call: a driver may first have to get rid of
            its connection, and then fail with an error of its own.
    """

    def __init__(self, *, stubborn: bool) -> None:
        self._stubborn = stubborn
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    @property
    def is_reached(self) -> bool:
        """Whether the call has come so far."""
        return self._reached.is_set()

    async def reached(self) -> None:
        """Return when the call has come so far."""
        await self._reached.wait()

    def release(self) -> None:
        """Let the call go on."""
        self._released.set()

    async def stop_here(self) -> None:
        """Be the call."""
        self._reached.set()
        while not self._released.is_set():
            try:
                await self._released.wait()
            except asyncio.CancelledError:
                if not self._stubborn:
                    raise


class MemoryJournal:
    """One worker's access to a `MemoryDatabase`. Satisfies `actors.ports.Journal`.

    Args:
        database: Shared by all workers.
        server: That the worker is of; "" for one that has no other worker.
        address: On which it takes requests of its peers.

    Attributes:
        log: (operation, "sent" or "done", rows of it), in the order in which it happened; an
            operation that failed is never done.
        violations: What the writer did that it must never do.
        fault: Asked at each call how it breaks; None, not at all. For simulations.
        latency_s: Asked how long each call takes, before and again after it is done.
    """

    def __init__(self, database: MemoryDatabase, *, server: str = "", address: str = "") -> None:
        self.database = database
        self.life = Life(
            name="memory", server=server or f"server {next(_SERVERS)}", address=address
        )
        self.incarnation: int | None = None
        self.log: list[tuple[Operation, Literal["sent", "done"], int]] = []
        self.violations: list[str] = []
        self.fault: Callable[[Operation], Fault | None] = lambda _: None
        self.latency_s: Callable[[Operation], float] = lambda _: 0.0
        self._holds: defaultdict[tuple[Operation, bool], deque[Hold]] = defaultdict(deque)
        self._faults: defaultdict[Operation, deque[Fault]] = defaultdict(deque)
        self._held: list[Hold] = []
        self._writing = 0

    # What a test does to it.

    def hold(self, operation: Operation, *, done: bool = False, stubborn: bool = False) -> Hold:
        """Stop the next call before it is done; or, when it is done, before its caller hears."""
        hold = Hold(stubborn=stubborn)
        self._holds[operation, done].append(hold)
        self._held.append(hold)
        return hold

    def break_next(self, operation: Operation, fault: Fault = Fault.NOT_DONE) -> None:
        """Let the next call fail."""
        self._faults[operation].append(fault)

    def heal(self) -> None:
        """Let everything go on, and nothing break any more."""
        self._faults.clear()
        self.fault = lambda _: None
        self.latency_s = lambda _: 0.0
        self._holds.clear()
        for hold in self._held:
            hold.release()

    def count(self, operation: Operation) -> int:
        """Return how often an operation was asked for."""
        return sum(1 for name, what, _ in self.log if (name, what) == (operation, "sent"))

    def appends(self) -> list[int]:
        """Return how many rows each append had that was sent."""
        return [rows for name, what, rows in self.log if (name, what) == ("append", "sent")]

    # What a worker does with it.

    async def append(self, batch: Batch, names: Sequence[KeyName] = ()) -> list[Record]:
        """Store all rows or none; return what was stored under the keys before."""
        if not len(batch):
            self.violations.append("an append without rows proves nothing")

        def act() -> None:
            found.extend(self.database.find_keys(names))
            self._store(batch)

        found: list[Record] = []
        await self._write("append", act, batch=batch)
        return found

    async def confirm(self, names: Sequence[KeyName] = ()) -> list[Record]:
        """Prove that this incarnation may still write; return what is stored under the keys."""

        def act() -> None:
            self._require_unfenced()
            found.extend(self.database.find_keys(names))

        found: list[Record] = []
        await self._write("confirm", act)
        return found

    async def find_keys(self, names: Sequence[KeyName]) -> list[Record]:
        """Return what is stored under the keys."""
        found: list[Record] = []
        await self._write("find_keys", lambda: found.extend(self.database.find_keys(names)))
        return found

    async def renew(self, keep: frozenset[int] | None = None) -> frozenset[int]:
        """Fence the present incarnation and go on under a new one."""
        former = self.incarnation
        opened: list[int] = []

        def act() -> None:
            opened.append(self.database.succeed(former, self.life, keep=keep))

        await self._call("renew", act)
        self.incarnation = opened[0]
        return self.database.shards_of(self.incarnation)

    async def claim(self, *, dead: Sequence[str] = ()) -> frozenset[int]:
        """Fence whoever is dead, and take free shards up to a fair share of them."""
        mine, ended = self.incarnation, [int(each) for each in dead]
        await self._call("claim", lambda: self.database.claim(mine, dead=ended))
        return self.database.shards_of(self.incarnation)

    async def survey(self) -> Survey:
        """Return who serves what."""
        mine, server = self.incarnation, self.life.server
        found: list[Survey] = []
        await self._call("survey", lambda: found.append(self.database.survey(mine, server=server)))
        return found[0]

    async def beat(self) -> bool:
        """Say that this incarnation lives; return whether it is unfenced."""
        mine = self.incarnation
        assert mine is not None
        await self._call("beat", lambda: self.database.beat(mine))
        return self.incarnation != mine or not self.database.fenced[mine]

    async def resign(self) -> None:
        """Fence the present incarnation for good."""
        mine, self.incarnation = self.incarnation, None
        if mine is not None:
            await self._call("resign", lambda: self.database.fence(mine))

    async def origin(self, actor_id: int) -> Origin:
        """Return where the recovery of an actor starts."""
        await self._call("origin")
        wake_at_ms = self.database.wakes.get(actor_id)
        snapshots = self.database.snapshots[actor_id]
        if not snapshots:
            return Origin(snapshot=None, head=GENESIS, wake_at_ms=wake_at_ms)
        newest = max(snapshots)
        return Origin(
            snapshot=StoredSnapshot(seq=newest, state=snapshots[newest]),
            head=self.database.rows[actor_id][newest].digest,
            wake_at_ms=wake_at_ms,
        )

    async def records(self, actor_id: int, *, after_seq: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the actor's rows above `after_seq`, a few at a time, without their keys."""
        while True:
            await self._call("records")
            rows = [row for row in self.database.journal_of(actor_id) if row.seq > after_seq]
            chunk = [_without_key(row) for row in rows[:_CHUNK]]
            if chunk:
                yield chunk
            if len(chunk) < _CHUNK:
                return
            after_seq = chunk[-1].seq

    async def save_snapshot(self, actor_id: int, snapshot: StoredSnapshot) -> None:
        """Keep a snapshot; the newest few are retained."""

        def save() -> None:
            snapshots = self.database.snapshots[actor_id]
            snapshots[snapshot.seq] = snapshot.state
            for seq in sorted(snapshots)[:-_SNAPSHOTS_KEPT]:
                del snapshots[seq]

        await self._call("save_snapshot", save)

    async def due_wakes(self, *, now_ms: int, limit: int) -> Sequence[int]:
        """Return ids of actors whose wake-up time has come, earliest first."""
        await self._call("due_wakes")
        due = sorted((at, actor_id) for actor_id, at in self.database.wakes.items() if at <= now_ms)
        return [actor_id for _, actor_id in due[:limit]]

    async def _write(
        self, operation: Operation, act: Callable[[], None], *, batch: Batch | None = None
    ) -> None:
        if self._writing:
            self.violations.append("two appends or confirms in flight")
        self._writing += 1
        try:
            await self._call(operation, act, batch=batch)
        finally:
            self._writing -= 1

    async def _call(
        self,
        operation: Operation,
        act: Callable[[], None] = lambda: None,
        *,
        batch: Batch | None = None,
    ) -> None:
        rows = 0 if batch is None else len(batch)
        self.log.append((operation, "sent", rows))
        queued = self._faults[operation]
        fault = queued.popleft() if queued else self.fault(operation)
        under = self.incarnation
        await self._pass(operation, done=False)
        if fault is Fault.DONE_LATER and batch is not None and under is not None:
            self.database.late[under].append(batch)
        elif fault is not Fault.NOT_DONE:
            act()
        await self._pass(operation, done=True)
        if fault is not None:
            raise JournalError(f"{operation}: {fault.name}")
        self.log.append((operation, "done", rows))

    async def _pass(self, operation: Operation, *, done: bool) -> None:
        holds = self._holds[operation, done]
        if holds:
            await holds.popleft().stop_here()
        await asyncio.sleep(self.latency_s(operation))

    def _require_unfenced(self) -> None:
        if self.incarnation is None or self.database.fenced[self.incarnation]:
            raise FencedError(incarnation=str(self.incarnation))

    def _store(self, batch: Batch) -> None:
        self._require_unfenced()
        self.database.store(batch)


def _without_key(record: Record) -> Record:
    return msgspec.structs.replace(record, principal="", idempotency_key=None, request_digest=None)
