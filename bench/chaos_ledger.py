"""The journal itself, row by row: numbering, digests, and where every unit went.

Added up here as a shop adds up its cash book, and not with the server's own rules.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import msgspec

from allocator.domain.records import GENESIS, chain
from bench.chaos_pool import Closed, Effect, Placed, Received
from bench.databases import DatabaseError
from bench.messages import WAREHOUSE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

_ROWS = """
SELECT actor_id, seq, at, kind, version, body, digest, principal, idempotency_key, request_digest
FROM journal JOIN pools USING (actor_id)
WHERE warehouse = $1 AND product = $2
ORDER BY seq
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a pool's journal, as PostgreSQL has it."""

    actor_id: int
    seq: int
    at_ms: int
    kind: str
    version: int
    body: str
    digest: bytes
    principal: str
    idempotency_key: str | None
    request_digest: bytes | None


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """Any event's body."""

    quantity: int
    order: int | None = None
    customer: str | None = None
    picks: tuple[tuple[int, int], ...] = ()


def fetch_rows(url: str, products: Sequence[str]) -> dict[str, list[Row]]:
    """Return the journals of pools of the one warehouse, by product.

    Raises:
        DatabaseError: PostgreSQL did not answer.
    """
    try:
        return asyncio.run(_fetch_rows(url, products))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseError(f"the journal cannot be read: {error}") from error


async def _fetch_rows(url: str, products: Sequence[str]) -> dict[str, list[Row]]:
    connection = await asyncpg.connect(url)
    try:
        return {
            product: [_row_of(row) for row in await connection.fetch(_ROWS, WAREHOUSE, product)]
            for product in products
        }
    finally:
        await connection.close()


def _row_of(row: asyncpg.Record) -> Row:
    columns = dict(row)
    at = columns.pop("at")
    return Row(at_ms=(at - _EPOCH) // _MS, **columns)


def body_of(row: Row) -> Body:
    """Read what an event says."""
    return msgspec.json.decode(row.body, type=Body)


def misnumbered(rows: Sequence[Row]) -> list[str]:
    """Return where numbers have a gap or times go back."""
    wrong = [
        f"seq {row.seq} where {number} should be"
        for number, row in enumerate(rows, start=1)
        if row.seq != number
    ]
    return wrong + [
        f"seq {after.seq} is older than {before.seq}"
        for before, after in pairwise(rows)
        if after.at_ms < before.at_ms
    ]


def unchained(rows: Sequence[Row]) -> list[str]:
    """Return the rows whose digest is not that of their content and the row before."""
    wrong = []
    previous = GENESIS
    for row in rows:
        digest = chain(
            previous,
            actor_id=row.actor_id,
            seq=row.seq,
            at_ms=row.at_ms,
            kind=row.kind,
            version=row.version,
            body=row.body,
            principal=row.principal,
            idempotency_key=row.idempotency_key,
            request_digest=row.request_digest,
        )
        if digest != row.digest:
            wrong.append(f"seq {row.seq} has another digest")
        previous = row.digest
    return wrong


class Book:
    """One pool's units, lot by lot.

    Attributes:
        available: Units for sale; `ordered` likewise.
        statuses: What has become of each order, by the key it was placed with.
        wrong: What cannot be, each in a sentence.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.available = self.ordered = 0
        self.statuses: dict[str, str] = {}
        self.wrong: list[str] = []
        self._lots: dict[int, int] = {}
        self._picks: dict[int, dict[int, int]] = {}  # by open order, as seq
        self._keys: dict[int, str] = {}
        # The same sums, from the lots and from what orders picked.
        self._in_lots = self._in_orders = 0
        for row in rows:
            self._enter(row, body_of(row))
            if (self.available, self.ordered) != (self._in_lots, self._in_orders):
                self.wrong.append(f"seq {row.seq} loses units, or makes some")

    def effect(self, row: Row) -> Effect:
        """Return what a row did, in terms of the keys that orders were placed with."""
        body = body_of(row)
        match row.kind:
            case "stock_received":
                return Received(body.quantity)
            case "order_placed":
                return Placed(row.idempotency_key or "", body.quantity)
            case _:
                key = self._keys.get(body.order or 0, "")
                return Closed(key, row.kind.removeprefix("order_"))

    def _enter(self, row: Row, body: Body) -> None:
        match row.kind:
            case "stock_received":
                self.available += body.quantity
                self._move(row, {row.seq: body.quantity}, +1)
            case "order_placed":
                self._keys[row.seq] = row.idempotency_key or ""
                self.statuses[self._keys[row.seq]] = "new"
                self._picks[row.seq] = dict(body.picks)
                self._in_orders += sum(units for _, units in body.picks)
                self._move(row, dict(body.picks), -1)
                self.available -= body.quantity
                self.ordered += body.quantity
            case "order_dispatched" | "order_cancelled":
                self._close(row, body)
            case _:
                self.wrong.append(f"seq {row.seq} is {row.kind}, which nobody asked for")

    def _close(self, row: Row, body: Body) -> None:
        picks = self._picks.pop(body.order or 0, None)
        if picks is None:
            self.wrong.append(f"seq {row.seq} closes order {body.order}, which is not open")
            return
        if picks != dict(body.picks):
            self.wrong.append(f"seq {row.seq} closes with units that the order did not have")
        self.statuses[self._keys[body.order or 0]] = row.kind.removeprefix("order_")
        self.ordered -= body.quantity
        self._in_orders -= sum(picks.values())
        if row.kind == "order_cancelled":
            self.available += body.quantity
            self._move(row, dict(body.picks), +1)

    def _move(self, row: Row, picks: dict[int, int], sign: int) -> None:
        for lot, units in picks.items():
            self._in_lots += sign * units
            self._lots[lot] = self._lots.get(lot, 0) + sign * units
            if self._lots[lot] < 0:
                self.wrong.append(f"seq {row.seq} sells units of lot {lot} twice")
