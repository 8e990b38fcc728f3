"""Single things from the journal, which is never stale, beside the lists from the read models."""

from collections.abc import Sequence
from typing import Final

from allocator.domain.arrivals import arrival_of
from allocator.domain.catalogue import PoolRef
from allocator.domain.checkouts import CheckoutPaid
from allocator.domain.codec import KINDS, UnknownEventError, decode_event
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
)
from allocator.domain.moves import MoveRequested
from allocator.domain.occurrences import PROCESS_SEQ
from allocator.domain.orders import OrderAccepted, OrderDeclined, OrderRequested
from allocator.domain.records import Record
from allocator.domain.rows import MoveRow, OrderEnd, OrderRow, OrderStatus, StockRow
from allocator.domain.values import Picks
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.journal import PostgresJournal
from allocator.persistence.lists import PostgresLists, move_of, origin_of, picks_in
from allocator.persistence.statements import statement

_ENDS: Final[dict[str, OrderStatus]] = {
    KINDS[OrderDispatched]: "dispatched",
    KINDS[OrderCancelled]: "cancelled",
}
_MADE_OF_LINES: Final = [KINDS[OrderRequested], KINDS[CheckoutPaid]]
"""Rows whose addresses are those of orders."""
_MADE_AT_ONCE: Final = [KINDS[OrderAccepted], KINDS[OrderDeclined]]
"""Likewise, if they are the first of their actor."""


class PostgresReadings(PostgresLists):
    """What can be asked of the database beside the actors."""

    def __init__(self, pool: Pool, journal: PostgresJournal, *, era: int) -> None:
        super().__init__(pool, era=era)
        self._journal = journal

    async def placed(self, pool: PoolRef, seq: int) -> OrderRow | None:
        """Return an order as it was when it was placed."""
        record, event = await self._event(pool.actor_id, seq)
        if record is None:
            return await self._pruned_order(pool, seq)
        if not isinstance(event, OrderPlaced):
            return None
        return OrderRow(
            actor_id=pool.actor_id,
            seq=seq,
            warehouse=pool.warehouse,
            product=event.product or pool.product,
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
        status = _ENDS.get(row["how"], row["how"])
        return OrderEnd(status=status, at_ms=row["at"], quantity=row["quantity"])

    async def is_of_lines(self, actor_id: int, seq: int) -> bool:
        """Say whether an address is that of an order of several lines, accepted or not."""
        async with borrowed(self._pool) as connection:
            args = (actor_id, seq, _MADE_OF_LINES, _MADE_AT_ONCE)
            return bool(await connection.fetchval(statement("is_of_lines"), *args))

    async def received(self, pool: PoolRef, seq: int) -> StockRow | None:
        """Return a stock as it was when it was received, with nothing available."""
        record, event = await self._event(pool.actor_id, seq)
        if record is None:
            return await self._pruned_stock(pool, seq)
        came = None if event is None else arrival_of(event, seq=seq, at_ms=record.at_ms)
        if came is None:
            return None
        return StockRow(
            actor_id=pool.actor_id,
            seq=seq,
            warehouse=pool.warehouse,
            product=came.product or pool.product,
            quantity=await self._ever(pool.actor_id, seq, came.quantity),
            available=0,
            received_at_ms=came.received_at_ms,
            expires_at_ms=came.expires_at_ms,
            lot=came.code,
            reference=came.reference,
            origin=came.origin,
        )

    async def _ever(self, actor_id: int, seq: int, arrived: int) -> int:
        """Return how many units ever belonged to a stock: some may have been found later."""
        async with borrowed(self._pool) as connection:
            args = (actor_id, seq, arrived)
            return int(await connection.fetchval(statement("stock_quantity"), *args))

    async def repicks(self, actor_id: int, seq: int) -> Sequence[tuple[int, Picks, Picks]]:
        """Return by which event an order of a pool gave back what, and got what instead."""
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("repicks_of"), actor_id, seq)
        return [(row["seq"], picks_in(row["returned"]), picks_in(row["added"])) for row in rows]

    async def events(self, pool: PoolRef, *, after: int, limit: int) -> Sequence[Record]:
        """Return rows of the pool's journal."""
        return await self._journal.page(pool.actor_id, after_seq=after, limit=limit)

    async def floor(self, pool: PoolRef) -> int:
        """Return up to which seq the pool's journal has been pruned, 0 if it is whole."""
        return await self._journal.floor(pool.actor_id)

    async def requested(self, actor_id: int) -> MoveRow | None:
        """Return a move as it was asked for; None if the actor is none.

        One whose request has been pruned is returned as it ended.
        """
        try:
            record, event = await self._event(actor_id, PROCESS_SEQ)
        except UnknownEventError:  # of a table
            return None
        if record is None:
            return await self._pruned_move(actor_id)
        if not isinstance(event, MoveRequested):
            return None
        return MoveRow(
            actor_id=actor_id,
            product=event.product,
            from_code=event.from_code,
            to_code=event.to_code,
            quantity=event.quantity,
            status="in_transit",
            requested_at_ms=record.at_ms,
            decided_at_ms=None,
            lots=(),
            reason=None,
        )

    async def _event(self, actor_id: int, seq: int) -> tuple[Record | None, Event | None]:
        found = await self._journal.page(actor_id, after_seq=seq - 1, limit=1)
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
            product=row["product"] or pool.product,
            quantity=row["quantity"],
            status="new",
            created_at_ms=row["created_at"],
            customer=row["customer"],
            picks=picks_in(row["picks"]),
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
            product=row["product"] or pool.product,
            quantity=row["quantity"],
            available=0,
            received_at_ms=row["received_at"],
            expires_at_ms=row["expires_at"],
            lot=row["lot"],
            reference=row["reference"],
            origin=origin_of(row),
        )

    async def _pruned_move(self, actor_id: int) -> MoveRow | None:
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("pruned_move"), actor_id)
        return None if row is None else move_of(row)
