"""The HTTP contract as a client knows it: exact shapes, written down a second time on purpose.

The server's own types are not used here, so that renaming a field there fails a test here.
"""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta
from multidict import CIMultiDictProxy

T = TypeVar("T")

PROBLEM_JSON = "application/problem+json"

Time = Annotated[datetime, Meta(tz=True)]


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly these members, all of them."""


class Pick(Shape, frozen=True, kw_only=True):
    """Units taken from one stock."""

    id: str
    quantity: int


class OrderLine(Shape, frozen=True, kw_only=True):
    """A product and the stocks selected for it."""

    product: str
    warehouse: str
    quantity: int
    stocks: list[Pick]
    dispatched: int


class Order(Shape, frozen=True, kw_only=True):
    """What a client asked for."""

    id: str
    status: str
    customer: str | None
    created_at: Time
    lines: list[OrderLine]
    flagged: bool


class Stock(Shape, frozen=True, kw_only=True):
    """Units that arrived together."""

    id: str
    product: str
    warehouse: str
    quantity: int
    available: int
    lot: str | None
    expires_at: Time | None
    received_at: Time
    reference: str | None
    origin: str | None
    unallocatable: dict[str, int]
    recalled: int


class Balance(Shape, frozen=True, kw_only=True):
    """The numbers of a pair."""

    product: str
    warehouse: str
    available: int
    ordered: int
    held: int
    unallocatable: dict[str, int]
    on_hand: int
    version: int

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """Available, ordered, expired, on hand."""
        return self.available, self.ordered, self.unallocatable["expired"], self.on_hand


class Warehouse(Shape, frozen=True, kw_only=True):
    """A place that holds stock."""

    code: str
    name: str


class Price(Shape, frozen=True, kw_only=True):
    """Minor units of a currency."""

    amount: int
    currency: str


class Product(Shape, frozen=True, kw_only=True):
    """What is stored."""

    sku: str
    name: str
    price: Price | None


class Location(Shape, frozen=True, kw_only=True):
    """A place inside a warehouse."""

    code: str
    name: str
    warehouse: str
    single_product: bool


class Levels(Location, frozen=True, kw_only=True):
    """A location and what is there."""

    levels: list[Balance]
    next_cursor: str | None


class MovedLot(Shape, frozen=True, kw_only=True):
    """Units of one stock that moved."""

    origin: str
    quantity: int


class Reason(Shape, frozen=True, kw_only=True):
    """Why a move was refused."""

    type: str
    detail: str
    requested: int | None = None
    available: int | None = None
    product: str | None = None
    lots: int | None = None
    limit: int | None = None
    cart_status: str | None = None
    checkout_status: str | None = None


class Move(Shape, frozen=True, kw_only=True, rename={"source": "from", "destination": "to"}):
    """Units on their way, or what became of them."""

    id: str
    product: str
    source: str
    destination: str
    quantity: int
    status: str
    requested_at: Time
    decided_at: Time | None
    lots: list[MovedLot]
    reason: Reason | None


class JournalEvent(Shape, frozen=True, kw_only=True):
    """One thing that happened."""

    seq: int
    at: Time
    kind: str
    version: int
    principal: str
    idempotency_key: str | None
    body: dict[str, str | int | list[tuple[int, int]] | None]


class JournalPage(Shape, frozen=True, kw_only=True):
    """A page of a journal."""

    items: list[JournalEvent]
    next_after: int | None
    pruned_up_to: int


class Listing(Shape, Generic[T], frozen=True, kw_only=True):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None


class ShortLine(Shape, frozen=True, kw_only=True):
    """A line of an order of which there is not enough."""

    product: str
    warehouse: str
    requested: int
    available: int


class Problem(Shape, frozen=True, kw_only=True):
    """RFC 9457, and the facts that any of ours may carry."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    requested: int | None = None
    available: int | None = None
    warehouse: str | None = None
    product: str | None = None
    idempotency_key: str | None = None
    earliest_version: int | None = None
    earliest_at: Time | None = None
    move: str | None = None
    order: str | None = None
    lines: list[ShortLine] | None = None
    left: int | None = None
    lots: int | None = None
    limit: int | None = None
    cart_status: str | None = None
    checkout_status: str | None = None
    state: str | None = None
    version: int | None = None
    source: str | None = msgspec.field(default=None, name="from")
    destination: str | None = msgspec.field(default=None, name="to")


class BatchResult(Shape, frozen=True, kw_only=True):
    """What became of one line: an order, or a problem."""

    status: int
    order: Order | None = None
    problem: Problem | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was told."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def read(self, shape: type[T], *, status: int = 200) -> T:
        """Return the body of a success."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["Content-Type"] == "application/json"
        return msgspec.json.decode(self.body, type=shape)

    def problem(self, status: int) -> Problem:
        """Return the problem of a failure, which is complete and says nothing else."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["Content-Type"] == PROBLEM_JSON
        problem = msgspec.json.decode(self.body, type=Problem)
        assert problem.status == status
        assert problem.type.startswith("/problems/")
        assert problem.title
        assert problem.detail
        return problem


class CartPrice(Shape, frozen=True, kw_only=True):
    """What a unit costs."""

    amount: int
    currency: str


class CartLine(Shape, frozen=True, kw_only=True):
    """Units in a cart."""

    product: str
    warehouse: str
    quantity: int
    price: CartPrice | None


class Cart(Shape, frozen=True, kw_only=True):
    """What a customer has set aside."""

    id: str
    customer: str | None
    status: str
    created_at: Time
    expires_at: Time | None
    changing: bool
    lines: list[CartLine]
    checkout: str | None
    order: str | None


class Bought(Shape, frozen=True, kw_only=True):
    """What is paid for."""

    product: str
    warehouse: str
    quantity: int
    price: int


class Checkout(Shape, frozen=True, kw_only=True):
    """An attempt to pay."""

    id: str
    cart: str
    status: str
    amount: int
    currency: str
    items: list[Bought]
    created_at: Time
    changed_at: Time
    deadline: Time
    order: str | None
    reference: str | None
    detail: str | None
    resolved: bool


class PaidPurchase(Shape, frozen=True, kw_only=True):
    """A cart that was paid for."""

    checkout: str
    order: str
    customer: str | None
    amount: int
    currency: str
    items: list[Bought]
    paid_at: Time
