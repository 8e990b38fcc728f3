"""Lists from the read models."""

from collections.abc import Collection, Sequence
from typing import Final

import asyncpg
import msgspec

from allocator.domain.adjustments import UnitsAdjusted
from allocator.domain.codec import KINDS, decode_event
from allocator.domain.moves import Reason
from allocator.domain.rows import (
    AdjustmentRow,
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
from allocator.domain.values import Picks, States, after_repicks
from allocator.persistence.connections import Pool, borrowed
from allocator.persistence.statements import statement

picks_in: Final = msgspec.json.Decoder(Picks).decode
_decode_states: Final = msgspec.json.Decoder(dict[str, int]).decode
_lots_in: Final = msgspec.json.Decoder(tuple[Transfer, ...]).decode
_reason_in: Final = msgspec.json.Decoder(Reason).decode
_repicks_in: Final = msgspec.json.Decoder(tuple[tuple[Picks, Picks], ...]).decode
_seqs_in: Final = msgspec.json.Decoder(frozenset[int]).decode


class _Line(LineRow, frozen=True, kw_only=True):
    """A line of an order, as the statement tells it.

    Attributes:
        repicks: What it gave back to stocks and got of others since; None for nothing.
        recalled: Stocks of its pool that are recalled, if it is open; None for none.
    """

    repicks: tuple[tuple[Picks, Picks], ...] | None
    recalled: frozenset[int] | None

    @property
    def row(self) -> LineRow:
        """The line as it stands."""
        fields = {name: getattr(self, name) for name in LineRow.__struct_fields__}
        return LineRow(**fields | {"picks": after_repicks(self.picks, self.repicks or ())})

    @property
    def flagged(self) -> bool:
        """Whether units of it are recalled."""
        return _is_flagged(self.row.picks, self.dispatched, self.recalled or ())


_lines_in: Final = msgspec.json.Decoder(tuple[_Line, ...]).decode


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

    async def adjustments(
        self, *, warehouse: str | None, product: str | None, page: Page
    ) -> Sequence[AdjustmentRow]:
        """List adjustments by address, of which the journal is kept."""
        rows = await self._list("list_adjustments", page, warehouse, product)
        return [_adjustment_of(row) for row in rows]

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


def _adjustment_of(row: asyncpg.Record) -> AdjustmentRow:
    event = decode_event(kind=KINDS[UnitsAdjusted], version=row["version"], body=row["body"])
    assert isinstance(event, UnitsAdjusted)
    return AdjustmentRow(
        actor_id=row["actor_id"],
        seq=row["seq"],
        warehouse=row["warehouse"],
        product=row["product"],
        at_ms=row["at"],
        event=event,
    )


def _order_of(row: asyncpg.Record) -> OrderRow:
    repicks = _repicks_in(row["repicks"] or "[]")
    picks, dispatched = after_repicks(picks_in(row["picks"]), repicks), _dispatched_in(row)
    recalled = _seqs_in(row["recalled"] or "[]")
    return OrderRow(
        actor_id=row["actor_id"],
        seq=row["seq"],
        warehouse=row["warehouse"],
        product=row["product"],
        quantity=row["quantity"],
        status=row["status"],
        created_at_ms=row["created_at"],
        customer=row["customer"],
        picks=picks,
        dispatched=dispatched,
        flagged=_is_flagged(picks, dispatched, recalled),
    )


def _dispatched_in(row: asyncpg.Record) -> int:
    match row["status"]:
        case "dispatched":
            return int(row["quantity"])
        case "partly_dispatched":
            return int(row["dispatched"])
        case _:
            return 0


def _is_flagged(picks: Picks, dispatched: int, recalled: Collection[int]) -> bool:
    """Say whether units of recalled stocks are left; those that were picked first left first."""
    for seq, units in picks if recalled else ():
        if units > dispatched and seq in recalled:
            return True
        dispatched = max(0, dispatched - units)
    return False


def _lines_of(row: asyncpg.Record) -> LinesRow:
    lines = _lines_in(row["lines"])
    return LinesRow(
        actor_id=row["actor_id"],
        seq=row["seq"],
        status=row["status"],
        created_at_ms=row["created_at"],
        customer=row["customer"],
        lines=tuple(line.row for line in lines),
        flagged=any(line.flagged for line in lines),
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
        aside=states_in(row["aside"]),
        recalled=row["recalled"],
    )


def origin_of(row: asyncpg.Record) -> tuple[int, int] | None:
    """Return the address of the stock that another one was part of before it was moved."""
    actor_id, seq = row["origin_actor_id"], row["origin_seq"]
    return None if actor_id is None else (actor_id, seq)


def states_in(stored: str) -> States:
    """Return units by state as they are stored."""
    return tuple(sorted(_decode_states(stored).items()))


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
        aside=states_in(row["aside"]),
    )
