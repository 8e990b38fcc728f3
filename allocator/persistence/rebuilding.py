"""Making again what was derived from one actor's journal: read models, snapshots, a wake-up time.

The read models of a pool are rebuilt beside a running server and its projection, in short
transactions. First the projection is told to leave the pool alone, as it does with one that is
quarantined; then its rows are removed and made again, up to where the projection had come; at last,
while the projection waits for a moment, what it has passed meanwhile is added, and it may go on.
Whoever is interrupted leaves a quarantined pool behind, whose lists lack something and whose
answers by id are right: rebuild it again.

Nothing at or below a floor can be derived but what was open or on hand there.

The rows of a move or of an order of several lines, which are short, are made again in one go.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from allocator.domain.carts import Cart
from allocator.domain.kinds import wake_at
from allocator.domain.moves import Move
from allocator.domain.orders import Order
from allocator.domain.pool import Pool as State
from allocator.domain.records import Record
from allocator.domain.replay import replay
from allocator.domain.snapshots import load_cart, load_move, load_order, load_pool
from allocator.persistence.connections import Borrowed, Pool, borrowed, open_pool
from allocator.persistence.derived_rows import (
    DerivedRows,
    columns_of_lots,
    columns_of_moves,
    columns_of_open,
    in_json,
    standings_of_lots,
)
from allocator.persistence.folding import fold
from allocator.persistence.leadership import Role
from allocator.persistence.led_carts import put_cart
from allocator.persistence.led_orders import put_orders
from allocator.persistence.reader import JournalReader, record_of
from allocator.persistence.statements import statement

_ROWS: Final = 2_000
"""Rows of one transaction: the tail may have to wait for it."""
_WHY: Final = "its read models are being rebuilt: `allocator journal verify --repair` goes on"
_TIMEOUT_S: Final = 60.0


class _Position(msgspec.Struct, frozen=True):
    """How far the read models have come."""

    era: int
    xid: str


class Rebuilding:
    """Makes again what was derived from journals that are sound.

    Every method raises `JournalError` when the database does not answer, and what `replay` raises
    when the journal is not sound after all.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reader = JournalReader(pool)

    async def snapshots(self, actor_id: int, seqs: list[int]) -> None:
        """Drop snapshots that are wrong, and make a new one."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("repair_snapshots"), actor_id, seqs)
        await fold(self._reader, actor_id)

    async def wake_up(self, actor_id: int) -> None:
        """Store when an actor wants to be woken, unless somebody else does at the same moment."""
        state = await self._reader.state(actor_id)
        async with (
            borrowed(self._pool) as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            while records := await _page(connection, "records", actor_id, state.version, _ROWS):
                replay(state, records)
            await connection.execute(statement("repair_wake_up"), actor_id, wake_at(state))

    async def read_models(self, actor_id: int) -> None:
        """Rebuild everything that lists show of a pool, while nobody prunes."""
        async with borrowed(self._pool) as connection:
            await connection.execute("SELECT pg_advisory_lock_shared($1)", Role.PRUNING)
            try:
                await self._rebuild(actor_id)
            finally:
                await connection.execute("SELECT pg_advisory_unlock_shared($1)", Role.PRUNING)

    async def move(self, actor_id: int) -> None:
        """Make what lists show of a move again, and have the projection go on with it."""
        async with borrowed(self._pool) as connection, connection.transaction():
            position = await _position(connection)
            rows = await connection.fetch(statement("verify_floor"), actor_id)
            move = load_move(rows[0]["state"]) if rows else Move()
            replay(move, await _passed(connection, actor_id, move.version, position))
            await connection.execute(statement("repair_clear_move"), actor_id)
            if move.version:
                await connection.execute(
                    statement("put_moves"), *columns_of_moves({actor_id: move})
                )

    async def order(self, actor_id: int) -> None:
        """Make what lists show of an order of several lines again, likewise."""
        async with borrowed(self._pool) as connection, connection.transaction():
            position = await _position(connection)
            rows = await connection.fetch(statement("verify_floor"), actor_id)
            order = load_order(rows[0]["state"]) if rows else Order()
            while records := await _passed(connection, actor_id, order.version, position):
                replay(order, records)
            await connection.execute(statement("repair_release"), actor_id)
            if order.version:
                await put_orders(connection, {actor_id: order})

    async def cart(self, actor_id: int) -> None:
        """Make what lists show of a cart, and of the order that it has become, again, likewise."""
        async with borrowed(self._pool) as connection, connection.transaction():
            position = await _position(connection)
            rows = await connection.fetch(statement("verify_floor"), actor_id)
            cart = load_cart(rows[0]["state"]) if rows else Cart()
            while records := await _passed(connection, actor_id, cart.version, position):
                replay(cart, records)
            await connection.execute(statement("repair_release"), actor_id)
            await put_cart(connection, actor_id, cart)

    async def _rebuild(self, actor_id: int) -> None:
        position = await self._begin(actor_id)
        state = await self._clear(actor_id)
        while True:
            async with borrowed(self._pool) as connection, connection.transaction():
                records = await _passed(connection, actor_id, state.version, position)
                await _store(connection, actor_id, state, records)
            if len(records) < _ROWS:
                break
        while not await self._end(actor_id, state):
            pass  # so much has happened meanwhile that it has to be done in parts

    async def _begin(self, actor_id: int) -> _Position:
        """Have the projection leave the pool alone; return how far it has come."""
        async with borrowed(self._pool) as connection, connection.transaction():
            position = await _position(connection)
            await connection.execute(
                statement("repair_begin"), actor_id, position.era, position.xid, _WHY
            )
        return position

    async def _clear(self, actor_id: int) -> State:
        """Remove what can be derived; return the state from which to derive it."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("verify_floor"), actor_id)
            state = load_pool(rows[0]["state"]) if rows else State()
            await connection.execute(statement("repair_clear_ticket_options"), actor_id)
            for name in ("repair_clear_orders", "repair_clear_stocks"):
                while await connection.fetchval(statement(name), actor_id, state.version, _ROWS):
                    pass
            await connection.execute(statement("repair_clear_repicks"), actor_id, state.version)
            await connection.execute(
                statement("restore_stocks"), actor_id, state.version, *standings_of_lots(state)
            )
            for columns in columns_of_open(state, rows_max=_ROWS):
                await connection.execute(statement("repair_open_orders"), actor_id, *columns)
        return state

    async def _end(self, actor_id: int, state: State) -> bool:
        """Give the pool back to the projection; return False if there was too much left to do."""
        async with borrowed(self._pool) as connection, connection.transaction():
            position = await _position(connection)
            records = await _passed(connection, actor_id, state.version, position)
            await _store(connection, actor_id, state, records)
            if len(records) == _ROWS:
                return False
            await connection.execute(statement("repair_on_hand"), actor_id, *columns_of_lots(state))
            numbers = state.balance()
            await connection.execute(
                statement("repair_end"),
                actor_id,
                numbers.version,
                numbers.available,
                numbers.ordered,
                numbers.held,
                numbers.expired,
                state.product,
                in_json(numbers.aside),
            )
        return True


@asynccontextmanager
async def open_rebuilding(url: str) -> AsyncIterator[Rebuilding]:
    """Have what is derived made again, on connections of its own.

    Raises:
        JournalError: The database does not answer.
    """
    pool = await open_pool(url, size=3, timeout_s=_TIMEOUT_S)
    try:
        yield Rebuilding(pool)
    finally:
        pool.terminate()


async def _position(connection: Borrowed) -> _Position:
    """Keep the projection where it is until the transaction ends, and say where that is."""
    row = await connection.fetchrow(statement("repair_position"))
    assert row is not None, "the migrations made it"
    return _Position(row["era"], row["xid"])


async def _passed(
    connection: Borrowed, actor_id: int, after: int, position: _Position
) -> list[Record]:
    """Return the next rows that the projection has come past."""
    return await _page(
        connection, "repair_rows", actor_id, after, _ROWS, position.era, position.xid
    )


async def _store(connection: Borrowed, actor_id: int, state: State, records: list[Record]) -> None:
    """Apply rows to the state, and derive orders and stocks from them."""
    replay(state, records)
    derived = DerivedRows(records)
    for name, columns in derived.columns.items():
        if columns[0]:
            await connection.execute(statement(name), actor_id, *columns)


async def _page(connection: Borrowed, name: str, *arguments: object) -> list[Record]:
    return [record_of(row) for row in await connection.fetch(statement(name), *arguments)]
