"""Lists from the read models, and single things from the journal, which is never stale."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from allocator.domain.catalogue import PoolRef
from allocator.domain.codec import KINDS, decode_event
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    Picks,
    StockReceived,
)
from allocator.domain.records import Record
from allocator.domain.rows import (
    BalanceRow,
    Lag,
    OrderEnd,
    OrderFilter,
    OrderRow,
    OrderStatus,
    Page,
    StockRow,
)
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.statements import statement

_ENDS: Final[dict[str, OrderStatus]] = {
    KINDS[OrderDispatched]: "dispatched",
    KINDS[OrderCancelled]: "cancelled",
}
_picks: Final = msgspec.json.Decoder(Picks)


class PostgresReadings:
    """What can be asked of the database beside the actors."""

    def __init__(self, pool: Pool, journal: PostgresJournal, *, era: int) -> None:
        self._pool = pool
        self._journal = journal
        self._era = era

    async def orders(self, wanted: OrderFilter, page: Page) -> Sequence[OrderRow]:
        """List orders by address."""
        rows = await self._list(
            "list_orders",
            page,
            wanted.status,
            wanted.warehouse,
            wanted.product,
            wanted.customer,
        )
        return [
            OrderRow(
                actor_id=row["actor_id"],
                seq=row["seq"],
                warehouse=row["warehouse"],
                product=row["product"],
                quantity=row["quantity"],
                status=row["status"],
                created_at_ms=row["created_at"],
                customer=row["customer"],
                picks=_picks.decode(row["picks"]),
            )
            for row in rows
        ]

    async def stocks(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[StockRow]:
        """List stocks with units on hand, by address."""
        rows = await self._list("list_stocks", page, warehouse, product)
        return [
            StockRow(
                actor_id=row["actor_id"],
                seq=row["seq"],
                warehouse=row["warehouse"],
                product=row["product"],
                quantity=row["quantity"],
                available=row["available"],
                received_at_ms=row["received_at"],
                expires_at_ms=row["expires_at"],
                lot=row["lot"],
                reference=row["reference"],
            )
            for row in rows
        ]

    async def balances(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[BalanceRow]:
        """List balances by actor id."""
        rows = await self._list("list_balances", page, warehouse, product)
        return [
            BalanceRow(
                actor_id=row["actor_id"],
                warehouse=row["warehouse"],
                product=row["product"],
                version=row["version"],
                available=row["available"],
                ordered=row["ordered"],
                held=row["held"],
                expired=row["expired"],
            )
            for row in rows
        ]

    async def placed(self, pool: PoolRef, seq: int) -> OrderRow | None:
        """Return an order as it was when it was placed."""
        record, event = await self._event(pool, seq)
        if record is None:
            return await self._pruned_order(pool, seq)
        if not isinstance(event, OrderPlaced):
            return None
        return OrderRow(
            actor_id=pool.actor_id,
            seq=seq,
            warehouse=pool.warehouse,
            product=pool.product,
            quantity=event.quantity,
            status="new",
            created_at_ms=record.at_ms,
            customer=event.customer,
            picks=event.picks,
        )

    async def closing(self, pool: PoolRef, seq: int) -> OrderEnd:
        """Say how an order that is not open any more ended.

        The read model knows, or the rows above the version that it has seen do.
        """
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("order_end"), pool.actor_id, seq, list(_ENDS))
        assert row is not None, f"order {pool.actor_id}/{seq} is neither open nor closed"
        return OrderEnd(status=_ENDS.get(row["how"], row["how"]), at_ms=row["at"])

    async def received(self, pool: PoolRef, seq: int) -> StockRow | None:
        """Return a stock as it was when it was received, with nothing available."""
        record, event = await self._event(pool, seq)
        if record is None:
            return await self._pruned_stock(pool, seq)
        if not isinstance(event, StockReceived):
            return None
        return StockRow(
            actor_id=pool.actor_id,
            seq=seq,
            warehouse=pool.warehouse,
            product=pool.product,
            quantity=event.quantity,
            available=0,
            received_at_ms=record.at_ms,
            expires_at_ms=event.expires_at_ms,
            lot=event.lot,
            reference=event.reference,
        )

    async def events(self, pool: PoolRef, *, after: int, limit: int) -> Sequence[Record]:
        """Return rows of the pool's journal."""
        return await self._journal.page(pool.actor_id, after_seq=after, limit=limit)

    async def floor(self, pool: PoolRef) -> int:
        """Return up to which seq the pool's journal has been pruned, 0 if it is whole."""
        return await self._journal.floor(pool.actor_id)

    async def lag(self) -> Lag:
        """Say how far the read models are behind."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("projection_lag"), self._era)
        assert row is not None
        return Lag(events=row["events"], held_back=row["held_back"], quarantined=row["quarantined"])

    async def _event(self, pool: PoolRef, seq: int) -> tuple[Record | None, Event | None]:
        found = await self._journal.page(pool.actor_id, after_seq=seq - 1, limit=1)
        if not found or found[0].seq != seq:
            return None, None
        record = found[0]
        event = decode_event(kind=record.kind, version=record.version, body=record.body)
        return record, event

    async def _pruned_order(self, pool: PoolRef, seq: int) -> OrderRow | None:
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("pruned_order"), pool.actor_id, seq)
        if row is None:
            return None
        return OrderRow(
            actor_id=pool.actor_id,
            seq=seq,
            warehouse=pool.warehouse,
            product=pool.product,
            quantity=row["quantity"],
            status="new",
            created_at_ms=row["created_at"],
            customer=row["customer"],
            picks=_picks.decode(row["picks"]),
        )

    async def _pruned_stock(self, pool: PoolRef, seq: int) -> StockRow | None:
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("pruned_stock"), pool.actor_id, seq)
        if row is None:
            return None
        return StockRow(
            actor_id=pool.actor_id,
            seq=seq,
            warehouse=pool.warehouse,
            product=pool.product,
            quantity=row["quantity"],
            available=0,
            received_at_ms=row["received_at"],
            expires_at_ms=row["expires_at"],
            lot=row["lot"],
            reference=row["reference"],
        )

    async def _list(self, name: str, page: Page, *filters: str | None) -> list[asyncpg.Record]:
        async with borrowed(self._pool) as connection:
            return await connection.fetch(
                statement(name), page.after[0], page.after[1], page.limit, *filters
            )
