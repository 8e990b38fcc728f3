"""Proving what may take the place of a pool's oldest rows, and telling what they said.

The rows are folded from the pool's floor, with the chain of digests checked one by one, and the
state has to be that of two snapshots, byte by byte, on its way: whatever made those, it was not
this process.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias

import asyncpg
import msgspec

from allocator.domain.chains import Chain
from allocator.domain.pool import Pool as State
from allocator.domain.records import GENESIS, Record
from allocator.domain.replay import replay
from allocator.domain.snapshots import dump_pool, load_pool
from allocator.errors import AllocatorError
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.reader import DamagedFloorError, digest_of, record_of, require_sound
from allocator.persistence.statements import statement

_ROWS_AT_ONCE: Final = 2_000

Write: TypeAlias = Callable[[bytes], None]
"""Takes lines that are to be archived, each with its end."""


class UnsoundError(AllocatorError):
    """What is stored of a pool is not what was written, so that nothing of it may be pruned."""

    def __init__(self, *, name: str, why: str) -> None:
        super().__init__(f"{name} is left as it is: {why}; `allocator journal verify` tells more")
        self.name = name
        self.why = why


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What may go: rows from before a time that every consumer of the tail has seen.

    Attributes:
        before_ms: Milliseconds of Unix time.
        era, xid: Up to where the slowest consumer has come.
        slowest: Which that is, for people.
    """

    before_ms: int
    era: int
    xid: str
    slowest: str

    @property
    def parameters(self) -> tuple[int, int, str]:
        """The same for a statement."""
        return self.before_ms, self.era, self.xid


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of which something may go.

    Attributes:
        name: For people.
        floor: Where its journal begins.
        up_to: Where it may begin.
        snapshots: The newest two; at least one of them is not below `up_to`.
    """

    actor_id: int
    name: str
    floor: int
    up_to: int
    snapshots: tuple[int, ...]

    @property
    def rows(self) -> int:
        """How many may go."""
        return self.up_to - self.floor


class Floor(msgspec.Struct, frozen=True, kw_only=True):
    """What takes the place of an actor's rows up to `seq`; at least one stands above it.

    Attributes:
        after: The former floor.
        digest: Of the row at `seq`.
        state: After it.
    """

    actor_id: int
    after: int
    seq: int
    digest: bytes
    state: bytes

    @property
    def rows(self) -> int:
        """How many it takes the place of."""
        return self.seq - self.after


class Prover:
    """Proves floors for pools of one database.

    Args:
        pool: Of at least two connections.
        terms: What may go.
    """

    def __init__(self, pool: Pool, terms: Terms) -> None:
        self._pool = pool
        self._terms = terms.parameters

    async def prove(self, candidate: Candidate, write: Write) -> Floor:
        """Prove what may take the place of a pool's oldest rows, and have these archived.

        Raises:
            JournalError: The database does not answer.
            UnsoundError: It cannot be proved; some rows may have been written all the same.
        """
        try:
            return await self._fold(candidate, write)
        except (ValueError, LookupError, msgspec.MsgspecError, DamagedFloorError) as error:
            raise UnsoundError(name=candidate.name, why=str(error)) from error

    async def _fold(self, candidate: Candidate, write: Write) -> Floor:
        state, chain = await self._begin(candidate)
        floor: Floor | None = None
        passed = 0
        async for rows in self._rows(candidate):
            lines = []
            for row in rows:
                record = record_of(row)
                chain.check(record)
                replay(state, (record,))
                if record.seq <= candidate.up_to:
                    lines.append(line_of(record, row))
                if record.seq == candidate.up_to:
                    floor = _floor(candidate, record, state)
                if record.seq in candidate.snapshots:
                    passed += await self._passes(candidate, state)
            write(b"".join(lines))
        if floor is None or state.version < max(candidate.snapshots):
            raise ValueError(f"its rows end at {state.version}")
        if not passed:
            raise ValueError("its snapshots were replaced meanwhile")
        return floor

    async def _begin(self, candidate: Candidate) -> tuple[State, Chain]:
        actor_id = candidate.actor_id
        if not candidate.floor:
            return State(), Chain(actor_id=actor_id, seq=0, digest=GENESIS)
        [row] = await self._fetch("floor_of", actor_id)
        require_sound(actor_id, row)
        chain = Chain(actor_id=actor_id, seq=row["seq"], digest=row["digest"])
        return load_pool(row["state"]), chain

    async def _passes(self, candidate: Candidate, state: State) -> bool:
        """Insist that a snapshot is what the rows give; return False if newer ones replaced it."""
        for row in await self._fetch("snapshot_at", candidate.actor_id, state.version):
            sound = digest_of(row["state"]) == row["digest"]
            if not sound or row["state"] != dump_pool(state):
                raise ValueError(
                    f"its snapshot at seq {state.version} is not what the journal gives"
                )
            return True
        return False

    async def _rows(self, candidate: Candidate) -> AsyncIterator[list[asyncpg.Record]]:
        """Yield the rows up to the newest snapshot; the next are fetched while some are folded."""
        upcoming = asyncio.create_task(self._chunk(candidate, candidate.floor))
        try:
            while rows := await upcoming:
                upcoming = asyncio.create_task(self._chunk(candidate, rows[-1]["seq"]))
                yield rows
        finally:
            upcoming.cancel()

    async def _chunk(self, candidate: Candidate, after: int) -> list[asyncpg.Record]:
        last = max(candidate.snapshots)
        return await self._fetch(
            "prune_rows", candidate.actor_id, after, last, _ROWS_AT_ONCE, *self._terms
        )

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        async with borrowed(self._pool) as connection:
            return await connection.fetch(statement(name), *arguments)


def _floor(candidate: Candidate, record: Record, state: State) -> Floor:
    return Floor(
        actor_id=candidate.actor_id,
        after=candidate.floor,
        seq=record.seq,
        digest=record.digest,
        state=dump_pool(state),
    )


def line_of(record: Record, row: asyncpg.Record) -> bytes:
    """Return a row as the line that an export holds of it.

    Raises:
        ValueError: It must not go, although a younger one may.
    """
    if not row["fit"]:
        raise ValueError(f"its row {record.seq} is younger than one that follows it")
    key, asked = record.idempotency_key, record.request_digest
    more = "" if not record.principal else f',"principal":{_text(record.principal)}'
    more += "" if key is None else f',"idempotency_key":{_text(key)}'
    more += "" if asked is None else f',"request_digest":"{asked.hex()}"'
    body = record.body
    as_is = body[:1] + body[-1:] == "{}" and "\n" not in body and "\r" not in body
    more += f',"body":{body}' if as_is else f',"text":{_text(body)}'
    return (
        f'{{"era":{row["era"]},"xid":{row["xid"]},"actor_id":{record.actor_id},'
        f'"seq":{record.seq},"at_ms":{record.at_ms},"kind":{_text(record.kind)},'
        f'"version":{record.version},"digest":"{record.digest.hex()}"{more}}}\n'
    ).encode()


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()
