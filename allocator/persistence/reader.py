"""Reading the journal and its snapshots: what needs no right to write."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from hashlib import blake2b
from typing import Final

import asyncpg
import msgspec
import structlog

from allocator.domain.kinds import State, blank, kind_of, load
from allocator.domain.pool import Pool
from allocator.domain.records import GENESIS, SEQ_END, Origin, Record, StoredSnapshot, WakeUp
from allocator.domain.snapshots import READABLE, SCHEMA_VERSION
from allocator.errors import AllocatorError, JournalError
from allocator.persistence.connections import Pool as Connections
from allocator.persistence.connections import borrowed
from allocator.persistence.statements import statement

log = structlog.get_logger()

SNAPSHOTS_KEPT: Final = 3
MILESTONE_EVENTS: Final = 500_000
"""Of so many events one snapshot is kept for ever: nobody who looks back replays more, about a
second's work."""
_CHUNK: Final = 2_000
"""Rows that are replayed in one go; the loop serves others in between."""
_STATE_DIGEST_BYTES: Final = 16
_BEFORE_ALL: Final = WakeUp(at_ms=0, actor_id=0)


class DamagedFloorError(AllocatorError):
    """What stands for pruned rows cannot be read: only the archive or a backup has the actor."""

    def __init__(self, *, actor_id: int, seq: int) -> None:
        super().__init__(f"the floor of actor {actor_id} at seq {seq} is damaged")
        self.actor_id = actor_id
        self.seq = seq


class JournalReader:
    """Rows and snapshots of any actor."""

    def __init__(self, pool: Connections) -> None:
        self._pool = pool

    async def origin(self, actor_id: int, *, below: int = SEQ_END) -> Origin:
        """Return where the recovery of an actor starts, ignoring snapshots with a wrong digest.

        Args:
            actor_id: Of the actor.
            below: Only what stands below this seq, which is above the actor's floor.

        Raises:
            DamagedFloorError: There is nothing to start from but a floor, and it is damaged.
        """
        while True:
            async with borrowed(self._pool) as connection:
                args = (actor_id, SCHEMA_VERSION, below)
                row = await connection.fetchrow(statement("origin"), *args)
            kind, wake_at_ms = (None, None) if row is None else (row["kind"], row["wake_at"])
            if row is None or row["seq"] is None:
                return Origin(kind=kind, snapshot=None, head=GENESIS, wake_at_ms=wake_at_ms)
            below = row["seq"]
            if row["is_floor"]:
                require_sound(actor_id, row)
            elif digest_of(row["state"]) != row["state_digest"]:
                log.error("snapshot.damaged", actor=actor_id, seq=below)
                continue
            snapshot = StoredSnapshot(seq=below, state=row["state"])
            return Origin(kind=kind, snapshot=snapshot, head=row["head"], wake_at_ms=wake_at_ms)

    async def base(self, actor_id: int, *, below: int = SEQ_END) -> Pool:
        """Return the newest state of a pool below a seq that replay can go on from.

        Raises:
            DamagedFloorError: There is none but at a floor, and that is damaged.
            TypeError: The actor is no pool.
        """
        state = await self.state(actor_id, below=below)
        if not isinstance(state, Pool):
            raise TypeError(f"actor {actor_id} is no pool")
        return state

    async def state(self, actor_id: int, *, below: int = SEQ_END) -> State:
        """Return the newest state below a seq, above the actor's floor, that replay can go on from.

        Raises:
            DamagedFloorError: There is none but at a floor, and that is damaged.
        """
        while True:
            origin = await self.origin(actor_id, below=below)
            kind = kind_of(origin.kind)
            if origin.snapshot is None:
                return blank(kind)
            try:
                return load(kind, origin.snapshot.state)
            except msgspec.DecodeError as error:
                log.error("snapshot.unreadable", actor=actor_id, error=str(error))  # noqa: TRY400
            below = origin.snapshot.seq

    async def floor(self, actor_id: int) -> int:
        """Return up to which seq the actor's journal has been pruned, 0 if it is whole."""
        async with borrowed(self._pool) as connection:
            return int(await connection.fetchval(statement("floor"), actor_id))

    async def records(self, actor_id: int, *, after_seq: int) -> AsyncIterator[Sequence[Record]]:
        """Yield the actor's rows above `after_seq`, ascending, in chunks; none is empty.

        They lack the principal and the key, which no state depends on. The next chunk is
        fetched while the caller works on one.

        Raises:
            JournalError: The database does not answer; or rows above `after_seq` were pruned
                meanwhile, and the actor has another origin now.
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
        if rows and rows[0]["seq"] != after_seq + 1 and await self.floor(actor_id) > after_seq:
            raise JournalError(f"the journal of actor {actor_id} was pruned while it was read")
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
        """Keep a snapshot of durable state, the newest few, and one of each half a million events.

        A second one of the same seq takes the place of the first.
        """
        async with borrowed(self._pool) as connection:
            await connection.execute(
                statement("save_snapshot"),
                actor_id,
                snapshot.seq,
                SCHEMA_VERSION,
                snapshot.state,
                digest_of(snapshot.state),
                SNAPSHOTS_KEPT,
                MILESTONE_EVENTS,
            )

    async def numbers(self, count: int) -> Sequence[int]:
        """Return numbers that no actor has and nobody else is given."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("take_numbers"), count)
        return [row["number"] for row in rows]

    async def due_wakes(
        self, *, now_ms: int, limit: int, shards: Collection[int], after: WakeUp | None = None
    ) -> Sequence[WakeUp]:
        """Return the actors of some shards whose wake-up time has come, ascending."""
        args = (now_ms, list(shards), limit, *(after or _BEFORE_ALL))
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("due_wakes"), *args)
        return [WakeUp(at_ms=row["wake_at"], actor_id=row["id"]) for row in rows]


def digest_of(state: bytes) -> bytes:
    """Return the digest that is stored beside a snapshot's state."""
    return blake2b(state, digest_size=_STATE_DIGEST_BYTES).digest()


def require_sound(actor_id: int, floor: asyncpg.Record) -> None:
    """Insist that a floor can be read: unlike a snapshot, nothing could take its place.

    Args:
        actor_id: Whose it is.
        floor: With the actor's kind.

    Raises:
        DamagedFloorError: It cannot.
    """
    damaged = DamagedFloorError(actor_id=actor_id, seq=floor["seq"])
    known = floor["schema_version"] in READABLE
    if not known or digest_of(floor["state"]) != floor["state_digest"]:
        raise damaged
    try:
        load(kind_of(floor["kind"]), floor["state"])
    except (ValueError, msgspec.DecodeError) as error:
        raise damaged from error


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
