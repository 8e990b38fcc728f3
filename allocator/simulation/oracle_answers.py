"""Laws of what clients were told of a pool or of moves, and of keys.

Each returns what contradicts it.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from allocator.actors.messages import KeyReused
from allocator.domain.records import KeyName, Record
from allocator.errors import OutcomeUnknownError, UnavailableError
from allocator.simulation.history import Operation, success_of
from allocator.simulation.oracle_asks import Told, describe
from allocator.simulation.oracle_places import Span


class Answers(Protocol):
    """What clients were told; all but `errors` in sentences, about what is wrong."""

    @property
    def name(self) -> str:
        """What it was about."""

    unfitting: list[str]
    mistold: list[str]
    nobodys: list[str]
    denied: list[str]
    errors: list[Told]


def no_answer_is_outside_the_contract(told: Answers) -> list[str]:
    """Everybody is told what belongs to the question, and no bug of ours."""
    return told.unfitting


def every_acknowledged_change_is_in_the_journal_as_it_was_told(told: Answers) -> list[str]:
    """Who was told of a success finds the very row, and nobody else was told that it was theirs."""
    return told.mistold


def every_row_is_somebodys(told: Answers) -> list[str]:
    """Nothing is done that was not asked for, and nothing without a key more than once."""
    return told.nobodys


def nothing_denied_was_done(told: Answers) -> list[str]:
    """Who was told at every attempt that nothing was done has no row."""
    return told.denied


def no_error_is_a_bug(told: Answers) -> list[str]:
    """Errors say that nothing was done or that nobody knows; a sound pool is not quarantined."""
    return [
        f"{describe(each)} heard {each.attempt.answer!r}"
        for each in told.errors
        if not isinstance(each.attempt.answer, UnavailableError | OutcomeUnknownError)
    ]


class KeyedRows(Protocol):
    """The journal of an actor: which rows are under which key, and when each was asked for."""

    actor_id: int
    keyed: defaultdict[KeyName, list[int]]
    rows: list[Record]
    spans: list[Span]


class Keys:
    """Everything about keys, over all pools.

    Attributes:
        rows: (actor, seq) of every row under a key.
    """

    def __init__(self, pools: Sequence[KeyedRows], operations: Sequence[Operation]) -> None:
        self.rows: defaultdict[KeyName, list[tuple[int, int]]] = defaultdict(list)
        self._pools = {pool.actor_id: pool for pool in pools}
        for pool in pools:
            for name, seqs in pool.keyed.items():
                self.rows[name] += [(pool.actor_id, seq) for seq in seqs]
        self._told: defaultdict[KeyName, list[Told]] = defaultdict(list)
        for operation in operations:
            if operation.key is not None:
                told = self._told[operation.principal, operation.key]
                told += [Told(operation, attempt) for attempt in operation.attempts]

    def with_several_rows(self) -> list[str]:
        """Return keys with several rows that were not a race between pools.

        The actor is the lock: of two requests for two pools that overlap, both may succeed.
        """
        return [
            f"{name} is at (actor, seq) {rows}"
            for name, rows in self.rows.items()
            if len(rows) > 1 and not self._raced(rows)
        ]

    def _raced(self, rows: Sequence[tuple[int, int]]) -> bool:
        if len({actor_id for actor_id, _ in rows}) < len(rows):
            return False
        spans = sorted(self._pools[actor_id].spans[seq - 1] for actor_id, seq in rows)
        return all(after.asked < before.answered for before, after in pairwise(spans))

    def forgotten(self) -> list[str]:
        """Return answers that know nothing of a success that was told before they were asked."""
        wrong = []
        for attempts in self._told.values():
            successes = [each for each in attempts if success_of(each.attempt) is not None]
            if not successes:
                continue
            first = min(successes, key=lambda told: told.attempt.answered_at or 0)
            wrong += [
                f"{describe(told)} heard {told.attempt.answer} after {first.attempt.answer}"
                for told in attempts
                if _forgets(told, first)
            ]
        return wrong

    def reused_without_use(self) -> list[str]:
        """Return answers "reused" where no other request under that key has a row by then."""
        return [
            f"{describe(told)} was told that its key was reused"
            for name, attempts in self._told.items()
            for told in attempts
            if isinstance(told.attempt.answer, KeyReused) and not self._used(name, told)
        ]

    def _used(self, name: KeyName, told: Told) -> bool:
        operation, attempt = told
        assert attempt.answered_at is not None, "it was answered"
        for actor_id, seq in self.rows.get(name, ()):
            pool = self._pools[actor_id]
            asked = pool.spans[seq - 1].asked
            other = pool.rows[seq - 1].request_digest != operation.request_digest
            if other and asked < attempt.answered_at:
                return True
        return False


def a_key_has_one_effect(keys: Keys) -> list[str]:
    """However often and wherever a client asks, there is one row under its key at most."""
    return keys.with_several_rows()


def a_repeat_has_the_first_answer(keys: Keys) -> list[str]:
    """Who repeats what succeeded is told the same; who wants something else, that it is late."""
    return keys.forgotten()


def a_key_is_called_reused_only_if_it_is(keys: Keys) -> list[str]:
    """Nobody is denied because of a request that never succeeded, or that was the same."""
    return keys.reused_without_use()


def _forgets(told: Told, first: Told) -> bool:
    """Say whether an answer is wrong, as its key had succeeded first."""
    answer, success = told.attempt.answer, first.attempt
    if answer is None or isinstance(answer, Exception | KeyReused):
        return False
    if (outcome := success_of(told.attempt)) is not None:
        same = told.operation.request_digest == first.operation.request_digest
        return same and outcome != success_of(success)
    return told.attempt.asked_at > (success.answered_at or 0)
