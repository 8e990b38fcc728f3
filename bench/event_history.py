"""What visitors of an event remember: what each of them wanted, and what they were told.

Everything that somebody wants has a key, and is asked for again until an answer settles it. Times
are those of the visitors' own clock, nanoseconds, the same for all of them.
"""

from http import HTTPStatus
from typing import Final, TypeAlias

import msgspec

STOCK: Final = "stock-"
"""How keys begin that bring stock before the doors are opened."""

RESOLVE: Final = "resolve-"
"""How the operator's keys begin."""

Numbers: TypeAlias = tuple[int, int, int, int]
"""Of a balance: available, ordered, held, on hand."""


class Wanted(msgspec.Struct, kw_only=True):
    """Something that was asked for, perhaps more than once.

    Attributes:
        key: The Idempotency-Key of all attempts, where the request takes one; else just a name.
        asked_ns: When the first attempt began.
        answered_ns: When the first answer that settles it had come; None if none ever did.
        status: That answer's; None: not settled.
        ids: Every id that a success has named.
        strays: Whether an attempt without an answer may have acted, or may still.
        given_up: Whether they walked away without having been told.
    """

    key: str
    asked_ns: int = 0
    answered_ns: int | None = None
    status: int | None = None
    ids: set[str] = msgspec.field(default_factory=set)
    strays: bool = False
    given_up: bool = False

    @property
    def is_done(self) -> bool:
        """Whether they were told that it was done."""
        return self.status is not None and self.status < HTTPStatus.BAD_REQUEST

    @property
    def done_ns(self) -> int | None:
        """When they were told that it was done, if they were."""
        return self.answered_ns if self.is_done else None


class Ordered(Wanted, kw_only=True):
    """An order without a cart; `lines` are units by product."""

    customer: str
    lines: dict[str, int]


class Edit(Wanted, kw_only=True):
    """A line of a cart that was to have so many units.

    Attributes:
        short: (requested, available), if it was refused for that.
    """

    product: str
    quantity: int
    short: tuple[int, int] | None = None


class Payment(Wanted, kw_only=True):
    """An attempt to pay for a cart.

    Attributes:
        seen: The last status that they saw.
        resolved: What an operator found out about it, if one did.
    """

    seen: str = ""
    resolved: str = ""


class Visit(msgspec.Struct, kw_only=True):
    """One customer with one cart.

    Attributes:
        customer: A number that nobody else has, so that the provider's ledger names the visit.
    """

    customer: str
    opened: Wanted
    edits: list[Edit] = msgspec.field(default_factory=list)
    payments: list[Payment] = msgspec.field(default_factory=list)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A balance that was read."""

    product: str
    version: int
    numbers: Numbers
    asked_ns: int
    answered_ns: int


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal: so many units were wanted, and fewer were there."""

    product: str
    requested: int
    available: int
    asked_ns: int
    answered_ns: int


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What came of having an accepted order leave when all was over.

    Attributes:
        key: Of what was accepted: an order, or a payment.
        status: Of the answer.
        customer: Whose order it is.
        lines: Units by product, as the order shows them.
    """

    key: str
    status: int
    customer: str = ""
    lines: dict[str, int] = {}


class History(msgspec.Struct, kw_only=True):
    """Everything that visitors remember.

    Attributes:
        opened_ns: When the doors were opened, and all stock was there.
        unexpected: Answers that the contract has no room for.
        negative: Answers with a number below zero.
    """

    opened_ns: int = 0
    visits: list[Visit] = msgspec.field(default_factory=list)
    orders: list[Ordered] = msgspec.field(default_factory=list)
    looks: list[Look] = msgspec.field(default_factory=list)
    shorts: list[Short] = msgspec.field(default_factory=list)
    sent: list[Sent] = msgspec.field(default_factory=list)
    unexpected: list[str] = msgspec.field(default_factory=list)
    negative: list[str] = msgspec.field(default_factory=list)

    @property
    def payments(self) -> list[Payment]:
        """All attempts to pay."""
        return [payment for visit in self.visits for payment in visit.payments]

    def wanted(self) -> list[Wanted]:
        """Return all that creates something, and carries a key for that."""
        return [*(visit.opened for visit in self.visits), *self.payments, *self.orders]
