"""What became of carts and of orders of several lines, from their own journals."""

from collections.abc import Sequence

import msgspec

from bench.chaos_ledger import Row

_ENDS = {"cart_closed": "closed", "cart_expired": "expired"}
_OUTCOMES = {
    "checkout_paid": "paid",
    "checkout_failed": "failed",
    "checkout_unknown": "unknown",
    "refund_due": "refund_due",
}


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    product: str
    quantity: int
    price: int = 0


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """Any event of a cart or of an order."""

    customer: str | None = None
    line: _Line | None = None
    lines: list[_Line] = []
    items: list[_Line] = []
    amount: int = 0
    client_id: int = 0
    attempt: int = 0
    reference: str | None = None
    resolved: bool = False


class Attempt(msgspec.Struct, kw_only=True):
    """An attempt to pay, as the journal has it.

    Attributes:
        began_ms: When it began, milliseconds of Unix time.
        items: (units, price of one in minor units), by product.
        was_unknown: Whether nobody knew what had become of it, for a time.
        resolved: Whether an operator settled it.
    """

    key: str
    began_ms: int
    client_id: int
    amount: int
    items: dict[str, tuple[int, int]]
    status: str = "capturing"
    was_unknown: bool = False
    reference: str | None = None
    resolved: bool = False


class CartStory:
    """A cart.

    Attributes:
        key: With which it was opened.
        edits: (product, units) that were wanted, by the seq of the row.
        attempts: By the seq of the row.
        status: `open`, `closed`, `expired` or `paid`.
        wrong: What cannot be, each in a sentence.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.key = ""
        self.customer = ""
        self.status = "open"
        self.edits: dict[int, tuple[str, int]] = {}
        self.attempts: dict[int, Attempt] = {}
        self.wrong: list[str] = []
        for row in rows:
            self._enter(row, msgspec.json.decode(row.body, type=_Body))

    @property
    def unsettled(self) -> Attempt | None:
        """The attempt of which nobody knows what became, if there is one."""
        open_ones = [each for each in self.attempts.values() if each.status in _UNSETTLED]
        return open_ones[-1] if open_ones else None

    def _enter(self, row: Row, body: _Body) -> None:
        match row.kind:
            case "cart_opened":
                self.key, self.customer = row.idempotency_key or "", body.customer or ""
            case "line_wanted" if body.line is not None:
                self.edits[row.seq] = (body.line.product, body.line.quantity)
            case "checkout_begun":
                self.attempts[row.seq] = Attempt(
                    key=row.idempotency_key or "",
                    began_ms=row.at_ms,
                    client_id=body.client_id,
                    amount=body.amount,
                    items={item.product: (item.quantity, item.price) for item in body.items},
                )
            case "cart_closed" | "cart_expired":
                self.status = _ENDS[row.kind]
            case "checkout_paid" | "checkout_failed" | "checkout_unknown" | "refund_due":
                self._settle(row, body)
            case _:
                pass

    def _settle(self, row: Row, body: _Body) -> None:
        attempt = self.attempts.get(body.attempt)
        if attempt is None or attempt.status == "paid":
            self.wrong.append(f"seq {row.seq} is {row.kind} of what cannot be")
            return
        attempt.status = _OUTCOMES[row.kind]
        attempt.was_unknown |= attempt.status == "unknown"
        attempt.reference = body.reference or attempt.reference
        attempt.resolved |= body.resolved
        if attempt.status == "paid":
            if self.status != "open":
                self.wrong.append(f"seq {row.seq} buys a cart that is {self.status}")
            self.status = "paid"


_UNSETTLED = {"capturing", "unknown"}


class OrderStory:
    """An order of several lines.

    Attributes:
        lines: Units by product.
        status: `requested`, `new`, `declined` or `dispatched`.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.key = ""
        self.customer = ""
        self.status = ""
        self.lines: dict[str, int] = {}
        for row in rows:
            body = msgspec.json.decode(row.body, type=_Body)
            if row.seq == 1:  # that it was requested, or how it was decided at once
                self.key, self.customer = row.idempotency_key or "", body.customer or ""
                self.lines = {line.product: line.quantity for line in body.lines}
            if row.kind in _ORDER_STATUSES:
                self.status = _ORDER_STATUSES[row.kind]


_ORDER_STATUSES = {
    "order_requested": "requested",
    "order_accepted": "new",
    "order_declined": "declined",
    "lines_dispatched": "dispatched",
    "lines_cancelled": "cancelled",
}
