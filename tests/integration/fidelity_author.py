"""Writes what workers do with a journal, at random."""

from collections import defaultdict
from random import Random
from typing import Final

from allocator.domain.ids import SHARD_MASK
from allocator.domain.records import KeyName, WakeUp
from tests.builders import NOW_MS
from tests.integration.fidelity_steps import (
    ACTORS,
    WORKERS_MAX,
    Age,
    Append,
    Blocked,
    Claim,
    Confirm,
    DueWakes,
    FindKeys,
    Look,
    Renew,
    Row,
    Sequence,
    Silence,
    Simple,
    Snapshot,
    Step,
)

_PRINCIPALS: Final = ("", "", "ada", "bob")
_KEYS: Final = ("k", "l", "m", " ~", "")
_STEPS_MIN, _STEPS_MAX = 6, 22
_TIMES: Final = 6


def sequence_of(seed: int) -> Sequence:
    """Return the sequence of a seed."""
    return _Author(Random(seed)).write()


class _Author:
    """Writes one sequence.

    Attributes:
        heads: How far an actor's rows would go, had all been stored.
    """

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._workers = dice.choice((2, 2, WORKERS_MAX))
        self._heads: defaultdict[int, int] = defaultdict(int)

    def write(self) -> Sequence:
        dice = self._dice
        several = dice.random() < 0.3
        servers = tuple(
            dice.choice(("ours", "theirs")) if several else "ours" for _ in range(self._workers)
        )
        first = [Renew(worker) for worker in range(self._workers)]
        claims = [Claim(worker) for worker in range(self._workers) if dice.random() < 0.8]
        steps = [self._step() for _ in range(dice.randint(_STEPS_MIN, _STEPS_MAX))]
        return Sequence(servers, (*first, *claims, *steps))

    def _step(self) -> Step:
        if self._dice.random() < 0.04:
            return self._blocked()
        return self._call()

    def _call(self) -> Step:  # noqa: PLR0911 (one for each kind)
        dice, worker = self._dice, self._worker()
        kinds = ("append", "confirm", "keys", "renew", "claim", "simple", "read", "other")
        match dice.choices(kinds, (30, 8, 5, 4, 14, 14, 14, 8))[0]:
            case "append":
                return self._append(worker)
            case "confirm":
                return Confirm(worker, self._names())
            case "keys":
                return FindKeys(worker, self._names())
            case "renew":
                return Renew(worker, dice.choice((None, None, 0, 1, 2, 5)))
            case "claim":
                return self._claim(worker)
            case "simple":
                simple = ("survey", "survey", "survey", "beat", "beat", "resign")
                return Simple(worker, dice.choice(simple))
            case "read":
                return self._read(worker)
            case _:
                return Silence(worker) if dice.random() < 0.8 else Age()

    def _read(self, worker: int) -> Step:
        dice, actor_id = self._dice, self._actor()
        match dice.randrange(4):
            case 0:
                return self._due(worker)
            case 1:
                seq = dice.randint(0, self._heads[actor_id] + 1)
                return Snapshot(worker, actor_id, seq, b"%d" % dice.randrange(99))
            case _:
                return Look(worker, actor_id, dice.randint(0, self._heads[actor_id]))

    def _due(self, worker: int) -> DueWakes:
        dice = self._dice
        shards = frozenset(each & SHARD_MASK for each in ACTORS if dice.random() < 0.8)
        after = WakeUp(self._time(), self._actor()) if dice.random() < 0.5 else None
        return DueWakes(worker, self._time(), dice.randint(1, 4), shards, after)

    def _claim(self, worker: int) -> Claim:
        dice = self._dice
        chance = dice.choice((0, 0, 0.5))
        dead = tuple(each for each in range(self._workers) if dice.random() < chance)
        return Claim(worker, dead)

    def _append(self, worker: int) -> Append:
        dice = self._dice
        rows = tuple(self._row() for _ in range(dice.choice((0, 1, 1, 1, 2, 4))))
        actors = [actor_id for actor_id in ACTORS if dice.random() < 0.3]
        wakes = tuple((actor_id, self._wake()) for actor_id in actors)
        return Append(worker, rows, wakes, self._names())

    def _row(self) -> Row:
        """Return a row that mostly is the next of its actor, or a used one, or leaves a gap."""
        dice, actor_id = self._dice, self._actor()
        seq = self._heads[actor_id] + 1
        match dice.randrange(14):
            case 0:
                seq = dice.randint(1, seq)
            case 1:
                seq += 2
            case _:
                pass
        self._heads[actor_id] = max(seq, self._heads[actor_id])
        if dice.random() < 0.6:
            return Row(actor_id, seq)
        key = dice.choice(_KEYS) or None
        return Row(actor_id, seq, dice.choice(_PRINCIPALS), key)

    def _blocked(self) -> Blocked:
        dice, worker = self._dice, self._worker()
        other = (worker + 1) % self._workers
        row = Row(self._actor(), 0)
        self._heads[row.actor_id] += 1
        row = row._replace(seq=self._heads[row.actor_id])
        taker = dice.choice((Claim(other, (worker,)), Claim(other, (worker,)), Renew(worker)))
        match dice.choice(("row", "row", "fence", "share")):
            case "row":
                append = Append(worker, (row, self._row()))
                late = dice.random() < 0.04
                return Blocked("row", worker, row, (append, taker), dice.random() < 0.5, late)
            case "fence":
                second = dice.choice((taker, Simple(worker, "beat"), Simple(other, "survey")))
                write = dice.choice((self._append(worker), Confirm(worker, self._names())))
                return Blocked("fence", worker, row, (write, second), dice.random() < 0.5)
            case _:
                calls = (taker, dice.choice((self._claim(other), self._append(other))))
                return Blocked("share", worker, row, calls, dice.random() < 0.5)

    def _names(self) -> tuple[KeyName, ...]:
        dice = self._dice
        many = dice.choice((0, 0, 1, 2, 3))
        return tuple((dice.choice(_PRINCIPALS), dice.choice(_KEYS)) for _ in range(many))

    def _wake(self) -> int | None:
        return None if self._dice.random() < 0.2 else self._time()

    def _time(self) -> int:
        """Return one of few times, so that several actors are due at once."""
        return NOW_MS + self._dice.randrange(_TIMES)

    def _worker(self) -> int:
        return self._dice.randrange(self._workers)

    def _actor(self) -> int:
        return self._dice.choice(ACTORS)
