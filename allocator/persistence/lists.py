"""Lists from the read models."""

from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from allocator.domain.moves import Reason
from allocator.domain.rows import (
    BalanceRow,
    Lag,
    LineRow,
    LinesRow,
    MoveFilter,
    MoveRow,
    OrderFilter,
    OrderRow,
    Page,
    StockRow,
)
from allocator.domain.transfers import Transfer
from allocator.domain.values import Picks
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

picks_in: Final = msgspec.json.Decoder(Picks).decode
_lines_in: Final = msgspec.json.Decoder(tuple[LineRow, ...]).decode
_lots_in: Final = msgspec.json.Decoder(tuple[Transfer, ...]).decode
_reason_in: Final = msgspec.json.Decoder(Reason).decode


class PostgresLists:
    """What the projection has made of the journal, which may lag behind it."""

    def __init__(self, pool: Pool, *, era: int) -> None:
        self._pool = pool
        self._era = era

    async def orders(self, wanted: OrderFilter, page: Page) -> Sequence[OrderRow | LinesRow]:
        """List orders by address; those of several lines are found by any of them."""
        filters = (wanted.status, wanted.warehouse, wanted.product, wanted.customer)
        rows = await self._list("list_orders", page, *filters)
        return [_lines_of(row) if row["has_lines"] else _order_of(row) for row in rows]

    async def stocks(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[StockRow]:
        """List stocks with units on hand, by address."""
        rows = await self._list("list_stocks", page, warehouse, product)
        return [_stock_of(row) for row in rows]

    async def balances(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[BalanceRow]:
        """List balances by actor id."""
        rows = await self._list("list_balances", page, warehouse, product)
        return [_balance_of(row) for row in rows]

    async def levels(
        self, codes: Sequence[str], *, limit: int, after: str = ""
    ) -> dict[str, list[BalanceRow]]:
        """Return what there is at each of these places: at most `limit` balances, by product.

        A location that holds one product at a time has one if anything is on hand, else none; at
        others, only products that sort after `after` count.
        """
        levels: dict[str, list[BalanceRow]] = {code: [] for code in codes}
        async with borrowed(self._pool) as connection:
            rows = await connection.fetch(statement("list_levels"), list(levels), limit, after)
        for row in rows:
            levels[row["warehouse"]].append(_balance_of(row))
        return levels

    async def moves(self, wanted: MoveFilter, page: Page) -> Sequence[MoveRow]:
        """List moves by actor id."""
        filters = (wanted.status, wanted.location, wanted.product)
        rows = await self._list("list_moves", page, *filters)
        return [move_of(row) for row in rows]

    async def lag(self) -> Lag:
        """Say how far the read models are behind."""
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(statement("projection_lag"), self._era)
        assert row is not None
        return Lag(
            events=row["events"],
            held_back=row["held_back"],
            quarantined=row["quarantined"],
            unknown_checkouts=row["unknown"],
            refunds_due=row["refunds"],
        )

    async def _list(self, name: str, page: Page, *filters: str | None) -> list[asyncpg.Record]:
        async with borrowed(self._pool) as connection:
            return await connection.fetch(
                statement(name), page.after[0], page.after[1], page.limit, *filters
            )


def move_of(row: asyncpg.Record) -> MoveRow:
    """Return a move as the read model has it."""
    return MoveRow(
        actor_id=row["actor_id"],
        product=row["product"],
        from_code=row["from_code"],
        to_code=row["to_code"],
        quantity=row["quantity"],
        status=row["status"],
        requested_at_ms=row["requested_at"],
        decided_at_ms=row["decided_at"],
        lots=_lots_in(row["lots"]),
        reason=None if row["reason"] is None else _reason_in(row["reason"]),
    )


def _order_of(row: asyncpg.Record) -> OrderRow:
    return OrderRow(
        actor_id=row["actor_id"],
        seq=row["seq"],
        warehouse=row["warehouse"],
        product=row["product"],
        quantity=row["quantity"],
        status=row["status"],
        created_at_ms=row["created_at"],
        customer=row["customer"],
        picks=picks_in(row["picks"]),
        dispatched=_dispatched_in(row),
    )


def _dispatched_in(row: asyncpg.Record) -> int:
    match row["status"]:
        case "dispatched":
            return int(row["quantity"])
        case "partly_dispatched":
            return int(row["dispatched"])
        case _:
            return 0


def _lines_of(row: asyncpg.Record) -> LinesRow:
    return LinesRow(
        actor_id=row["actor_id"],
        seq=row["seq"],
        status=row["status"],
        created_at_ms=row["created_at"],
        customer=row["customer"],
        lines=_lines_in(row["lines"]),
    )


def _stock_of(row: asyncpg.Record) -> StockRow:
    return StockRow(
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
        origin=origin_of(row),
    )


def origin_of(row: asyncpg.Record) -> tuple[int, int] | None:
    """Return the address of the stock that another one was part of before it was moved."""
    actor_id, seq = row["origin_actor_id"], row["origin_seq"]
    return None if actor_id is None else (actor_id, seq)


def _balance_of(row: asyncpg.Record) -> BalanceRow:
    return BalanceRow(
        actor_id=row["actor_id"],
        warehouse=row["warehouse"],
        product=row["product"],
        version=row["version"],
        available=row["available"],
        ordered=row["ordered"],
        held=row["held"],
        expired=row["expired"],
    )
