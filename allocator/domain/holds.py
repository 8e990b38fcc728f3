"""Units held for a process: what it asks of pools, what happens there, and what else they say.

A hold sets units aside until the process confirms them, which makes an order of them, or lets go.
Asks set, they do not add (`transfers` says what that means): a hold names the units that are to be
held from now on. The order has its number from the first row of the hold, so that the process knows
it before it confirms.
"""

from typing import TypeAlias

from allocator.domain.values import Message, Picks

# Commands


class Hold(Message, frozen=True, tag=True, kw_only=True):
    """Set so many available units aside, all or nothing, the first to expire first.

    Attributes:
        quantity: Of the whole hold, not of what it grows or shrinks by; 0 gives all back.
    """

    process: int = 0
    step: int
    sent_at_ms: int = 0
    quantity: int
    product: str | None = None


class Check(Message, frozen=True, tag=True, kw_only=True):
    """Say whether so many units could be held; nothing is done, and nothing remembered."""

    process: int = 0
    step: int
    sent_at_ms: int = 0
    quantity: int
    product: str | None = None


class Confirm(Message, frozen=True, tag=True, kw_only=True):
    """Make an order of what is held, and forget the process."""

    process: int = 0
    step: int
    sent_at_ms: int = 0


HoldAsked: TypeAlias = Hold | Check | Confirm


# Events


class UnitsHeld(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A process holds so many units from now on.

    Attributes:
        order: The number that the order will have; the seq of the hold's first such row.
        quantity: Of the whole hold.
        added: What it grew by; `returned`, what went back to the lots.
        missing: Those of the returned that stand for missing ones, and are gone.
    """

    process: int
    step: int
    order: int
    quantity: int
    added: Picks = ()
    returned: Picks = ()
    product: str | None = None
    missing: Picks = ()


class HoldRefused(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units will not be held in this step, whatever comes later; the hold stays as it was.

    It is journaled for the same reason as `SendRefused`.

    Attributes:
        available: How many could have been held, those that were included.
    """

    process: int
    step: int
    requested: int
    available: int
    product: str | None = None


class HoldConfirmed(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What was held is order `order` from now on, and the process has let go.

    Attributes:
        held: Whether it was; else the units were available, and the process asked for nothing.
    """

    process: int
    step: int
    order: int
    quantity: int
    picks: Picks
    product: str | None = None
    held: bool = True


HoldEvent: TypeAlias = UnitsHeld | HoldRefused | HoldConfirmed


# Refusals


class AlreadyHeld(Message, frozen=True, tag=True, kw_only=True):
    """This step was done before: this is what is held. Only processes hear it."""

    order: int
    picks: Picks
