"""Histories told by hand: a server that is always right, and whose every word can be bent."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from allocator.actors import messages
from allocator.actors.messages import KeyReused, Noted, Outcome
from allocator.domain.carts import Cart, OpenCart
from allocator.domain.checkouts import BeginCheckout
from allocator.domain.codec import KINDS, VERSIONS, decode_event, encode_event
from allocator.domain.kinds import (
    Command,
    Decision,
    Event,
    State,
    blank,
    decide,
    evolve,
    intents,
    kind_begun_by,
    wake_at,
)
from allocator.domain.messages import Wake
from allocator.domain.moves import Move, RequestMove, SamePlace
from allocator.domain.orders import Order, RequestOrder
from allocator.domain.pool import Pool
from allocator.domain.processes import Answer, Answered, Ask, is_refusal, stamped
from allocator.domain.queries import Query, View, look
from allocator.domain.records import GENESIS, Record, chain
from allocator.simulation.history import NEWBORN, Attempt, Evidence, Moved, Operation, Ordered
from allocator.simulation.provider import Entry
from tests.builders import ACTOR, NOW_MS

PRINCIPAL = "shop"


Beginning: TypeAlias = RequestMove | RequestOrder | OpenCart


class Story:
    """Clients ask one thing after the other, and each is done at once.

    Attributes:
        operations, rows: May be bent before they are judged.
        order: (actor, seq) of the rows, as they were committed.
        kinds: Of the actors that came into being.
        charges: What the payment provider has in its books.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.rows: dict[int, list[Record]] = {}
        self.wakes: dict[int, int] = {}
        self.kinds: dict[int, str] = {}
        self.order: list[tuple[int, int]] = []
        self.charges: list[Entry] = []
        self.now_ms = NOW_MS
        self._states: dict[int, State] = {}
        self._keys: dict[str, Record] = {}
        self._tick = 0

    def ask(
        self,
        ask: Command | Query,
        *,
        key: str | None = None,
        client: int = 1,
        actor_id: int = ACTOR,
        heard: bool = True,
    ) -> Operation:
        """Begin an operation with one attempt, which happens whether its answer is heard or not."""
        operation = Operation(
            number=len(self.operations),
            client=client,
            actor_id=actor_id,
            ask=ask,
            principal="" if key is None else PRINCIPAL,
            key=key,
            request_digest=b"" if key is None else f"{actor_id} {ask}".encode(),
        )
        self.operations.append(operation)
        self.attempt(operation, heard=heard)
        return operation

    def attempt(self, operation: Operation, *, heard: bool = True) -> Attempt:
        """Ask again."""
        attempt = Attempt(worker="a", asked_at=self.tick())
        operation.attempts.append(attempt)
        answer = self._answer(operation)
        if heard:
            attempt.answer, attempt.answered_at = answer, self.tick()
        return attempt

    def unheard(self, operation: Operation) -> Attempt:
        """Ask again, and never be heard."""
        attempt = Attempt(worker="a", asked_at=self.tick())
        operation.attempts.append(attempt)
        return attempt

    def tick(self) -> int:
        """Return the next moment."""
        self._tick += 10
        return self._tick

    def evidence(self) -> Evidence:
        """Return what there is to judge."""
        stored = {(row.actor_id, row.seq): row for rows in self.rows.values() for row in rows}
        commits = [stored[address] for address in self.order if address in stored]
        return Evidence(
            operations=self.operations,
            rows=self.rows,
            wakes=self.wakes,
            kinds=self.kinds,
            commits=list(enumerate(commits, start=1)),
            charges=self.charges,
        )

    def bend(self, seq: int, event: Event, *, actor_id: int = ACTOR) -> None:
        """Let a row say something else, its digest and all later ones included."""
        rows = self.rows[actor_id]
        kind, body = KINDS[type(event)], encode_event(event).decode()
        rows[seq - 1] = replace(rows[seq - 1], kind=kind, version=VERSIONS[kind], body=body)
        self.rows[actor_id] = chained(rows)

    def event(self, actor_id: int, seq: int) -> Event:
        """Return what a row says."""
        row = self.rows[actor_id][seq - 1]
        return decode_event(kind=row.kind, version=row.version, body=row.body)

    def add(self, event: Event, *, actor_id: int) -> None:
        """Let one thing more have happened in the end."""
        self._store(actor_id, event, None)

    def cut(self, actor_id: int, *, after_seq: int) -> None:
        """Let nothing of an actor be stored from some row on."""
        del self.rows[actor_id][after_seq:]

    def move(self, ask: RequestMove, *, key: str | None = None) -> Operation:
        """Have units moved, one step after the other; each is done at once."""
        return self.lead(ask, key=key)

    def lead(self, ask: Beginning, *, key: str | None = None) -> Operation:
        """Have a process begin, and do all that it does."""
        operation = Operation(
            number=len(self.operations),
            client=1,
            actor_id=NEWBORN,
            ask=ask,
            principal="" if key is None else PRINCIPAL,
            key=key,
            request_digest=b"" if key is None else f"{ask}".encode(),
        )
        self.operations.append(operation)
        self.begin(operation)
        return operation

    def begin(self, operation: Operation) -> Attempt:
        """Begin a process, and bring it to where it waits for nobody."""
        ask = operation.ask
        assert isinstance(ask, Beginning)
        attempt = Attempt(worker="a", asked_at=self.tick())
        operation.attempts.append(attempt)
        process, kind = (1000 + len(self.kinds)) << 8, kind_begun_by(ask)
        assert kind is not None
        state = self._states[process] = blank(kind)
        decision = decide(state, ask, now_ms=self.now_ms)
        if isinstance(decision, SamePlace):
            attempt.answer, attempt.answered_at = decision, self.tick()
            return attempt
        self.kinds[process] = kind
        outcome = self._store(process, self._events(decision)[0], operation)
        attempt.answer = self._carry_through(process, outcome) or outcome
        attempt.answered_at = self.tick()
        return attempt

    def tell(self, process: int, ask: Command) -> Operation:
        """Have a process that began do something more."""
        operation = self.ask(ask, actor_id=process)
        self._carry_through(process, None)
        return operation

    def check_out(
        self, cart: int, ask: BeginCheckout, *, price_of: Callable[[int], int], currency: str
    ) -> Outcome:
        """Have a cart paid for as it stands; what comes of it is `hear`d."""
        state = self._states[cart]
        assert isinstance(state, Cart)
        prices = tuple((each.line.pool, price_of(each.line.pool)) for each in state.filled())
        wanted = replace(ask, seen=state.version, prices=prices, currency=currency)
        operation = self.ask(wanted, actor_id=cart)
        operation.ask = ask
        begun = operation.attempts[0].answer
        assert isinstance(begun, Outcome)
        return begun

    def hear(self, process: int, said: Command) -> None:
        """Have a process hear what nobody has asked for."""
        decision = decide(self._states[process], said, now_ms=self.now_ms)
        for event in self._events(decision):
            self._store(process, event, None)
        self._carry_through(process, None)

    def _carry_through(self, process: int, begun: Outcome | None) -> Moved | Ordered | None:
        """Have everything asked and answered; return what was decided first."""
        state, decided = self._states[process], None
        while asks := intents(state):
            decided = decided or self._decided(state, begun)
            answers: list[tuple[int, Answer]] = []
            for ask in asks:
                stands_in = ask.otherwise and any(is_refusal(said) for _, said in answers)
                wanted = replace(ask, command=ask.otherwise) if stands_in else ask
                answers.append((ask.actor_id, self._serve(process, wanted)))
            told = Answered(number=asks[0].number, answer=answers[-1][1], answers=tuple(answers))
            for event in self._events(decide(state, told, now_ms=self.now_ms)):
                self._store(process, event, None)
        return decided

    def _decided(self, state: State, begun: Outcome | None) -> Moved | Ordered | None:
        if begun is None:
            return None
        if isinstance(state, Move):
            is_open = state.status == "in_transit"
            return None if is_open else Moved(outcome=begun, move=replace(state))
        if not isinstance(state, Order):
            return None
        is_open = state.status == "requested"
        return None if is_open else Ordered(outcome=begun, order=replace(state))

    def _serve(self, process: int, ask: Ask) -> Answer:
        """Have a pool do what a process asks."""
        pool = self._states.setdefault(ask.actor_id, Pool())
        command = stamped(ask.command, process=process, sent_at_ms=self.now_ms)
        decision = decide(pool, command, now_ms=self.now_ms)
        if not isinstance(decision, tuple):
            return decision  # type: ignore[return-value]  # of a pool
        for event in decision:
            self._store(ask.actor_id, event, None)
        return decision[-1] if decision else None  # type: ignore[return-value]  # likewise

    def _events(self, decision: Decision) -> tuple[Event, ...]:
        assert isinstance(decision, tuple)
        return decision

    def _answer(self, operation: Operation) -> messages.Answer | View:
        actor_id = operation.actor_id
        pool = self._states.setdefault(actor_id, Pool())
        self.rows.setdefault(actor_id, [])
        if operation.key is not None and operation.key in self._keys:
            return self._again(operation, self._keys[operation.key])
        for event in self._events(decide(pool, Wake(), now_ms=self.now_ms)):
            self._store(actor_id, event, None)
        answer: messages.Answer | View
        if isinstance(operation.ask, Query):
            seen = look(pool, operation.ask)
            assert seen is not None, "pools let nobody wait"
            answer = seen
        else:
            decision = decide(pool, operation.ask, now_ms=self.now_ms)
            if not isinstance(decision, tuple):
                answer = decision
            elif not decision:
                answer = Noted()
            else:
                [event] = decision
                answer = self._store(actor_id, event, operation)
        return answer

    def _again(self, operation: Operation, row: Record) -> messages.Answer:
        if row.request_digest != operation.request_digest:
            return KeyReused(key=operation.key or "")
        return next(
            attempt.answer
            for each in self.operations
            for attempt in each.attempts
            if isinstance(attempt.answer, Outcome) and each.key == operation.key
        )

    def _store(self, actor_id: int, event: Event, operation: Operation | None) -> Outcome:
        state, rows = self._states[actor_id], self.rows.setdefault(actor_id, [])
        evolve(state, event, at_ms=self.now_ms)
        keyed = operation is not None and operation.key is not None
        kind = KINDS[type(event)]
        row = Record(
            actor_id=actor_id,
            seq=state.version,
            at_ms=self.now_ms,
            kind=kind,
            version=VERSIONS[kind],
            body=encode_event(event).decode(),
            digest=b"",
            principal=PRINCIPAL if keyed else "",
            idempotency_key=operation.key if operation is not None else None,
            request_digest=operation.request_digest if operation is not None and keyed else None,
        )
        rows.append(row)
        rows[:] = chained(rows)
        self.order.append((actor_id, row.seq))
        self.wakes.pop(actor_id, None)
        if (wanted_ms := wake_at(state)) is not None:
            self.wakes[actor_id] = wanted_ms
        if operation is not None and operation.key is not None:
            self._keys[operation.key] = row
        return Outcome(actor_id=row.actor_id, seq=row.seq, at_ms=row.at_ms, event=event)


def chained(rows: Sequence[Record]) -> list[Record]:
    """Return the rows with digests that follow from each other."""
    digest, done = GENESIS, []
    for row in rows:
        digest = chain(
            digest,
            actor_id=row.actor_id,
            seq=row.seq,
            at_ms=row.at_ms,
            kind=row.kind,
            version=row.version,
            body=row.body,
            principal=row.principal,
            idempotency_key=row.idempotency_key,
            request_digest=row.request_digest,
        )
        done.append(replace(row, digest=digest))
    return done
