"""Histories told by hand: a server that is always right, and whose every word can be bent."""

from collections.abc import Sequence

import msgspec

from allocator.actors.messages import Answer, KeyReused, Noted, Outcome
from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.messages import Command, Event, Wake
from allocator.domain.pool import Pool
from allocator.domain.queries import (
    BalanceQuery,
    LotQuery,
    MoveQuery,
    OpenOrderQuery,
    Query,
    View,
    look,
)
from allocator.domain.records import GENESIS, Record, chain
from allocator.domain.rules import decide, evolve, wake_at
from allocator.simulation.history import Attempt, Evidence, Operation
from tests.builders import ACTOR, NOW_MS

PRINCIPAL = "shop"


class Story:
    """Clients ask one thing after the other, and each is done at once.

    Attributes:
        operations, rows: May be bent before they are judged.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.rows: dict[int, list[Record]] = {}
        self.wakes: dict[int, int] = {}
        self.now_ms = NOW_MS
        self._pools: dict[int, Pool] = {}
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
        return Evidence(operations=self.operations, rows=self.rows, wakes=self.wakes)

    def bend(self, seq: int, event: Event) -> None:
        """Let a row say something else, its digest and all later ones included."""
        rows = self.rows[ACTOR]
        kind, body = KINDS[type(event)], encode_event(event).decode()
        rows[seq - 1] = msgspec.structs.replace(rows[seq - 1], kind=kind, body=body)
        self.rows[ACTOR] = chained(rows)

    def _answer(self, operation: Operation) -> Answer | View:
        pool = self._pools.setdefault(operation.actor_id, Pool())
        rows = self.rows.setdefault(operation.actor_id, [])
        if operation.key is not None and operation.key in self._keys:
            return self._again(operation, self._keys[operation.key])
        due = decide(pool, Wake(), now_ms=self.now_ms)
        assert isinstance(due, tuple)
        for event in due:
            self._store(pool, rows, event, None)
        answer: Answer | View
        if isinstance(operation.ask, BalanceQuery | LotQuery | MoveQuery | OpenOrderQuery):
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
                answer = self._store(pool, rows, event, operation)
        wanted_ms = wake_at(pool)
        self.wakes.pop(operation.actor_id, None)
        if wanted_ms is not None:
            self.wakes[operation.actor_id] = wanted_ms
        return answer

    def _again(self, operation: Operation, row: Record) -> Answer:
        if row.request_digest != operation.request_digest:
            return KeyReused(key=operation.key or "")
        return next(
            attempt.answer
            for each in self.operations
            for attempt in each.attempts
            if isinstance(attempt.answer, Outcome) and each.key == operation.key
        )

    def _store(
        self, pool: Pool, rows: list[Record], event: Event, operation: Operation | None
    ) -> Outcome:
        evolve(pool, event, at_ms=self.now_ms)
        keyed = operation is not None and operation.key is not None
        kind = KINDS[type(event)]
        row = Record(
            actor_id=next(actor_id for actor_id, each in self.rows.items() if each is rows),
            seq=pool.version,
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
        done.append(msgspec.structs.replace(row, digest=digest))
    return done
