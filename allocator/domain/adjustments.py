"""Units that are counted anew, or cannot be sold: what is asked, what happens, and why not.

A unit that is neither ordered nor held is in a **state**: `available`, `expired`, or one that
somebody set, in which it is there and cannot be sold. An adjustment moves units from one state to
another, adds units that were found, or writes off units that are gone.

Units that are ordered or held are never taken from who has them. A lot of which such units turn
out to be bad is **recalled**: it owes so many units to a state, and pays them with whatever comes
back to it. Its orders get others as soon as there are any (`order_repicked`); those that have not
yet are flagged, and do not leave.
"""

from typing import Final, TypeAlias

from allocator.domain.values import Message, Picks

AVAILABLE: Final = "available"
EXPIRED: Final = "expired"
WITHHELD: Final = "withheld"
"""There, and kept for those of whom units of another batch are missing; only fed pools set it."""
STATES: Final = ("damaged", "lost", "quarantined", "wms_reserved", WITHHELD)
"""Those that everybody has, beside those that an operator chose."""

Change: TypeAlias = tuple[int, str | None, str | None, int]
"""(lot, from, to, units): None for outside. A lot whose number is that of the row comes with it."""

Recall: TypeAlias = tuple[int, str, int]
"""(lot, state, units): owed to the state from now on; not any more, if negative."""


# Commands


class Adjust(Message, frozen=True, tag=True, kw_only=True):
    """Move units from one state to another, all or nothing.

    Attributes:
        source: The state that they leave; None if they were found.
        target: That which they come to; None if they are written off.
        quantity: How many; None for all of a lot, those that are ordered or held included.
        lot: Of which one; None for the first to expire first, or for a new lot if they were found.
        product: Of which, at a location that holds one at a time.
    """

    source: str | None
    target: str | None
    quantity: int | None
    lot: int | None = None
    reason: str
    reference: str | None = None
    product: str | None = None


class SetState(Message, frozen=True, tag=True, kw_only=True):
    """Have exactly so many units in a state, if nothing has happened since `version`.

    What is missing was found, and is a new lot; what is too much is written off, the last to expire
    first.
    """

    state: str
    quantity: int
    version: int
    reason: str
    reference: str | None = None
    product: str | None = None


# Events


class UnitsAdjusted(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units came to other states, were found or written off.

    Attributes:
        changes: In this order.
        recalled: What lots owe to states from now on.
        missing: Units that became available, but stand for missing ones, and are gone.
    """

    changes: tuple[Change, ...] = ()
    recalled: tuple[Recall, ...] = ()
    reason: str
    reference: str | None = None
    product: str | None = None
    missing: Picks = ()


class UnitsRecalled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Available units of a lot came to the state to which it owed them."""

    lot: int
    state: str
    quantity: int
    product: str | None = None


class OrderRepicked(Message, frozen=True, kw_only=True, omit_defaults=True):
    """An order gave units back to lots, and got as many of others; both were available, or are.

    Attributes:
        missing: Those of the returned that stand for missing ones, and are gone.
    """

    order: int
    returned: Picks
    added: Picks
    product: str | None = None
    missing: Picks = ()


Adjustment: TypeAlias = UnitsAdjusted | UnitsRecalled | OrderRepicked


# Refusals


class InsufficientUnits(Message, frozen=True, tag=True, kw_only=True):
    """Fewer units are in a state, of the lot if one is named, than were to leave it."""

    state: str
    requested: int
    available: int


class UnknownLot(Message, frozen=True, tag=True, kw_only=True):
    """Nothing is there of the lot."""

    lot: int


class FlaggedUnits(Message, frozen=True, tag=True, kw_only=True):
    """Units were to leave that are recalled, and no others are there yet."""

    order: int
    lot: int
    requested: int
    available: int


class VersionPassed(Message, frozen=True, tag=True, kw_only=True):
    """Something has happened since the version that was named; this is the present one."""

    version: int


AdjustRefusal: TypeAlias = InsufficientUnits | UnknownLot | FlaggedUnits | VersionPassed
