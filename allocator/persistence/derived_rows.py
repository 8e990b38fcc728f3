"""Rows of the read models, as events make them: what the projection does in SQL, told once more.

Whoever rebuilds one pool has its events in hand already, in their order.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from allocator.domain.codec import decode_event
from allocator.domain.messages import (
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    Picks,
    StockReceived,
    TicketOptionOpened,
)
from allocator.domain.pool import Pool
from allocator.domain.records import Record
from allocator.domain.rules import units_of

Columns: TypeAlias = tuple[list[object], ...]
"""Parameters of a statement behind the actor's id: arrays of one length."""

_encode: Final = msgspec.json.Encoder().encode


class DerivedRows:
    """What some events of one pool add to the read models and change in them.

    Attributes:
        columns: By the name of the statement that stores it, in the order in which to do that.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        orders: list[tuple[object, ...]] = []
        ends: list[tuple[object, ...]] = []
        stocks: list[tuple[object, ...]] = []
        options: list[tuple[object, ...]] = []
        for record in records:
            seq, at_ms = record.seq, record.at_ms
            event = decode_event(kind=record.kind, version=record.version, body=record.body)
            match event:
                case OrderPlaced(quantity=quantity, picks=picks, customer=customer):
                    orders.append((seq, quantity, at_ms, customer, _json(picks)))
                case OrderDispatched(order=order, picks=picks):
                    ends.append((order, "dispatched", at_ms, _json(picks)))
                case OrderCancelled(order=order, picks=picks):
                    ends.append((order, "cancelled", at_ms, _json(picks)))
                case StockReceived(quantity=quantity, expires_at_ms=expires, lot=lot):
                    stocks.append((seq, quantity, at_ms, expires, lot, event.reference))
                case TicketOptionOpened(allocation=allocation):
                    options.append((event.name, event.desc, allocation, at_ms))
                    if allocation:
                        stocks.append((seq, allocation, at_ms, None, None, None))
                case _:
                    pass  # it changes numbers, and adds nothing
        self.columns: Mapping[str, Columns] = {
            "repair_ticket_options": _columns(options, count=4),
            "repair_orders": _columns(orders, count=5),
            "repair_order_ends": _columns(ends, count=4),
            "repair_stocks": _columns(stocks, count=6),
        }


def columns_of_open(pool: Pool, *, rows_max: int) -> Iterator[Columns]:
    """Yield the open orders of a pool, some at a time, as `repair_open_orders` wants them."""
    rows: list[tuple[object, ...]] = []
    for seq, picks in pool.orders:
        rows.append((seq, units_of(picks), _json(picks)))
        if len(rows) == rows_max:
            yield _columns(rows, count=3)
            rows = []
    if rows:
        yield _columns(rows, count=3)


def columns_of_lots(pool: Pool) -> Columns:
    """Return the lots of a pool, as `repair_on_hand` wants them."""
    rows: list[tuple[object, ...]] = [
        (
            lot.seq,
            lot.quantity,
            lot.available,
            lot.on_hand,
            lot.received_at_ms,
            lot.expires_at_ms,
            lot.code,
            lot.reference,
        )
        for lot in pool.lots.values()
    ]
    return _columns(rows, count=8)


def _columns(rows: list[tuple[object, ...]], *, count: int) -> Columns:
    return tuple([row[column] for row in rows] for column in range(count))


def _json(picks: Picks) -> str:
    return _encode(picks).decode()
