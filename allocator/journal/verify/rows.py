"""The chain of an actor's rows: digests and gaps, and what of it is sound."""

from typing import TypeAlias

from allocator.domain.kinds import Event
from allocator.domain.records import GENESIS, chain
from allocator.journal.verify.faults import Subject
from allocator.persistence.windows import Rows

Sound: TypeAlias = tuple[int, int, str, int, str]
"""A row that is as it was written: (seq, milliseconds of Unix time, kind, version, body)."""

Read: TypeAlias = tuple[int, int, Event]
"""One that could be read: (seq, milliseconds of Unix time, event)."""


class ChainOfRows:
    """An actor's journal as far as it has been read.

    Args:
        subject: Whose it is; what is wrong is noted there.
        seq: The row after which to begin: 0, or the floor.
        digest: Of that row.

    Attributes:
        seq: Of the last row that was read.
        digest: As it is stored there.
    """

    __slots__ = ("digest", "seq", "subject")

    def __init__(self, subject: Subject, *, seq: int = 0, digest: bytes = GENESIS) -> None:
        self.subject = subject
        self.seq = seq
        self.digest = digest

    def sound(self, rows: Rows) -> list[Sound]:
        """Return those of the next rows that stand before the first wrong one of all.

        Those behind it are checked as well: each against the row before it as it stands.
        """
        sound: list[Sound] = []
        for row in rows:
            actor_id, seq, at_ms, kind, version, body, stored, principal, key, asked = row
            if seq != self.seq + 1:
                self._is_missing(seq)
            else:
                digest = chain(
                    self.digest,
                    actor_id=actor_id,
                    seq=seq,
                    at_ms=at_ms,
                    kind=kind,
                    version=version,
                    body=body,
                    principal=principal,
                    idempotency_key=key,
                    request_digest=asked,
                )
                if digest != stored:
                    self._was_edited(seq, kind, expected=digest, found=stored)
            if not self.subject.is_damaged:
                sound.append((seq, at_ms, kind, version, body))
            self.seq, self.digest = seq, stored
        return sound

    def _is_missing(self, found: int) -> None:
        first, last = self.seq + 1, found - 1
        what = f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"
        self.subject.is_wrong(
            "missing_row",
            f"{what}: behind row {self.seq} stands row {found}",
            seq=first,
            expected=first,
            found=found,
        )

    def _was_edited(self, seq: int, kind: str, *, expected: bytes, found: bytes) -> None:
        self.subject.is_wrong(
            "edited_row",
            f"row {seq}, {kind}, is not as it was written behind row {seq - 1}: "
            "its digest does not bear it out",
            seq=seq,
            expected=expected.hex(),
            found=found.hex(),
        )
