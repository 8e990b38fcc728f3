"""Actors that are a row of an ordinary table: the row says what their last event left."""

from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from allocator.domain.api_keys import API_KEY_CREATED, API_KEY_REVOKED
from allocator.domain.catalogue import LOCATION_PUT, PRODUCT_PUT, WAREHOUSE_PUT
from allocator.domain.codec import VERSIONS
from allocator.domain.webhooks import WEBHOOK_DELETED, WEBHOOK_PUT, WEBHOOK_ROTATED
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import ChainOfRows
from allocator.journal.verify.segments import Segment

Contents: TypeAlias = dict[str, object]

EVENTS_OF: Final[Mapping[str, frozenset[str]]] = {
    "warehouse": frozenset((WAREHOUSE_PUT, LOCATION_PUT)),
    "product": frozenset((PRODUCT_PUT,)),
    "api_key": frozenset((API_KEY_CREATED, API_KEY_REVOKED)),
    "webhook": frozenset((WEBHOOK_PUT, WEBHOOK_ROTATED, WEBHOOK_DELETED)),
}
"""The kinds of events, by the kinds of actors that `verify_things.sql` knows."""

_decode: Final = msgspec.json.Decoder(Contents).decode


class ThingAudit:
    """Compares a thing's row with its journal.

    Args:
        subject: The thing; what is wrong is noted there.
        kind: Of its actor.
    """

    has_moved = has_held = False

    def __init__(self, subject: Subject, kind: str) -> None:
        self.subject = subject
        self._kind = kind
        self._chain = ChainOfRows(subject)
        self._contents: Contents = {}
        self._created_at_ms = 0

    async def take(self, segment: Segment) -> None:
        """Read the next of its rows."""
        for seq, at_ms, kind, version, body in self._chain.sound(segment.journal):
            if not self._can_be_read(seq, kind, version, body):
                return
            if not self._contents:
                self._created_at_ms = at_ms
            self._contents = _after(self._contents, kind, body)

    def end(self, segment: Segment) -> None:
        """Compare its row, when all of its events have been read."""
        row, chain = segment.thing, self._chain
        if self.subject.is_damaged:
            return
        if row is None:
            if chain.seq:
                self.subject.is_wrong("contents", f"the {self._kind} is not there", table="")
            return
        table = row["table"]
        if row["version"] > chain.seq:
            self.subject.is_wrong(
                "missing_end",
                f"the journal ends at row {chain.seq}, and {table} knows row {row['version']}",
                seq=chain.seq + 1,
                expected=row["version"],
                found=chain.seq,
            )
            return
        expected = (chain.seq, chain.digest.hex(), self._created_at_ms, self._contents)
        found = (row["version"], row["digest"].hex(), row["created_at"], _decode(row["contents"]))
        if expected != found:
            message = f"its row in {table} does not say what its last event says"
            self.subject.is_wrong(
                "contents", message, table=table, seq=chain.seq, expected=expected, found=found
            )

    def _can_be_read(self, seq: int, kind: str, version: int, body: str) -> bool:
        if kind in EVENTS_OF[self._kind] and 1 <= version <= VERSIONS[kind]:
            try:
                _decode(body)
            except msgspec.DecodeError as error:
                message = f"row {seq}, {kind}: {error}"
            else:
                return True
        else:
            message = f"row {seq}, {kind} of version {version}, is nothing that a {self._kind} has"
        self.subject.is_wrong("unreadable_row", message, seq=seq)
        return False


class UnknownAudit:
    """Checks the chain of an actor of which nothing else is known."""

    has_moved = has_held = False

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._chain = ChainOfRows(subject)

    async def take(self, segment: Segment) -> None:
        """Check the next of its rows."""
        self._chain.sound(segment.journal)

    def end(self, segment: Segment) -> None:
        """There is nothing to compare with."""


def _after(contents: Contents, kind: str, body: str) -> Contents:
    """Return what a thing's row says after one more event; nothing, if the thing is gone."""
    if kind == API_KEY_CREATED:
        return {**_decode(body), "revoked": False}
    if kind == API_KEY_REVOKED:
        return {**contents, "revoked": True}
    if kind == WEBHOOK_ROTATED:
        return contents
    if kind == WEBHOOK_DELETED:
        return {}
    return _decode(body)
