"""One pool: its rows, folded one by one, and everything that was derived from them."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from allocator.domain.codec import KINDS
from allocator.domain.holds import HoldConfirmed, UnitsHeld
from allocator.domain.kinds import evolve
from allocator.domain.laws import unbalanced, unlawful
from allocator.domain.pool import Balance, Pool
from allocator.domain.queries import balance_of
from allocator.domain.snapshots import READABLE, load_pool
from allocator.domain.transfers import UnitsSent, UnitsTaken
from allocator.journal.verify.actors import (
    Decoders,
    compare_snapshot,
    compare_wake_up,
    ends_too_early,
    events_of,
)
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.options import compare_option
from allocator.journal.verify.orders import OrdersAudit
from allocator.journal.verify.repicks import RepicksAudit
from allocator.journal.verify.rows import ChainOfRows, Read, Sound
from allocator.journal.verify.segments import Segment
from allocator.journal.verify.stocks import Target, compare_found, compare_numbers, compare_received
from allocator.persistence.reader import digest_of
from allocator.persistence.windows import Row, Rows, Windows

_MOVING: Final = frozenset({KINDS[UnitsSent], KINDS[UnitsTaken]})
_HOLDING: Final = frozenset({KINDS[UnitsHeld], KINDS[HoldConfirmed]})


class PoolAudit:
    """Replays a pool and compares what was derived from its journal.

    Args:
        subject: The pool; what is wrong is noted there.
        first: The first stretch of its rows. The numbers of the read models are compared at the
            version that they had then.
        windows: For snapshots too large to come with the others.
    """

    def __init__(self, subject: Subject, first: Segment, windows: Windows) -> None:
        self.subject = subject
        self._actor = first.actor
        self._decoders: Decoders = {}
        self._windows = windows
        self._pool = Pool()
        self._chain = ChainOfRows(subject)
        self._orders = OrdersAudit(subject)
        self._repicks = RepicksAudit(subject)
        self._found: Counter[int] = Counter()
        self._target: Target | None = None
        if first.actor is not None:
            self._target = Target.of(first.actor, first.live)
            if first.floor is not None:
                self._begin_at(first.floor, first.below)
            self._reach_target()

    @property
    def has_moved(self) -> bool:
        """Whether units left or arrived that a process led, as far as rows were read."""
        return not _MOVING.isdisjoint(kind for kind, _ in self._decoders)

    @property
    def has_held(self) -> bool:
        """Whether units were held for processes, likewise."""
        return not _HOLDING.isdisjoint(kind for kind, _ in self._decoders)

    @property
    def place(self) -> tuple[str, str] | None:
        """(warehouse, product), as far as rows were read; None if nobody knows them."""
        if self._actor is None or self._actor["warehouse"] is None:
            return None
        product = self._actor["product"] or self._pool.product
        return None if product is None else (self._actor["warehouse"], product)

    async def balance_at(self, version: int, *, product: str) -> Balance:
        """Return the numbers at a version above all that was read, or else the newest ones.

        What was committed since is read from the journal.

        Args:
            version: From which on nothing has to be read.
            product: Of `place`, when it was asked for; zeros if another one is there by then.
        """
        pool, chain = self._pool, self._chain
        while pool.version < version and not self.subject.is_damaged:
            rows = await self._windows.rows(self.subject.actor_id, after_seq=chain.seq)
            if not rows:
                break
            await self._fold(self._read(chain.sound(rows[: version - chain.seq])), {})
        return balance_of(pool, product)

    async def take(self, segment: Segment) -> None:
        """Fold the next stretch of rows."""
        rows = self._chain.sound(segment.journal_above(self._chain.seq))
        snapshots = {row["seq"]: row for row in segment.snapshots}
        is_first, actor = not self._pool.version, segment.actor
        reads = await self._fold(self._read(rows), snapshots)
        if is_first and actor is not None and not self.subject.is_damaged:
            compare_option(reads, actor, subject=self.subject)
        if segment.ends and self._target is not None:
            self._is_behind(self._target.version, "the balance")
        version = segment.version
        self._orders.take(reads, segment.orders, version=version)
        self._repicks.take(reads, version=version)
        compare_received(
            reads, segment.stocks, version=version, found=self._found, subject=self.subject
        )

    def end(self, segment: Segment) -> None:
        """Compare what has to be true when all rows have been folded, `segment` the last ones."""
        pool, subject = self._pool, self.subject
        if subject.is_damaged:
            return
        if why := unbalanced(pool):
            subject.is_wrong("unbalanced_pool", f"at version {pool.version} {why}")
        self._orders.end()
        compare_found(self._found, subject=subject)
        if segment.actor is None:
            return
        self._repicks.end(segment.actor)
        compare_wake_up(segment.actor, pool, subject=subject)
        if error := segment.actor["quarantine"]:
            message = f"its lists stand still at version {segment.version}: {error}"
            subject.is_wrong("quarantine", message, table="quarantined_projections")
        elif passed_over := segment.actor["passed_over"]:
            message = f"row {passed_over} was passed over by the read models"
            subject.is_wrong("balance", message, table="balances", seq=passed_over)

    def _begin_at(self, floor: Row, below: Rows) -> None:
        seq, state = floor["seq"], bytes(floor["state"])
        self._chain = ChainOfRows(self.subject, seq=seq, digest=floor["digest"])
        try:
            pool = load_pool(state)
        except msgspec.DecodeError:
            pool = Pool()
        sound = digest_of(state) == floor["state_digest"] and pool.version == seq
        if not sound or floor["schema_version"] not in READABLE:
            message = f"the state at the floor {seq} is not as it was stored"
            self.subject.is_wrong("floor", message, seq=seq)
            return
        if why := unbalanced(pool):
            self.subject.is_wrong("floor", f"at the floor {seq} {why}", seq=seq)
            return
        self._pool = pool
        version = seq if self._target is None else self._target.version
        if version < seq:
            message = f"the read models are at version {version}, below the floor {seq}"
            self.subject.is_wrong("balance", message, table="balances")
            self._target = None
        self._orders.begin(pool, version=version, rows=below)

    def _read(self, rows: Sequence[Sound]) -> list[Read]:
        return events_of(
            rows, self._decoders, last_at_ms=self._pool.last_at_ms, subject=self.subject
        )

    async def _fold(self, reads: Sequence[Read], snapshots: dict[int, Row]) -> Sequence[Read]:
        """Apply events, comparing on the way; return those before the first unlawful one."""
        pool = self._pool
        target = -1 if self._target is None else self._target.version
        for index, (seq, at_ms, event) in enumerate(reads):
            if why := unlawful(pool, event):
                message = f"row {seq} cannot have happened: {why}"
                self.subject.is_wrong("unlawful_event", message, seq=seq)
                return reads[:index]
            evolve(pool, event, at_ms=at_ms)
            if seq == target:
                self._reach_target()
            if seq in snapshots:
                await self._compare_snapshot(snapshots.pop(seq))
        for seq in snapshots:
            self._is_behind(seq, "a snapshot")
        return reads

    def _reach_target(self) -> None:
        target = self._target
        if target is not None and target.version == self._pool.version:
            compare_numbers(target, self._pool, subject=self.subject)
            self._target = None

    async def _compare_snapshot(self, row: Row) -> None:
        seq, state = row["seq"], row["state"]
        if state is None:
            state = await self._windows.state(self.subject.actor_id, seq)
            if state is None:
                return
        compare_snapshot(row, bytes(state), self._pool, subject=self.subject)

    def _is_behind(self, seen: int, what: str) -> None:
        """Note it if something knows rows that are not there any more."""
        if seen > self._pool.version:
            ends_too_early(self._pool.version, seen=seen, what=what, subject=self.subject)
