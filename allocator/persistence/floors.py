"""The read models where rows were pruned: what a floor says of them.

They come from the journal, but for what came of pruned rows. There a floor says what was true up to
it; and the rows of orders and stocks at or below it, which nothing could make again, are kept.
"""

from typing import Final

from allocator.domain.pool import Pool as State
from allocator.domain.snapshots import load_cart, load_move, load_order, load_pool
from allocator.domain.values import units_of
from allocator.persistence.connections import Executor
from allocator.persistence.derived_rows import columns_of_moves, in_json, standings_of_lots
from allocator.persistence.led_carts import put_cart
from allocator.persistence.led_orders import put_orders
from allocator.persistence.reader import require_sound
from allocator.persistence.statements import statement

_ORDERS_AT_ONCE: Final = 10_000
_MOVES_AT_ONCE: Final = 500
_TIMEOUT_S: Final = 3_600.0


async def restore_floors(connection: Executor) -> None:
    """Put the read models back to what floors hold, of actors of which they know nothing later.

    The rows of orders and stocks at or below floors must be there, in whatever state. Those of
    moves, of orders of several lines and of carts are made again.

    Raises:
        DamagedFloorError: A floor cannot be read.
    """
    await _restore_pools(connection)
    await _restore_moves(connection)
    await _restore_led(connection)
    await _restore_carts(connection)


async def _restore_pools(connection: Executor) -> None:
    after = 0
    while row := await connection.fetchrow(statement("floors_after"), after, "pool", 1):
        after = row["actor_id"]
        require_sound(after, row)
        await _restore(connection, after, load_pool(row["state"]))


async def _restore_moves(connection: Executor) -> None:
    after = 0
    while rows := await connection.fetch(statement("floors_after"), after, "move", _MOVES_AT_ONCE):
        moves = {}
        for row in rows:
            after = row["actor_id"]
            require_sound(after, row)
            moves[after] = load_move(row["state"])
        await connection.execute(statement("put_moves"), *columns_of_moves(moves))


async def _restore_led(connection: Executor) -> None:
    after = 0
    while rows := await connection.fetch(statement("floors_after"), after, "order", _MOVES_AT_ONCE):
        orders = {}
        for row in rows:
            after = row["actor_id"]
            require_sound(after, row)
            orders[after] = load_order(row["state"])
        await put_orders(connection, orders)


async def _restore_carts(connection: Executor) -> None:
    after = 0
    while rows := await connection.fetch(statement("floors_after"), after, "cart", _MOVES_AT_ONCE):
        for row in rows:
            after = row["actor_id"]
            require_sound(after, row)
            await put_cart(connection, after, load_cart(row["state"]))


async def _restore(connection: Executor, actor_id: int, state: State) -> None:
    balance = state.balance()
    await connection.execute(
        statement("restore_balance"),
        actor_id,
        state.version,
        balance.available,
        balance.ordered,
        balance.held,
        balance.expired,
        state.product,
        in_json(state.aside),
    )
    await connection.execute(
        statement("restore_stocks"),
        actor_id,
        state.version,
        *standings_of_lots(state),
        timeout=_TIMEOUT_S,
    )
    orders = list(state.orders)
    for first in range(0, len(orders), _ORDERS_AT_ONCE):
        batch = orders[first : first + _ORDERS_AT_ONCE]
        await connection.execute(
            statement("restore_orders"),
            actor_id,
            [seq for seq, _ in batch],
            [units_of(picks) for _, picks in batch],
            timeout=_TIMEOUT_S,
        )
