"""The moves of a run, read once for all laws: who wanted each, and what was told of it."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec import DecodeError

from allocator.actors.messages import KeyReused
from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.kinds import Event, Refusal
from allocator.domain.move_rules import EXPECT, LET_GO, SEND_OUT, TAKE_IN, evolve, wake_at
from allocator.domain.moves import (
    Move,
    MoveDone,
    MoveEnded,
    MoveEvent,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
    RequestMove,
    SamePlace,
)
from allocator.domain.processes import Answered
from allocator.domain.queries import MoveQuery, View
from allocator.domain.records import KeyName, Record
from allocator.domain.transfers import (
    AlreadySent,
    Asked,
    Expect,
    LetGo,
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendOut,
    TakeIn,
    Transit,
    UnitsTaken,
)
from allocator.simulation.history import Attempt, Evidence, Moved, Operation
from allocator.simulation.oracle_asks import Told, describe
from allocator.simulation.oracle_places import ALWAYS, NEVER, Span

_FRESH_MS: Final = 1 << 62
"""An ask that was sent then is never stale."""


_ANSWERING: Final[dict[type[MoveEvent], int]] = {
    MoveExpected: EXPECT,
    MoveSent: SEND_OUT,
    MoveRefused: SEND_OUT,
    MoveDone: TAKE_IN,
    MoveEnded: LET_GO,
}


class MoveEvidence:
    """What is known of one move.

    Attributes:
        actor_id: Of its process.
        rows, events: Of its journal, as far as it can be read.
        unreadable: Why no more of it can be, or "".
        wake_at_ms: When it is to be woken, as stored.
        state: After the last row.
        keyed: The seqs of rows by key.
        wanted: By whom; None: by nobody who is known.
        spans: Of each row, when who wanted it asked, and was told what came of it.
    """

    def __init__(self, actor_id: int, *, rows: Sequence[Record], wake_at_ms: int | None) -> None:
        self.actor_id = actor_id
        self.wake_at_ms = wake_at_ms
        self.rows: list[Record] = []
        self.events: list[MoveEvent] = []
        self.unreadable = ""
        self.state = Move()
        self.keyed: defaultdict[KeyName, list[int]] = defaultdict(list)
        self.wanted: Operation | None = None
        self.spans: list[Span] = []
        self._read(rows)

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"move {self.actor_id}"

    @property
    def request(self) -> MoveRequested | None:
        """What it is to bring where; None if it does not begin with that."""
        return self.state.request

    @property
    def wanted_wake_ms(self) -> int | None:
        """When it should be woken, as things stand."""
        return wake_at(self.state)

    def at(self, version: int) -> Move:
        """Return the move as it was at a version."""
        state = Move()
        for row, event in zip(self.rows[:version], self.events[:version], strict=True):
            evolve(state, event, at_ms=row.at_ms)
        return state

    def command_of(self, event: MoveEvent) -> RequestMove | Answered:
        """Return what has to be said for an event to happen."""
        if isinstance(event, MoveRequested):
            return _request_of(event)
        number = _ANSWERING[type(event)]
        if isinstance(event, MoveSent):
            return Answered(number=number, answer=AlreadySent(lots=event.lots))
        if isinstance(event, MoveRefused):
            number = EXPECT if isinstance(event.reason, Occupied) else number
            return Answered(number=number, answer=event.reason)
        return Answered(number=number, answer=None)

    def asked_for(self, event: Transit) -> Asked | None:
        """Return what has to be asked of a pool for this to happen there for us; None: nothing."""
        process, step, request = event.process, event.step, self.request
        if request is None:
            return None
        match event:
            case ProductExpected():
                return Expect(
                    process=process, step=step, sent_at_ms=_FRESH_MS, product=request.product
                )
            case UnitsTaken():
                return TakeIn(
                    process=process,
                    step=step,
                    sent_at_ms=_FRESH_MS,
                    lots=self.state.lots,
                    product=request.product if request.expects else None,
                )
            case ProcessLetGo():
                return LetGo(process=process, step=step, sent_at_ms=_FRESH_MS)
            case _:
                return SendOut(
                    process=process,
                    step=step,
                    sent_at_ms=_FRESH_MS,
                    source=request.source,
                    quantity=request.quantity,
                    product=request.product,
                )

    def hear(self, operation: Operation) -> None:
        """Learn who wanted it."""
        self.wanted = operation
        suspects = (each.asked_at for each in operation.attempts if each.may_have_happened)
        heard = (
            each.answered_at or NEVER
            for each in operation.attempts
            if isinstance(each.answer, Moved)
        )
        self.spans = [Span(min(suspects, default=ALWAYS), min(heard, default=NEVER))]

    def _read(self, rows: Sequence[Record]) -> None:
        for number, row in enumerate(rows, start=1):
            if row.seq != number:
                self.unreadable = f"seq {row.seq} stands where {number} should be"
                return
            try:
                event = decode_event(kind=row.kind, version=row.version, body=row.body)
            except (UnknownEventError, DecodeError) as error:
                self.unreadable = f"seq {row.seq}: {error}"
                return
            if not isinstance(event, MoveEvent):
                self.unreadable = f"seq {row.seq} does not happen to a move: {event}"
                return
            self.rows.append(row)
            self.events.append(event)
            evolve(self.state, event, at_ms=row.at_ms)
            if row.idempotency_key is not None:
                self.keyed[row.principal, row.idempotency_key].append(number)


class Moves:
    """All moves of a run.

    Attributes:
        by_actor: Those that began.
        mistold: What was told of them and the journal contradicts, each in a sentence.
        unfitting: Answers that do not belong to what was asked, each in a sentence.
        nobodys: Moves that nobody can have asked for, each in a sentence.
        denied: Moves of those who were told that nothing was done, each in a sentence.
        errors: Attempts that heard of one.
    """

    name = "moves"

    def __init__(self, evidence: Evidence) -> None:
        self.by_actor = {
            actor_id: MoveEvidence(
                actor_id,
                rows=evidence.rows.get(actor_id, []),
                wake_at_ms=evidence.wakes.get(actor_id),
            )
            for actor_id, kind in sorted(evidence.kinds.items())
            if kind == "move"
        }
        self.mistold: list[str] = []
        self.unfitting: list[str] = []
        self.nobodys: list[str] = []
        self.denied: list[str] = []
        self.errors: list[Told] = []
        wanted = {
            each.ask: each for each in evidence.operations if isinstance(each.ask, RequestMove)
        }
        looks = [each for each in evidence.operations if isinstance(each.ask, MoveQuery)]
        self._begun: defaultdict[int, list[int]] = defaultdict(list)
        for move in self.by_actor.values():
            asked = None if move.request is None else _request_of(move.request)
            self._attribute(move, None if asked is None else wanted.get(asked))
        for operation in (*wanted.values(), *looks):
            for attempt in operation.attempts:
                self._hear(operation, attempt)

    def begun_more_than_once(self) -> list[str]:
        """Return operations of which several moves came, each in a sentence."""
        return [
            f"of operation {number} came the moves {actors}"
            for number, actors in self._begun.items()
            if len(actors) > 1
        ]

    def span_of(self, process: int) -> Span:
        """Return when a move was asked for, and when somebody was told what had come of it."""
        move = self.by_actor.get(process)
        return move.spans[0] if move is not None and move.spans else Span(ALWAYS, NEVER)

    def asked_for(self, event: Transit) -> Asked | None:
        """Return what a process has to ask of a pool for this; None if there is none that may."""
        move = self.by_actor.get(event.process)
        return None if move is None else move.asked_for(event)

    def _attribute(self, move: MoveEvidence, operation: Operation | None) -> None:
        if operation is None:
            self.nobodys.append(f"{move.name}, {move.request}")
            return
        move.hear(operation)
        self._begun[operation.number].append(move.actor_id)
        row = move.rows[0]
        stored = (row.idempotency_key, row.principal, row.request_digest or b"")
        if stored != (operation.key, operation.principal, operation.request_digest):
            self.nobodys.append(f"{move.name} of operation {operation.number} as {stored}")
        elif not any(each.may_have_happened for each in operation.attempts):
            self.denied.append(f"{move.name} of operation {operation.number}")

    def _hear(self, operation: Operation, attempt: Attempt) -> None:
        told = Told(operation, attempt)
        answer = attempt.answer
        if isinstance(answer, Moved):
            if wrong := self._contradiction(operation, answer):
                self.mistold.append(f"{describe(told)} heard {answer}, and {wrong}")
        elif isinstance(answer, Exception):
            self.errors.append(told)
        elif isinstance(answer, View) and isinstance(operation.ask, MoveQuery):
            if wrong := self._misseen(told, answer):
                self.mistold.append(f"{describe(told)} saw {answer.move}, and {wrong}")
        elif answer is not None and not _fits(operation, answer):
            self.unfitting.append(f"{describe(told)} heard {answer}")

    def _misseen(self, told: Told, view: View) -> str:
        """Say what the journal has against what was seen of a move, or nothing."""
        operation, attempt = told
        move, seen = self.by_actor.get(operation.actor_id), view.move
        if move is None or seen is None:
            return "there is no such move"
        if seen != move.at(seen.version):
            return f"it never was like that: {move.at(seen.version)}"
        if seen.status == "in_transit" and self.span_of(move.actor_id).answered < attempt.asked_at:
            return "somebody had been told before that it is over"
        return ""

    def _contradiction(self, operation: Operation, answer: Moved) -> str:
        """Say what the journal has against an answer, or nothing."""
        outcome, seen = answer.outcome, answer.move
        move = self.by_actor.get(outcome.actor_id)
        if move is None or outcome.seq != 1 or not move.rows:
            return "there is no such move"
        if move.wanted is not operation:
            return f"it is of another request: {move.request}"
        if (move.rows[0].at_ms, move.events[0]) != (outcome.at_ms, outcome.event):
            return f"its row says {move.events[0]} at {move.rows[0].at_ms}"
        if seen.status == "in_transit":
            return "that is not decided"
        if seen != move.at(seen.version):
            return f"it never was like that: {move.at(seen.version)}"
        return ""


def _request_of(request: MoveRequested) -> RequestMove:
    return RequestMove(
        product=request.product,
        source=request.source,
        destination=request.destination,
        from_code=request.from_code,
        to_code=request.to_code,
        quantity=request.quantity,
        expects=request.expects,
    )


def _fits(operation: Operation, answer: Event | Refusal | object) -> bool:
    """Say whether an answer without a move belongs to what was asked."""
    ask = operation.ask
    match answer:
        case SamePlace():
            return isinstance(ask, RequestMove) and ask.source == ask.destination
        case KeyReused(key=key):
            return key == operation.key
        case _:
            return False
