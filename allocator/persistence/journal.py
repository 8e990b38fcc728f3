"""The journal in PostgreSQL. Satisfies `actors.ports.Journal`.

Appends have a connection of their own, which lives exactly as long as an incarnation: any doubt
about an append closes it, and `renew` fences the incarnation before a new one is opened. All
else goes through a small pool.
"""

from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Final
from uuid import UUID

import asyncpg
import structlog
from asyncpg.prepared_stmt import PreparedStatement

from allocator.domain.records import GENESIS, Batch, Origin, Record, StoredSnapshot
from allocator.domain.snapshots import SCHEMA_VERSION
from allocator.errors import FencedError, JournalError
from allocator.persistence.connections import FAILURES, Connection, Pool, borrowed, connect
from allocator.persistence.ownership import Ownership
from allocator.persistence.statements import statement

log = structlog.get_logger()

SNAPSHOTS_KEPT: Final = 3
_CHUNK: Final = 5_000
_STATE_DIGEST_BYTES: Final = 16
_WARNING_CLASS: Final = "01"


class _Session:
    """The connection of one incarnation, with its two statements prepared."""

    __slots__ = ("append", "confirm", "connection", "incarnation", "warning")

    def __init__(
        self,
        connection: Connection,
        incarnation: UUID,
        append: "PreparedStatement[asyncpg.Record]",
        confirm: "PreparedStatement[asyncpg.Record]",
    ) -> None:
        self.connection = connection
        self.incarnation = incarnation
        self.append = append
        self.confirm = confirm
        self.warning: str | None = None

    def note(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        """Remember a warning: a synchronous standby that did not confirm gives no error."""
        if (message.sqlstate or "").startswith(_WARNING_CLASS):
            self.warning = message.message


class PostgresJournal:
    """Rows of many actors, appended under one incarnation at a time.

    Args:
        url: For the connection of the appends.
        pool: For everything else.
        ownership: Who may write.
        era: Of the cluster; see `installation`.
    """

    def __init__(self, *, url: str, pool: Pool, ownership: Ownership, era: int) -> None:
        self._url = url
        self._pool = pool
        self._ownership = ownership
        self._era = era
        self._session: _Session | None = None

    @property
    def incarnation(self) -> UUID | None:
        """The present incarnation, or None before the first `renew` and while in doubt."""
        return None if self._session is None else self._session.incarnation

    async def append(self, batch: Batch) -> None:
        """Store all rows or none, in one round trip."""
        session = self._require_session()
        try:
            await session.append.fetch(
                session.incarnation,
                self._era,
                batch.actor_ids,
                batch.seqs,
                batch.ats_ms,
                batch.kinds,
                batch.versions,
                batch.bodies,
                batch.digests,
                batch.principals,
                batch.idempotency_keys,
                batch.request_digests,
                list(batch.wakes),
                list(batch.wakes.values()),
            )
        except FAILURES as error:
            raise JournalError(f"append: {type(error).__name__}: {error}") from error
        status = session.append.get_statusmsg()
        if status != f"INSERT 0 {len(batch)}":
            raise FencedError(incarnation=str(session.incarnation))
        _refuse_warning(session)

    async def confirm(self) -> None:
        """Prove that this incarnation may still write."""
        session = self._require_session()
        try:
            rows = await session.confirm.fetch(session.incarnation)
        except FAILURES as error:
            raise JournalError(f"confirm: {type(error).__name__}: {error}") from error
        if not rows:
            raise FencedError(incarnation=str(session.incarnation))

    async def renew(self) -> frozenset[int]:
        """Fence the present incarnation, if any, and go on under a new one."""
        self._close_session()
        incarnation, shards = await self._ownership.renew()
        connection = await connect(self._url, application_name=str(incarnation))
        try:
            append = await connection.prepare(statement("append"))
            confirm = await connection.prepare(statement("confirm"))
        except FAILURES as error:
            connection.terminate()
            raise JournalError(f"cannot prepare to append: {error}") from error
        self._session = _Session(connection, incarnation, append, confirm)
        connection.add_log_listener(self._session.note)
        return shards

    async def claim(self) -> frozenset[int]:
        """Take every shard that nobody serves."""
        return await self._ownership.claim()

    async def beat(self) -> bool:
        """Say that this incarnation lives; return whether it is unfenced."""
        return await self._ownership.beat()

    async def resign(self) -> None:
        """Fence the present incarnation for good; its shards are free at once."""
        self._close_session()
        await self._ownership.resign()

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
        """Yield the actor's rows above `after_seq`, ascending, in chunks; none is empty."""
        while True:
            chunk = await self.page(actor_id, after_seq=after_seq, limit=_CHUNK)
            if chunk:
                yield chunk
            if len(chunk) < _CHUNK:
                return
            after_seq = chunk[-1].seq

    async def page(self, actor_id: int, *, after_seq: int, limit: int) -> list[Record]:
        """Return at most `limit` of the actor's rows above `after_seq`, ascending."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("records"), actor_id, after_seq, limit)
        return [record_of(row) for row in rows]

    async def find_keys(self, keys: Sequence[tuple[str, str]]) -> Sequence[Record]:
        """Return the rows stored under these (principal, key) pairs, in any order."""
        principals = [principal for principal, _ in keys]
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(
                statement("find_keys"), principals, [key for _, key in keys]
            )
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

    def _require_session(self) -> _Session:
        if self._session is None:
            raise JournalError("no incarnation is open")
        return self._session

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None


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


def _refuse_warning(session: _Session) -> None:
    if session.warning is not None:
        raise JournalError(f"append: PostgreSQL warned: {session.warning}")
