"""An actor: one pool, its mailbox, and the drain that decides ahead of durability.

Nothing in this file waits, so nothing in it can interleave. The rules are in `domain`; when a
decision becomes a promise is the business of `writer`.
"""

from collections import deque
from typing import TYPE_CHECKING

import structlog

from allocator.actors.messages import Envelope, Noted, Outcome, Read, Reply
from allocator.actors.ports import Clock
from allocator.domain.messages import Event, Wake
from allocator.domain.pool import Pool
from allocator.domain.rules import decide, evolve, wake_at
from allocator.errors import BrokenRuleError, JournalError, OverloadedError

if TYPE_CHECKING:
    from allocator.actors.writer import JournalWriter

log = structlog.get_logger()

_WAKE = Wake()
_NOBODY = Envelope(_WAKE)
_NOTED = Noted()


class Actor:
    """A single writer of one pool.

    Attributes:
        pool: The state, or None while it is being recovered; messages wait meanwhile.
        digest: Of the last row, the end of the chain.
        unanswered: Messages accepted and not yet answered, rows under way included.
        wake_at_ms: When the database believes that we want to be woken.
        used_ms: When the last message came, for passivation.
        snapshot_seq: Up to where a snapshot is stored.
    """

    __slots__ = (
        "_clock",
        "_limit",
        "_mailbox",
        "_writer",
        "actor_id",
        "digest",
        "pool",
        "snapshot_seq",
        "unanswered",
        "used_ms",
        "wake_at_ms",
    )

    def __init__(
        self, actor_id: int, *, writer: "JournalWriter", clock: Clock, mailbox_max: int
    ) -> None:
        self.actor_id = actor_id
        self.pool: Pool | None = None
        self.digest = b""
        self.unanswered = 0
        self.wake_at_ms: int | None = None
        self.used_ms = 0
        self.snapshot_seq = 0
        self._mailbox: deque[Envelope] = deque()
        self._writer = writer
        self._clock = clock
        self._limit = mailbox_max

    def tell(self, envelope: Envelope) -> None:
        """Accept a message; it is decided at once when the actor is active.

        Raises:
            OverloadedError: Too many wait; this one was not accepted.
        """
        self.require_room()
        self._accept()
        self._mailbox.append(envelope)
        if self.pool is not None:
            self.drain(self.pool)

    def require_room(self) -> None:
        """Refuse what could not be accepted now.

        Raises:
            OverloadedError: Too many wait.
        """
        if self.unanswered >= self._limit:
            raise OverloadedError(whose="product and warehouse", limit=self._limit)

    def activate(
        self, pool: Pool, *, digest: bytes, snapshot_seq: int, wake_at_ms: int | None
    ) -> None:
        """Begin to serve a recovered state, the waiting messages first."""
        self.pool = pool
        self.digest = digest
        self.snapshot_seq = snapshot_seq
        self.wake_at_ms = wake_at_ms
        self.drain(pool)

    def abandon(self, error: Exception) -> None:
        """Give every waiting message up; the actor is of no use afterwards."""
        while self._mailbox:
            self._fail(self._mailbox.popleft().reply, error)

    def drain(self, pool: Pool) -> None:
        """Decide everything that waits, in order.

        No reply leaves here: the writer releases it once the events are stored, and a refusal
        or a read once an append sent later has shown that we still may write. If an append
        fails, this actor is dropped whole; there is no undoing.
        """
        now_ms = max(self._clock(), pool.last_at_ms)
        self.used_ms = now_ms
        while self._mailbox:
            # Before each message: a cancelled order may give units back to a lot past its date.
            due_ms = wake_at(pool)
            if due_ms is not None and due_ms <= now_ms:
                self._accept()
                self._decide(pool, _NOBODY, now_ms=now_ms)
            self._decide(pool, self._mailbox.popleft(), now_ms=now_ms)

    def _decide(self, pool: Pool, envelope: Envelope, *, now_ms: int) -> None:
        ask = envelope.ask
        try:
            if isinstance(ask, Read):
                ask.view(pool)
                self._writer.confirm(self, envelope.reply, _NOTED)
                return
            decision = decide(pool, ask, now_ms=now_ms)
        except Exception:  # a bug in a rule must cost one answer, not the worker
            log.exception("actor.rule_failed", actor=self.actor_id)
            self._fail(envelope.reply, BrokenRuleError(actor_id=self.actor_id))
            return
        if not isinstance(decision, tuple):
            self._writer.confirm(self, envelope.reply, decision)
            return
        if not decision:
            self._writer.confirm(self, envelope.reply, _NOTED)
            return
        for event in decision[:-1]:
            self._accept()
            self._record(pool, event, _NOBODY, now_ms=now_ms)
        self._record(pool, decision[-1], envelope, now_ms=now_ms)

    def _record(self, pool: Pool, event: Event, envelope: Envelope, *, now_ms: int) -> None:
        try:
            evolve(pool, event, at_ms=now_ms)
            outcome = Outcome(actor_id=self.actor_id, seq=pool.version, at_ms=now_ms, event=event)
            self._writer.append(self, outcome, envelope)
        except Exception:  # memory shows what the journal never will: nothing later may leave
            log.exception("actor.event_failed", actor=self.actor_id)
            self._fail(envelope.reply, BrokenRuleError(actor_id=self.actor_id))
            self._accept()
            self._writer.confirm(self, None, _NOTED)  # so that the repair drops this actor
            self._writer.doubt(JournalError(f"actor {self.actor_id} could not store its event"))
            return
        # With the row that changes it: an append that fails in between leaves both as they were.
        wanted_ms = wake_at(pool)
        if wanted_ms != self.wake_at_ms:
            self.wake_at_ms = wanted_ms
            self._writer.wake(self, wanted_ms)

    def _accept(self) -> None:
        self.unanswered += 1
        self._writer.unanswered += 1

    def _fail(self, reply: Reply | None, error: Exception) -> None:
        self.unanswered -= 1
        self._writer.unanswered -= 1
        if reply is not None and not reply.done():
            reply.set_exception(error)
