"""Rows of the read models, as events make them: what the projection does in SQL, told once more.

Whoever rebuilds one pool or move has its events in hand already, in their order.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted
from allocator.domain.arrivals import arrival_of
from allocator.domain.codec import decode_event
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    TicketOptionOpened,
)
from allocator.domain.moves import Move
from allocator.domain.pool import Pool
from allocator.domain.reconciling import LotReconciled
from allocator.domain.records import Record
from allocator.domain.rows import MoveRow
from allocator.domain.values import Picks, States, units_of

Columns: TypeAlias = tuple[list[object], ...]
"""Parameters of a statement behind the actor's id: arrays of one length."""

_encode: Final = msgspec.json.Encoder().encode
_NOTHING_MORE: Final = (None,) * 6
"""Of a stock behind its time, where nothing else is known."""


class DerivedRows:
    """What some events of one pool add to the read models and change in them.

    Attributes:
        columns: By the name of the statement that stores it, in the order in which to do that.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        orders: list[tuple[object, ...]] = []
        parts: dict[object, object] = {}  # what stays in the end
        ends: list[tuple[object, ...]] = []
        stocks: list[tuple[object, ...]] = []
        options: list[tuple[object, ...]] = []
        stock = _Stock(stocks)
        for record in records:
            seq, at_ms = record.seq, record.at_ms
            event = decode_event(kind=record.kind, version=record.version, body=record.body)
            match event:
                case OrderPlaced(quantity=quantity, picks=picks, customer=customer):
                    orders.append((seq, quantity, at_ms, customer, _json(picks), event.product))
                case OrderPartlyDispatched(order=order, left=left):
                    parts[order] = left
                case OrderDispatched(order=order):
                    ends.append((order, "dispatched", at_ms))
                case OrderCancelled(order=order):
                    ends.append((order, "cancelled", at_ms))
                case TicketOptionOpened(allocation=allocation):
                    options.append((event.name, event.desc, allocation, at_ms))
                    if allocation:
                        stocks.append((seq, allocation, at_ms, *_NOTHING_MORE))
                case _:  # it changes numbers, or something comes
                    stock.take(seq, at_ms, event)
        self.columns: Mapping[str, Columns] = {
            "repair_ticket_options": _columns(options, count=4),
            "repair_orders": _columns(orders, count=6),
            "repair_order_parts": _columns(list(parts.items()), count=2),
            "repair_order_ends": _columns(ends, count=3),
            "repair_stocks": _columns(stocks, count=9),
            "repair_found": _columns(list(stock.found.items()), count=2),
            "repair_repicks": _columns(stock.repicks, count=4),
        }


class _Stock:
    """What comes, is found, or is exchanged.

    Attributes:
        found: Units that were added to stocks, by seq.
        repicks: What orders gave back and got.
    """

    def __init__(self, stocks: list[tuple[object, ...]]) -> None:
        self.found: Counter[object] = Counter()
        self.repicks: list[tuple[object, ...]] = []
        self._stocks = stocks

    def take(self, seq: int, at_ms: int, event: Event) -> None:
        """Add what an event says."""
        if (came := arrival_of(event, seq=seq, at_ms=at_ms)) is not None:
            described = (came.received_at_ms, came.expires_at_ms, came.code, came.reference)
            origin = came.origin or (None, None)
            self._stocks.append((seq, came.quantity, *described, came.product, *origin))
        if isinstance(event, LotReconciled):
            for lot, units in event.changes:
                self.found[lot] += max(units, 0)
        if isinstance(event, OrderRepicked):
            self.repicks.append((seq, event.order, _json(event.returned), _json(event.added)))
        if not isinstance(event, UnitsAdjusted):
            return
        for lot, source, _, units in event.changes:
            if source is None and lot != seq:
                self.found[lot] += units


def columns_of_open(pool: Pool, *, rows_max: int) -> Iterator[Columns]:
    """Yield the open orders of a pool, some at a time, as `repair_open_orders` wants them.

    Those that a process leads are listed by that.
    """
    rows: list[tuple[object, ...]] = []
    for seq, picks in pool.orders:
        if pool.orders.is_led(seq):
            continue
        rows.append((seq, units_of(picks), _json(picks), pool.product))
        if len(rows) == rows_max:
            yield _columns(rows, count=4)
            rows = []
    if rows:
        yield _columns(rows, count=4)


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
            pool.product,  # of whatever is there
            *(lot.origin or (None, None)),
            in_json(lot.aside),
            units_of(lot.recalled),
        )
        for lot in pool.lots.values()
    ]
    return _columns(rows, count=13)


def standings_of_lots(pool: Pool) -> Columns:
    """Return what is there of the lots of a pool, as `restore_stocks` wants it."""
    rows: list[tuple[object, ...]] = [
        (
            lot.seq,
            lot.available,
            lot.on_hand,
            lot.quantity,
            in_json(lot.aside),
            units_of(lot.recalled),
        )
        for lot in pool.lots.values()
    ]
    return _columns(rows, count=6)


def in_json(states: States) -> str:
    """Return units by state as the read models have them."""
    return _encode(dict(states)).decode()


def columns_of_moves(moves: Mapping[int, Move]) -> Columns:
    """Return moves by actor id, which have been requested, as `put_moves` wants them."""
    rows: list[tuple[object, ...]] = []
    for actor_id, move in moves.items():
        row = MoveRow.of(actor_id, move)
        assert row is not None, "nothing is stored before"
        rows.append(
            (
                actor_id,
                move.version,
                row.product,
                row.from_code,
                row.to_code,
                row.quantity,
                row.status,
                row.requested_at_ms,
                row.decided_at_ms,
                _encode(row.lots).decode(),
                None if row.reason is None else _encode(row.reason).decode(),
                move.ended,
            )
        )
    return _columns(rows, count=12)


def _columns(rows: list[tuple[object, ...]], *, count: int) -> Columns:
    return tuple([row[column] for row in rows] for column in range(count))


def _json(picks: Picks) -> str:
    return _encode(picks).decode()
