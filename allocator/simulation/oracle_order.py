"""Laws of order in one pool: the history is linearizable. Each returns what contradicts it."""

from typing import TypeAlias

from allocator.actors.messages import KeyReused, Noted
from allocator.domain.kinds import Command, decide, evolve
from allocator.domain.messages import AlreadyExpired
from allocator.domain.pool import Pool
from allocator.domain.queries import Query, look
from allocator.simulation.history import success_of
from allocator.simulation.linearizability import Call, Verdict, search
from allocator.simulation.oracle_actor import ActorEvidence
from allocator.simulation.oracle_asks import Seen, Told, describe
from allocator.simulation.oracle_journal import every_row_is_what_the_rules_decide
from allocator.simulation.oracle_places import NEVER, Span
from allocator.simulation.oracle_pool import PoolEvidence

_STEPS_MAX = 200_000


def first_come_first_served(pool: ActorEvidence) -> list[str]:
    """A client that asks for one thing after another, without keys, gets them in that order.

    It follows from `effects_keep_the_order_of_their_asking`, and says more when it is broken.
    """
    wrong = []
    latest: dict[int, tuple[int, Told]] = {}  # by client, the last success and its seq
    for told in sorted(pool.told, key=lambda told: told.attempt.asked_at):
        operation, attempt = told
        outcome = success_of(attempt)
        if operation.key is not None or outcome is None:
            continue
        seq, before = latest.get(operation.client, (0, told))
        if outcome.seq < seq and (before.attempt.answered_at or NEVER) < attempt.asked_at:
            wrong.append(f"{describe(told)} is seq {outcome.seq}, {describe(before)} {seq}")
        latest[operation.client] = (outcome.seq, told)
    return wrong


def effects_keep_the_order_of_their_asking(pool: ActorEvidence) -> list[str]:
    """No row stands behind another that was asked for when it had been answered."""
    return [
        f"seq {number}, {pool.events[number - 1]}, stands behind what was asked for after it"
        for number in pool.windows.overtakings()
    ]


def every_answer_was_true_when_it_was_given(pool: ActorEvidence) -> list[str]:
    """Every read, refusal and repeat is true at a version between its asking and its answer.

    And all of them together: nobody sees less than what was seen before. With the journal as the
    witness, which is exact: see `oracle_places`.
    """
    if pool.windows.overtakings():
        return []  # the journal's order is no witness
    sightings = [pool.sighting(told, answer) for told, answer in pool.seen]
    return [
        f"{describe(pool.seen[index][0])} heard {pool.seen[index][1]}, "
        f"which is true at no version of {first} to {last}"
        for index, first, last in pool.windows.misplaced(sightings)
    ]


def a_search_finds_a_sequential_order(pool: PoolEvidence) -> list[str]:
    """The second opinion: an order is searched, and the real rules say what is true in it."""
    if every_row_is_what_the_rules_decide(pool):
        return []  # the journal cannot be replayed
    verdict = search(calls_of(pool), initial=0, step=Machine(pool).step, steps_max=_STEPS_MAX)
    return ["there is none"] if verdict is Verdict.NOT_LINEARIZABLE else []


Ask: TypeAlias = int | tuple[Told, Seen]
"""The seq of an effect, or something that was seen."""


def calls_of(pool: PoolEvidence) -> list[Call[Ask]]:
    """Return what happened to a pool and what was seen of it, for the search."""
    effects = [_call(seq, span) for seq, span in enumerate(pool.spans, start=1)]
    return effects + [
        _call((told, answer), pool.sighting(told, answer).span) for told, answer in pool.seen
    ]


def _call(ask: Ask, span: Span) -> Call[Ask]:
    answered = None if span.answered == NEVER else span.answered
    return Call(ask=ask, asked_ns=span.asked, answered_ns=answered)


class Machine:
    """A pool under its real rules. Its state is a version: effects come in the journal's order."""

    def __init__(self, pool: PoolEvidence) -> None:
        self._pool = pool
        self._states: dict[int, Pool] = {}

    def step(self, version: int, ask: Ask) -> int | None:
        """Return the version after something happened, or None where it would not have."""
        if isinstance(ask, int):
            return ask if ask == version + 1 else None
        return version if self._is_true(version, *ask) else None

    def _is_true(self, version: int, told: Told, answer: Seen) -> bool:
        operation = told.operation
        seqs = self._pool.seqs_under_key_of(operation)
        if isinstance(answer, KeyReused):
            digest = operation.request_digest
            others = [seq for seq in seqs if self._pool.rows[seq - 1].request_digest != digest]
            return not others or others[0] <= version  # if there are none, another pool has it
        if seqs and seqs[0] <= version:
            return False
        return self._would_answer(self._state(version), operation.ask, answer)

    def _would_answer(self, state: Pool, ask: Command | Query, answer: Seen) -> bool:
        if isinstance(ask, Query):
            return look(state, ask) == answer
        if isinstance(answer, Noted):
            return True
        now_ms = state.last_at_ms
        if isinstance(answer, AlreadyExpired):
            if answer.now_ms < now_ms:
                return False
            now_ms = answer.now_ms
        return decide(state, ask, now_ms=now_ms) == answer

    def _state(self, version: int) -> Pool:
        state = self._states.get(version)
        if state is None:
            state = self._states[version] = Pool()
            rows, events = self._pool.rows[:version], self._pool.events[:version]
            for row, event in zip(rows, events, strict=True):
                evolve(state, event, at_ms=row.at_ms)
        return state
