"""Turns a history into requests, and says of each beforehand how it must end.

The plan is complete before anything is sent and depends on the file alone. Each product has a
**lane**: its requests in file order. Inside a lane the next request waits for the answer to the
one before; between lanes nothing is shared, not a unit and not an order. So however many clients
work on however many lanes at once, every answer and every balance is the one of the sequential
calculation, and any other one is the server's error.
"""

from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from allocator.replay.history import QUANTITY_MAX, HistoryLine
from allocator.replay.ledger import Balance, Ledger
from allocator.replay.skus import name_skus

SCARCE_EVERY = 5
OPENING_RULE = "every 5th product opens with half of what is ordered of it, the others with all"
"""How much is there at the start: enough for most, and for some an early end."""

NAME_MAX = 200
"""Characters of a description that become the product's name."""


class Opening(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Make the product known and, unless it is 0, take its opening stock in.

    Attributes:
        line: The first line that names the product.
    """

    line: int
    sku: str
    name: str
    quantity: int


class Placing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Place an order; `accepted` is what the sequential calculation says to it."""

    line: int
    sku: str
    quantity: int
    customer: str
    accepted: bool


class Cancelling(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Cancel the order that the line `order_line` placed, which is open."""

    line: int
    sku: str
    order_line: int


class Receiving(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Take a return in as stock: no open order answers to it."""

    line: int
    sku: str
    quantity: int
    reference: str


Step: TypeAlias = Placing | Cancelling | Receiving


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to do about one product, and its balance after it."""

    opening: Opening
    steps: tuple[Step, ...]
    balance: Balance

    @property
    def line(self) -> int:
        """The first line that names the product."""
        return self.opening.line

    @property
    def sku(self) -> str:
        """The product."""
        return self.opening.sku


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole replay.

    Attributes:
        lanes: One for each product, in the order of their first lines.
        lines: How many lines the history has, the skipped ones included.
        without_quantity: Lines skipped because they move nothing.
        without_product: Lines skipped because they name no product.
        respelled: Codes that are not their own sku, with the sku they got.
    """

    lanes: tuple[Lane, ...]
    lines: int
    without_quantity: int
    without_product: int
    respelled: dict[str, str]

    @property
    def steps(self) -> int:
        """How many lines are sent."""
        return sum(len(lane.steps) for lane in self.lanes)


def plan_replay(history: Sequence[HistoryLine]) -> Plan:
    """Plan what to send for `history`, which is in file order."""
    named = [line for line in history if line.product]
    moving = [line for line in named if line.quantity]
    skus = name_skus(line.product for line in moving)
    by_product: dict[str, list[HistoryLine]] = {}
    for line in moving:
        by_product.setdefault(line.product, []).append(line)
    return Plan(
        lanes=tuple(
            _lane(lines, sku=skus[product], scarce=rank % SCARCE_EVERY == 0)
            for rank, (product, lines) in enumerate(by_product.items(), start=1)
        ),
        lines=len(history),
        without_quantity=len(named) - len(moving),
        without_product=len(history) - len(named),
        respelled={code: sku for code, sku in skus.items() if code != sku},
    )


def _lane(lines: Sequence[HistoryLine], *, sku: str, scarce: bool) -> Lane:
    ordered = sum(line.quantity for line in lines if not line.is_return)
    opening = Opening(
        line=lines[0].line,
        sku=sku,
        name=_name(lines),
        quantity=min(ordered // 2 if scarce else ordered, QUANTITY_MAX),
    )
    ledger = Ledger()
    ledger.receive(opening.quantity)
    clerk = _Clerk(ledger, sku=sku)
    steps = tuple(clerk.step(line) for line in lines)
    return Lane(opening=opening, steps=steps, balance=ledger.balance())


def _name(lines: Sequence[HistoryLine]) -> str:
    descriptions = (" ".join(line.description.split()) for line in lines)
    return next(filter(None, descriptions), lines[0].product)[:NAME_MAX]


class _Clerk:
    """Works off the lines of one product, in order, and remembers the open orders."""

    def __init__(self, ledger: Ledger, *, sku: str) -> None:
        self._ledger = ledger
        self._sku = sku
        self._open: dict[tuple[str, int], deque[int]] = {}

    def step(self, line: HistoryLine) -> Step:
        if not line.is_return:
            return self._place(line)
        orders = self._open.get((line.customer, abs(line.quantity)))
        return self._cancel(line, orders) if orders else self._receive(line)

    def _place(self, line: HistoryLine) -> Placing:
        accepted = self._ledger.place(line.quantity)
        # Two unknown customers are not the same customer: nothing cancels such an order.
        if accepted and line.customer:
            self._open.setdefault((line.customer, line.quantity), deque()).append(line.line)
        return Placing(
            line=line.line,
            sku=self._sku,
            quantity=line.quantity,
            customer=line.customer,
            accepted=accepted,
        )

    def _cancel(self, line: HistoryLine, orders: deque[int]) -> Cancelling:
        self._ledger.cancel(abs(line.quantity))
        return Cancelling(line=line.line, sku=self._sku, order_line=orders.popleft())

    def _receive(self, line: HistoryLine) -> Receiving:
        quantity = abs(line.quantity)
        self._ledger.receive(quantity)
        reference = f"return {line.invoice}".rstrip()
        return Receiving(line=line.line, sku=self._sku, quantity=quantity, reference=reference)
