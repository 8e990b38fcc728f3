"""Reading the journal and its snapshots: what needs no right to write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Final

import asyncpg
import structlog

from allocator.domain.records import GENESIS, Origin, Record, StoredSnapshot
from allocator.domain.snapshots import SCHEMA_VERSION
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

log = structlog.get_logger()

SNAPSHOTS_KEPT: Final = 3
_CHUNK: Final = 2_000
"""Rows that are replayed in one go; the loop serves others in between."""
_STATE_DIGEST_BYTES: Final = 16


class JournalReader:
    """Rows and snapshots of any actor."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def origin(self, actor_id: int) -> Origin:
        """Return where the recovery of an actor starts, ignoring snapshots with a wrong digest."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("origin"), actor_id, SCHEMA_VERSION)
        wake_at_ms = rows[0]["wake_at"] if rows else None
        for row in rows:
            if row["seq"] is None or row["head"] is None:
                continue
            if digest_of(row["state"]) != row["digest"]:
                log.error("snapshot.damaged", actor=actor_id, seq=row["seq"])
                continue
            snapshot = StoredSnapshot(seq=row["seq"], state=row["state"])
            return Origin(snapshot=snapshot, head=row["head"], wake_at_ms=wake_at_ms)
        return Origin(snapshot=None, head=GENESIS, wake_at_ms=wake_at_ms)

    async def records(self, actor_id: int, *, after_seq: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the actor's rows above `after_seq`, ascending, in chunks; none is empty.

        They lack the principal and the key, which no state depends on. The next chunk is
        fetched while the caller works on one.
        """
        upcoming = asyncio.create_task(self._chunk(actor_id, after_seq))
        try:
            while chunk := await upcoming:
                if len(chunk) == _CHUNK:
                    upcoming = asyncio.create_task(self._chunk(actor_id, chunk[-1].seq))
                yield chunk
                if len(chunk) < _CHUNK:
                    return
        finally:
            upcoming.cancel()

    async def _chunk(self, actor_id: int, after_seq: int) -> list[Record]:
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("replay"), actor_id, after_seq, _CHUNK)
        return [
            Record(
                actor_id=actor_id,
                seq=seq,
                at_ms=at_ms,
                kind=kind,
                version=version,
                body=body,
                digest=digest,
            )
            for seq, at_ms, kind, version, body, digest in rows
        ]

    async def page(self, actor_id: int, *, after_seq: int, limit: int) -> list[Record]:
        """Return at most `limit` of the actor's rows above `after_seq`, ascending."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("records"), actor_id, after_seq, limit)
        return [record_of(row) for row in rows]

    async def save_snapshot(self, actor_id: int, snapshot: StoredSnapshot) -> None:
        """Keep a snapshot of durable state; the newest few are retained."""
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("save_snapshot"),
                actor_id,
                snapshot.seq,
                SCHEMA_VERSION,
                snapshot.state,
                digest_of(snapshot.state),
                SNAPSHOTS_KEPT,
            )

    async def due_wakes(self, *, now_ms: int, limit: int) -> Sequence[int]:
        """Return ids of actors whose wake-up time has come, earliest first."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("due_wakes"), now_ms, limit)
        return [row["id"] for row in rows]


def digest_of(state: bytes) -> bytes:
    """Return the digest that is stored beside a snapshot's state."""
    return blake2b(state, digest_size=_STATE_DIGEST_BYTES).digest()


def record_of(row: asyncpg.Record) -> Record:
    """Return a row of the journal as the rest of the package knows it."""
    return Record(
        actor_id=row["actor_id"],
        seq=row["seq"],
        at_ms=row["at"],
        kind=row["kind"],
        version=row["version"],
        body=row["body"],
        digest=row["digest"],
        principal=row["principal"],
        idempotency_key=row["idempotency_key"],
        request_digest=row["request_digest"],
    )
