"""The tables: what is committed, and nothing else."""

from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from allocator.domain.ids import SHARD_MASK, SHARDS
from allocator.domain.records import (
    GENESIS,
    SEQ_END,
    Batch,
    KeyName,
    Origin,
    Record,
    StoredSnapshot,
    WakeUp,
)
from allocator.domain.shares import Peer, Survey
from allocator.persistence.memory.locks import Lock, Waiting

SNAPSHOTS_KEPT: Final = 3
FIRST_NUMBER: Final = 1 << 20
"""Below it are the numbers of actors that are there without having come into being."""
_NONE: Final[frozenset[int]] = frozenset()


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an incarnation, apart from whether it still lives."""

    name: str
    server: str
    address: str


class WorkerRow:
    """An incarnation: its row in `workers`, its heartbeat, and the shards that name it.

    Attributes:
        place: Says who is older: that whose transaction began earlier.
        lock: Shared by appends under it, held by whoever fences it.
    """

    __slots__ = (
        "beat_ms", "fenced", "incarnation", "life", "lock", "peer", "place", "shards",
        "started_ms",
    )  # fmt: skip

    def __init__(self, incarnation: int, life: Life, *, place: int, started_ms: int) -> None:
        self.incarnation = incarnation
        self.life = life
        self.place = place
        self.started_ms = self.beat_ms = started_ms
        self.fenced = False
        self.shards = _NONE
        self.lock = Lock()
        self.peer = Peer(incarnation=str(incarnation), name=life.name, address=life.address)

    def hear(self, beat_ms: int) -> None:
        """Note that it lived at this time."""
        self.beat_ms = beat_ms


class Tables:
    """What all workers share.

    Attributes:
        rows: By actor, then by seq.
        kinds: Of the actors that came into being with their first row, by id.
        wakes: When actors want to be woken, milliseconds of Unix time.
        snapshots: By actor, then by seq.
        workers: By incarnation, oldest first.
    """

    def __init__(self) -> None:
        self.rows: defaultdict[int, dict[int, Record]] = defaultdict(dict)
        self.kinds: dict[int, str] = {}
        self.wakes: dict[int, int] = {}
        self.snapshots: defaultdict[int, dict[int, bytes]] = defaultdict(dict)
        self.workers: dict[int, WorkerRow] = {}
        self._keys: dict[KeyName, list[tuple[int, int]]] = {}
        self._commits: list[tuple[int, Record]] = []
        self._owners: dict[int, int | None] = dict.fromkeys(range(SHARDS))
        self._free = frozenset(self._owners)
        self._surveys: dict[tuple[str, tuple[int, ...]], Survey] = {}
        self._numbers = FIRST_NUMBER

    # The journal.

    def clashes(self, batch: Batch) -> bool:
        """Return whether one of these addresses is used, or used twice, or an actor born again."""
        rows = self.rows
        if batch.births and not self.kinds.keys().isdisjoint(batch.births):
            return True
        addresses = zip(batch.actor_ids, batch.seqs, strict=True)
        if any(actor in rows and seq in rows[actor] for actor, seq in addresses):
            return True
        many = len(batch) > 1
        return many and len(set(zip(batch.actor_ids, batch.seqs, strict=True))) < len(batch)

    def insert(self, batch: Batch, *, xid: int) -> None:
        """Store rows, the actors that come into being with them, and wake-up times."""
        self.kinds |= batch.births
        for record in records_of(batch):
            address = record.actor_id, record.seq
            self.rows[record.actor_id][record.seq] = record
            self._commits.append((xid, record))
            if record.idempotency_key is not None:
                name = record.principal, record.idempotency_key
                self._keys.setdefault(name, []).append(address)
        for actor_id, wake_at_ms in batch.wakes.items():
            if wake_at_ms is None:
                self.wakes.pop(actor_id, None)
            else:
                self.wakes[actor_id] = wake_at_ms

    def find_keys(self, names: Sequence[KeyName]) -> list[Record]:
        """Return the rows that remember these (principal, key) pairs; none remembers ''."""
        found = [address for name in names for address in self._keys.get(name, ())]
        return [self.rows[actor_id][seq] for actor_id, seq in found]

    def keyed_rows(self) -> list[Record]:
        """Return every row that remembers an idempotency key."""
        return self.find_keys(list(self._keys))

    def journal_of(self, actor_id: int, *, after_seq: int = 0) -> list[Record]:
        """Return an actor's rows above `after_seq`, ascending by seq."""
        rows = self.rows.get(actor_id, {})
        return [rows[seq] for seq in sorted(seq for seq in rows if seq > after_seq)]

    def tail(self, *, below: int, after: int = 0) -> list[tuple[int, Record]]:
        """Return the rows of these transactions with their ids, in the order of the tail."""
        rows = [(xid, row) for xid, row in self._commits if after < xid < below]
        return sorted(rows, key=lambda each: (each[0], each[1].actor_id, each[1].seq))

    def take_numbers(self, count: int) -> list[int]:
        """Return numbers that nobody was given before."""
        first = self._numbers + 1
        self._numbers += count
        return list(range(first, self._numbers + 1))

    def commits_from(self, index: int) -> list[tuple[int, Record]]:
        """Return rows with their transactions, in the order of the commits, from one on."""
        return self._commits[index:]

    def due_wakes(
        self, *, now_ms: int, limit: int, shards: Collection[int], after: WakeUp | None = None
    ) -> list[WakeUp]:
        """Return the actors of some shards whose wake-up time has come, ascending."""
        due = sorted(
            WakeUp(at_ms, actor_id)
            for actor_id, at_ms in self.wakes.items()
            if at_ms <= now_ms and actor_id & SHARD_MASK in shards
        )
        return due[bisect(due, after) if after else 0 :][:limit]

    def save_snapshot(self, actor_id: int, snapshot: StoredSnapshot) -> None:
        """Keep a snapshot beside the newest two others, however old it is itself."""
        snapshots = self.snapshots[actor_id]
        for seq in sorted(snapshots)[: 1 - SNAPSHOTS_KEPT]:
            if seq != snapshot.seq:
                del snapshots[seq]
        snapshots[snapshot.seq] = snapshot.state

    def origin(self, actor_id: int, *, below: int = SEQ_END) -> Origin:
        """Return where the recovery of an actor starts: a snapshot needs the row it stands on."""
        rows, snapshots = self.rows.get(actor_id, {}), self.snapshots.get(actor_id, {})
        newest = max((seq for seq in snapshots if seq in rows and seq < below), default=None)
        kind, wake_at_ms = self.kinds.get(actor_id), self.wakes.get(actor_id)
        if newest is None:
            return Origin(kind=kind, snapshot=None, head=GENESIS, wake_at_ms=wake_at_ms)
        snapshot = StoredSnapshot(seq=newest, state=snapshots[newest])
        return Origin(kind=kind, snapshot=snapshot, head=rows[newest].digest, wake_at_ms=wake_at_ms)

    # Ownership.

    def known(self, incarnations: Collection[int]) -> list[WorkerRow]:
        """Return the rows of those incarnations that have one, oldest first."""
        return [row for row in self.workers.values() if row.incarnation in incarnations]

    def open(self, row: WorkerRow) -> None:
        """Add an incarnation."""
        newest = next(reversed(self.workers.values()), None)
        self.workers[row.incarnation] = row
        if newest is not None and newest.place > row.place:
            by_age = sorted(self.workers.values(), key=lambda each: each.place)
            self.workers = {each.incarnation: each for each in by_age}
        self._surveys.clear()

    def depose(self, row: WorkerRow) -> None:
        """Let an incarnation own nothing, and never append again."""
        self.assign(row.shards, None)
        row.fenced = True

    def assign(self, shards: Iterable[int], new: WorkerRow | None) -> None:
        """Make an incarnation, or nobody, own shards."""
        moving = frozenset(shards)
        for row in self.workers.values():
            if row.shards:
                row.shards -= moving
        if new is None:
            self._free |= moving
            self._owners.update(dict.fromkeys(moving))
        else:
            self._free -= moving
            new.shards |= moving
            self._owners.update(dict.fromkeys(moving, new.incarnation))
        self._surveys.clear()

    @property
    def shards(self) -> dict[int, int | None]:
        """The incarnation that owns each shard; None if nobody does."""
        return dict(self._owners)

    def free(self, doomed: Collection[WorkerRow] = ()) -> list[int]:
        """Return the shards that nobody owns but these, ascending."""
        return sorted(self._free.union(*(row.shards for row in doomed)))

    def survey(self, living: Iterable[WorkerRow], *, server: str) -> Survey:
        """Return who serves what, if just these live and may write; they come oldest first."""
        living = tuple(living)
        asked = server, tuple([row.incarnation for row in living])
        if (survey := self._surveys.get(asked)) is None:
            survey = self._surveys[asked] = self._survey(living, server)
        return survey

    def _survey(self, living: Sequence[WorkerRow], server: str) -> Survey:
        peers = {row.incarnation: row.peer for row in living if row.life.server == server}
        owners = self._owners.values()
        texts = dict.fromkeys(owners, "")
        texts.update((incarnation, peer.incarnation) for incarnation, peer in peers.items())
        return Survey(
            peers=tuple(peers.values()),
            owners=tuple(map(texts.__getitem__, owners)),
            foreign=any(row.shards for row in living if row.incarnation not in peers),
        )

    def forget(self, *, before_ms: int, limit: int, on_behalf_of: Waiting) -> None:
        """Remove incarnations that were fenced and began long ago, unless others lock them."""
        old = [
            row
            for row in self.workers.values()
            if row.fenced and row.started_ms < before_ms and row.lock.free_for(on_behalf_of)
        ]
        for row in old[:limit]:
            del self.workers[row.incarnation]


def records_of(batch: Batch) -> Iterator[Record]:
    """Yield the rows of a batch as they would be read."""
    keyed = bool(batch.principals)
    for number, actor_id in enumerate(batch.actor_ids):
        key = (batch.idempotency_keys[number] or None) if keyed else None
        yield Record(
            actor_id=actor_id,
            seq=batch.seqs[number],
            at_ms=batch.ats_ms[number],
            kind=batch.kinds[number],
            version=batch.versions[number],
            body=batch.bodies[number],
            digest=batch.digests[number],
            principal=batch.principals[number] if keyed else "",
            idempotency_key=key,
            request_digest=None if key is None else batch.request_digests[number],
        )
