"""Idempotency keys: a success is answered again, not done again.

The scope of a key is its principal. Recent keys are remembered here, each from the moment its
request arrives, so that a repeat in flight waits for the same answer; a key that is not among
them is looked up in the journal before its request may enter a mailbox, with the writer's next
turn. Only successes are remembered: a refused key is free again.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from allocator.actors.actor import Actor
from allocator.actors.messages import Answer, Envelope, KeyReused, Outcome
from allocator.actors.writer import JournalWriter
from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.ids import SHARD_MASK
from allocator.domain.kinds import Command
from allocator.domain.records import KeyName, Record
from allocator.errors import AllocatorError

T = TypeVar("T")

RECENT_MAX: Final = 100_000


class KeyedRequest(msgspec.Struct, frozen=True, gc=False):
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


class _Entry(msgspec.Struct, eq=False):
    """The one reply of a keyed request under way, standing for all who ask the same.

    It is its own question to the journal, and the reply of its envelope.

    Attributes:
        more: Who else asks the same.
        rivals: Who wants something else under the same key: whether they may is open until
            this one has succeeded or not.
    """

    keys: "Keys"
    name: KeyName
    request: KeyedRequest
    reply: asyncio.Future[Answer]
    more: list[asyncio.Future[Answer]] | None = None
    rivals: list[tuple[KeyedRequest, asyncio.Future[Answer]]] | None = None

    def hear(self, stored: Record | None, /) -> None:
        """Take what the journal has under the key: nothing, or a first answer."""
        if stored is None:
            self.keys.let_through(self)
        else:
            self.keys.answer_again(self, stored)

    def done(self) -> bool:
        """Never: it has to learn the answer even if nobody else wants it any more."""
        return False

    def set_result(self, answer: Answer, /) -> None:
        """Answer everybody, then see to the rivals."""
        self.keys.finish(self, answer)
        for reply in (self.reply, *(self.more or ())):
            if not reply.done():
                reply.set_result(answer)

    def set_exception(self, error: Exception, /) -> None:
        """Fail everybody, the rivals too: it is not known whether they may."""
        rivals, self.rivals = self.rivals, None
        self.keys.finish(self, None)
        for reply in (self.reply, *(self.more or ()), *(reply for _, reply in rivals or ())):
            if not reply.done():
                reply.set_exception(error)


class Keys:
    """Lets each keyed request through once.

    Args:
        writer: Takes questions to the journal, and confirms repeats: they are reads, and wait
            like any.
        find_actor: Returns the actor that a request is for; may raise what it raises.
    """

    def __init__(self, writer: JournalWriter, find_actor: Callable[[int], Actor]) -> None:
        self.lookups = 0
        self.repeats = 0
        self._writer = writer
        self._find_actor = find_actor
        self._under_way: dict[KeyName, _Entry] = {}
        self._recent: dict[KeyName, _Remembered] = {}
        self._oldest: deque[KeyName] = deque()  # of `_recent`; an OrderedDict costs thrice as much

    def ask(self, request: KeyedRequest, reply: asyncio.Future[Answer]) -> None:
        """Answer the request: with the first answer to it again, if there was one.

        Raises:
            OverloadedError: The actor has no room for it, and nothing is known of its key.
            UnavailableError, QuarantinedError: The actor cannot be asked.
        """
        name = (request.principal, request.key)
        if (entry := self._under_way.get(name)) is not None:
            if entry.request.request_digest == request.request_digest:
                self.repeats += 1
                entry.more = _with(entry.more, reply)
            else:
                entry.rivals = _with(entry.rivals, (request, reply))
        elif (remembered := self._recent.get(name)) is not None:
            if remembered.request_digest == request.request_digest:
                self.repeats += 1
                self._writer.repeat(reply, remembered.outcome)
            else:
                self._writer.repeat(reply, KeyReused(key=request.key))
        else:
            # Now, and not when the key is known: that takes a turn, and turns may take long.
            self._find_actor(request.actor_id).require_room()
            entry = self._under_way[name] = _Entry(self, name, request, reply)
            self.lookups += 1
            self._writer.look_up(entry)

    def any_under_way(self, shards: frozenset[int]) -> bool:
        """Return whether a request for an actor of these shards has no answer yet."""
        return any(
            entry.request.actor_id & SHARD_MASK in shards for entry in self._under_way.values()
        )

    def forget_unanswered(self, error: AllocatorError) -> None:
        """Give up on every request under way."""
        for entry in list(self._under_way.values()):
            entry.set_exception(error)

    def let_through(self, entry: _Entry) -> None:
        """Have the actor decide; the key is new."""
        request = entry.request
        envelope = Envelope(
            request.command, entry, request.principal, request.key, request.request_digest
        )
        try:
            self._find_actor(request.actor_id).tell(envelope)
        except AllocatorError as error:
            entry.set_exception(error)

    def answer_again(self, entry: _Entry, stored: Record) -> None:
        """Give the answer that the stored event was, if it was asked for the same."""
        if stored.request_digest != entry.request.request_digest:
            self._writer.repeat(entry, KeyReused(key=entry.request.key))
            return
        self.repeats += 1
        try:
            self._writer.repeat(entry, _outcome_of(stored))
        except (UnknownEventError, msgspec.DecodeError) as error:
            entry.set_exception(error)

    def finish(self, entry: _Entry, answer: Answer | None) -> None:
        """Remember a success; whatever else became of a request, its key is free again."""
        name = entry.name
        # An actor that is dropped may fail its messages late: another entry then has the name.
        if self._under_way.get(name) is entry:
            del self._under_way[name]
        if isinstance(answer, Outcome):
            self._remember(name, _Remembered(entry.request.request_digest, answer))
        for rival, reply in entry.rivals or ():
            try:
                self.ask(rival, reply)
            except AllocatorError as error:
                if not reply.done():
                    reply.set_exception(error)

    def _remember(self, name: KeyName, success: _Remembered) -> None:
        if name not in self._recent:
            self._oldest.append(name)
            if len(self._oldest) > RECENT_MAX:
                del self._recent[self._oldest.popleft()]
        self._recent[name] = success


def _with(some: list[T] | None, one: T) -> list[T]:
    """Add to a list that mostly does not exist."""
    if some is None:
        return [one]
    some.append(one)
    return some


def _outcome_of(record: Record) -> Outcome:
    return Outcome(
        actor_id=record.actor_id,
        seq=record.seq,
        at_ms=record.at_ms,
        event=decode_event(kind=record.kind, version=record.version, body=record.body),
    )
