"""The read model of orders, held to the events of one pool."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec

from allocator.domain.messages import OrderCancelled, OrderDispatched, OrderPlaced, Picks
from allocator.domain.pool import Pool
from allocator.domain.rules import units_of
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read
from allocator.persistence.windows import Row, Rows

_decode_picks: Final = msgspec.json.Decoder(Picks).decode
_NO_PICKS: Final[Picks] = ()


class OrdersAudit:
    """Holds rows of `orders` to what the journal says of them.

    Each row is as its pool was at some version: the one up to which the read models had come when
    it was read. What it says of the placing is compared when that event comes by; what it says of
    the end is kept, as a hash, until the order ends. So only of open orders anything is in memory.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._claims: dict[int, int | None] = {}  # by open order; None for one that was told of
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
        floor, open_orders = pool.version, dict(pool.orders)
        self._go_to(floor, version)
        stored = {row["seq"]: row for row in rows}
        for order, picks in open_orders.items():
            row = stored.pop(order, None)
            if row is None:
                self._is_lost(order, f"order {order}, open at the floor {floor}, is not there")
                self._claims[order] = None
                continue
            status, closed_at_ms, found = row["status"], row["closed_at"], _picks(row["picks"])
            if status != "new":
                self._claims[order] = hash((status, closed_at_ms, found))
            expected = (units_of(picks), picks, pool.product)
            if (row["quantity"], row["product"]) != (expected[0], pool.product) or (
                status == "new" and (found != picks or closed_at_ms is not None)
            ):
                stored_as = (row["quantity"], row["picks"], row["product"])
                self._differs(order, expected, stored_as)
        for order, row in stored.items():
            if row["status"] == "new":
                self._is_lost(
                    order, f"order {order} is new, and was closed below the floor {floor}"
                )

    def take(self, reads: Sequence[Read], rows: Rows, *, version: int) -> None:
        """Compare the next events with the rows that stand where they do, read at `version`."""
        stored = {row["seq"]: row for row in rows}
        self._version = version
        for seq, at_ms, event in reads:
            if type(event) is OrderPlaced:
                self._placed(stored.pop(seq, None), seq, at_ms, event)
            elif type(event) is OrderDispatched:
                self._ended(event.order, ("dispatched", at_ms, event.picks), seq)
            elif type(event) is OrderCancelled:
                self._ended(event.order, ("cancelled", at_ms, event.picks), seq)
        last = reads[-1][0] if reads else self._after
        for order in stored:
            if order <= last or not self._subject.is_damaged:
                self._is_wrong(order, f"there is an order {order} that nobody placed")
        self._go_to(last, version)

    def end(self) -> None:
        """Compare what is left when all events up to every version were told."""
        for order, claim in self._claims.items():
            if claim is not None:
                self._is_wrong(order, f"order {order} is closed, and nothing closed it")

    def _placed(self, row: Row | None, seq: int, at_ms: int, event: OrderPlaced) -> None:
        if row is None:
            if seq <= self._version:
                self._is_wrong(seq, f"order {seq} is not there")
                self._claims[seq] = None
            return
        _, _, quantity, created_at_ms, closed_at_ms, status, customer, stored, product = row
        picks = _picks(stored)
        if status != "new":
            self._claims[seq] = hash((status, closed_at_ms, picks))
        if seq > self._version:
            self._is_wrong(seq, f"order {seq} is there before row {seq} was applied")
            self._claims[seq] = None
        elif (
            quantity != event.quantity
            or created_at_ms != at_ms
            or customer != event.customer
            or product != event.product
            or (status == "new" and (picks != event.picks or closed_at_ms is not None))
        ):
            expected = (event.quantity, at_ms, event.customer, event.picks, event.product)
            found = (quantity, created_at_ms, customer, stored, product)
            self._differs(seq, expected, found)

    def _ended(self, order: int, end: tuple[str, int, Picks], by: int) -> None:
        """Compare an end with what the order's row said of it."""
        is_seen = by <= (self._version if order > self._after else self._version_of(order))
        if order not in self._claims:
            if is_seen:
                self._is_wrong(order, f"order {order} is new, and row {by} closed it", expected=end)
            return
        claim = self._claims.pop(order)
        if claim is not None and claim != hash(end):
            message = f"order {order} is closed in another way than by row {by}"
            self._is_wrong(order, message, expected=end)
        elif claim is not None and not is_seen:
            self._is_wrong(order, f"order {order} is closed already, before row {by} was applied")

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


def _picks(stored: str) -> Picks:
    """Return the picks of a row; none if they are not such."""
    try:
        return _decode_picks(stored)
    except msgspec.DecodeError:
        return _NO_PICKS
