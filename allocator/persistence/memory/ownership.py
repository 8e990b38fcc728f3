"""Who may write: what `persistence.ownership` and its statements do, over tables in memory.

Each method is the body of one transaction. It waits where they wait, decides on what is committed
when it looks, and leaves what it changes to the commit.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from functools import partial
from typing import Final

from allocator.domain.shares import Survey, room, wants
from allocator.persistence.memory.locks import Lock
from allocator.persistence.memory.tables import Life, Tables, WorkerRow
from allocator.persistence.memory.transaction import Transaction

_NONE: Final[frozenset[int]] = frozenset()
_FORGET_AFTER_MS: Final = 3_600_000
_FORGET_MAX: Final = 100


class Ownership:
    """Incarnations, heartbeats and shards of one database.

    Args:
        clock: Returns milliseconds of Unix time.
        dead_after_ms: An incarnation without a heartbeat for so long may be fenced by others;
            0 means every other.
    """

    def __init__(self, tables: Tables, *, clock: Callable[[], int], dead_after_ms: int) -> None:
        self._tables = tables
        self._clock = clock
        self._dead_after_ms = dead_after_ms
        self._claiming = Lock()
        self._places = 0

    def unlock(self) -> None:
        """Forget who claims: nobody does any more."""
        self._claiming = Lock()

    def admit(self, transaction: Transaction, incarnation: int) -> Generator[None, None, bool]:
        """Return whether an incarnation may write; it cannot be fenced until the commit."""
        row = self._tables.workers.get(incarnation)
        if row is None or row.fenced:  # whoever is fenced for good is not waited for
            return False
        yield from transaction.share(row.lock)
        return not row.fenced

    def renew(
        self,
        transaction: Transaction,
        opened: int,
        life: Life,
        *,
        former: Sequence[int],
        keep: frozenset[int] | None,
    ) -> Generator[None, None, frozenset[int]]:
        """Fence these incarnations and open another that keeps their shards.

        One of them may be of a renewal that was thought lost, and commits while this waits for
        the lock on its predecessor: so who they are is asked twice.
        """
        tables = self._tables
        row = self._new_row(opened, life)
        transaction.deposes = former
        for each in tables.known(former):
            yield from transaction.hold(each.lock)
        for each in tables.known(former):
            if not each.fenced:
                yield from transaction.hold(each.lock)
        deposed = tables.known(former)
        owned = _NONE.union(*(each.shards for each in deposed))
        kept = owned if keep is None else owned & keep

        def commit() -> None:
            for each in deposed:
                tables.depose(each)
            tables.open(row)
            tables.assign(kept, row)

        transaction.effects.append(commit)
        return kept

    def claim(
        self, transaction: Transaction, mine: int, *, dead: Collection[int]
    ) -> Generator[None, None, frozenset[int]]:
        """Fence whoever is dead, and take free shards up to a fair share of them."""
        tables, now_ms = self._tables, self._clock()
        stale = [row for row in self._stale(now_ms, dead=dead) if row.incarnation != mine]
        transaction.deposes = [row.incarnation for row in stale]
        yield from transaction.hold(self._claiming)
        if not (yield from self.admit(transaction, mine)):
            return _NONE
        own = tables.workers[mine]
        dying = [row for row in self._stale(now_ms, dead=dead) if row in stale]
        for row in dying:
            yield from transaction.hold(row.lock)
        doomed = [row for row in dying if not row.fenced]
        taken = self._takes(own, doomed)

        def commit() -> None:
            for row in doomed:
                tables.depose(row)
            tables.assign(taken, own)
            tables.forget(
                before_ms=now_ms - _FORGET_AFTER_MS, limit=_FORGET_MAX, on_behalf_of=transaction
            )

        transaction.effects.append(commit)
        return own.shards.union(taken) if taken else own.shards

    def survey(self, mine: int | None, *, server: str) -> Survey:
        """Return who serves what, as far as heartbeats tell."""
        since_ms = self._clock() - self._dead_after_ms
        living = [
            row
            for row in self._tables.workers.values()
            if not row.fenced and (row.beat_ms > since_ms or row.incarnation == mine)
        ]
        return self._tables.survey(living, server=server)

    def beat(self, transaction: Transaction, incarnation: int) -> Generator[None, None, bool]:
        """Say that an incarnation lives; return whether it may still write."""
        row = self._tables.workers.get(incarnation)
        if row is None:
            return False
        transaction.effects.append(partial(row.hear, self._clock()))
        yield from ()
        return not row.fenced

    def resign(self, transaction: Transaction, mine: Sequence[int]) -> Generator[None, None, None]:
        """Fence these incarnations; their shards are free."""
        transaction.deposes = mine
        deposed = self._tables.known(mine)
        for row in deposed:
            yield from transaction.hold(row.lock)

        def commit() -> None:
            for row in deposed:
                self._tables.depose(row)

        transaction.effects.append(commit)

    def _new_row(self, incarnation: int, life: Life) -> WorkerRow:
        self._places += 1
        return WorkerRow(incarnation, life, place=self._places, started_ms=self._clock())

    def _stale(self, now_ms: int, *, dead: Collection[int]) -> list[WorkerRow]:
        since_ms = now_ms - self._dead_after_ms
        return [
            row
            for row in self._tables.workers.values()
            if not row.fenced and (row.beat_ms <= since_ms or row.incarnation in dead)
        ]

    def _takes(self, own: WorkerRow, doomed: Collection[WorkerRow]) -> list[int]:
        """Return which shards are taken; whoever is not fenced by now counts as alive."""
        tables = self._tables
        free = tables.free(doomed)
        if not free:
            return free
        living = [row for row in tables.workers.values() if not row.fenced and row not in doomed]
        survey = tables.survey(living, server=own.life.server)
        return free[: room(survey, own.shards)] if wants(survey, own.shards) else []
