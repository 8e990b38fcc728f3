"""Plays a sequence on a journal, and says what came of it in words that fit any journal."""

import asyncio
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol, TypeAlias

from allocator.actors.ports import Journal
from allocator.domain.records import Batch, Record, StoredSnapshot
from allocator.domain.shares import Survey
from allocator.errors import AllocatorError
from tests.integration.fidelity_steps import (
    Age,
    Append,
    Blocked,
    Claim,
    Confirm,
    DueWakes,
    FindKeys,
    Look,
    Renew,
    Row,
    Sequence,
    Silence,
    Simple,
    Snapshot,
    Step,
)

HOUR_MS: Final = 3_600_000
DEAD_AFTER_MS: Final = HOUR_MS // 2
"""Nobody lives so long in a test without being silenced."""

SESSION: Final = "session"
POOL: Final = "pool"
"""Names of tasks: on which connection of its worker a call is made."""

_BOUND_S = 20.0
_LATE_S = 8.0

Outcome: TypeAlias = object


class Side(Protocol):
    """A database that is empty, and workers on it."""

    async def open(self, worker: int, server: str) -> Journal:
        """Return the journal of a worker, without an incarnation."""

    def incarnation(self, journal: Journal) -> str | None:
        """Return the present incarnation of a journal."""

    async def silence(self, incarnation: str) -> None:
        """Have the last heartbeat of an incarnation be long ago."""

    async def age(self) -> None:
        """Have all fenced incarnations begin long ago."""

    async def block(self, blocked: Blocked, incarnation: str) -> None:
        """Take a lock."""

    async def release(self, *, commits: bool) -> None:
        """Let it go."""

    async def settle(self, calls: "list[asyncio.Task[Outcome]]") -> None:
        """Return when each call has ended or waits for a lock."""

    async def tables(self) -> "Stored":
        """Return all that is stored."""


class Stored(NamedTuple):
    """What the tables hold.

    Attributes:
        rows: In the order of the tail.
        workers: Each incarnation, whether it is fenced, and its server.
        owners: The incarnation that owns each shard, or "".
    """

    rows: list[Record]
    wakes: list[tuple[int, int]]
    snapshots: list[tuple[int, int, bytes]]
    workers: list[tuple[str, bool, str]]
    owners: list[str]


class Player:
    """Plays one sequence."""

    def __init__(self, side: Side, sequence: Sequence) -> None:
        self._side = side
        self._sequence = sequence
        self._journals: list[Journal] = []
        self._names: dict[str, str] = {"": ""}
        self._lives: list[list[str]] = [[] for _ in sequence.servers]
        self._resigned: set[int] = set()

    async def play(self) -> list[Outcome]:
        """Return what each step came to, and what is stored in the end."""
        for worker, server in enumerate(self._sequence.servers):
            self._journals.append(await self._side.open(worker, server))
        async with asyncio.timeout(_BOUND_S):
            outcomes = [await self._do(step) for step in self._sequence.steps]
        stored = await self._side.tables()
        for journal in self._journals:
            await journal.resign()
        names = self._names
        workers = sorted((names[each], fenced, server) for each, fenced, server in stored.workers)
        owners = [names[owner] for owner in stored.owners]
        return [*outcomes, *stored._replace(workers=workers, owners=owners)]

    async def _do(self, step: Step) -> Outcome:
        match step:
            case Blocked():
                return await self._meet(step)
            case Silence(worker):
                await self._side.silence(self._lives[worker][-1])
            case Age():
                await self._side.age()
            case _:
                outcome = await self._ask(step)
                self._name()
                return outcome
        return None

    async def _meet(self, step: Blocked) -> Outcome:
        await self._side.block(step, self._lives[step.worker][-1])
        calls: list[asyncio.Task[Outcome]] = []
        for call in step.calls:
            where = SESSION if isinstance(call, Append | Confirm | FindKeys) else POOL
            calls.append(asyncio.create_task(self._ask(call), name=where))
            await self._side.settle(calls)
        if step.late:
            await asyncio.wait(calls, timeout=_LATE_S)
        await self._side.release(commits=step.commits)
        outcomes = [await call for call in calls]
        self._name()
        return outcomes

    async def _ask(self, step: Step) -> Outcome:
        """Make one call; an error is an outcome."""
        try:
            return await self._call(step)
        except AllocatorError as error:
            return type(error).__name__

    async def _call(self, step: Step) -> Outcome:  # noqa: PLR0911 (one for each call)
        assert not isinstance(step, Blocked | Silence | Age)
        journal = self._journals[step.worker]
        match step:
            case Append(_, rows, wakes, names):
                return found(await journal.append(batch_of(rows, dict(wakes)), names))
            case Confirm(_, names):
                return found(await journal.confirm(names))
            case FindKeys(_, names):
                return found(await journal.find_keys(names))
            case Renew():
                self._resigned.discard(step.worker)
                return await journal.renew(step.keep)
            case Claim(worker, dead):
                ended = [self._lives[each][-1] for each in dead]
                return await journal.claim(dead=ended) if self._lives_on(worker) else None
            case Simple(worker, operation):
                return await self._simple(journal, worker, operation)
            case Look(_, actor_id, after_seq):
                chunks = [each async for each in journal.records(actor_id, after_seq=after_seq)]
                return await journal.origin(actor_id), [row for chunk in chunks for row in chunk]
            case Snapshot(_, actor_id, seq, state):
                await journal.save_snapshot(actor_id, StoredSnapshot(seq=seq, state=state))
            case DueWakes():
                return await journal.due_wakes(
                    now_ms=step.now_ms, limit=step.limit, shards=step.shards, after=step.after
                )
        return None

    async def _simple(self, journal: Journal, worker: int, operation: str) -> Outcome:
        if operation == "survey":
            survey = await journal.survey()
            self._name()
            return self._told(survey)
        if operation == "resign":
            self._resigned.add(worker)
            await journal.resign()
            return None
        return await journal.beat() if self._lives_on(worker) else None

    def _lives_on(self, worker: int) -> bool:
        """Return whether a worker has not resigned: who has neither beats nor claims."""
        return worker not in self._resigned

    def _name(self) -> None:
        """Give new incarnations a name: whose they are, and its how many-eth."""
        for worker, journal in enumerate(self._journals):
            incarnation = self._side.incarnation(journal)
            if incarnation is not None and incarnation not in self._names:
                self._names[incarnation] = f"{worker}.{len(self._lives[worker])}"
                self._lives[worker].append(incarnation)

    def _told(self, survey: Survey) -> Outcome:
        peers = [(self._names[each.incarnation], each.name, each.address) for each in survey.peers]
        return peers, [self._names[owner] for owner in survey.owners], survey.foreign


def batch_of(rows: tuple[Row, ...], wakes: dict[int, int | None]) -> Batch:
    """Return an append; what its rows say follows from their addresses."""
    batch = Batch()
    for row in rows:
        batch.add(
            actor_id=row.actor_id,
            seq=row.seq,
            at_ms=1_700_000_000_000 + row.seq,
            kind=f"kind {row.seq}",
            version=row.seq % 3,
            body=f'{{"ž": {row.seq}}}',
            digest=row.seq.to_bytes(16),
            principal=row.principal,
            idempotency_key=row.key,
            request_digest=None if row.key is None else bytes(15) + b"r",
        )
    batch.wakes.update(wakes)
    return batch


def found(records: Iterable[Record]) -> Outcome:
    """Return rows that come in any order."""
    return sorted(records, key=lambda row: (row.actor_id, row.seq))
