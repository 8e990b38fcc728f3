"""The database in memory: tables, who waits for whom, and what becomes of a call."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from typing import Final

from allocator.domain.records import Batch, Record
from allocator.errors import JournalError
from allocator.persistence.memory.feed_tables import FeedTables
from allocator.persistence.memory.locks import Lock, Session
from allocator.persistence.memory.ownership import Ownership
from allocator.persistence.memory.tables import Tables
from allocator.persistence.memory.transaction import Address, Steps, Transaction
from allocator.persistence.memory.trouble import Call, Trouble, no_trouble

DEAD_AFTER_MS: Final = 2_000
_NO_SEQ: Final = 0
"""Stands for an actor's own row beside those of its journal."""


class MemoryDatabase(Tables):
    """What all workers share, and where their calls are carried out.

    A call whose caller is gone goes on here, up to its commit. The database itself never stands
    still: how it fails is `trouble`, `crash` and `start`.

    Args:
        clock: Returns milliseconds of Unix time.
        dead_after_ms: An incarnation without a heartbeat for so long may be fenced by others;
            0 means every other.
        spawn: Runs something where the database is to run. Whatever takes time here runs in the
            context in which it does.

    Attributes:
        trouble: Asked once for every call what becomes of it.
        ownership: Bodies of those transactions that are about who may write.
        up: Whether it runs.
        ongoing: Transactions that have not ended, or whose caller has heard nothing.
        running: Those that have locked something and not ended, by transaction id.
        inserting: Which transaction is about to use an address.
        feeds: What is kept of feeds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        dead_after_ms: int = DEAD_AFTER_MS,
        spawn: Callable[[Coroutine[object, object, None]], object] = asyncio.create_task,
    ) -> None:
        super().__init__()
        self.trouble: Callable[[Call], Trouble] = no_trouble
        self.ownership = Ownership(self, clock=clock, dead_after_ms=dead_after_ms)
        self.up = True
        self.ongoing: dict[Transaction, None] = {}
        self.running: dict[int, Transaction] = {}
        self.inserting: dict[Address, Transaction] = {}
        self._spawn = spawn
        self._context: Context | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[tuple[float, Callable[[], None]]] = []
        self._sessions: dict[int, Session] = {}
        self.feeds = FeedTables()
        self._servers = 0
        self._incarnations = 0
        self._xids = 0

    # What a test does to it.

    def crash(self) -> None:
        """End: what is not committed never was, and until `start` every call fails."""
        self.up = False
        ending, self.ongoing = self.ongoing, {}
        for transaction in ending:
            transaction.vanish()
        for session in self._sessions.values():
            session.broken = True
        for row in self.workers.values():
            row.lock = Lock()
        self.ownership.unlock()
        self.feeds.unlock()
        self.running.clear()
        self.inserting.clear()

    def start(self) -> None:
        """Serve again, with what was committed."""
        self.up = True

    def fence(self, incarnation: int) -> None:
        """Let an incarnation own nothing and never append again, without waiting."""
        self.depose(self.workers[incarnation])

    def shards_of(self, incarnation: int | None) -> frozenset[int]:
        """Return what an incarnation owns."""
        row = None if incarnation is None else self.workers.get(incarnation)
        return frozenset() if row is None else row.shards

    def tail_after(self, xid: int) -> list[tuple[int, Record]]:
        """Return the rows above a transaction, with their ids, in commit-safe order.

        None is above the oldest transaction under way: a row below it may still come.
        """
        return self.tail(after=xid, below=self.settled_below())

    def settled_below(self) -> int:
        """Return the oldest transaction under way: no row is to come below it."""
        return min(self.running, default=self._xids + 1)

    # What journals and transactions do with it.

    def next_server(self) -> str:
        """Return a name for a server of one worker."""
        self._servers += 1
        return f"server {self._servers}"

    def next_incarnation(self) -> int:
        """Return a number for an incarnation."""
        self._incarnations += 1
        return self._incarnations

    def connect(self, incarnation: int) -> Session:
        """Open the session of an incarnation."""
        session = self._sessions[incarnation] = Session(incarnation)
        return session

    def disconnect(self, session: Session) -> None:
        """Close a session."""
        session.close()
        if not session.busy:
            del self._sessions[session.incarnation]

    def reserve(self, transaction: Transaction, batch: Batch) -> Steps:
        """Keep the addresses of a batch, and the wake-ups of its actors, for a transaction.

        Raises:
            JournalError: One of them is in use.
        """
        addresses = list(dict.fromkeys(zip(batch.actor_ids, batch.seqs, strict=True)))
        addresses += [(actor_id, _NO_SEQ) for actor_id in batch.wakes]
        yield from transaction.reserve(addresses)
        if self.clashes(batch):
            raise JournalError("append: UniqueViolationError")

    def terminate(self, incarnations: Sequence[int]) -> None:
        """End the sessions of these incarnations."""
        for incarnation in incarnations:
            if incarnation in self._sessions:
                self._sessions[incarnation].terminate()

    def next_xid(self) -> int:
        """Return a new transaction id."""
        self._xids += 1
        return self._xids

    def later(self, delay_s: float, then: Callable[[], None]) -> None:
        """Do something where the database runs."""
        if self._loop is not None:
            self._loop.call_later(delay_s, then, context=self._context)
            return
        if not self._waiting:
            self._spawn(self._move_in())
        self._waiting.append((delay_s, then))

    async def _move_in(self) -> None:
        """Learn where to run."""
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting, []
        for delay_s, then in waiting:
            self.later(delay_s, then)
