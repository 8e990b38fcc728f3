"""An actor: its state, its mailbox, and the drain that decides ahead of durability.

Nothing in this file waits, so nothing in it can interleave. The rules are in `domain`; when a
decision becomes a promise is the business of `writer`, and what a process asks that of `errands`.
"""

from collections import deque
from typing import TYPE_CHECKING

import structlog

from allocator.actors.errands import Errand
from allocator.actors.messages import Envelope, Noted, Outcome, Read, Reply
from allocator.actors.near import Hearing
from allocator.actors.paying import Leaving
from allocator.actors.polling import PollLeaving
from allocator.actors.ports import Clock
from allocator.domain import at_once
from allocator.domain.checkouts import Charge
from allocator.domain.kinds import (
    Decision,
    Event,
    State,
    blank,
    decide,
    due_at,
    evolve,
    is_at_rest,
    is_process,
    kind_begun_by,
    outgoing,
    wake_at,
)
from allocator.domain.messages import Wake
from allocator.domain.orders import OrderRequested, RequestOrder
from allocator.domain.pool import Pool
from allocator.domain.records import GENESIS
from allocator.errors import BrokenRuleError, JournalError, OverloadedError

if TYPE_CHECKING:
    from allocator.actors.errands import Office
    from allocator.actors.writer import JournalWriter

log = structlog.get_logger()

_WAKE = Wake()
_NOBODY = Envelope(_WAKE)
_NOTED = Noted()


class Actor:
    """A single writer of one thing's state.

    Attributes:
        state: None while it is being recovered; messages wait meanwhile.
        digest: Of the last row, the end of the chain.
        unanswered: Messages accepted and not yet answered, rows under way included.
        wake_at_ms: When the database believes that we want to be woken.
        used_ms: When the last message came, for passivation.
        snapshot_seq: Up to where a snapshot is stored.
        errand: What it asks of others; None unless it is a process.
        is_new: Whether nothing can have happened to it: the first message begins it.
    """

    __slots__ = (
        "_clock",
        "_limit",
        "_mailbox",
        "_office",
        "_patient",
        "_writer",
        "actor_id",
        "digest",
        "errand",
        "is_new",
        "snapshot_seq",
        "state",
        "unanswered",
        "used_ms",
        "wake_at_ms",
    )

    def __init__(
        self,
        actor_id: int,
        *,
        writer: "JournalWriter",
        office: "Office",
        clock: Clock,
        mailbox_max: int,
    ) -> None:
        self.actor_id = actor_id
        self.state: State | None = None
        self.digest = b""
        self.unanswered = 0
        self.wake_at_ms: int | None = None
        self.used_ms = 0
        self.snapshot_seq = 0
        self.errand: Errand | None = None
        self.is_new = False
        self._mailbox: deque[Envelope] | None = None  # where something waits; 760 bytes, if empty
        self._patient: dict[Reply, Envelope] | None = None  # reads of what is not there yet
        self._writer = writer
        self._office = office
        self._clock = clock
        self._limit = mailbox_max

    @property
    def has_room(self) -> bool:
        """Whether one more message would be accepted."""
        return self.unanswered < self._limit

    @property
    def is_busy(self) -> bool:
        """Whether it waits for others, who will have something to tell it."""
        return self.errand is not None and self.errand.busy

    @property
    def is_awake(self) -> bool:
        """Whether it need not be woken: it waits for others, or a message for its recovery.

        One that waits for others is woken all the same when it wants more than to be reminded.
        """
        if self.state is None:
            return self.unanswered > 0
        if self.wake_at_ms is None:  # as will be stored, if it is not yet
            return True
        due_ms = due_at(self.state)
        return self.is_busy and (due_ms is None or due_ms > self._clock())

    @property
    def is_at_rest(self) -> bool:
        """Whether it need not stay in memory for long."""
        return self.state is not None and is_at_rest(self.state)

    def first_state(self) -> State:
        """Return the state of an actor of which nothing is stored: what its first message begins.

        A pool begins with any message, since the catalogue has made its actor.
        """
        kind = kind_begun_by(self._mailbox[0].ask) if self._mailbox else None
        return blank(kind or "pool")

    def tell(self, envelope: Envelope) -> None:
        """Accept a message; it is decided at once when the actor is active.

        Raises:
            OverloadedError: Too many wait; this one was not accepted.
        """
        self.require_room()
        self.tell_own(envelope)

    def tell_own(self, envelope: Envelope) -> None:
        """Accept a message of our own, which nobody could send again."""
        self._accept()
        state = self.state
        if state is not None and not self._mailbox:  # nothing waits before it
            now_ms = self.used_ms = max(self._clock(), state.last_at_ms)
            if type(state) is Pool and state.may_be_due:
                self._heed(state, now_ms=now_ms)
            self._decide(state, envelope, now_ms=now_ms)
            return
        if self._mailbox is None:
            self._mailbox = deque()
        self._mailbox.append(envelope)
        if state is not None:
            self.drain(state)
        elif self.is_new:
            self.activate(self.first_state(), digest=GENESIS, snapshot_seq=0, wake_at_ms=None)

    def require_room(self) -> None:
        """Refuse what could not be accepted now.

        Raises:
            OverloadedError: Too many wait.
        """
        if self.unanswered >= self._limit:
            raise OverloadedError(whose="product and warehouse", limit=self._limit)

    def activate(
        self, state: State, *, digest: bytes, snapshot_seq: int, wake_at_ms: int | None
    ) -> None:
        """Begin to serve a recovered state, the waiting messages first."""
        self.state = state
        self.digest = digest
        self.snapshot_seq = snapshot_seq
        self.wake_at_ms = wake_at_ms
        if is_process(state):
            self.errand = Errand(self, self._office)
            self.errand.begin(state)
        self.drain(state)

    def abandon(self, error: Exception) -> None:
        """Give every waiting message up; the actor is of no use afterwards."""
        self.lose_patience(error)
        while self._mailbox:
            self._fail(self._mailbox.popleft().reply, error)

    def forget(self, reply: Reply) -> None:
        """Give up a read of what is not there yet, for which nobody waits any more."""
        if self._patient is not None and self._patient.pop(reply, None) is not None:
            self._let_go()

    def lose_patience(self, error: Exception) -> None:
        """Give up every read of what is not there yet."""
        patient, self._patient = self._patient or {}, None
        for envelope in patient.values():
            self._fail(envelope.reply, error)

    def drain(self, state: State) -> None:
        """Decide everything that waits, in order.

        No reply leaves here: the writer releases it once the events are stored, and a refusal
        or a read once an append sent later has shown that we still may write. If an append
        fails, this actor is dropped whole; there is no undoing.
        """
        now_ms = self.used_ms = max(self._clock(), state.last_at_ms)
        while self._mailbox:
            # Before each message: a cancelled order may give units back to a lot past its date.
            if type(state) is Pool and state.may_be_due:
                self._heed(state, now_ms=now_ms)
            self._decide(state, self._mailbox.popleft(), now_ms=now_ms)
        self._mailbox = None

    def heed(self, pool: Pool, *, now_ms: int) -> None:
        """Be as the time says, before anything is decided on our state, which is `pool`."""
        self.used_ms = now_ms
        if pool.may_be_due:
            self._heed(pool, now_ms=max(now_ms, pool.last_at_ms))

    def take_part(self, pool: Pool, event: Event, *, now_ms: int) -> None:
        """Record what was decided of us together with others; our state is `pool`."""
        self._accept()
        self._record(pool, event, _NOBODY, now_ms=max(now_ms, pool.last_at_ms))

    def lean(self) -> None:
        """Keep something unreleased: what was heard is not durable, and we fall with it."""
        self._accept()
        self._writer.confirm(self, None, _NOTED)

    def depart(self, departure: Reply) -> None:
        """Have an ask leave with the next turn: what justifies it is stored by then."""
        self._accept()
        self._writer.confirm(self, departure, _NOTED)

    def _decide(self, state: State, envelope: Envelope, *, now_ms: int) -> None:
        ask = envelope.ask
        try:
            if isinstance(ask, Read):
                self._look(state, envelope, ask)
                return
            decision = decide(state, ask, now_ms=now_ms)
            if type(ask) is RequestOrder:
                decision = self._at_once(decision, now_ms=now_ms)
        except Exception:  # a bug in a rule must cost one answer, not the worker
            log.exception("actor.rule_failed", actor=self.actor_id)
            self._fail(envelope.reply, BrokenRuleError(actor_id=self.actor_id))
            return
        if type(envelope.reply) is Hearing:
            self._tell_neighbour(envelope.reply, decision)
        if not isinstance(decision, tuple):
            self._writer.confirm(self, envelope.reply, decision)
            return
        if not decision:
            self._writer.confirm(self, envelope.reply, _NOTED)
            if self.errand is not None and isinstance(ask, Wake):
                self.errand.begin(state)  # of what an answer did not change
            return
        for event in decision[:-1]:
            self._accept()
            self._record(state, event, _NOBODY, now_ms=now_ms)
        self._record(state, decision[-1], envelope, now_ms=now_ms)
        if self.errand is not None:
            self._go_on(self.errand, state)

    def _go_on(self, errand: Errand, state: State) -> None:
        """Ask what is intended now, and show what somebody waited for: only processes do either."""
        errand.begin(state)
        if self._patient is not None:
            self._look_again(state)

    def _at_once(self, decision: Decision, *, now_ms: int) -> Decision:
        """Return what becomes of an order whose pools are all at hand; they do their part now.

        Nothing else is recorded before that is: it is stored together.
        """
        requested = decision[0] if isinstance(decision, tuple) else None
        if not isinstance(requested, OrderRequested):
            return decision
        neighbours = self._office.at_hand(requested)
        if neighbours is None or len(neighbours) >= self._writer.batch_max:
            return decision
        for actor, pool in neighbours:
            actor.heed(pool, now_ms=now_ms)
        pools = [pool for _, pool in neighbours]
        decided, parts = at_once.decide(requested, pools, process=self.actor_id)
        self._writer.together(len(parts) + 1)
        for (actor, pool), part in zip(neighbours, parts, strict=False):  # declined has none
            actor.take_part(pool, part, now_ms=now_ms)
        return (decided,)

    def _heed(self, pool: Pool, *, now_ms: int) -> None:
        due_ms = wake_at(pool)
        if due_ms is not None and due_ms <= now_ms:
            self._accept()
            self._decide(pool, _NOBODY, now_ms=now_ms)

    def _tell_neighbour(self, hearing: Hearing, decision: Decision) -> None:
        """Pass on what is decided, and about to be journaled; it is told when we are done."""
        if not isinstance(decision, tuple):
            hearing.decided(decision, by=self)  # type: ignore[arg-type]  # of a pool, as was asked
        else:
            hearing.decided(decision[-1] if decision else None, by=self)  # type: ignore[arg-type]

    def _look(self, state: State, envelope: Envelope, read: Read) -> None:
        reply = envelope.reply
        if read.view(state) is not False or reply is None or reply.done():
            self._writer.confirm(self, reply, _NOTED)
        elif self._patient is None:
            self._patient = {reply: envelope}
        else:
            self._patient[reply] = envelope

    def _look_again(self, state: State) -> None:
        patient, self._patient = self._patient or {}, None
        for envelope in patient.values():
            self._decide(state, envelope, now_ms=state.last_at_ms)

    def _record(self, state: State, event: Event, envelope: Envelope, *, now_ms: int) -> None:
        try:
            evolve(state, event, at_ms=now_ms)
            outcome = Outcome(actor_id=self.actor_id, seq=state.version, at_ms=now_ms, event=event)
            self._writer.append(self, outcome, envelope)
            if self.errand is not None:
                self._pay(state, event)
        except Exception:  # memory shows what the journal never will: nothing later may leave
            log.exception("actor.event_failed", actor=self.actor_id)
            self._fail(envelope.reply, BrokenRuleError(actor_id=self.actor_id))
            self._accept()
            self._writer.confirm(self, None, _NOTED)  # so that the repair drops this actor
            self._writer.doubt(JournalError(f"actor {self.actor_id} could not store its event"))
            return
        # With the row that changes it: an append that fails in between leaves both as they were.
        # Of one with a name of its own, such as a feed, the actor is there already.
        is_born = outcome.seq == 1 and self.is_new
        if is_born and (kind := kind_begun_by(envelope.ask)) is not None:
            self._writer.bear(self, kind)
        wanted_ms = wake_at(state)
        if wanted_ms != self.wake_at_ms:
            self.wake_at_ms = wanted_ms
            self._writer.wake(self, wanted_ms)

    def _pay(self, state: State, event: Event) -> None:
        """Have a charge or a poll leave with the turn of the event that it is for."""
        leaves = outgoing(state, event)
        if leaves is None:
            return
        leaving = (
            Leaving(self._office.cashier, self.actor_id, leaves)
            if isinstance(leaves, Charge)
            else PollLeaving(self._office.poller, self.actor_id, leaves)
        )
        self._accept()
        self._writer.confirm(self, leaving, _NOTED)

    def _accept(self) -> None:
        self.unanswered += 1
        self._writer.unanswered += 1

    def _let_go(self) -> None:
        self.unanswered -= 1
        self._writer.unanswered -= 1

    def _fail(self, reply: Reply | None, error: Exception) -> None:
        self._let_go()
        if reply is not None and not reply.done():
            reply.set_exception(error)
