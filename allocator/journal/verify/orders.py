"""The read model of orders, held to the events of one pool."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from allocator.domain.holds import HoldConfirmed
from allocator.domain.messages import (
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
)
from allocator.domain.pool import Pool
from allocator.domain.rows import CLOSED
from allocator.domain.values import Picks, units_of
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read
from allocator.persistence.windows import Row, Rows

_decode_picks: Final = msgspec.json.Decoder(Picks).decode
_NO_PICKS: Final[Picks] = ()

_Standing: TypeAlias = tuple[str, int | None, int | None]
"""(status, when it was closed, units that left while others stayed)."""


class OrdersAudit:
    """Holds rows of `orders` to what the journal says of them.

    Each row is as its pool was at some version: the one up to which the read models had come when
    it was read. What it says of the placing is compared when that event comes by; what it says of
    the parts that have left and of the end is kept, as a hash, until the order ends. So only of
    open orders anything is in memory.

    Orders that a process leads have no such rows: lists know them from the process.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._claims: dict[int, int | None] = {}  # by open order; None for one that was told of
        self._parts: dict[int, int] = {}  # of open orders, units that left by rows that are seen
        self._led: set[int] = set()  # open ones that processes lead
        self._lasts: list[int] = []  # the last seq of each stretch of rows
        self._versions: list[int] = []  # and the version that the rows in it are of
        self._version = 0
        self._after = 0

    def begin(self, pool: Pool, *, version: int, rows: Rows) -> None:
        """Compare the rows at or below a floor with what was open there.

        Of such an order only the units are known, and nothing of those that were closed.

        Args:
            pool: As it was at the floor.
            version: Up to which the read models had come.
            rows: They.
        """
        floor, open_orders = pool.version, {}
        for order, picks in pool.orders:
            if pool.orders.is_led(order):
                self._led.add(order)
            else:
                open_orders[order] = picks
        self._go_to(floor, version)
        stored = {row["seq"]: row for row in rows}
        for order, picks in open_orders.items():
            row = stored.pop(order, None)
            if row is None:
                self._is_lost(order, f"order {order}, open at the floor {floor}, is not there")
                self._claims[order] = None
                continue
            left, found = units_of(picks), _picks(row["picks"])
            self._claim(order, row["status"], row["closed_at"], row["dispatched"])
            if row["quantity"] > left and row["dispatched"] is not None:
                self._parts[order] = row["quantity"] - left
            if order in self._parts:  # nothing else is known than that it was larger
                is_sound = units_of(found) == row["quantity"]
            else:
                is_sound = (row["quantity"], found) == (left, picks)
            if not is_sound or row["product"] != pool.product:
                stored_as = (row["quantity"], row["picks"], row["product"])
                self._differs(order, (left, picks, pool.product), stored_as)
        for order, row in stored.items():
            if row["status"] not in CLOSED and order not in self._led:
                self._is_lost(
                    order, f"order {order} is open, and was closed below the floor {floor}"
                )

    def take(self, reads: Sequence[Read], rows: Rows, *, version: int) -> None:
        """Compare the next events with the rows that stand where they do, read at `version`."""
        stored = {row["seq"]: row for row in rows}
        self._version = version
        for seq, at_ms, event in reads:
            if type(event) is OrderPlaced:
                self._placed(stored.pop(seq, None), seq, at_ms, event)
            elif type(event) is OrderDispatched:
                self._ended(event.order, "dispatched", at_ms, seq)
            elif type(event) is OrderCancelled:
                self._ended(event.order, "cancelled", at_ms, seq)
            elif type(event) is OrderPartlyDispatched:
                if event.order not in self._led and self._is_seen(event.order, seq):
                    gone = self._parts.get(event.order, 0) + event.quantity
                    self._parts[event.order] = gone
            elif type(event) is HoldConfirmed:
                self._led.add(event.order)
        last = reads[-1][0] if reads else self._after
        for order in stored:
            if order <= last or not self._subject.is_damaged:
                self._is_wrong(order, f"there is an order {order} that nobody placed")
        self._go_to(last, version)

    def end(self) -> None:
        """Compare what is left when all events up to every version were told."""
        for order in self._claims.keys() | self._parts.keys():
            claim, expected = self._claims.get(order, _NEW), _after(self._parts.get(order))
            if claim is not None and claim != hash(expected):
                message = f"order {order} is open, and its row says something else"
                self._is_wrong(order, message, expected=expected)

    def _placed(self, row: Row | None, seq: int, at_ms: int, event: OrderPlaced) -> None:
        if row is None:
            if seq <= self._version:
                self._is_wrong(seq, f"order {seq} is not there")
                self._claims[seq] = None
            return
        quantity, created_at_ms, status = row["quantity"], row["created_at"], row["status"]
        customer, stored, product = row["customer"], row["picks"], row["product"]
        picks = _picks(stored)
        self._claim(seq, status, row["closed_at"], row["dispatched"])
        if seq > self._version:
            self._is_wrong(seq, f"order {seq} is there before row {seq} was applied")
            self._claims[seq] = None
        elif (
            quantity != event.quantity
            or created_at_ms != at_ms
            or customer != event.customer
            or product != event.product
            or picks != event.picks
        ):
            expected = (event.quantity, at_ms, event.customer, event.picks, event.product)
            found = (quantity, created_at_ms, customer, stored, product)
            self._differs(seq, expected, found)

    def _claim(
        self, order: int, status: str, closed_at_ms: int | None, dispatched: int | None
    ) -> None:
        """Keep what a row says of what became of the order, unless that is nothing."""
        claim = hash((status, closed_at_ms, dispatched))
        if claim != _NEW:
            self._claims[order] = claim

    def _ended(self, order: int, status: str, at_ms: int, by: int) -> None:
        """Compare an end with what the order's row said of it."""
        if order in self._led:
            self._led.discard(order)
            return
        gone = self._parts.pop(order, None)
        expected = (status, at_ms, gone) if self._is_seen(order, by) else _after(gone)
        claim = self._claims.pop(order, _NEW)
        if claim is not None and claim != hash(expected):
            message = f"order {order} is not as row {by} closed it"
            if not self._is_seen(order, by):
                message = f"order {order} is not as it was before row {by} was applied"
            self._is_wrong(order, message, expected=expected)

    def _is_seen(self, order: int, by: int) -> bool:
        """Say whether the row of an order was read after a row of the journal was applied."""
        return by <= (self._version if order > self._after else self._version_of(order))

    def _differs(self, order: int, expected: object, found: object) -> None:
        message = f"order {order} is not as it was placed"
        self._is_wrong(order, message, expected=expected, found=found)

    def _version_of(self, order: int) -> int:
        """Return the version that the row of an order of an earlier stretch was read at."""
        return self._versions[bisect_left(self._lasts, order)]

    def _go_to(self, last: int, version: int) -> None:
        if last > self._after:
            self._lasts.append(last)
            self._versions.append(version)
            self._after = last

    def _is_wrong(
        self, order: int, message: str, *, expected: object = None, found: object = None
    ) -> None:
        self._subject.is_wrong(
            "order", message, table="orders", seq=order, expected=expected, found=found
        )

    def _is_lost(self, order: int, message: str) -> None:
        """Note what cannot be derived any more."""
        self._subject.is_wrong("kept_row", message, table="orders", seq=order)


def _after(gone: int | None) -> _Standing:
    """Return how an open order stands of which so many units have left."""
    return ("new", None, None) if gone is None else ("partly_dispatched", None, gone)


_NEW: Final = hash(_after(None))


def _picks(stored: str) -> Picks:
    """Return the picks of a row; none if they are not such."""
    try:
        return _decode_picks(stored)
    except msgspec.DecodeError:
        return _NO_PICKS
