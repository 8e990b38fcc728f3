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


class _Remembered(msgspec.Struct, frozen=True, gc=False):
    """A success, kept out of the garbage collector's sight: there are many."""

    request_digest: bytes
    outcome: Outcome


class _Entry:
    """The one reply of a keyed request under way, standing for all who ask the same.

    Attributes:
        rivals: Who wants something else under the same key: whether they may is open until
            this one has succeeded or not.
    """

    __slots__ = ("_finish", "_first", "_more", "request", "rivals")

    def __init__(
        self,
        request: KeyedRequest,
        reply: asyncio.Future[Answer],
        finish: Callable[["_Entry", Answer | None], None],
    ) -> None:
        self.request = request
        self.rivals: tuple[tuple[KeyedRequest, asyncio.Future[Answer]], ...] = ()
        self._first = reply
        self._more: list[asyncio.Future[Answer]] | None = None
        self._finish = finish

    def join(self, reply: asyncio.Future[Answer]) -> None:
        """Answer one more."""
        self._more = [*(self._more or ()), reply]

    def done(self) -> bool:
        return False

    def set_result(self, answer: Answer, /) -> None:
        self._finish(self, answer)
        for reply in (self._first, *(self._more or ())):
            if not reply.done():
                reply.set_result(answer)

    def set_exception(self, error: Exception, /) -> None:
        rivals, self.rivals = self.rivals, ()
        self._finish(self, None)
        for reply in (self._first, *(self._more or ()), *(reply for _, reply in rivals)):
            if not reply.done():
                reply.set_exception(error)


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
        self._recent: OrderedDict[Name, _Remembered] = OrderedDict()
        self._under_way: dict[Name, _Entry] = {}
        self._asked: list[_Entry] = []
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
        for entry in list(self._under_way.values()):
            entry.set_exception(error)

    def _join(self, request: KeyedRequest, reply: asyncio.Future[Answer]) -> None:
        name = (request.principal, request.key)
        if (entry := self._under_way.get(name)) is not None:
            if entry.request.request_digest == request.request_digest:
                self.repeats += 1
                entry.join(reply)
            else:
                entry.rivals += ((request, reply),)
        elif (remembered := self._recent.get(name)) is not None:
            if remembered.request_digest == request.request_digest:
                self.repeats += 1
                self._writer.repeat(reply, remembered.outcome)
            else:
                self._writer.repeat(reply, KeyReused(key=request.key))
        else:
            entry = self._under_way[name] = _Entry(request, reply, self._finish)
            self._asked.append(entry)
            self._writer.unanswered += 1
            if self._lookup is None or self._lookup.done():
                self._lookup = asyncio.create_task(self._look_up_all())

    def _finish(self, entry: _Entry, answer: Answer | None) -> None:
        """Remember a success; whatever else became of a request, its key is free again."""
        request = entry.request
        name = (request.principal, request.key)
        # A lookup given up in a repair may fail later: a repeat then stands in this one's place.
        if self._under_way.get(name) is entry:
            del self._under_way[name]
        if isinstance(answer, Outcome):
            self._recent[name] = _Remembered(request.request_digest, answer)
            if len(self._recent) > RECENT_MAX:
                self._recent.popitem(last=False)
        for rival, reply in entry.rivals:
            self._join(rival, reply)

    async def _look_up_all(self) -> None:
        """Look keys up, one query at a time: what arrives during one shares the next."""
        while self._asked:
            asked, self._asked = self._asked[:_LOOKUP_MAX], self._asked[_LOOKUP_MAX:]
            await self._look_up(asked, self._epoch)

    async def _look_up(self, asked: list[_Entry], epoch: int) -> None:
        self.lookups += len(asked)
        names = [(entry.request.principal, entry.request.key) for entry in asked]
        try:
            records = await self._journal.find_keys(names)
        except JournalError:
            unavailable = UnavailableError(reason="the journal cannot be read")
            for entry in asked:
                entry.set_exception(unavailable)
            return
        finally:
            self._writer.unanswered -= len(asked)
        if epoch != self._epoch:
            return  # given up meanwhile
        found = {(record.principal, record.idempotency_key): record for record in records}
        for name, entry in zip(names, asked, strict=True):
            record = found.get(name)
            if record is None:
                self._let_through(entry)
            else:
                self._answer_again(entry, record)

    def _let_through(self, entry: _Entry) -> None:
        request = entry.request
        envelope = Envelope(
            request.command, entry, request.principal, request.key, request.request_digest
        )
        try:
            self._find_actor(request.actor_id).tell(envelope)
        except AllocatorError as error:
            entry.set_exception(error)

    def _answer_again(self, entry: _Entry, record: Record) -> None:
        if record.request_digest != entry.request.request_digest:
            self._writer.repeat(entry, KeyReused(key=entry.request.key))
            return
        self.repeats += 1
        try:
            self._writer.repeat(entry, _outcome_of(record))
        except (UnknownEventError, msgspec.DecodeError) as error:
            entry.set_exception(error)


def _outcome_of(record: Record) -> Outcome:
    return Outcome(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        event=decode_event(kind=record.kind, version=record.version, body=record.body),
    )
