"""A database that breaks one of the promises that everything stands on."""

from collections.abc import Collection, Generator, Iterator
from typing import Final

from allocator.domain.records import Batch, StoredSnapshot
from allocator.persistence.memory.database import MemoryDatabase
from allocator.persistence.memory.locks import Lock
from allocator.persistence.memory.ownership import Ownership
from allocator.persistence.memory.tables import Tables, WorkerRow
from allocator.persistence.memory.transaction import Transaction
from allocator.simulation.mutant import Method, Mutant


def _overwrite(_: Method) -> Method:
    def mutant(_self: Tables, _batch: Batch) -> bool:
        return False

    return mutant


def _admit_the_fenced(_: Method) -> Method:
    def mutant(
        self: Ownership, transaction: Transaction, incarnation: int
    ) -> Generator[None, None, bool]:
        row = self._tables.workers.get(incarnation)
        if row is not None:
            yield from transaction.share(row.lock)
        return True

    return mutant


def _append_without_lock(share: Method) -> Method:
    def mutant(self: Transaction, lock: Lock) -> Iterator[None]:
        yield from share(self, lock)
        lock.sharers.remove(self)
        self._held.remove(lock)

    return mutant


def _take_from_the_living(_: Method) -> Method:
    def mutant(self: Ownership, own: WorkerRow, doomed: Collection[WorkerRow]) -> list[int]:
        free = self._tables.free(doomed)
        return free or [shard for shard in range(8) if shard not in own.shards]

    return mutant


def _never_terminate(_: Method) -> Method:
    def mutant(_self: MemoryDatabase, _incarnations: object) -> None:
        """Wait for a backend whose client is gone, for ever."""

    return mutant


def _date_snapshots_back(save: Method) -> Method:
    def mutant(self: Tables, actor_id: int, snapshot: StoredSnapshot) -> None:
        save(self, actor_id, StoredSnapshot(seq=snapshot.seq - 1, state=snapshot.state))

    return mutant


TABLE_MUTANTS: Final[dict[str, Mutant]] = {
    "overwrite": Mutant(
        rule="two writers cannot both append a seq",
        owner=Tables,
        method="clashes",
        make=_overwrite,
        behind="admit the fenced",
    ),
    "admit the fenced": Mutant(
        rule="a fenced incarnation can never append or confirm again",
        owner=Ownership,
        method="admit",
        make=_admit_the_fenced,
    ),
    "append without lock": Mutant(
        rule="fencing waits for appends in flight",
        owner=Transaction,
        method="share",
        make=_append_without_lock,
    ),
    "take from the living": Mutant(
        rule="shards move only in a transaction that fences their old incarnation",
        owner=Ownership,
        method="_takes",
        make=_take_from_the_living,
    ),
    "never terminate": Mutant(
        rule="a backend that keeps its lock is ended",
        owner=MemoryDatabase,
        method="terminate",
        make=_never_terminate,
    ),
    "date snapshots back": Mutant(
        rule="a snapshot is of its seq",
        owner=Tables,
        method="save_snapshot",
        make=_date_snapshots_back,
    ),
}
