"""Changes of ordinary tables: each writes a row of its thing's own journal, in its transaction.

A thing is a row of such a table and an actor of its own, which nobody hosts: the lock on the row
is what keeps two writers apart. The row keeps `actor_id`, `version` and `digest`, the end of the
thing's chain.
"""

from collections.abc import Callable, Mapping

import asyncpg
import msgspec

from allocator.domain.codec import VERSIONS
from allocator.domain.ids import shard_of
from allocator.domain.records import GENESIS, chain
from allocator.persistence.connections import Executor
from allocator.persistence.statements import statement


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The row of the journal that a change writes."""

    actor_id: int
    seq: int
    at_ms: int
    era: int
    kind: str
    body: str
    digest: bytes
    principal: str

    @property
    def columns(self) -> tuple[int, int, bytes, int]:
        """What the thing's own row keeps: actor, version, digest and time."""
        return self.actor_id, self.seq, self.digest, self.at_ms

    async def note(self, connection: Executor) -> None:
        """Store it, in the transaction that changes the thing."""
        await connection.execute(
            statement("note_change"),
            self.actor_id,
            self.seq,
            self.at_ms,
            self.era,
            self.kind,
            VERSIONS[self.kind],
            self.body,
            self.digest,
            self.principal,
        )


class Changes:
    """Works out what changes write.

    Args:
        era: Of the journal.
        clock: Milliseconds of Unix time.
    """

    def __init__(self, *, era: int, clock: Callable[[], int]) -> None:
        self._era = era
        self._clock = clock

    def first(
        self, actor_id: int, *, kind: str, contents: Mapping[str, object], principal: str
    ) -> Change:
        """Return the change that makes a thing, whose actor `make_actor` has just made."""
        return self._after(
            GENESIS, actor_id=actor_id, seq=1, kind=kind, contents=contents, principal=principal
        )

    def next(
        self, row: asyncpg.Record, *, kind: str, contents: Mapping[str, object], principal: str
    ) -> Change:
        """Return the next change of a thing, whose row is locked."""
        return self._after(
            row["digest"],
            actor_id=row["actor_id"],
            seq=row["version"] + 1,
            kind=kind,
            contents=contents,
            principal=principal,
        )

    def _after(  # noqa: PLR0913 (everything that a row says)
        self,
        previous: bytes,
        *,
        actor_id: int,
        seq: int,
        kind: str,
        contents: Mapping[str, object],
        principal: str,
    ) -> Change:
        at_ms, body = self._clock(), msgspec.json.encode(contents).decode()
        digest = chain(
            previous,
            actor_id=actor_id,
            seq=seq,
            at_ms=at_ms,
            kind=kind,
            version=VERSIONS[kind],
            body=body,
            principal=principal,
            idempotency_key=None,
            request_digest=None,
        )
        return Change(
            actor_id=actor_id,
            seq=seq,
            at_ms=at_ms,
            era=self._era,
            kind=kind,
            body=body,
            digest=digest,
            principal=principal,
        )


async def make_actor(connection: Executor, *, kind: str, key: str) -> int | None:
    """Return the id of a new actor, or None if there is one of this key."""
    made = await connection.fetchval(statement("make_actor"), kind, key, shard_of(key))
    return None if made is None else int(made)
