"""The read models of stocks and balances, held to the events and the state of one pool."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from allocator.domain.kinds import Event
from allocator.domain.messages import StockReceived, TicketOptionOpened
from allocator.domain.pool import Pool
from allocator.domain.transfers import UnitsTaken
from allocator.journal.verify.faults import Subject
from allocator.journal.verify.rows import Read
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

OnHand: TypeAlias = dict[int, tuple[int, int]]
"""Of each stock with something on hand, by seq: (available, on hand)."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the read models say of a pool's numbers, at the version that they had come to.

    Attributes:
        balance: (available, ordered, held, expired), or None if there is no such row.
        product: What the same row says, if that is a location's that holds one at a time.
    """

    version: int
    balance: tuple[int, int, int, int] | None
    product: str | None
    on_hand: OnHand

    @classmethod
    def of(cls, row: Row, stocks: Rows) -> "Target":
        """Return what rows of `balances` and `stocks` say that were read together."""
        balance = None
        if row["available"] is not None:
            balance = (row["available"], row["ordered"], row["held"], row["expired"])
        return cls(
            version=row["version"],
            balance=balance,
            product=row["balance_product"],
            on_hand={
                each["seq"]: (each["available"], each["on_hand"])
                for each in stocks
                if each["on_hand"]
            },
        )


def compare_received(reads: Sequence[Read], rows: Rows, *, version: int, subject: Subject) -> None:
    """Compare events with the rows of `stocks` that stand where they do, read at `version`."""
    stored = {row["seq"]: row for row in rows}
    for seq, at_ms, event in reads:
        expected = _arrived(event, at_ms)
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
        found = tuple(row[column] for column in _COLUMNS)
        if expected != found:
            message = f"stock {seq} is not as it was received"
            subject.is_wrong(
                "stock", message, table="stocks", seq=seq, expected=expected, found=found
            )
    last = reads[-1][0] if reads else 0
    for seq in stored:
        if seq <= last or not subject.is_damaged:
            message = f"there is a stock {seq} that nobody received"
            subject.is_wrong("stock", message, table="stocks", seq=seq)


def _arrived(event: Event, at_ms: int) -> tuple[object, ...] | None:
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
    return None


def compare_numbers(target: Target, pool: Pool, *, subject: Subject) -> None:
    """Compare the numbers of the read models with a pool that stands at their version."""
    balance = pool.balance()
    expected = (balance.available, balance.ordered, balance.held, balance.expired)
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
    lots = {seq: (lot.available, lot.on_hand) for seq, lot in pool.lots.items()}
    if lots == target.on_hand:
        return
    for seq in sorted(lots.keys() | target.on_hand.keys()):
        units, found = lots.get(seq, (0, 0)), target.on_hand.get(seq, (0, 0))
        if units != found:
            subject.is_wrong(
                "stock",
                f"stock {seq} has other units at version {target.version}",
                table="stocks",
                seq=seq,
                expected=units,
                found=found,
            )
