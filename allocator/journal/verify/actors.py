"""What pools and moves have in common: events of rows, snapshots, and when to be woken."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from allocator.domain.codec import UnknownEventError, decoder_of
from allocator.domain.kinds import Event, State, dump, wake_at
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read, Sound
from allocator.persistence.reader import digest_of
from allocator.persistence.windows import Row

Decoders: TypeAlias = dict[tuple[str, int], Callable[[str | bytes], Event]]
"""What reads bodies, by kind and version: of those that were met."""


def events_of(
    rows: Sequence[Sound], decoders: Decoders, *, last_at_ms: int, subject: Subject
) -> list[Read]:
    """Return the events of sound rows, up to the first that cannot be read.

    Args:
        rows: They.
        decoders: Those of rows before; more are added.
        last_at_ms: The time of the row before them.
        subject: What is wrong is noted there.
    """
    reads: list[Read] = []
    for seq, at_ms, kind, version, body in rows:
        try:
            decode = decoders.get((kind, version))
            if decode is None:
                decode = decoders[kind, version] = decoder_of(kind=kind, version=version)
            event = decode(body)
        except (UnknownEventError, msgspec.DecodeError) as error:
            subject.is_wrong("unreadable_row", f"row {seq}, {kind}: {error}", seq=seq)
            return reads
        if at_ms < last_at_ms:
            subject.is_wrong(
                "time_goes_back",
                f"row {seq} is of an earlier time than row {seq - 1}",
                seq=seq,
                expected=last_at_ms,
                found=at_ms,
            )
            return reads
        last_at_ms = at_ms
        reads.append((seq, at_ms, event))
    return reads


def compare_snapshot(row: Row, found: bytes, state: State, *, subject: Subject) -> None:
    """Compare a snapshot with an actor that stands where it was taken."""
    if digest_of(found) != row["digest"]:
        why = "its digest does not bear it out"
    elif found != dump(state):
        why = "it is another state than the journal's"
    else:
        return
    seq = row["seq"]
    message = f"the snapshot at row {seq} is wrong: {why}"
    subject.is_wrong("snapshot", message, table="snapshots", seq=seq)


def compare_wake_up(actor: Row, state: State, *, subject: Subject) -> None:
    """Compare when an actor is to be woken with what it wants in the end."""
    expected = wake_at(state)
    if actor["wake_at"] != expected:
        subject.is_wrong(
            "wake_up",
            "it is to be woken at another time",
            table="actors",
            expected=expected,
            found=actor["wake_at"],
        )


def ends_too_early(version: int, *, seen: int, what: str, subject: Subject) -> None:
    """Note that something knows rows that are not there any more."""
    if subject.is_damaged:
        return
    subject.is_wrong(
        "missing_end",
        f"the journal ends at row {version}, and {what} knows row {seen}",
        seq=version + 1,
        expected=seen,
        found=version,
    )
