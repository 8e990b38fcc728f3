"""Group commit: everything decided while one append is in flight travels in the next.

A reply is released when the append that carries its events has committed. A negative answer, a
read or a repeat carries none, and a deposed writer could give it without the database noticing;
so it waits as well, for the next append *sent after* the decision, or for a `confirm` when there
is nothing to append. That is one queue with one rule: an answer leaves with the turn it joined.

Questions about idempotency keys travel with the turns, too: a round trip of their own for every
key would cost more than all the rest of a keyed request.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Protocol

from allocator.actors.actor import Actor
from allocator.actors.messages import Answer, Envelope, Outcome, Reply
from allocator.actors.ports import Clock, Journal
from allocator.actors.statistics import WriterStatistics
from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.records import Batch, KeyName, Record, chain
from allocator.errors import FencedError, JournalError, OutcomeUnknownError


class Question(Protocol):
    """Somebody who has to know whether a key is in use.

    Attributes:
        name: Of the key.
    """

    name: KeyName

    def hear(self, stored: Record | None, /) -> None:
        """Take the row stored under that key, or None; must not raise."""


class _Turn:
    """What travels together: rows, the answers that wait for them, and questions."""

    __slots__ = ("answers", "batch", "questions")

    def __init__(self) -> None:
        self.batch = Batch()
        self.answers: list[tuple[Actor | None, Reply | None, Answer]] = []
        self.questions: list[Question] = []


class JournalWriter:
    """Sends turns one at a time and releases their answers.

    Args:
        journal: Where they go.
        clock: Milliseconds of Unix time.
        batch_max: Rows of one append, and questions of one turn.
        repair: Awaited after a failed append or confirm, with the actors whose answers were
            not released; returns when there is an incarnation that may write again.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Clock,
        batch_max: int,
        repair: Callable[[JournalError, list[Actor]], Awaitable[None]],
    ) -> None:
        self.statistics = WriterStatistics()
        self.proven_ms = 0  # when the last turn was sent that proved that we may write
        self.unanswered = 0  # of all actors, as `Actor.unanswered`, and questions
        self._journal = journal
        self._clock = clock
        self.batch_max = batch_max
        self._repair = repair
        self._turns: deque[_Turn] = deque([_Turn()])
        self._in_flight: _Turn | None = None  # or released already
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._doubt: JournalError | None = None
        self.sending = asyncio.Lock()  # held while a turn is under way: take it to come between two

    def append(self, actor: Actor, outcome: Outcome, envelope: Envelope) -> None:
        """Journal an event that the actor's state already shows; then answer with it."""
        turn = self._turns[-1]
        if len(turn.batch.seqs) >= self.batch_max:
            turn = _Turn()
            self._turns.append(turn)
        event = outcome.event
        kind = KINDS[type(event)]
        version = VERSIONS[kind]
        body = encode_event(event).decode()
        actor.digest = chain(
            actor.digest,
            actor_id=outcome.actor_id,
            seq=outcome.seq,
            at_ms=outcome.at_ms,
            kind=kind,
            version=version,
            body=body,
            principal=envelope.principal,
            idempotency_key=envelope.key,
            request_digest=envelope.request_digest,
        )
        turn.batch.add(
            actor_id=outcome.actor_id,
            seq=outcome.seq,
            at_ms=outcome.at_ms,
            kind=kind,
            version=version,
            body=body,
            digest=actor.digest,
            principal=envelope.principal,
            idempotency_key=envelope.key,
            request_digest=envelope.request_digest,
        )
        turn.answers.append((actor, envelope.reply, outcome))
        self._work.set()

    def together(self, rows: int) -> None:
        """Have the next rows appended in one turn: all of them are stored, or none.

        Args:
            rows: How many, at most `batch_max`.
        """
        if len(self._turns[-1].batch) + rows > self.batch_max:
            self._turns.append(_Turn())

    def confirm(self, actor: Actor, reply: Reply | None, answer: Answer) -> None:
        """Answer without an event, once it is certain that we still may."""
        self._turns[-1].answers.append((actor, reply, answer))
        self._work.set()

    def repeat(self, reply: Reply, answer: Answer) -> None:
        """Give an answer that no actor has to think about, once it is certain that we may."""
        self.unanswered += 1
        self._turns[-1].answers.append((None, reply, answer))
        self._work.set()

    def look_up(self, question: Question) -> None:
        """Find out whether a key is in use; whoever asks hears it unless the turn fails."""
        self.unanswered += 1
        turn = self._turns[-1]
        if len(turn.questions) >= self.batch_max:
            turn = _Turn()
            self._turns.append(turn)
        turn.questions.append(question)
        self._work.set()

    def wake(self, actor: Actor, wake_at_ms: int | None) -> None:
        """Store a new wake-up time with the rows that the actor just appended."""
        self._turns[-1].batch.wakes[actor.actor_id] = wake_at_ms

    def bear(self, actor: Actor, kind: str) -> None:
        """Store an actor that comes into being, with the row that it just appended."""
        self._turns[-1].batch.births[actor.actor_id] = kind

    def doubt(self, error: JournalError) -> None:
        """Treat the present incarnation as lost, as a failed append would."""
        self._doubt = error
        self._work.set()

    async def run(self) -> None:
        """Send turns for ever; cancel to stop."""
        while True:
            await self._work.wait()
            turn = self._in_flight = self._turns.popleft()
            if not self._turns:
                self._turns.append(_Turn())
                self._work.clear()
            self._idle.clear()
            try:
                async with self.sending:
                    sent_ms = self._clock()
                    found = await self._send(turn)
            except JournalError as error:
                self.statistics.failures += 1
                self.statistics.fenced += isinstance(error, FencedError)
                self._turns.appendleft(turn)
                await self._repair(error, self.abandon())
                self._doubt = None  # of the incarnation that was just replaced
            except asyncio.CancelledError:
                self._turns.appendleft(turn)
                raise
            else:
                if turn.answers:
                    self.proven_ms = sent_ms
                self._release(turn)
                self._tell(turn.questions, found)
            if not self._work.is_set():
                self._idle.set()

    def fullest_mailbox(self) -> int:
        """Return the unanswered messages of the fullest mailbox among actors that wait here."""
        turns = [*self._turns] if self._in_flight is None else [self._in_flight, *self._turns]
        actors = (actor for turn in turns for actor, _, _ in turn.answers if actor is not None)
        return max((actor.unanswered for actor in actors), default=0)

    async def flush(self) -> None:
        """Return when everything that was decided so far is answered."""
        while self._work.is_set() or not self._idle.is_set():
            await self._idle.wait()
            await asyncio.sleep(0)

    def abandon(self) -> list[Actor]:
        """Answer everything unreleased with "unknown"; return whose it was, each actor once.

        Questions are dropped: who asked them knows best what to do.
        """
        lost, self._turns = self._turns, deque([_Turn()])
        self._in_flight = None
        self._work.clear()
        unknown = OutcomeUnknownError()
        for turn in lost:
            self.unanswered -= len(turn.answers) + len(turn.questions)
            for _, reply, _ in turn.answers:
                if reply is not None and not reply.done():
                    reply.set_exception(unknown)
        actors = (actor for turn in lost for actor, _, _ in turn.answers if actor is not None)
        return list(dict.fromkeys(actors))  # in the same order whenever the same happens

    async def _send(self, turn: _Turn) -> Sequence[Record]:
        if self._doubt is not None:
            error, self._doubt = self._doubt, None
            raise error
        names = [question.name for question in turn.questions]
        rows = len(turn.batch)
        if not rows and not turn.answers:
            return await self._journal.find_keys(names)
        if not rows:
            found = await self._journal.confirm(names)
            self.statistics.confirms += 1
            return found
        started = perf_counter()
        found = await self._journal.append(turn.batch, names)
        self.statistics.count_append(turn.batch, took_s=perf_counter() - started)
        return found

    def _release(self, turn: _Turn) -> None:
        self.unanswered -= len(turn.answers)
        for actor, reply, answer in turn.answers:
            if actor is not None:
                actor.unanswered -= 1
            if type(answer) is not Outcome:
                self.statistics.count_rowless(answer)
            if reply is not None and not reply.done():
                reply.set_result(answer)

    def _tell(self, questions: Sequence[Question], found: Sequence[Record]) -> None:
        self.unanswered -= len(questions)
        stored = {(record.principal, record.idempotency_key): record for record in found}
        for question in questions:
            question.hear(stored.get(question.name))
