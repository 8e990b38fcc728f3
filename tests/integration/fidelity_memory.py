"""The database in memory, as it is compared: in virtual time."""

import asyncio
from collections.abc import Generator
from typing import Final

from allocator.actors.ports import Journal
from allocator.errors import JournalError
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.journal import MemoryJournal
from allocator.persistence.memory.locks import Lock
from allocator.persistence.memory.transaction import Transaction
from allocator.persistence.memory.trouble import Trouble
from tests.integration.fidelity_player import DEAD_AFTER_MS, HOUR_MS, Outcome, Stored, batch_of
from tests.integration.fidelity_steps import ACTORS, Blocked
from tests.virtual_time import now_ms, settle

_POLL_S: Final = 0.001
_SOON: Final = Trouble(commit_s=0.000_001)


class MemorySide:
    """A `MemoryDatabase`. Satisfies `fidelity_player.Side`."""

    def __init__(self) -> None:
        self._database = MemoryDatabase(clock=now_ms, dead_after_ms=DEAD_AFTER_MS)
        self._database.kinds = dict.fromkeys(ACTORS, "pool")
        self._blocking: Transaction | None = None
        self._commits: bool | None = None

    async def open(self, worker: int, server: str) -> Journal:
        return MemoryJournal(self._database, name=f"worker {worker}", server=server)

    def incarnation(self, journal: Journal) -> str | None:
        assert isinstance(journal, MemoryJournal)
        return None if journal.incarnation is None else str(journal.incarnation)

    async def silence(self, incarnation: str) -> None:
        if (row := self._database.workers.get(int(incarnation))) is not None:
            row.beat_ms -= HOUR_MS

    async def age(self) -> None:
        for row in self._database.workers.values():
            row.started_ms -= 2 * HOUR_MS * row.fenced

    async def block(self, blocked: Blocked, incarnation: str) -> None:
        database, row = self._database, self._database.workers.get(int(incarnation))
        batch = batch_of((blocked.row,), {})

        def body(transaction: Transaction) -> Generator[None, None, None]:
            yield from transaction.hold(Lock())
            if blocked.by == "row":
                yield from database.reserve(transaction, batch)
                transaction.effects.append(lambda: database.insert(batch, xid=transaction.xid))
            elif row is not None and blocked.by == "fence":
                yield from transaction.hold(row.lock)
                transaction.effects.append(lambda: database.depose(row))
            elif row is not None:
                yield from transaction.share(row.lock)
            while self._commits is None:
                yield
            if not self._commits:
                raise JournalError("rolled back")

        self._commits = None
        self._blocking = Transaction(database, "append", body, _SOON)
        self._blocking.begin()

    async def release(self, *, commits: bool) -> None:
        assert self._blocking is not None
        self._commits = commits
        self._blocking.go_on()
        await asyncio.sleep(_POLL_S)

    async def settle(self, calls: list[asyncio.Task[Outcome]]) -> None:
        del calls
        await settle()

    async def tables(self) -> Stored:
        database = self._database
        return Stored(
            rows=[row for _, row in database.tail_after(0)],
            wakes=sorted(database.wakes.items()),
            snapshots=sorted(
                (actor_id, seq, state)
                for actor_id, snapshots in database.snapshots.items()
                for seq, state in snapshots.items()
            ),
            workers=[
                (str(row.incarnation), row.fenced, row.life.server)
                for row in database.workers.values()
            ],
            owners=["" if owner is None else str(owner) for owner in database.shards.values()],
        )
