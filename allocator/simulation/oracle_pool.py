"""One pool's part of the evidence, read once for all laws: whose is each row, and what was seen."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TypeAlias

from msgspec import DecodeError

from allocator.actors.messages import KeyReused, Outcome
from allocator.domain import kinds
from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.kinds import Event
from allocator.domain.messages import Command, LotExpired, Wake
from allocator.domain.queries import Query
from allocator.domain.records import KeyName, Record
from allocator.domain.transfers import ProcessLetGo, Transit
from allocator.simulation.history import Moved, Operation
from allocator.simulation.model import PoolModel
from allocator.simulation.oracle_asks import Seen, Told, command_of, describe, first_true, fits
from allocator.simulation.oracle_moves import NO_MOVES, Moves
from allocator.simulation.oracle_places import ALWAYS, NEVER, Sighting, Span, Windows

RequestName: TypeAlias = tuple[str, str, bytes]
"""Principal, key and digest: who asks under the same name asks for the same."""


class PoolEvidence:
    """What is known of one pool.

    Attributes:
        actor_id: Of the pool.
        operations: Everything that was asked of it.
        wake_at_ms: When it is to be woken, as stored.
        rows, events: Of the journal, as far as it can be read.
        commands: What has to be asked for each of the events.
        deeds: Seqs and events of what was done for processes.
        unreadable: Why no more of it can be, or "".
        model: Its versions.
        told: Attempts that heard of a success.
        mistold: Those of them that the journal contradicts, each in a sentence.
        unfitting: Answers that do not belong to what was asked, each in a sentence.
        nobodys: Rows that nobody can have asked for, each in a sentence.
        denied: Rows of those who were told that nothing was done, each in a sentence.
        keyed: The seqs of rows by key, ascending.
        errors: Attempts that heard of one.
        spans: Of each row, when who asked for it did, and was told.
        windows: Of all rows together.
        seen: Attempts that were told what changes nothing.
    """

    def __init__(
        self,
        actor_id: int,
        *,
        rows: Sequence[Record],
        operations: Sequence[Operation],
        moves: Moves = NO_MOVES,
        wake_at_ms: int | None = None,
    ) -> None:
        self.actor_id = actor_id
        self.operations = operations
        self.wake_at_ms = wake_at_ms
        self.rows: list[Record] = []
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self.unreadable = ""
        self.deeds: list[tuple[int, Transit]] = []
        self.model = PoolModel()
        self.told: list[Told] = []
        self.mistold: list[str] = []
        self.unfitting: list[str] = []
        self.nobodys: list[str] = []
        self.denied: list[str] = []
        self.keyed: defaultdict[KeyName, list[int]] = defaultdict(list)
        self.seen: list[tuple[Told, Seen]] = []
        self.errors: list[Told] = []
        self._moves = moves
        self._known: dict[int, Span] = {}  # of rows without a key that somebody was told of
        self._open: defaultdict[kinds.Command, list[int]] = defaultdict(
            list
        )  # asked, without a key
        self._asked: dict[RequestName, int] = {}  # when a key's row may have come at the earliest
        self._heard: dict[RequestName, int] = {}  # when somebody heard of it first
        self._names: dict[RequestName, kinds.Command | Query] = {}
        self._read(rows)
        for operation in operations:
            self._hear(operation)
        self.spans = self._spans()
        self.windows = Windows(self.spans)

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"actor {self.actor_id}"

    @property
    def wanted_wake_ms(self) -> int | None:
        """When it should be woken, as things stand."""
        return self.model.next_expiry_ms

    def sighting(self, told: Told, answer: Seen) -> Sighting:
        """Return what has to be true of the state in which `answer` was given."""
        operation, attempt = told
        assert attempt.answered_at is not None, "it was answered"
        seqs = self.seqs_under_key_of(operation)

        def true_from(first: int) -> int | None:
            if isinstance(answer, KeyReused):
                return max(first, self._reused_from(seqs, operation))
            version = first_true(self.model, operation.ask, answer, first=first)
            if seqs and version is not None and version >= seqs[0]:
                return None  # its key had succeeded
            return version

        return Sighting(Span(attempt.asked_at, attempt.answered_at), true_from)

    def seqs_under_key_of(self, operation: Operation) -> Sequence[int]:
        """Return the seqs of this pool's rows under an operation's key, ascending."""
        if operation.key is None:
            return ()
        return self.keyed.get((operation.principal, operation.key), ())

    def _reused_from(self, seqs: Sequence[int], operation: Operation) -> int:
        """Return the first version with another request under the key; 0 if it is elsewhere."""
        digest = operation.request_digest
        return next((seq for seq in seqs if self.rows[seq - 1].request_digest != digest), 0)

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
            self.rows.append(row)
            self.events.append(event)
            self.commands.append(self._command_of(event, number))
            self.model.add(event, at_ms=row.at_ms)
            if row.idempotency_key is not None:
                self.keyed[row.principal, row.idempotency_key].append(number)

    def _command_of(self, event: Event, seq: int) -> Command:
        if not isinstance(event, Transit):
            return command_of(event)
        self.deeds.append((seq, event))
        asked = self._moves.asked_for(event)
        if asked is None:
            self.nobodys.append(f"seq {seq}, {event}, of a process that there is not")
        return asked or Wake()

    def _hear(self, operation: Operation) -> None:
        key = operation.key
        name = None if key is None else (operation.principal, key, operation.request_digest)
        if name is not None:
            self._names[name] = operation.ask
        for attempt in operation.attempts:
            told = Told(operation, attempt)
            answer = attempt.answer
            if isinstance(answer, Outcome):
                self._hear_success(told, answer, name)
            elif isinstance(answer, Exception):
                self.errors.append(told)
            elif answer is not None and not isinstance(answer, Moved) and fits(operation, answer):
                self.seen.append((told, answer))
            elif answer is not None:
                self.unfitting.append(f"{describe(told)} heard {answer}")
            if attempt.may_have_happened:
                self._suspect(told, name)

    def _suspect(self, told: Told, name: RequestName | None) -> None:
        """Note that a row may be of this attempt."""
        operation, attempt = told
        if name is not None:
            self._asked[name] = min(self._asked.get(name, NEVER), attempt.asked_at)
        elif not isinstance(attempt.answer, Outcome) and not isinstance(operation.ask, Query):
            self._open[operation.ask].append(attempt.asked_at)

    def _hear_success(self, told: Told, answer: Outcome, name: RequestName | None) -> None:
        self.told.append(told)
        attempt = told.attempt
        assert attempt.answered_at is not None, "it was answered"
        if wrong := self._contradiction(told.operation, answer):
            self.mistold.append(f"{describe(told)} heard of seq {answer.seq}, and {wrong}")
        elif name is not None:
            self._heard[name] = min(self._heard.get(name, NEVER), attempt.answered_at)
        elif answer.seq in self._known:
            self.mistold.append(f"{describe(told)} was told what another was told, {answer.seq}")
        else:
            self._known[answer.seq] = Span(attempt.asked_at, attempt.answered_at)

    def _contradiction(self, operation: Operation, answer: Outcome) -> str:
        """Say what the journal has against an answer, or nothing."""
        if answer.actor_id != self.actor_id:
            return f"of another actor, {answer.actor_id}"
        if not 1 <= answer.seq <= len(self.rows):
            return "there is no such row"
        row, event = self.rows[answer.seq - 1], self.events[answer.seq - 1]
        if (row.at_ms, event) != (answer.at_ms, answer.event):
            return f"the row says {event} at {row.at_ms}, and the answer {answer}"
        if self.commands[answer.seq - 1] != operation.ask:
            return f"that is not what was asked: {event}"
        asked = (operation.key, operation.principal, operation.request_digest)
        stored = (row.idempotency_key, row.principal, row.request_digest)
        if row.idempotency_key != operation.key or (operation.key is not None and asked != stored):
            return f"it is of another request: {stored}"
        return ""

    def _spans(self) -> list[Span]:
        """Find who asked for each row.

        Rows without a key that nobody was told of are given, ascending, to those who asked for the
        same and never heard, the earliest first: if the clock leaves room for any assignment it
        does for this one, because the deadlines of rows ascend with their seqs.
        """
        waiting = {ask: deque(sorted(moments)) for ask, moments in self._open.items()}
        return [
            self._span_of(row, event, waiting)
            for row, event in zip(self.rows, self.events, strict=True)
        ]

    def _span_of(self, row: Record, event: Event, waiting: dict[kinds.Command, deque[int]]) -> Span:
        if row.idempotency_key is not None:
            return self._span_of_keyed(row, row.idempotency_key, event)
        if (known := self._known.get(row.seq)) is not None:
            return known
        if isinstance(event, LotExpired):
            return Span(ALWAYS, NEVER)  # nobody asks for it
        if isinstance(event, Transit):
            span = self._moves.span_of(event.process)
            # To let go is not waited for.
            return Span(span.asked, NEVER) if isinstance(event, ProcessLetGo) else span
        moments = waiting.get(self.commands[row.seq - 1])
        if moments:
            return Span(moments.popleft(), NEVER)
        self.nobodys.append(f"seq {row.seq}, {event}")
        return Span(ALWAYS, NEVER)

    def _span_of_keyed(self, row: Record, key: str, event: Event) -> Span:
        name = (row.principal, key, row.request_digest or b"")
        if self._names.get(name) != self.commands[row.seq - 1]:
            self.nobodys.append(f"seq {row.seq} under key {key!r}, {event}")
        elif name not in self._asked:
            self.denied.append(f"seq {row.seq} under key {key!r}, {event}")
        return Span(self._asked.get(name, ALWAYS), self._heard.get(name, NEVER))
