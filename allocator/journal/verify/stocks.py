"""The read models of stocks and balances, held to the events and the state of one pool."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from allocator.domain.adjustments import UnitsAdjusted
from allocator.domain.kinds import Event
from allocator.domain.messages import StockReceived, TicketOptionOpened
from allocator.domain.pool import Pool
from allocator.domain.reconciling import LotReconciled
from allocator.domain.transfers import UnitsTaken
from allocator.domain.values import States, units_of
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read
from allocator.persistence.lists import states_in
from allocator.persistence.windows import Row, Rows

_COLUMNS: Final = (
    "quantity",
    "received_at",
    "expires_at",
    "lot",
    "reference",
    "product",
    "origin_actor_id",
    "origin_seq",
)

OnHand: TypeAlias = dict[int, tuple[int, int, int, States, int]]
"""Of each stock with something on hand, by seq: (quantity, available, on hand, aside, recalled)."""

_GONE: Final = (0, 0, 0, (), 0)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the read models say of a pool's numbers, at the version that they had come to.

    Attributes:
        balance: (available, ordered, held, expired, aside), or None if there is no such row.
        product: What the same row says, if that is a location's that holds one at a time.
    """

    version: int
    balance: tuple[int, int, int, int, States] | None
    product: str | None
    on_hand: OnHand

    @classmethod
    def of(cls, row: Row, stocks: Rows) -> "Target":
        """Return what rows of `balances` and `stocks` say that were read together."""
        balance = None
        if row["available"] is not None:
            numbers = (row["available"], row["ordered"], row["held"], row["expired"])
            balance = (*numbers, states_in(row["aside"]))
        return cls(
            version=row["version"],
            balance=balance,
            product=row["balance_product"],
            on_hand={
                each["seq"]: (
                    each["quantity"],
                    each["available"],
                    each["on_hand"],
                    states_in(each["aside"]),
                    each["recalled"],
                )
                for each in stocks
                if each["on_hand"]
            },
        )


def compare_received(
    reads: Sequence[Read], rows: Rows, *, version: int, found: Counter[int], subject: Subject
) -> None:
    """Compare events with the rows of `stocks` that stand where they do, read at `version`.

    Args:
        reads: The events.
        rows: Those of the read model.
        version: Up to which that had come.
        found: By stock, units that were added to it, as events say. What rows have more than
            arrived is taken from it, so that what is below 0 in the end was made up.
        subject: What is wrong is noted there.
    """
    _count_found(reads, found)
    stored = {row["seq"]: row for row in rows}
    for seq, at_ms, event in reads:
        expected = _arrived(event, at_ms, seq)
        if expected is None:
            continue
        row = stored.pop(seq, None)
        if row is None:
            if seq <= version:
                subject.is_wrong("stock", f"stock {seq} is not there", table="stocks", seq=seq)
            continue
        if seq > version:
            message = f"stock {seq} is there before row {seq} was applied"
            subject.is_wrong("stock", message, table="stocks", seq=seq)
            continue
        columns = tuple(row[column] for column in _COLUMNS)
        if (more := columns[0] - expected[0]) > 0:
            found[seq] -= more
            columns = (expected[0], *columns[1:])
        if expected != columns:
            message = f"stock {seq} is not as it was received"
            subject.is_wrong(
                "stock", message, table="stocks", seq=seq, expected=expected, found=columns
            )
    last = reads[-1][0] if reads else 0
    for seq in stored:
        if seq <= last or not subject.is_damaged:
            message = f"there is a stock {seq} that nobody received"
            subject.is_wrong("stock", message, table="stocks", seq=seq)


def _count_found(reads: Sequence[Read], found: Counter[int]) -> None:
    for seq, _, event in reads:
        if type(event) is UnitsAdjusted:
            for lot, source, _, units in event.changes:
                if source is None and lot != seq:
                    found[lot] += units
        elif type(event) is LotReconciled:
            for lot, units in event.changes:
                found[lot] += max(units, 0)


def _arrived(event: Event, at_ms: int, seq: int) -> tuple[int, *tuple[object, ...]] | None:
    """Return what the columns say of what arrived with an event at a time, None if nothing did."""
    if type(event) is StockReceived:
        said = (event.quantity, at_ms, event.expires_at_ms, event.lot, event.reference)
        return (*said, event.product, None, None)
    if type(event) is UnitsTaken:
        lot = event.lot
        said = (lot.quantity, lot.received_at_ms, lot.expires_at_ms, lot.code, lot.reference)
        return (*said, event.product, *lot.origin)
    if type(event) is TicketOptionOpened and event.allocation:
        return event.allocation, at_ms, *(None,) * 6
    if type(event) is UnitsAdjusted and (found := _found(event, seq)):
        return found, at_ms, None, None, None, event.product, None, None
    if type(event) is LotReconciled and event.opened:
        came_ms = at_ms if event.received_at_ms is None else event.received_at_ms
        return event.opened, came_ms, event.expires_at_ms, event.code, *(None,) * 4
    return None


def compare_found(found: Counter[int], *, subject: Subject) -> None:
    """Say which stocks have more units than ever arrived and were found of them."""
    for seq, units in found.items():
        if units < 0:
            message = f"stock {seq} has {-units} units more than came to it"
            subject.is_wrong("stock", message, table="stocks", seq=seq)


def _found(event: UnitsAdjusted, seq: int) -> int:
    """Return how many units were found that are a stock of their own."""
    return sum(units for lot, _, _, units in event.changes if lot == seq)


def compare_numbers(target: Target, pool: Pool, *, subject: Subject) -> None:
    """Compare the numbers of the read models with a pool that stands at their version."""
    balance = pool.balance()
    numbers = (balance.available, balance.ordered, balance.held, balance.expired)
    expected = (*numbers, balance.aside)
    if target.balance is not None and expected != target.balance:
        subject.is_wrong(
            "balance",
            f"the balance at version {target.version} is another",
            table="balances",
            expected=expected,
            found=target.balance,
        )
    elif target.balance is not None and target.product != pool.product:
        subject.is_wrong(
            "balance",
            f"the balance at version {target.version} is of another product",
            table="balances",
            expected=pool.product,
            found=target.product,
        )
    lots = {
        seq: (lot.quantity, lot.available, lot.on_hand, lot.aside, units_of(lot.recalled))
        for seq, lot in pool.lots.items()
    }
    if lots == target.on_hand:
        return
    for seq in sorted(lots.keys() | target.on_hand.keys()):
        units, found = lots.get(seq, _GONE), target.on_hand.get(seq, _GONE)
        if units != found:
            subject.is_wrong(
                "stock",
                f"stock {seq} has other units at version {target.version}",
                table="stocks",
                seq=seq,
                expected=units,
                found=found,
            )
