"""An order of several lines, as its process journals it.

Each line is of one pool: those of the same pool are one. The units are held at one pool after the
other, in ascending order of their actors, and none is ordered before all are held. What the pools
hold becomes an order in each, under a number of that pool; the whole is dispatched in parts, or
cancelled, by closing those.

If all pools are at hand, it is decided at once (`at_once`): then its first event is its last one.
"""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.values import Message, Picks

LINES_MAX = 100

FIRST: Final = 1
"""An order's number: the seq of the event that made it one, its first unless it was a cart."""


class Line(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units of one pool that are wanted.

    Attributes:
        pool: Its actor.
        told: The product, if the pool is of a location that holds one at a time.
    """

    pool: int
    warehouse: str
    product: str
    quantity: int
    told: str | None = None


class Held(Message, frozen=True, kw_only=True):
    """What a pool holds for a line.

    Attributes:
        order: The number of the order in that pool.
    """

    order: int
    picks: Picks


class Shortage(Message, frozen=True, kw_only=True):
    """A line for which there was not enough.

    Attributes:
        line: Its place among the lines, from 0.
    """

    line: int
    requested: int
    available: int


# Commands


class RequestOrder(Message, frozen=True, tag=True, kw_only=True):
    """Order several lines, all or nothing; of an actor that is new.

    Attributes:
        lines: 1 to `LINES_MAX`, no pool twice, ascending by pool.
    """

    lines: tuple[Line, ...]
    customer: str | None = None


class DispatchLines(Message, frozen=True, tag=True, kw_only=True):
    """Let units of an order leave.

    Attributes:
        parts: (place of the line, units); none for all that is left.
    """

    parts: tuple[tuple[int, int], ...] = ()


class CancelLines(Message, frozen=True, tag=True):
    """Give all units of an order back, of which none has left."""


# Events


class OrderRequested(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody wants all of this or nothing."""

    lines: tuple[Line, ...]
    customer: str | None = None


class OrderAccepted(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Everything is held: the units are the customer's.

    Attributes:
        lines: Of an order that was decided at once, whose pools have made orders of them already;
            `customer`, too. Else both were requested before.
    """

    held: tuple[Held, ...]
    lines: tuple[Line, ...] = ()
    customer: str | None = None


class OrderDeclined(Message, frozen=True, kw_only=True, omit_defaults=True):
    """There was not enough of some lines; nothing is held.

    Attributes:
        lines: As in `OrderAccepted`: no pool was asked. `customer`, too.
    """

    shortages: tuple[Shortage, ...]
    lines: tuple[Line, ...] = ()
    customer: str | None = None


class LinesDispatched(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units of an order are to leave.

    Attributes:
        parts: (place of the line, units).
        order: The order's number; another one if it was a cart before.
    """

    parts: tuple[tuple[int, int], ...]
    order: int = FIRST


class LinesCancelled(Message, frozen=True):
    """The units of an order are to go back."""


class LinesSettled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The pools have done what was decided before.

    Attributes:
        order: As in `LinesDispatched`.
    """

    order: int = FIRST


OrderEvent: TypeAlias = (
    OrderRequested | OrderAccepted | OrderDeclined | LinesDispatched | LinesCancelled | LinesSettled
)


# Refusals


class NotOpen(Message, frozen=True, tag=True, kw_only=True):
    """The order is not in a state in which that can be done."""

    status: str


class TooMuch(Message, frozen=True, tag=True, kw_only=True):
    """More units of a line are to leave than are left of it."""

    line: int
    requested: int
    left: int


Status: TypeAlias = Literal[
    "requested", "declined", "new", "partly_dispatched", "dispatched", "cancelled"
]


class Order(msgspec.Struct, kw_only=True, array_like=True):
    """The state of an order.

    Attributes:
        version: The seq of the last event, 0 when there is none.
        last_at_ms: The time of the last event, milliseconds of Unix time.
        number: The order's own.
        requested_at_ms: That of the first.
        changed_at_ms: When it was decided last what is to become of the units.
        held: For each line what its pool held; empty before all did.
        left: For each line the units that are still ordered.
        settled: For each line how many of them its pool knows to be left; empty before it knows
            of the order.
        confirming: The version at which all was held, of the asks to make orders of it; they stay
            the same whatever is decided meanwhile.
        confirmed: Whether the pools have made orders of what they held.
        outstanding: The version at which there was something to tell pools; 0 if there is not.
    """

    version: int = 0
    last_at_ms: int = 0
    number: int = FIRST
    requested_at_ms: int = 0
    changed_at_ms: int = 0
    status: Status | None = None
    lines: tuple[Line, ...] = ()
    customer: str | None = None
    held: tuple[Held, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    left: tuple[int, ...] = ()
    settled: tuple[int, ...] = ()
    confirming: int = 0
    confirmed: bool = False
    outstanding: int = 0

    def unsettled(self) -> Iterator[int]:
        """Yield the places of the lines of which more has left than their pools know."""
        for place, (left, settled) in enumerate(zip(self.left, self.settled, strict=True)):
            if left != settled:
                yield place
