"""The journal in memory. Satisfies `actors.ports.Journal`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator, Sequence
from functools import partial
from types import coroutine
from typing import Final, TypeVar

from allocator.domain.records import (
    SEQ_END,
    Batch,
    KeyName,
    Origin,
    Record,
    StoredSnapshot,
    WakeUp,
)
from allocator.domain.shares import Survey
from allocator.errors import FencedError, JournalError
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.locks import Session
from allocator.persistence.memory.tables import Life
from allocator.persistence.memory.transaction import Transaction
from allocator.persistence.memory.trouble import Call, Operation, Trouble

T = TypeVar("T")

_TIMEOUT_S: Final = 10.0
_CHUNK: Final = 2_000


class MemoryJournal:
    """One worker's access to a `MemoryDatabase`.

    Args:
        database: Shared by all workers.
        name: Of the process, for people and for `trouble`.
        server: That the worker is of; "" for one that has no other worker.
        address: On which it takes requests of its peers.
        timeout_s: How long a call may take before its outcome counts as unknown.
        chunk: How many rows `records` yields at a time.

    Attributes:
        violations: What the writer did that it must never do.
    """

    def __init__(  # noqa: PLR0913 (what a worker's journal is opened with)
        self,
        database: MemoryDatabase,
        *,
        name: str = "memory",
        server: str = "",
        address: str = "",
        timeout_s: float = _TIMEOUT_S,
        chunk: int = _CHUNK,
    ) -> None:
        self.database = database
        self.name = name
        self.violations: list[str] = []
        self._life = Life(name=name, server=server or database.next_server(), address=address)
        self._timeout_s = timeout_s
        self._chunk = chunk
        self._session: Session | None = None
        # As in `persistence.ownership`: the present one last, before it those in doubt.
        self._mine: list[int] = []

    @property
    def incarnation(self) -> int | None:
        """The present incarnation, or None before the first `renew` and while in doubt."""
        return None if self._session is None else self._session.incarnation

    async def append(self, batch: Batch, names: Sequence[KeyName] = ()) -> list[Record]:
        """Store all rows or none; return what was stored under the keys before."""
        if not len(batch):
            self.violations.append("an append without rows proves nothing")
        session = self._require_session()

        def store(transaction: Transaction) -> Generator[None, None, list[Record]]:
            database = self.database
            found = database.find_keys(names)
            if (yield from database.ownership.admit(transaction, session.incarnation)):
                yield from database.reserve(transaction, batch)
                transaction.effects.append(lambda: database.insert(batch, xid=transaction.xid))
            elif len(batch):
                raise FencedError(incarnation=str(session.incarnation))
            return found

        return await self._state("append", store, session, rows=len(batch))

    async def confirm(self, names: Sequence[KeyName] = ()) -> list[Record]:
        """Prove that this incarnation may still write; return what is stored under the keys."""
        session = self._require_session()

        def prove(transaction: Transaction) -> Generator[None, None, list[Record]]:
            found = self.database.find_keys(names)
            if not (yield from self.database.ownership.admit(transaction, session.incarnation)):
                raise FencedError(incarnation=str(session.incarnation))
            return found

        return await self._state("confirm", prove, session)

    async def find_keys(self, names: Sequence[KeyName]) -> list[Record]:
        """Return what is stored under the keys."""
        read = partial(self.database.find_keys, names)
        return await self._state("find_keys", None, self._require_session(), read=read)

    async def renew(self, keep: frozenset[int] | None = None) -> frozenset[int]:
        """Fence the present incarnation, if any, and go on under a new one."""
        self._close_session()
        opened = self.database.next_incarnation()
        former = self._mine
        self._mine = [*former, opened]

        def succeed(transaction: Transaction) -> Generator[None, None, frozenset[int]]:
            ownership = self.database.ownership
            return ownership.renew(transaction, opened, self._life, former=former, keep=keep)

        shards = await self._call("renew", succeed, several=True)
        self._mine = [opened]
        self._session = self.database.connect(opened)
        return shards

    async def claim(self, *, dead: Sequence[str] = ()) -> frozenset[int]:
        """Fence whoever is dead, and take free shards up to a fair share of them."""
        mine, ended = self._mine[-1], [int(each) for each in dead]

        def claim(transaction: Transaction) -> Generator[None, None, frozenset[int]]:
            return self.database.ownership.claim(transaction, mine, dead=ended)

        return await self._call("claim", claim, several=True)

    async def survey(self) -> Survey:
        """Return who serves what."""
        mine = self._mine[-1] if self._mine else None
        ownership, server = self.database.ownership, self._life.server
        return await self._read("survey", lambda: ownership.survey(mine, server=server))

    async def beat(self) -> bool:
        """Say that this incarnation lives; return whether it is unfenced."""
        mine = self._mine

        def beat(transaction: Transaction) -> Generator[None, None, bool]:
            return self.database.ownership.beat(transaction, mine[-1])

        alive = await self._call("beat", beat)
        return alive or len(mine) > 1 or self._mine is not mine

    async def resign(self) -> None:
        """Fence the present incarnation for good; its shards are free at once."""
        self._close_session()
        mine = self._mine

        def resign(transaction: Transaction) -> Generator[None, None, None]:
            return self.database.ownership.resign(transaction, mine)

        await self._call("resign", resign, several=True)
        self._mine = []

    async def numbers(self, count: int) -> Sequence[int]:
        """Return numbers that no actor has and nobody else is given."""
        return await self._read("numbers", lambda: self.database.take_numbers(count))

    async def origin(self, actor_id: int, *, below: int = SEQ_END) -> Origin:
        """Return where the recovery of an actor starts: the newest place below a seq."""
        return await self._read("origin", lambda: self.database.origin(actor_id, below=below))

    async def records(self, actor_id: int, *, after_seq: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the actor's rows above `after_seq`, ascending, in chunks, without their keys."""
        while True:
            read = partial(self.database.journal_of, actor_id, after_seq=after_seq)
            rows = await self._read("records", read)
            chunk = [_without_key(row) for row in rows[: self._chunk]]
            if chunk:
                yield chunk
            if len(chunk) < self._chunk:
                return
            after_seq = chunk[-1].seq

    async def save_snapshot(self, actor_id: int, snapshot: StoredSnapshot) -> None:
        """Keep a snapshot; the newest few are retained."""

        def save(transaction: Transaction) -> Generator[None, None, None]:
            keep = partial(self.database.save_snapshot, actor_id, snapshot)
            transaction.effects.append(keep)
            yield from ()

        await self._call("save_snapshot", save)

    async def due_wakes(
        self, *, now_ms: int, limit: int, shards: Collection[int], after: WakeUp | None = None
    ) -> Sequence[WakeUp]:
        """Return the actors of some shards whose wake-up time has come, ascending."""
        find = partial(
            self.database.due_wakes, now_ms=now_ms, limit=limit, shards=shards, after=after
        )
        return await self._read("due_wakes", find)

    async def _state(
        self,
        operation: Operation,
        body: Callable[[Transaction], Generator[None, None, T]] | None,
        session: Session,
        *,
        read: Callable[[], T] | None = None,
        rows: int = 0,
    ) -> T:
        """Make a statement of the session, which can carry out but one at a time."""
        if session.asked:
            self.violations.append(f"{operation} while another statement is in flight")
            raise JournalError(f"{operation}: another operation is in progress")
        if session.broken:
            await _turn()
            raise JournalError(f"{operation}: the connection was closed")
        session.asked = True
        try:
            return await self._call(operation, body, read=read, rows=rows, session=session)
        finally:
            session.asked = False

    def _read(self, operation: Operation, read: Callable[[], T]) -> Awaitable[T]:
        return self._call(operation, None, read=read)

    def _call(  # noqa: PLR0913 (what a call is)
        self,
        operation: Operation,
        body: Callable[[Transaction], Generator[None, None, T]] | None,
        *,
        read: Callable[[], T] | None = None,
        rows: int = 0,
        session: Session | None = None,
        several: bool = False,
    ) -> Awaitable[T]:
        """Return a call; it is made when it is awaited."""
        mine = None if self._session is None else self._session.incarnation
        call = Call(operation=operation, client=self.name, incarnation=mine, rows=rows)
        transaction = Transaction(
            self.database,
            operation,
            body,
            self._trouble(call),
            read=read,
            session=session,
            several=several,
            timeout_s=self._timeout_s,
        )
        if session is not None:
            session.statement = transaction
        return transaction  # type: ignore[return-value]  # of that type is what the body returns

    def _trouble(self, call: Call) -> Trouble:
        return self.database.trouble(call)

    def _require_session(self) -> Session:
        if self._session is None:
            raise JournalError("no incarnation is open")
        return self._session

    def _close_session(self) -> None:
        if self._session is not None:
            self.database.disconnect(self._session)
            self._session = None


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let others go first."""
    yield


def _without_key(record: Record) -> Record:
    if record.idempotency_key is None and not record.principal:
        return record
    return Record(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        kind=record.kind,
        version=record.version,
        body=record.body,
        digest=record.digest,
    )
