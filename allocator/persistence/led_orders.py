"""Orders of several lines in the read model, made from their states."""

from collections.abc import Mapping

import msgspec

from allocator.domain.orders import Order
from allocator.domain.rows import ProcessOrderRow
from allocator.persistence.connections import Executor
from allocator.persistence.statements import statement


async def put_orders(connection: Executor, orders: Mapping[int, Order]) -> None:
    """Store what is to be said of orders by actor id, in the place of what was said of them."""
    heads: list[tuple[object, ...]] = []
    lines: list[tuple[object, ...]] = []
    for actor_id, order in orders.items():
        row = ProcessOrderRow.of(actor_id, order)
        assert row is not None, "nothing is stored before it is requested"
        heads.append(
            (
                actor_id,
                row.seq,
                row.version,
                row.status,
                row.customer,
                row.created_at_ms,
                row.closed_at_ms,
                row.confirmed,
                row.ended,
            )
        )
        for place, line in enumerate(row.lines):
            lines.append(
                (
                    actor_id,
                    place,
                    line.pool,
                    line.order,
                    line.warehouse,
                    line.product,
                    line.quantity,
                    line.dispatched,
                    msgspec.json.encode(line.picks).decode(),
                )
            )
    await connection.execute(statement("clear_led_orders"), list(orders))
    await connection.execute(statement("put_led_orders"), *_columns(heads, count=9))
    await connection.execute(statement("put_led_lines"), *_columns(lines, count=9))


def _columns(rows: list[tuple[object, ...]], *, count: int) -> tuple[list[object], ...]:
    return tuple([row[column] for row in rows] for column in range(count))
