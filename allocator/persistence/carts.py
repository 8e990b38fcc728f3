"""What the database says of carts, beside their actors."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from allocator.domain.catalogue import Price
from allocator.domain.checkouts import Item
from allocator.domain.rows import Page, PaidRow
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

_items_in: Final = msgspec.json.Decoder(tuple[Item, ...]).decode


class PostgresCarts:
    """What can be asked of the database about carts. All of it raises `JournalError`.

    Args:
        pool: Whose connections it borrows.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def is_cart(self, actor_id: int) -> bool:
        """Say whether an actor is a cart; never stale."""
        async with borrowed(self._pool) as connection:
            kind: str | None = await connection.fetchval(statement("kind_of_actor"), actor_id)
        return kind == "cart"

    async def open_carts(
        self, customer: str, recent: Collection[int], *, limit: int
    ) -> tuple[set[int], set[int]]:
        """Return which carts of a customer are open, and which of some are not any more.

        Both as the read model knows it.

        Args:
            customer: Whose.
            recent: Those that it may not know yet.
            limit: How many open ones are told at most.
        """
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("open_carts"), customer, list(recent), limit)
        is_open = {row["actor_id"] for row in rows if row["is_open"]}
        return is_open, {row["actor_id"] for row in rows if not row["is_open"]}

    async def is_key_used(self, principal: str, key: str) -> bool:
        """Say whether a request with this key has succeeded before."""
        async with borrowed(self._pool) as connection:
            return bool(await connection.fetchval(statement("is_key_used"), principal, key))

    async def prices(self, skus: Collection[str]) -> dict[str, Price | None]:
        """Return what products cost, by sku; None for what has no price."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("prices"), list(skus))
        return {
            row["sku"]: None
            if row["price_amount"] is None
            else Price(amount=row["price_amount"], currency=row["price_currency"])
            for row in rows
        }

    async def paid(self, customer: str | None, page: Page) -> Sequence[PaidRow]:
        """List what was bought, by cart; from the read model."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(
                statement("list_paid"), page.after[0], page.after[1], page.limit, customer
            )
        return [
            PaidRow(
                actor_id=row["actor_id"],
                attempt=row["attempt"],
                changed=row["changed"],
                customer=row["customer"],
                amount=row["amount"],
                currency=row["currency"],
                items=_items_in(row["items"]),
                paid_at_ms=row["changed_at"],
            )
            for row in rows
        ]
