"""The tables of `MemoryJournal`: what PostgreSQL keeps for all workers, and how it is fenced."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from allocator.domain.ids import SHARDS
from allocator.domain.records import Batch, KeyName, Record
from allocator.domain.shares import Peer, Survey, room, wants
from allocator.errors import JournalError

DEAD_AFTER_MS: Final = 2_000


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an incarnation, apart from whether it still lives."""

    name: str
    server: str
    address: str


class MemoryDatabase:
    """What all workers share.

    Args:
        clock: Returns milliseconds of Unix time.
        dead_after_ms: An incarnation without a heartbeat for so long may be fenced by others;
            0 means every other.

    Attributes:
        rows: By actor, then by seq.
        wakes: When actors want to be woken, milliseconds of Unix time.
        shards: The incarnation that owns each, or None: a fenced one owns nothing.
        fenced: By incarnation; these count from 1 on, so the oldest come first.
    """

    def __init__(self, *, clock: Callable[[], int], dead_after_ms: int = DEAD_AFTER_MS) -> None:
        self.clock = clock
        self._dead_after_ms = dead_after_ms
        self.rows: defaultdict[int, dict[int, Record]] = defaultdict(dict)
        self.wakes: dict[int, int] = {}
        self.snapshots: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        self.shards: dict[int, int | None] = dict.fromkeys(range(SHARDS))
        self.fenced: dict[int, bool] = {}
        self.lives: dict[int, Life] = {}
        self.beats_ms: dict[int, int] = {}
        self.late: defaultdict[int, list[Batch]] = defaultdict(list)

    def journal_of(self, actor_id: int) -> list[Record]:
        """Return an actor's rows, ascending by seq."""
        rows = self.rows[actor_id]
        return [rows[seq] for seq in sorted(rows)]

    def find_keys(self, names: Sequence[KeyName]) -> list[Record]:
        """Return the rows stored under these (principal, key) pairs."""
        wanted = set(names)
        return [row for row in self.keyed_rows() if (row.principal, row.idempotency_key) in wanted]

    def keyed_rows(self) -> list[Record]:
        """Return every row that remembers an idempotency key."""
        return [
            record
            for rows in self.rows.values()
            for record in rows.values()
            if record.idempotency_key is not None
        ]

    def beat(self, incarnation: int) -> None:
        """Note that an incarnation lives."""
        self.beats_ms[incarnation] = self.clock()

    def succeed(self, former: int | None, life: Life, *, keep: Collection[int] | None) -> int:
        """Fence an incarnation, if there is one, and open another.

        Args:
            former: Which it is.
            life: The new one.
            keep: Only these of its shards go on with the new one; None: all.
        """
        owned = self.shards_of(former)
        if former is not None:
            self.fence(former)
        opened = len(self.fenced) + 1
        self.fenced[opened] = False
        self.lives[opened] = life
        self.beat(opened)
        for shard in owned if keep is None else owned.intersection(keep):
            self.shards[shard] = opened
        return opened

    def claim(self, mine: int | None, *, dead: Collection[int] = ()) -> None:
        """Fence whoever is dead, and take free shards up to a fair share."""
        if mine is None or self.fenced[mine]:
            return
        for incarnation in self.fenced:
            if incarnation != mine and (incarnation in dead or self._is_stale(incarnation)):
                self.fence(incarnation)
        survey, owned = self.survey(mine, server=self.lives[mine].server), self.shards_of(mine)
        if wants(survey, owned):
            free = [shard for shard, owner in self.shards.items() if owner is None]
            for shard in free[: room(survey, owned)]:
                self.shards[shard] = mine

    def survey(self, mine: int | None, *, server: str) -> Survey:
        """Return who serves what, as the worker of this incarnation sees it; it may have none."""
        living = [
            each
            for each, fenced in self.fenced.items()
            if not fenced and (each == mine or not self._is_stale(each))
        ]
        peers = {each: self.lives[each] for each in living if self.lives[each].server == server}
        strangers = set(living).difference(peers)
        return Survey(
            peers=tuple(
                Peer(incarnation=str(each), name=life.name, address=life.address)
                for each, life in peers.items()
            ),
            owners=tuple(str(owner) if owner in peers else "" for owner in self.shards.values()),
            foreign=not strangers.isdisjoint(self.shards.values()),
        )

    def fence(self, incarnation: int) -> None:
        """Let an incarnation never append again; what it has in flight comes first."""
        if not self.fenced[incarnation]:
            self.land(incarnation)
            self.fenced[incarnation] = True
            for shard, owner in self.shards.items():
                if owner == incarnation:
                    self.shards[shard] = None

    def _is_stale(self, incarnation: int) -> bool:
        return self.beats_ms[incarnation] <= self.clock() - self._dead_after_ms

    def land(self, incarnation: int) -> None:
        """Store the late appends of an incarnation; one that breaks the key never happened."""
        for batch in self.late.pop(incarnation, []):
            if not self._clashes(batch):
                self._insert(batch)

    def store(self, batch: Batch) -> None:
        """Insert a batch, all of it or nothing.

        Raises:
            JournalError: A row of that key is there already.
        """
        if self._clashes(batch):
            raise JournalError("append: UniqueViolationError")
        self._insert(batch)

    def shards_of(self, incarnation: int | None) -> frozenset[int]:
        """Return what an incarnation owns; nothing if it is fenced."""
        if incarnation is None or self.fenced[incarnation]:
            return frozenset()
        return frozenset(shard for shard, owner in self.shards.items() if owner == incarnation)

    def _clashes(self, batch: Batch) -> bool:
        addresses = list(zip(batch.actor_ids, batch.seqs, strict=True))
        known = any(seq in self.rows[actor_id] for actor_id, seq in addresses)
        return known or len(set(addresses)) < len(addresses)

    def _insert(self, batch: Batch) -> None:
        for record in records_of(batch):
            self.rows[record.actor_id][record.seq] = record
        for actor_id, wake_at_ms in batch.wakes.items():
            self.wakes.pop(actor_id, None)
            if wake_at_ms is not None:
                self.wakes[actor_id] = wake_at_ms


def records_of(batch: Batch) -> list[Record]:
    """Return the rows of a batch as they would be read."""
    keyed = bool(batch.principals)
    return [
        Record(
            actor_id=batch.actor_ids[number],
            seq=batch.seqs[number],
            at_ms=batch.ats_ms[number],
            kind=batch.kinds[number],
            version=batch.versions[number],
            body=batch.bodies[number],
            digest=batch.digests[number],
            principal=batch.principals[number] if keyed else "",
            idempotency_key=batch.idempotency_keys[number] if keyed else None,
            request_digest=batch.request_digests[number] if keyed else None,
        )
        for number in range(len(batch))
    ]
