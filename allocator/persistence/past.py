"""What an actor was at a moment of the past: a snapshot, and the committed rows up to then.

A version determines the state, and times ascend with versions; so a time is first turned into
the version that the actor had then. Rows above the present floor are never changed, so the same
moment always looks the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from allocator.domain.carts import Cart
from allocator.domain.kinds import State
from allocator.domain.orders import Order
from allocator.domain.past import Pruned, TooFarBack
from allocator.domain.pool import Balance
from allocator.domain.pool import Pool as PoolState
from allocator.domain.queries import balance_of
from allocator.domain.replay import GapError, replay
from allocator.domain.values import Picks
from allocator.errors import JournalError, OverloadedError
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement

_EVENTS_MAX: Final = 2_000_000
"""Some five seconds' work; snapshots usually leave no more than a quarter of it."""
_AT_ONCE: Final = 2
_WAITING_MAX: Final = 32


class PostgresPast:
    """Actors as they were. It replays in chunks, so that others are served in between.

    Args:
        pool: Of connections.
        events_max: How many events may be replayed for one question.
        at_once: How many questions are answered at a time.
        waiting_max: How many may wait besides.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        events_max: int = _EVENTS_MAX,
        at_once: int = _AT_ONCE,
        waiting_max: int = _WAITING_MAX,
    ) -> None:
        self._pool = pool
        self._reader = JournalReader(pool)
        self._events_max = events_max
        self._turn = asyncio.Semaphore(at_once)
        self._room = self._limit = at_once + waiting_max

    async def version_at(self, actor_id: int, *, at_ms: int) -> int | Pruned:
        """Return the version that an actor had at a time, 0 before its first event.

        Raises:
            JournalError: The database does not answer, or lacks rows.
            OverloadedError: Too many such questions wait.
        """
        async with self._admitted():
            async with borrowed(self._pool) as connection:
                row = await connection.fetchrow(statement("version_at"), actor_id, at_ms)
            assert row is not None
            version, floor = row["version"], row["floor"]
            if version is None:
                raise JournalError(f"the journal of actor {actor_id} was pruned, or lacks rows")
            if version == floor > 0:
                oldest = await self._oldest(actor_id, floor)
                return oldest if at_ms < oldest.at_ms else floor
        return int(version)

    async def balance(
        self, actor_id: int, *, version: int, product: str | None
    ) -> Balance | Pruned | TooFarBack:
        """Return the numbers that a pool had at a version, which must be committed.

        Args:
            actor_id: The pool.
            version: Not above the present one.
            product: Of which; zeros if the pool is a location that held another one. None for
                whichever was there.

        Raises:
            JournalError: The database does not answer, or rows were pruned just now.
            OverloadedError: Too many such questions wait.
            GapError: Rows are missing.
        """
        pool = await self._pool_at(actor_id, version)
        return balance_of(pool, product) if isinstance(pool, PoolState) else pool

    async def open_order(
        self, actor_id: int, *, version: int, seq: int
    ) -> Picks | Pruned | TooFarBack:
        """Return what was left of an order of a pool at a version; () if it was not open.

        Raises: as `balance`.
        """
        pool = await self._pool_at(actor_id, version)
        return pool.orders.get(seq) or () if isinstance(pool, PoolState) else pool

    async def order(self, actor_id: int, *, version: int) -> Order | Pruned | TooFarBack | None:
        """Return an order of several lines as it was at a version; None if there was none yet.

        Raises: as `balance`.
        """
        state = await self._state(actor_id, version)
        return state.order if isinstance(state, Cart) else state  # type: ignore[return-value]

    async def _pool_at(self, actor_id: int, version: int) -> PoolState | Pruned | TooFarBack:
        state = await self._state(actor_id, version)
        if isinstance(state, PoolState | Pruned | TooFarBack):
            return state
        raise TypeError(f"actor {actor_id} is no pool")

    async def _state(self, actor_id: int, version: int) -> State | Pruned | TooFarBack:
        async with self._admitted():
            floor = await self._reader.floor(actor_id)
            if version < floor:
                return await self._oldest(actor_id, floor)
            state = await self._reader.state(actor_id, below=version + 1)
            events = version - state.version
            if events > self._events_max:
                return TooFarBack(events=events, limit=self._events_max)
            await self._replay(actor_id, state, version=version)
        return state

    async def _replay(self, actor_id: int, state: State, *, version: int) -> None:
        if state.version == version:
            return
        async for records in self._reader.records(actor_id, after_seq=state.version):
            replay(state, records[: version - state.version])
            if state.version == version:
                return
        raise GapError(expected=state.version + 1, found=version)

    async def _oldest(self, actor_id: int, floor: int) -> Pruned:
        state = await self._reader.state(actor_id, below=floor + 1)
        return Pruned(version=state.version, at_ms=state.last_at_ms)

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if not self._room:
            raise OverloadedError(whose="worker about the past", limit=self._limit)
        self._room -= 1
        try:
            async with self._turn:
                yield
        finally:
            self._room += 1
