"""One actor's part of the evidence, read once for all laws: whose is each row, what was seen."""

from abc import abstractmethod
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import TypeAlias

from msgspec import DecodeError

from allocator.actors.messages import KeyReused, Outcome
from allocator.domain.codec import UnknownEventError, decode_event
from allocator.domain.kinds import Command, Event, Message
from allocator.domain.queries import Query
from allocator.domain.records import KeyName, Record
from allocator.simulation.history import Operation, success_of
from allocator.simulation.oracle_asks import Seen, Told, describe
from allocator.simulation.oracle_places import ALWAYS, NEVER, Sighting, Span, Windows

RequestName: TypeAlias = tuple[str, str, bytes]
"""Principal, key and digest: who asks under the same name asks for the same."""


class ActorEvidence:
    """What is known of one actor.

    Attributes:
        actor_id: Of the actor.
        operations: Everything that was asked of it.
        wake_at_ms: When it is to be woken, as stored.
        rows, events: Of the journal, as far as it can be read.
        commands: What the rules have to be asked for each of the events.
        unreadable: Why no more of it can be, or "".
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
        wake_at_ms: int | None = None,
    ) -> None:
        self.actor_id = actor_id
        self.operations = operations
        self.wake_at_ms = wake_at_ms
        self.rows: list[Record] = []
        self.events: list[Event] = []
        self.commands: list[Message] = []
        self.unreadable = ""
        self.told: list[Told] = []
        self.mistold: list[str] = []
        self.unfitting: list[str] = []
        self.nobodys: list[str] = []
        self.denied: list[str] = []
        self.keyed: defaultdict[KeyName, list[int]] = defaultdict(list)
        self.seen: list[tuple[Told, Seen]] = []
        self.errors: list[Told] = []
        self._known: dict[int, Span] = {}  # of rows without a key that somebody was told of
        self._open: defaultdict[Command, list[int]] = defaultdict(list)  # asked, without a key
        self._asked: dict[RequestName, int] = {}  # when a key's row may have come at the earliest
        self._heard: dict[RequestName, int] = {}  # when somebody heard of it first
        self._names: dict[RequestName, Command | Query] = {}
        self._read(rows)
        for operation in operations:
            self._hear(operation)
        self.spans = self._spans()
        self.windows = Windows(self.spans)

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"actor {self.actor_id}"

    # What differs between kinds.

    @abstractmethod
    def enter(self, event: Event, row: Record) -> Message:
        """Take the next event; return what the rules have to be asked for it."""

    @abstractmethod
    def fits(self, operation: Operation, answer: Seen) -> bool:
        """Say whether an answer belongs to what was asked, whatever the state."""

    @abstractmethod
    def first_true(self, operation: Operation, answer: Seen, *, first: int) -> int | None:
        """Return the first version from `first` on at which a fitting answer is true, or None."""

    @abstractmethod
    def span_of_unasked(self, row: Record, event: Event) -> Span | None:
        """Return when an event can have happened that no client asks for; None if one does."""

    def asks_for(self, seq: int) -> Sequence[Message | Query]:
        """Return what a client may have asked for a row to come of it."""
        return (self.commands[seq - 1],)

    # What does not.

    def sighting(self, told: Told, answer: Seen) -> Sighting:
        """Return what has to be true of the state in which `answer` was given."""
        operation, attempt = told
        assert attempt.answered_at is not None, "it was answered"
        seqs = self.seqs_under_key_of(operation)

        def true_from(first: int) -> int | None:
            if isinstance(answer, KeyReused):
                return max(first, self._reused_from(seqs, operation))
            version = self.first_true(operation, answer, first=first)
            if seqs and version is not None and version >= seqs[0]:
                return None  # its key had succeeded
            return version

        return Sighting(Span(attempt.asked_at, attempt.answered_at), true_from)

    def seqs_under_key_of(self, operation: Operation) -> Sequence[int]:
        """Return the seqs of this actor's rows under an operation's key, ascending."""
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
                command = self.enter(event, row)
            except (UnknownEventError, DecodeError, MisplacedEventError) as error:
                self.unreadable = f"seq {row.seq}: {error}"
                return
            self.rows.append(row)
            self.events.append(event)
            self.commands.append(command)
            if row.idempotency_key is not None:
                self.keyed[row.principal, row.idempotency_key].append(number)

    def _hear(self, operation: Operation) -> None:
        key = operation.key
        name = None if key is None else (operation.principal, key, operation.request_digest)
        if name is not None:
            self._names[name] = operation.ask
        for attempt in operation.attempts:
            told = Told(operation, attempt)
            answer = attempt.answer
            outcome = success_of(attempt)
            if outcome is not None:
                self._hear_success(told, outcome, name)
            elif isinstance(answer, Exception):
                self.errors.append(told)
            elif answer is not None:
                self.hear_else(told, answer)  # type: ignore[arg-type]  # whatever is left
            if attempt.may_have_happened:
                self._suspect(told, name)

    def hear_else(self, told: Told, answer: Seen) -> None:
        """Take an answer that is neither a success nor an error."""
        if self.fits(told.operation, answer):
            self.seen.append((told, answer))
        else:
            self.unfitting.append(f"{describe(told)} heard {answer}")

    def _suspect(self, told: Told, name: RequestName | None) -> None:
        """Note that a row may be of this attempt."""
        operation, attempt = told
        if name is not None:
            self._asked[name] = min(self._asked.get(name, NEVER), attempt.asked_at)
        elif success_of(attempt) is None and not isinstance(operation.ask, Query):
            self._open[operation.ask].append(attempt.asked_at)

    def _hear_success(self, told: Told, answer: Outcome, name: RequestName | None) -> None:
        self.told.append(told)
        attempt = told.attempt
        assert attempt.answered_at is not None, "it was answered"
        if wrong := self.contradiction(told, answer):
            self.mistold.append(f"{describe(told)} heard of seq {answer.seq}, and {wrong}")
        elif name is not None:
            self._heard[name] = min(self._heard.get(name, NEVER), attempt.answered_at)
        elif answer.seq in self._known:
            self.mistold.append(f"{describe(told)} was told what another was told, {answer.seq}")
        else:
            self._known[answer.seq] = Span(attempt.asked_at, attempt.answered_at)

    def contradiction(self, told: Told, answer: Outcome) -> str:
        """Say what the journal has against an answer, or nothing."""
        operation = told.operation
        if answer.actor_id != self.actor_id:
            return f"of another actor, {answer.actor_id}"
        if not 1 <= answer.seq <= len(self.rows):
            return "there is no such row"
        row, event = self.rows[answer.seq - 1], self.events[answer.seq - 1]
        if (row.at_ms, event) != (answer.at_ms, answer.event):
            return f"the row says {event} at {row.at_ms}, and the answer {answer}"
        if operation.ask not in self.asks_for(answer.seq):
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
        waiting: dict[Message | Query, deque[int]] = {
            ask: deque(sorted(moments)) for ask, moments in self._open.items()
        }
        return [
            self._span_of(row, event, waiting)
            for row, event in zip(self.rows, self.events, strict=True)
        ]

    def _span_of(
        self, row: Record, event: Event, waiting: dict[Message | Query, deque[int]]
    ) -> Span:
        if row.idempotency_key is not None:
            return self._span_of_keyed(row, row.idempotency_key, event)
        if (known := self._known.get(row.seq)) is not None:
            return known
        if (unasked := self.span_of_unasked(row, event)) is not None:
            return unasked
        for ask in self.asks_for(row.seq):
            if moments := waiting.get(ask):
                return Span(moments.popleft(), NEVER)
        self.nobodys.append(f"seq {row.seq}, {event}")
        return Span(ALWAYS, NEVER)

    def _span_of_keyed(self, row: Record, key: str, event: Event) -> Span:
        name = (row.principal, key, row.request_digest or b"")
        if self._names.get(name) not in self.asks_for(row.seq):
            self.nobodys.append(f"seq {row.seq} under key {key!r}, {event}")
        elif name not in self._asked:
            self.denied.append(f"seq {row.seq} under key {key!r}, {event}")
        return Span(self._asked.get(name, ALWAYS), self._heard.get(name, NEVER))


class MisplacedEventError(Exception):
    """An event does not happen to such an actor."""
