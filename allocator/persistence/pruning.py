"""Pruning: the oldest rows of pools and processes make room, and a floor takes their place.

In this order, so that an end at any point loses nothing and the same can be begun again: the rows
are archived, and the archive is durable; the floor is raised in one transaction; from then on
nobody needs the rows at or below it, and they are removed, oldest first, in short transactions.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import asyncpg
import msgspec

from allocator.domain.rows import CartRow, ProcessOrderRow
from allocator.domain.snapshots import SCHEMA_VERSION
from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Connection, Pool, borrowed
from allocator.persistence.lists import move_of
from allocator.persistence.proving import Candidate, Floor, Terms
from allocator.persistence.proving_processes import Ended
from allocator.persistence.reader import digest_of
from allocator.persistence.statements import statement

_POOLS_AT_ONCE: Final = 500
_PROCESSES_AT_ONCE: Final = 500
_REMOVED_AT_ONCE: Final = 10_000
"""Rows that one transaction removes: some 50 ms."""
_SNAPSHOTS: Final = 2

_decode_order: Final = msgspec.json.Decoder(ProcessOrderRow).decode
_decode_cart: Final = msgspec.json.Decoder(CartRow).decode

_Range: TypeAlias = tuple[int, int, int]
"""(actor id, the seq after which it begins, the last seq)."""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """Some pools that were looked at.

    Attributes:
        candidates: Those of which something may go.
        without_snapshots: How many have old rows and fewer than two snapshots above their floor.
        held_back: How many have both, but their snapshots or a consumer have not come so far.
    """

    candidates: list[Candidate]
    without_snapshots: int
    held_back: int


class Pruning:
    """Prunes one database.

    Every method raises `JournalError` when the database does not answer.

    Args:
        session: That holds the lock of whoever prunes.
        pool: Of connections.
        terms: What may go.
    """

    def __init__(self, session: Connection, pool: Pool, terms: Terms) -> None:
        self._session = session
        self._pool = pool
        self._terms = terms

    async def look(self) -> AsyncIterator[Looked]:
        """Look at all pools, some at a time."""
        after = 0
        while rows := await self._fetch("prune_candidates", after, _POOLS_AT_ONCE, SCHEMA_VERSION):
            after = rows[-1]["actor_id"]
            old = [row for row in rows if self._begins_old(row)]
            ready = [row for row in old if len(row["snapshots"]) == _SNAPSHOTS]
            found = [await self._candidate(row) for row in ready]
            candidates = [candidate for candidate in found if candidate.rows > 0]
            yield Looked(
                candidates=candidates,
                without_snapshots=len(old) - len(ready),
                held_back=len(ready) - len(candidates),
            )

    async def ended(self) -> AsyncIterator[Sequence[Ended]]:
        """Yield processes that ended long ago and are whole, some of a kind at a time."""
        for name, understood in _ENDED:
            after, terms = 0, self._terms.parameters
            while rows := await self._fetch(name, after, _PROCESSES_AT_ONCE, *terms):
                after = rows[-1]["actor_id"]
                yield [understood(row) for row in rows]

    async def raise_floors(self, floors: Sequence[Floor]) -> None:
        """Let floors take the place of rows: all of them, or none.

        On the very session that keeps others from what would not go together with it.
        """
        columns = (
            [floor.actor_id for floor in floors],
            [floor.seq for floor in floors],
            [floor.digest for floor in floors],
            [floor.state for floor in floors],
            [digest_of(floor.state) for floor in floors],
        )
        try:
            await self._session.execute(statement("raise_floors"), *columns, SCHEMA_VERSION)
        except FAILURES as error:
            raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error

    async def remove(self, floors: Sequence[Floor]) -> AsyncIterator[int]:
        """Remove the rows that floors have taken the place of; yield how many, now and then."""
        ranges = [(each.actor_id, each.after, each.seq) for each in floors]
        async for removed in self._remove(ranges):
            yield removed

    async def remove_left(self) -> AsyncIterator[int]:
        """Remove likewise what an interrupted prune has left below floors."""
        rows = await self._fetch("left_below_floors")
        ranges = [(row["actor_id"], row["after"], row["up_to"]) for row in rows]
        async for removed in self._remove(ranges):
            yield removed

    def _begins_old(self, row: asyncpg.Record) -> bool:
        return row["oldest_at"] is not None and row["oldest_at"] < self._terms.before_ms

    async def _candidate(self, row: asyncpg.Record) -> Candidate:
        floor, snapshots = row["floor"], tuple(row["snapshots"])
        high = max(floor, min(row["version"], *snapshots))
        terms = self._terms.parameters
        found = await self._fetch("prune_up_to", row["actor_id"], floor, high, *terms)
        return Candidate(
            actor_id=row["actor_id"],
            name=row["name"],
            floor=floor,
            up_to=found[0]["low"] if found else high,  # rows are missing: proving will find which
            snapshots=snapshots,
        )

    async def _remove(self, ranges: Sequence[_Range]) -> AsyncIterator[int]:
        for batch in _portions(ranges):
            [row] = await self._fetch("remove_rows", *map(list, zip(*batch, strict=True)))
            yield row["count"]

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        async with borrowed(self._pool) as connection:
            return await connection.fetch(statement(name), *arguments)


def _ended_move(row: asyncpg.Record) -> Ended:
    return Ended(kind="move", actor_id=row["actor_id"], version=row["version"], told=move_of(row))


def _ended_order(row: asyncpg.Record) -> Ended:
    told = None
    with suppress(msgspec.MsgspecError):
        told = _decode_order(row["told"])
    return Ended(kind="order", actor_id=row["actor_id"], version=row["version"], told=told)


def _ended_cart(row: asyncpg.Record) -> Ended:
    told = None
    with suppress(msgspec.MsgspecError):
        told = _decode_cart(row["told"])
    return Ended(kind="cart", actor_id=row["actor_id"], version=row["version"], told=told)


_ENDED: Final = (
    ("prune_moves", _ended_move),
    ("prune_orders", _ended_order),
    ("prune_carts", _ended_cart),
)


def _portions(ranges: Sequence[_Range]) -> list[list[_Range]]:
    """Return ranges of rows in portions of one transaction each, in order."""
    portions: list[list[_Range]] = [[]]
    room = _REMOVED_AT_ONCE
    for actor_id, first, last in ranges:
        after = first
        while after < last:
            up_to = min(last, after + room)
            portions[-1].append((actor_id, after, up_to))
            room -= up_to - after
            after = up_to
            if not room:
                portions.append([])
                room = _REMOVED_AT_ONCE
    return [portion for portion in portions if portion]
