"""Journals of any length, without a server having to write them: as if it had.

Each pool takes stock in once; then orders are placed, every second one with a key, and half a
hundred later dispatched or cancelled. Rows, digests and names are made by the package's own code.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator

from allocator.domain.catalogue import Product, Warehouse
from allocator.domain.codec import KINDS, VERSIONS, encode_event
from allocator.domain.messages import (
    Event,
    OrderCancelled,
    OrderDispatched,
    OrderPlaced,
    StockReceived,
)
from allocator.domain.records import GENESIS, chain
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Executor, borrowed, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.pools import PostgresPools
from allocator.persistence.projection import Projection

_WAREHOUSE = "main"
_OPEN = 50
_ROWS_AT_ONCE = 50_000
_BEGAN_MS = 1_760_000_000_000
_COLUMNS = (
    *("actor_id", "seq", "at", "era", "version", "kind", "principal", "idempotency_key"),
    *("request_digest", "digest", "body"),
)


def write_journal(url: str, *, pools: int, events: int) -> None:
    """Fill an empty database with pools of so many events each, and their read models."""
    asyncio.run(_write(url, pools=pools, events=events))


async def _write(url: str, *, pools: int, events: int) -> None:
    connection = await connect(url, application_name="bench", timeout_s=600)
    await migrate(connection)
    era = (await open_installation(connection)).era
    names = await open_pool(url, size=1)
    catalogue = PostgresCatalogue(names, era=era, clock=lambda: time.time_ns() // 1_000_000)
    warehouse = Warehouse(code=_WAREHOUSE, name=_WAREHOUSE)
    await catalogue.put_warehouse(warehouse, principal="", overwrite=False)
    for number in range(pools):
        product = Product(sku=f"product-{number}", name="Product")
        await catalogue.put_product(product, principal="", overwrite=False)
        pool = await PostgresPools(names).open_pool(_WAREHOUSE, product.sku)
        assert pool is not None, "both were made"
        async with borrowed(names) as borrowing:
            await _copy(borrowing, _rows(pool.actor_id, era=era, events=events))
    await connection.execute("VACUUM ANALYZE journal")
    await Projection(url=url, era=era).catch_up()
    await connection.execute("VACUUM ANALYZE")
    connection.terminate()
    names.terminate()


async def _copy(connection: Executor, rows: Iterator[tuple[object, ...]]) -> None:
    while batch := [row for row, _ in zip(rows, range(_ROWS_AT_ONCE), strict=False)]:
        await connection.copy_records_to_table(
            "journal", records=batch, columns=_COLUMNS, timeout=600
        )


def _rows(actor_id: int, *, era: int, events: int) -> Iterator[tuple[object, ...]]:
    previous = GENESIS
    for seq, event in enumerate(_happenings(events), start=1):
        kind, body = KINDS[type(event)], encode_event(event).decode()
        key = f"key-{actor_id}-{seq}" if seq % 2 and isinstance(event, OrderPlaced) else None
        asked = None if key is None else bytes(16)
        previous = chain(
            previous,
            actor_id=actor_id,
            seq=seq,
            at_ms=_BEGAN_MS + seq,
            kind=kind,
            version=VERSIONS[kind],
            body=body,
            principal="",
            idempotency_key=key,
            request_digest=asked,
        )
        yield (
            *(actor_id, seq, _BEGAN_MS + seq, era, VERSIONS[kind], kind, "", key),
            *(asked, previous, body),
        )


def _happenings(events: int) -> Iterator[Event]:
    """Yield so many events that can happen to a pool in this order."""
    yield StockReceived(quantity=events)
    waiting: deque[int] = deque()
    picks = ((1, 1),)
    for seq in range(2, events + 1):
        if len(waiting) < _OPEN or seq % 2:
            waiting.append(seq)
            yield OrderPlaced(quantity=1, picks=picks, customer=f"customer-{seq}")
        else:
            ending = OrderCancelled if seq % 3 else OrderDispatched
            yield ending(order=waiting.popleft(), quantity=1, picks=picks)
