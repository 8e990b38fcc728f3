"""From what the actors and read models say to what clients are shown."""

import msgspec

from allocator.actors.messages import Outcome
from allocator.domain.catalogue import PoolRef
from allocator.domain.ids import IdSeal
from allocator.domain.messages import OrderPlaced
from allocator.domain.occurrences import Occurrence, thing_of
from allocator.domain.orders import OrderAccepted
from allocator.domain.pool import Balance
from allocator.domain.records import Record
from allocator.domain.rows import BalanceRow, LinesRow, OrderRow, OrderStatus, StockRow
from allocator.domain.values import Picks
from allocator.http.shapes import (
    Happening,
    JournalEvent,
    Order,
    OrderLine,
    Pick,
    Stock,
    StockBalance,
    time_of,
)


def order_shape(  # noqa: PLR0913 (what an order consists of)
    ids: IdSeal,
    pool: PoolRef,
    *,
    seq: int,
    status: OrderStatus,
    created_at_ms: int,
    quantity: int,
    picks: Picks,
    customer: str | None,
    dispatched: int = 0,
    flagged: bool = False,
) -> Order:
    """Show an order of one line."""
    actor_id = pool.actor_id
    if len(picks) == 1:  # nearly always; a comprehension has a frame of its own
        stocks = [Pick(ids.seal_often(actor_id, picks[0][0]), picks[0][1])]
    else:
        stocks = [Pick(ids.seal_often(actor_id, lot), units) for lot, units in picks]
    line = OrderLine(pool.product, pool.warehouse, quantity, stocks, dispatched)
    return Order(ids.seal(actor_id, seq), status, customer, time_of(created_at_ms), [line], flagged)


def placed_order(ids: IdSeal, pool: PoolRef, outcome: Outcome) -> Order:
    """Show the order that an event placed."""
    event = outcome.event
    assert isinstance(event, OrderPlaced)
    return order_shape(
        ids,
        pool,
        seq=outcome.seq,
        status="new",
        created_at_ms=outcome.at_ms,
        quantity=event.quantity,
        picks=event.picks,
        customer=event.customer,
    )


def order_of(ids: IdSeal, row: OrderRow) -> Order:
    """Show an order of one line as a row has it."""
    return order_shape(
        ids,
        PoolRef(row.actor_id, row.warehouse, row.product),
        seq=row.seq,
        status=row.status,
        created_at_ms=row.created_at_ms,
        quantity=row.quantity,
        picks=row.picks,
        customer=row.customer,
        dispatched=row.dispatched,
        flagged=row.flagged,
    )


def order_of_lines(ids: IdSeal, row: LinesRow) -> Order:
    """Show an order of several lines."""
    lines = [
        OrderLine(
            product=line.product,
            warehouse=line.warehouse,
            quantity=line.quantity,
            stocks=[Pick(ids.seal_often(line.pool, lot), units) for lot, units in line.picks],
            dispatched=line.dispatched,
        )
        for line in row.lines
    ]
    created_at = time_of(row.created_at_ms)
    order_id = ids.seal(row.actor_id, row.seq)
    return Order(order_id, row.status, row.customer, created_at, lines, row.flagged)


def order_at_once(ids: IdSeal, outcome: Outcome, event: OrderAccepted) -> Order:
    """Show an order of several lines that `event`, its first one, has decided."""
    lines = [
        OrderLine(
            line.product,
            line.warehouse,
            line.quantity,
            [Pick(ids.seal_often(line.pool, lot), units) for lot, units in held.picks],
            0,
        )
        for line, held in zip(event.lines, event.held, strict=True)
    ]
    created_at = time_of(outcome.at_ms)
    return Order(ids.seal(outcome.actor_id, outcome.seq), "new", event.customer, created_at, lines)


def stock_of(ids: IdSeal, row: StockRow) -> Stock:
    """Show a stock."""
    return Stock(
        id=ids.seal(row.actor_id, row.seq),
        product=row.product,
        warehouse=row.warehouse,
        quantity=row.quantity,
        available=row.available,
        lot=row.lot,
        expires_at=None if row.expires_at_ms is None else time_of(row.expires_at_ms),
        received_at=time_of(row.received_at_ms),
        reference=row.reference,
        origin=None if row.origin is None else ids.seal(*row.origin),
        unallocatable=dict(row.aside),
        recalled=row.recalled,
    )


def balance_shape(warehouse: str, product: str, balance: Balance) -> StockBalance:
    """Show a pool's numbers."""
    return StockBalance(
        product=product,
        warehouse=warehouse,
        available=balance.available,
        ordered=balance.ordered,
        held=balance.held,
        unallocatable=balance.unallocatable,
        on_hand=balance.on_hand,
        version=balance.version,
    )


def balance_of(row: BalanceRow) -> StockBalance:
    """Show a balance of the read model."""
    balance = Balance(
        version=row.version,
        available=row.available,
        ordered=row.ordered,
        held=row.held,
        expired=row.expired,
        aside=row.aside,
    )
    return balance_shape(row.warehouse, row.product, balance)


def event_of(record: Record) -> JournalEvent:
    """Show a row of the journal."""
    return JournalEvent(
        seq=record.seq,
        at=time_of(record.at_ms),
        kind=record.kind,
        version=record.version,
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        body=msgspec.Raw(record.body.encode()),
    )


def happening_of(occurrence: Occurrence, ids: IdSeal) -> Happening:
    """Show a row of the journal to somebody who is told of all sorts of things."""
    record, site = occurrence.record, occurrence.site
    thing, address = thing_of(occurrence)
    return Happening(
        position=str(occurrence.position),
        at=time_of(record.at_ms),
        warehouse=site.warehouse,
        product=site.product,
        seq=record.seq,
        kind=record.kind,
        version=record.version,
        thing=thing,
        id=None if address is None else ids.seal_often(*address),
        principal=record.principal,
        idempotency_key=record.idempotency_key,
        body=msgspec.Raw(record.body.encode()),
    )
