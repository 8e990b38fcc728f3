"""One process: its rows, folded one by one, and what was derived from them."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from allocator.domain.kinds import Event, Kind, State, blank, evolve, load
from allocator.domain.snapshots import READABLE
from allocator.journal.verify.actors import (
    compare_snapshot,
    compare_wake_up,
    ends_too_early,
    events_of,
)
from allocator.journal.verify.faults import Derived, Subject
from allocator.journal.verify.rows import ChainOfRows, Read
from allocator.journal.verify.segments import Segment
from allocator.persistence.reader import digest_of
from allocator.persistence.windows import Row

S = TypeVar("S", bound=State)


class Sort(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """What tells processes of one kind from those of another.

    Attributes:
        kind: Of its actor.
        fault: What is wrong if its row of the read model is.
        table: Where that is.
        is_listed: Whether what is known of an actor has such a row.
        unlawful: Says why an event cannot happen next.
        expected: What the row should say, by the actor's id and state.
        found: What it says; None if that is nothing that such a process can be.
    """

    kind: Kind
    fault: Derived
    table: str
    is_listed: Callable[[Row], bool]
    unlawful: Callable[[S, Event], str]
    expected: Callable[[int, S], object]
    found: Callable[[Row], object]


class ProcessAudit(Generic[S]):
    """Replays a process and compares what was derived from its journal.

    Args:
        subject: The process; what is wrong is noted there.
        first: The first stretch of its rows; what was known of it then is compared.
        sort: Of which it is.
    """

    def __init__(self, subject: Subject, first: Segment, sort: Sort[S]) -> None:
        self.subject = subject
        self._sort = sort
        self._state: S = blank(sort.kind)  # type: ignore[assignment]  # of this kind
        self._chain = ChainOfRows(subject)
        self._actor = first.actor
        self._version = first.version
        if first.floor is not None:
            self._begin_at(first.floor)

    @property
    def has_moved(self) -> bool:
        """Whether units were to get from one place to another."""
        return self._sort.kind == "move"

    @property
    def has_held(self) -> bool:
        """Whether pools were to hold units for it."""
        return self._sort.kind != "move"

    async def take(self, segment: Segment) -> None:
        """Fold the next stretch of rows."""
        rows = self._chain.sound(segment.journal_above(self._chain.seq))
        reads = events_of(rows, {}, last_at_ms=self._state.last_at_ms, subject=self.subject)
        snapshots = {row["seq"]: row for row in segment.snapshots}
        self._fold(reads, snapshots)
        for seq in snapshots:
            self._is_behind(seq, "a snapshot")
        for table in ("orders", "stocks"):
            for row in getattr(segment, table):
                message = f"{table} has a row of it, and it is no pool"
                self.subject.is_wrong("wrong_actor", message, table=table, seq=row["seq"])
        if segment.ends:
            self._is_behind(self._version, f"its row in {self._sort.table}")

    def end(self, segment: Segment) -> None:
        """Compare what has to be true when all rows have been folded, `segment` the last ones."""
        actor, subject, sort = segment.actor, self.subject, self._sort
        if subject.is_damaged or actor is None:
            return
        compare_wake_up(actor, self._state, subject=subject)
        if error := actor["quarantine"]:
            message = f"what is listed of it stands still at version {segment.version}: {error}"
            subject.is_wrong("quarantine", message, table="quarantined_projections")
        elif passed_over := actor["passed_over"]:
            message = f"row {passed_over} was passed over by the read models"
            subject.is_wrong(sort.fault, message, table=sort.table, seq=passed_over)

    def _begin_at(self, floor: Row) -> None:
        seq, state, table = floor["seq"], bytes(floor["state"]), self._sort.table
        self._chain = ChainOfRows(self.subject, seq=seq, digest=floor["digest"])
        try:
            loaded = load(self._sort.kind, state)
        except msgspec.DecodeError:
            loaded = blank(self._sort.kind)
        sound = digest_of(state) == floor["state_digest"] and loaded.version == seq
        if not sound or floor["schema_version"] not in READABLE:
            message = f"the state at the floor {seq} is not as it was stored"
            self.subject.is_wrong("floor", message, seq=seq)
            return
        self._state = loaded  # type: ignore[assignment]  # of this kind
        if 0 < self._version < seq or (not self._version and self._actor is not None):
            message = f"its row in {table} is at version {self._version}, below the floor {seq}"
            self.subject.is_wrong(self._sort.fault, message, table=table)
        elif self._version == seq:
            self._compare_row()

    def _fold(self, reads: Sequence[Read], snapshots: dict[int, Row]) -> None:
        state = self._state
        for seq, at_ms, event in reads:
            if why := self._sort.unlawful(state, event):
                message = f"row {seq} cannot have happened: {why}"
                self.subject.is_wrong("unlawful_event", message, seq=seq)
                return
            evolve(state, event, at_ms=at_ms)
            if seq == self._version:
                self._compare_row()
            if seq in snapshots:
                row = snapshots.pop(seq)
                if row["state"] is not None:  # one as large as that is of a pool
                    compare_snapshot(row, bytes(row["state"]), state, subject=self.subject)

    def _compare_row(self) -> None:
        """Compare the row of the read model with the process, which stands at its version."""
        actor, sort = self._actor, self._sort
        if actor is None or not sort.is_listed(actor):
            return
        expected, found = sort.expected(self.subject.actor_id, self._state), sort.found(actor)
        if expected != found:
            message = f"its row in {sort.table}, at version {self._version}, says something else"
            self.subject.is_wrong(
                sort.fault, message, table=sort.table, expected=expected, found=found
            )

    def _is_behind(self, seen: int, what: str) -> None:
        if seen > self._state.version:
            ends_too_early(self._state.version, seen=seen, what=what, subject=self.subject)
