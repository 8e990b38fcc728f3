"""A cart in the read models, made from its state."""

import msgspec

from allocator.domain.carts import Cart
from allocator.domain.rows import CartRow
from allocator.persistence.connections import Executor
from allocator.persistence.led_orders import put_orders
from allocator.persistence.statements import statement


async def put_cart(connection: Executor, actor_id: int, cart: Cart) -> None:
    """Store what is to be said of a cart, in the place of what was said of it."""
    await connection.execute(statement("clear_led_orders"), [actor_id])
    await connection.execute(statement("clear_cart"), actor_id)
    row = CartRow.of(actor_id, cart)
    if row is None:
        return
    await connection.execute(
        statement("put_cart"),
        actor_id,
        row.version,
        row.customer,
        row.status,
        row.opened_at_ms,
        row.expires_at_ms,
        cart.ttl_ms,
        cart.cap_ms,
    )
    for each in row.checkouts:
        await connection.execute(
            statement("put_checkout"),
            actor_id,
            each.attempt,
            each.status,
            each.amount,
            each.currency,
            msgspec.json.encode(each.items).decode(),
            each.begun_at_ms,
            each.changed_at_ms,
            each.changed,
        )
    if cart.order is not None:
        await put_orders(connection, {actor_id: cart.order})
