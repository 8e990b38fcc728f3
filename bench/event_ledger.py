"""The journal after an event, row by row: where every unit went, and what became of every cart.

Added up here as a shop adds up its cash book, and not with the server's own rules.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import msgspec

from bench.chaos_ledger import Row
from bench.databases import DatabaseError
from bench.event_history import Numbers

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

_ROWS: Final = """
SELECT actors.kind AS actor_kind, product, actor_id, seq, at, journal.kind, version, body, digest,
       principal, idempotency_key, request_digest
FROM journal JOIN actors ON actors.id = actor_id LEFT JOIN pools USING (actor_id)
WHERE actors.kind IN ('pool', 'cart', 'order')
ORDER BY actor_id, seq
"""

Picks = tuple[tuple[int, int], ...]


class Journal(msgspec.Struct, kw_only=True):
    """The rows of each actor, in order: of pools by product, of carts and orders by actor."""

    pools: dict[str, list[Row]] = {}
    carts: dict[int, list[Row]] = {}
    orders: dict[int, list[Row]] = {}


def fetch_journal(url: str) -> Journal:
    """Return the whole journal.

    Raises:
        DatabaseError: PostgreSQL did not answer.
    """
    try:
        return asyncio.run(_fetch(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseError(f"the journal cannot be read: {error}") from error


async def _fetch(url: str) -> Journal:
    journal = Journal()
    connection = await asyncpg.connect(url)
    try:
        for record in await connection.fetch(_ROWS):
            columns = dict(record)
            at, kind, product = (columns.pop(each) for each in ("at", "actor_kind", "product"))
            row = Row(at_ms=(at - _EPOCH) // _MS, **columns)
            if kind == "pool":
                journal.pools.setdefault(product, []).append(row)
            else:
                of_kind = journal.carts if kind == "cart" else journal.orders
                of_kind.setdefault(row.actor_id, []).append(row)
        return journal
    finally:
        await connection.close()


class PoolBody(msgspec.Struct, frozen=True, kw_only=True):
    """Any event of a pool."""

    quantity: int = 0
    picks: Picks = ()
    order: int = 0
    process: int = 0
    step: int = 0
    added: Picks = ()
    returned: Picks = ()
    requested: int = 0
    available: int = 0
    held: bool = True


def pool_body(row: Row) -> PoolBody:
    """Read what an event of a pool says."""
    return msgspec.json.decode(row.body, type=PoolBody)


class Book:
    """One pool's units, lot by lot.

    Attributes:
        numbers: The balance at each version, from 0 on.
        received: All units that ever came.
        held: What processes hold in the end, by process.
        confirmed: What became an order of a process, by process.
        refused: (process, requested, available) of what was not held.
        cancelled: Orders whose units came back, by the number of the row.
        wrong: What cannot be, each in a sentence.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.numbers: list[Numbers] = [(0, 0, 0, 0)]
        self.received = 0
        self.held: dict[int, dict[int, int]] = {}
        self.confirmed: dict[int, int] = {}
        self.refused: list[tuple[int, int, int]] = []
        self.cancelled: list[int] = []
        self.wrong: list[str] = []
        self._lots: dict[int, int] = {}
        self._orders: dict[int, dict[int, int]] = {}
        self._available = self._ordered = self._held = self._gone = 0
        for row in rows:
            self._enter(row, pool_body(row))
            self._balance(row)

    def held_units(self, process: int) -> int:
        """Return how many units a process holds in the end."""
        return sum(self.held.get(process, {}).values())

    def _enter(self, row: Row, body: PoolBody) -> None:
        match row.kind:
            case "stock_received":
                self.received += body.quantity
                self._give_back(((row.seq, body.quantity),))
            case "order_placed":
                self._take(row, body.picks)
                self._begin(row, row.seq, dict(body.picks), body)
            case "units_held":
                self._hold(row, body)
            case "hold_refused":
                self.refused.append((body.process, body.requested, body.available))
                own = self.held_units(body.process)
                there = self.numbers[-1][0] + own
                if not there == body.available < body.requested:
                    self._say(row, f"refuses {body.requested} of {there}")
            case "hold_confirmed":
                self._confirm(row, body)
            case "process_let_go":
                if self._let_go(body.process) != dict(body.picks):
                    self._say(row, "gives back what was not held")
                self._give_back(body.picks)
            case "order_dispatched" | "order_cancelled":
                self._close(row, body)
            case _:
                self._say(row, f"is {row.kind}, which nobody asked for")

    def _hold(self, row: Row, body: PoolBody) -> None:
        held = self.held.setdefault(body.process, {})
        self._take(row, body.added)
        self._give_back(body.returned)
        for lot, units in body.added:
            held[lot] = held.get(lot, 0) + units
        for lot, units in body.returned:
            held[lot] = held.get(lot, 0) - units
        self.held[body.process] = {lot: units for lot, units in held.items() if units}
        self._held += _units(body.added) - _units(body.returned)
        if min(held.values(), default=0) < 0 or sum(held.values()) != body.quantity:
            self._say(row, f"holds {held}, and not {body.quantity}")

    def _let_go(self, process: int) -> dict[int, int]:
        held = self.held.pop(process, {})
        self._held -= sum(held.values())
        return held

    def _confirm(self, row: Row, body: PoolBody) -> None:
        """Enter what was held, or what was ordered at once and never was."""
        self.confirmed[body.process] = self.confirmed.get(body.process, 0) + body.quantity
        picks = self._let_go(body.process)
        if not body.held:
            self._take(row, body.picks)
            picks = dict(body.picks)
        self._begin(row, body.order, picks, body)

    def _begin(self, row: Row, order: int, picks: dict[int, int], body: PoolBody) -> None:
        if order in self._orders:
            self._say(row, f"makes order {order} again")
        if picks != dict(body.picks) or sum(picks.values()) != body.quantity:
            self._say(row, f"orders {body.quantity} of {picks}")
        self._orders[order] = picks
        self._ordered += sum(picks.values())

    def _close(self, row: Row, body: PoolBody) -> None:
        picks = self._orders.pop(body.order, None)
        if picks is None or picks != dict(body.picks):
            self._say(row, f"closes order {body.order}, which has {picks}")
            return
        self._ordered -= sum(picks.values())
        if row.kind == "order_cancelled":
            self.cancelled.append(row.seq)
            self._give_back(body.picks)
        else:
            self._gone += sum(picks.values())

    def _take(self, row: Row, picks: Picks) -> None:
        self._available -= _units(picks)
        for lot, units in picks:
            self._lots[lot] = self._lots.get(lot, 0) - units
            if self._lots[lot] < 0:
                self._say(row, f"sells units of lot {lot} twice")

    def _give_back(self, picks: Picks) -> None:
        self._available += _units(picks)
        for lot, units in picks:
            self._lots[lot] = self._lots.get(lot, 0) + units

    def _balance(self, row: Row) -> None:
        there = self._available + self._ordered + self._held
        self.numbers.append((self._available, self._ordered, self._held, there))
        if there + self._gone != self.received:
            self._say(row, "loses units, or makes some")

    def _say(self, row: Row, what: str) -> None:
        self.wrong.append(f"seq {row.seq} {what}")


def _units(picks: Picks) -> int:
    return sum(units for _, units in picks)
