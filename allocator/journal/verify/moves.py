"""One move: its rows, folded one by one, and what was derived from them."""

from collections.abc import Sequence
from typing import Final

import msgspec

from allocator.domain.laws import unlawful_of_move
from allocator.domain.move_rules import evolve
from allocator.domain.moves import Move, MoveEvent, Reason
from allocator.domain.rows import MoveRow
from allocator.domain.snapshots import READABLE, load_move
from allocator.domain.transfers import Transfer
from allocator.journal.verify.actors import (
    compare_snapshot,
    compare_wake_up,
    ends_too_early,
    events_of,
)
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import ChainOfRows, Read
from allocator.journal.verify.segments import Segment
from allocator.persistence.reader import digest_of
from allocator.persistence.windows import Row

_decode_lots: Final = msgspec.json.Decoder(tuple[Transfer, ...]).decode
_decode_reason: Final = msgspec.json.Decoder(Reason).decode


class MoveAudit:
    """Replays a move and compares what was derived from its journal.

    Args:
        subject: The move; what is wrong is noted there.
        first: The first stretch of its rows; what was known of it then is compared.
    """

    has_moved = True

    def __init__(self, subject: Subject, first: Segment) -> None:
        self.subject = subject
        self._move = Move()
        self._chain = ChainOfRows(subject)
        self._actor = first.actor
        self._version = first.version
        if first.floor is not None:
            self._begin_at(first.floor)

    async def take(self, segment: Segment) -> None:
        """Fold the next stretch of rows."""
        rows = self._chain.sound(segment.journal_above(self._chain.seq))
        reads = events_of(rows, {}, last_at_ms=self._move.last_at_ms, subject=self.subject)
        snapshots = {row["seq"]: row for row in segment.snapshots}
        self._fold(reads, snapshots)
        for seq in snapshots:
            self._is_behind(seq, "a snapshot")
        for table in ("orders", "stocks"):
            for row in getattr(segment, table):
                message = f"{table} has a row of it, and it is a move"
                self.subject.is_wrong("wrong_actor", message, table=table, seq=row["seq"])
        if segment.ends:
            self._is_behind(self._version, "its row in moves")

    def end(self, segment: Segment) -> None:
        """Compare what has to be true when all rows have been folded, `segment` the last ones."""
        actor, subject = segment.actor, self.subject
        if subject.is_damaged or actor is None:
            return
        compare_wake_up(actor, self._move, subject=subject)
        if error := actor["quarantine"]:
            message = f"what is listed of it stands still at version {segment.version}: {error}"
            subject.is_wrong("quarantine", message, table="quarantined_projections")
        elif passed_over := actor["passed_over"]:
            message = f"row {passed_over} was passed over by the read models"
            subject.is_wrong("move", message, table="moves", seq=passed_over)

    def _begin_at(self, floor: Row) -> None:
        seq, state = floor["seq"], bytes(floor["state"])
        self._chain = ChainOfRows(self.subject, seq=seq, digest=floor["digest"])
        try:
            move = load_move(state)
        except msgspec.DecodeError:
            move = Move()
        sound = digest_of(state) == floor["state_digest"] and move.version == seq
        if not sound or floor["schema_version"] not in READABLE:
            message = f"the state at the floor {seq} is not as it was stored"
            self.subject.is_wrong("floor", message, seq=seq)
            return
        self._move = move
        if 0 < self._version < seq or (not self._version and self._actor is not None):
            message = f"its row in moves is at version {self._version}, below the floor {seq}"
            self.subject.is_wrong("move", message, table="moves")
        elif self._version == seq:
            self._compare_row()

    def _fold(self, reads: Sequence[Read], snapshots: dict[int, Row]) -> None:
        move = self._move
        for seq, at_ms, event in reads:
            if why := unlawful_of_move(move, event):
                message = f"row {seq} cannot have happened: {why}"
                self.subject.is_wrong("unlawful_event", message, seq=seq)
                return
            assert isinstance(event, MoveEvent), "the laws have seen to it"
            evolve(move, event, at_ms=at_ms)
            if seq == self._version:
                self._compare_row()
            if seq in snapshots:
                row = snapshots.pop(seq)
                if row["state"] is not None:  # one as large as that is of a pool
                    compare_snapshot(row, bytes(row["state"]), move, subject=self.subject)

    def _compare_row(self) -> None:
        """Compare the row of the read model with the move, which stands at its version."""
        actor = self._actor
        if actor is None or not actor["is_move"]:
            return
        expected, found = MoveRow.of(self.subject.actor_id, self._move), _row_of(actor)
        if (expected, self._move.ended) != (found, actor["ended"]):
            message = f"its row in moves, at version {self._version}, says something else"
            self.subject.is_wrong("move", message, table="moves", expected=expected, found=found)

    def _is_behind(self, seen: int, what: str) -> None:
        if seen > self._move.version:
            ends_too_early(self._move.version, seen=seen, what=what, subject=self.subject)


def _row_of(actor: Row) -> MoveRow | None:
    """Return the row of `moves`; None if it holds what no move can be."""
    try:
        lots = _decode_lots(actor["lots"])
        reason = None if actor["reason"] is None else _decode_reason(actor["reason"])
    except msgspec.MsgspecError:
        return None
    return MoveRow(
        actor_id=actor["id"],
        product=actor["move_product"],
        from_code=actor["from_code"],
        to_code=actor["to_code"],
        quantity=actor["quantity"],
        status=actor["status"],
        requested_at_ms=actor["requested_at"],
        decided_at_ms=actor["decided_at"],
        lots=lots,
        reason=reason,
    )
