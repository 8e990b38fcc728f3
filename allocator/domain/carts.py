"""A cart: units that a customer has set aside for a while, and may pay for.

What a customer puts into a cart is held at its pool, so that nobody else can buy it. **Edits** set
the units of a line; they are done one after the other, each when the one before it is settled, and
one that a pool refuses changes nothing.

A cart is open until it is closed, expires or is paid for. Which of these comes first is decided by
the order of messages in its own mailbox.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.checkouts import Checkout, CheckoutEvent
from allocator.domain.orders import Held, Line, LinesDispatched, LinesSettled, Order
from allocator.domain.values import Message, Picks

LINES_MAX: Final = 100
"""Of a cart, at a time; as many as an order has."""

POOLS_MAX: Final = 400
"""Of which units were ever wanted for a cart: all of them are told when it comes to its end."""

EDITS_MAX: Final = 32
"""Of one cart that wait."""


class Edit(Message, frozen=True, array_like=True):
    """A change of a line that is not settled.

    Attributes:
        seq: Of the event that wanted it; names it.
        line: What is wanted.
    """

    seq: int
    line: Line


class CartLine(Message, frozen=True, kw_only=True, array_like=True):
    """What was last wanted of a pool, and what is held there.

    Attributes:
        line: Of which product; its quantity is what is held, perhaps 0.
        order: The number that the order will have in the pool; 0 before anything was held.
        picks: What is held.
        edit: The last edit that was settled.
        refused: (requested, available) if that one was refused.
    """

    line: Line
    order: int = 0
    picks: Picks = ()
    edit: int
    refused: tuple[int, int] | None = None


# Commands


class OpenCart(Message, frozen=True, tag=True, kw_only=True):
    """Begin a cart; of an actor that is new.

    Attributes:
        ttl_ms: It expires so long after the last edit,
        cap_ms: but so long after now at the latest.
    """

    customer: str | None = None
    ttl_ms: int
    cap_ms: int


class SetLine(Message, frozen=True, tag=True, kw_only=True):
    """Have so many units of a pool in the cart from now on; 0 removes them.

    Attributes:
        line: The units of the whole line, not of what it grows or shrinks by.
    """

    line: Line


class CloseCart(Message, frozen=True, tag=True):
    """Give the cart up, and all that it holds."""


# Events


class CartOpened(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A customer has a cart."""

    customer: str | None = None
    ttl_ms: int
    cap_ms: int


class LineWanted(Message, frozen=True, kw_only=True):
    """A line is to have so many units; this is edit `seq` of this event."""

    line: Line


class LineHeld(Message, frozen=True, kw_only=True):
    """An edit was done.

    Attributes:
        order: The number that the order will have in the pool.
        picks: All that is held there for the cart from now on.
    """

    edit: int
    order: int
    picks: Picks


class LineRefused(Message, frozen=True, kw_only=True):
    """An edit was not done; the line stays as it was.

    Attributes:
        available: How many units the line could have had.
    """

    edit: int
    requested: int
    available: int


class CartClosed(Message, frozen=True):
    """The customer has given the cart up."""


class CartExpired(Message, frozen=True):
    """The cart was not paid for in time."""


class CartEnded(Message, frozen=True):
    """Every pool that was asked has let go of a cart that was not paid for."""


CartEvent: TypeAlias = (
    CartOpened
    | LineWanted
    | LineHeld
    | LineRefused
    | CartClosed
    | CartExpired
    | CartEnded
    | CheckoutEvent
    | LinesDispatched
    | LinesSettled
)


# Refusals


class CartNotOpen(Message, frozen=True, tag=True, kw_only=True):
    """The cart was closed, has expired or was paid for."""

    status: str


class TooManyEdits(Message, frozen=True, tag=True, kw_only=True):
    """So many changes of the cart wait that there can be no more for now."""

    limit: int


class TooManyLines(Message, frozen=True, tag=True, kw_only=True):
    """The cart can have no more lines.

    Attributes:
        removed: Whether those count that were removed.
    """

    limit: int
    removed: bool = False


class PaidFor(Message, frozen=True, tag=True):
    """The order was paid for: it can be dispatched, but not cancelled."""


CartRefusal: TypeAlias = CartNotOpen | TooManyEdits | TooManyLines | PaidFor

CartStatus: TypeAlias = Literal["open", "closed", "expired", "paid"]


class Cart(msgspec.Struct, kw_only=True, array_like=True):
    """The state of a cart.

    Attributes:
        version: The seq of the last event, 0 when there is none.
        last_at_ms: The time of the last event, milliseconds of Unix time.
        opened_at_ms: That of the first.
        expires_at_ms: When it expires, unless something else happens to it before.
        status: None before it is opened.
        lines: Those of which an edit was settled, ascending by pool; also those without units.
        edits: Those that are not settled, in their order; the first one has been asked for. What
            was not when the cart came to its end never will be.
        checkouts: As they came; only the last can be open.
        order: What it has become, if it was paid for.
        outstanding: The version at which it was closed or expired, if there are pools that have
            not let go; else 0.
    """

    version: int = 0
    last_at_ms: int = 0
    opened_at_ms: int = 0
    expires_at_ms: int = 0
    status: CartStatus | None = None
    customer: str | None = None
    ttl_ms: int = 0
    cap_ms: int = 0
    lines: tuple[CartLine, ...] = ()
    edits: tuple[Edit, ...] = ()
    checkouts: tuple[Checkout, ...] = ()
    order: Order | None = None
    outstanding: int = 0

    @property
    def open_checkout(self) -> Checkout | None:
        """The attempt because of which nothing may change."""
        last = self.checkouts[-1] if self.checkouts else None
        return last if last is not None and last.is_open else None

    @property
    def asked(self) -> tuple[int, ...]:
        """The pools that may have been asked for anything."""
        pools = {line.line.pool for line in self.lines}
        pools.update(edit.line.pool for edit in self.edits[:1])
        return tuple(sorted(pools))

    def checkout(self, attempt: int) -> Checkout | None:
        """Return an attempt, or None if there is none of this name."""
        return next((each for each in self.checkouts if each.attempt == attempt), None)

    def line_of(self, pool: int) -> CartLine | None:
        """Return what was settled of a pool, or None if nothing was."""
        return next((line for line in self.lines if line.line.pool == pool), None)

    def put(self, line: CartLine) -> None:
        """Have a line be what it is now; for `evolve` alone."""
        lines = {each.line.pool: each for each in self.lines} | {line.line.pool: line}
        self.lines = tuple(lines[pool] for pool in sorted(lines))

    def filled(self) -> tuple[CartLine, ...]:
        """Return the lines that have units, ascending by pool."""
        return tuple(line for line in self.lines if line.picks)

    def wanted(self) -> dict[int, Line]:
        """Return, by pool, what the lines will be if every edit that waits is done."""
        lines = {line.line.pool: line.line for line in self.lines}
        return lines | {edit.line.pool: edit.line for edit in self.edits}

    def held(self) -> tuple[Held, ...]:
        """Return what is held for each line that has units."""
        return tuple(Held(order=line.order, picks=line.picks) for line in self.filled())
