"""Idempotency keys: a success is answered again, not done again.

The scope of a key is its principal. Recent keys are remembered here, each from the moment its
request arrives, so that a repeat in flight waits for the same answer; a key that is not among
them is looked up in the journal before its request may enter a mailbox, many keys in one query.
Only successes are remembered: a refused key is free again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from allocator.actors.actor import Actor
from allocator.actors.messages import Answer, Envelope, KeyReused, Outcome
from allocator.actors.ports import Journal
from allocator.actors.writer import JournalWriter
from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.messages import Command
from allocator.domain.records import Record
from allocator.errors import AllocatorError, JournalError, UnavailableError

RECENT_MAX: Final = 100_000
_LOOKUP_MAX: Final = 1000

Name: TypeAlias = tuple[str, str]
"""(principal, key)."""


class KeyedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client wants to happen at most once."""

    actor_id: int
    command: Command
    principal: str
    key: str
    request_digest: bytes


class _Entry:
    """The one reply of a keyed request, standing for all who ask the same.

    Attributes:
        rivals: Who wants something else under the same key: whether they may is open until
            this one has succeeded or not.
    """

    __slots__ = ("_settle", "name", "outcome", "request_digest", "rivals", "waiting")

    def __init__(
        self, name: Name, request_digest: bytes, settle: Callable[["_Entry"], None]
    ) -> None:
        self.name = name
        self.request_digest = request_digest
        self.outcome: Outcome | None = None
        self.waiting: list[asyncio.Future[Answer]] = []
        self.rivals: tuple[tuple[KeyedRequest, asyncio.Future[Answer]], ...] = ()
        self._settle = settle

    def done(self) -> bool:
        return False

    def set_result(self, answer: Answer, /) -> None:
        if isinstance(answer, Outcome):
            self.outcome = answer
        waiting, self.waiting = self.waiting, []
        for reply in waiting:
            if not reply.done():
                reply.set_result(answer)
        self._settle(self)

    def set_exception(self, error: Exception, /) -> None:
        waiting = [*self.waiting, *(reply for _, reply in self.rivals)]
        self.waiting, self.rivals = [], ()
        for reply in waiting:
            if not reply.done():
                reply.set_exception(error)
        self._settle(self)


class Keys:
    """Lets each keyed request through once.

    Args:
        journal: Where older keys are looked up.
        writer: Confirms repeats: they are reads, and wait like any.
        find_actor: Returns the actor that a request is for; may raise what it raises.
    """

    def __init__(
        self, journal: Journal, writer: JournalWriter, find_actor: Callable[[int], Actor]
    ) -> None:
        self.lookups = 0
        self.repeats = 0
        self._journal = journal
        self._writer = writer
        self._find_actor = find_actor
        self._recent: OrderedDict[Name, _Entry] = OrderedDict()
        self._asked: list[tuple[_Entry, KeyedRequest]] = []
        self._lookup: asyncio.Task[None] | None = None
        self._epoch = 0

    def ask(self, request: KeyedRequest) -> asyncio.Future[Answer]:
        """Return the answer to come: the first one again, if there was one."""
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._join(request, reply)
        return reply

    def forget_unanswered(self, error: AllocatorError) -> None:
        """Give up on requests that have not reached a mailbox; their lookups are worth nothing."""
        self._epoch += 1
        self._writer.unanswered -= len(self._asked)
        self._asked.clear()
        if self._lookup is not None:
            self._lookup.cancel()  # it may wait for long on a dead connection, and all behind it
            self._lookup = None
        for entry in list(self._recent.values()):
            if entry.outcome is None:
                entry.set_exception(error)

    def _join(self, request: KeyedRequest, reply: asyncio.Future[Answer]) -> None:
        name = (request.principal, request.key)
        entry = self._recent.get(name)
        if entry is None:
            entry = _Entry(name, request.request_digest, self._settle)
            entry.waiting.append(reply)
            self._remember(entry)
            self._look_up_soon(entry, request)
        elif entry.request_digest == request.request_digest:
            self.repeats += 1
            if entry.outcome is None:
                entry.waiting.append(reply)
            else:
                self._writer.repeat(reply, entry.outcome)
        elif entry.outcome is None:
            entry.rivals += ((request, reply),)
        else:
            self._writer.repeat(reply, KeyReused(key=request.key))

    def _remember(self, entry: _Entry) -> None:
        self._recent[entry.name] = entry
        while len(self._recent) > RECENT_MAX:
            name, oldest = next(iter(self._recent.items()))
            if oldest.outcome is None:
                self._recent.move_to_end(name)  # in flight: needed; there are few
                break
            del self._recent[name]

    def _settle(self, entry: _Entry) -> None:
        """Free the key unless it was used; whoever wants something else under it has a turn."""
        # A lookup given up in a repair may fail later: a repeat then stands in this one's place.
        if entry.outcome is None and self._recent.get(entry.name) is entry:
            del self._recent[entry.name]
        rivals, entry.rivals = entry.rivals, ()
        for request, reply in rivals:
            self._join(request, reply)

    def _look_up_soon(self, entry: _Entry, request: KeyedRequest) -> None:
        self._asked.append((entry, request))
        self._writer.unanswered += 1
        if self._lookup is None or self._lookup.done():
            self._lookup = asyncio.create_task(self._look_up_all())

    async def _look_up_all(self) -> None:
        """Look keys up, one query at a time: what arrives during one shares the next."""
        while self._asked:
            asked, self._asked = self._asked[:_LOOKUP_MAX], self._asked[_LOOKUP_MAX:]
            await self._look_up(asked, self._epoch)

    async def _look_up(self, asked: list[tuple[_Entry, KeyedRequest]], epoch: int) -> None:
        self.lookups += len(asked)
        try:
            records = await self._journal.find_keys([entry.name for entry, _ in asked])
        except JournalError:
            unavailable = UnavailableError(reason="the journal cannot be read")
            for entry, _ in asked:
                entry.set_exception(unavailable)
            return
        finally:
            self._writer.unanswered -= len(asked)
        if epoch != self._epoch:
            return  # given up meanwhile
        found = {(record.principal, record.idempotency_key): record for record in records}
        for entry, request in asked:
            self._go_on(entry, request, found.get(entry.name))

    def _go_on(self, entry: _Entry, request: KeyedRequest, record: Record | None) -> None:
        if record is None:
            envelope = Envelope(
                request.command, entry, request.principal, request.key, request.request_digest
            )
            try:
                self._find_actor(request.actor_id).tell(envelope)
            except AllocatorError as error:
                entry.set_exception(error)
        elif record.request_digest == request.request_digest:
            self.repeats += 1
            try:
                self._writer.repeat(entry, _outcome_of(record))
            except (UnknownEventError, msgspec.DecodeError) as error:
                entry.set_exception(error)
        else:
            self._writer.repeat(entry, KeyReused(key=request.key))


def _outcome_of(record: Record) -> Outcome:
    return Outcome(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        event=decode_event(kind=record.kind, version=record.version, body=record.body),
    )
