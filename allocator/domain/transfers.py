"""Units that travel: what a process asks of pools, what happens there, and what else they say.

Every ask names its **process** (an actor), a **step** of it, and when it was sent. Asks *set*, they
do not add: a pool does each step once, however often it is asked, late or out of order, so that
whoever asks may ask until there is an answer. Steps of a process ascend. The shell fills in
`process` and `sent_at_ms` each time it sends (`processes.stamped`).

`product` says for what a location that holds one product at a time is meant; pools that are of one
product anyway are not told, and ignore what a sender knows.
"""

from typing import Final, TypeAlias

from allocator.domain.values import Message, Picks

LOTS_MAX: Final = 256
"""Of one ask. With the longest texts, an answer that names so many still fits a message between
workers; one that did not fit would never be heard."""


class Transfer(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units of one lot on their way; where they arrive they are a lot of their own.

    Attributes:
        origin: (actor, seq) of the lot that they were taken from.
        received_at_ms: When that lot first came, milliseconds of Unix time; it stays.
    """

    quantity: int
    origin: tuple[int, int]
    received_at_ms: int
    code: str | None = None
    expires_at_ms: int | None = None
    reference: str | None = None


# Commands


class Expect(Message, frozen=True, tag=True, kw_only=True):
    """Be there for a product, and take in no other one."""

    process: int = 0
    step: int
    sent_at_ms: int = 0
    product: str


class SendOut(Message, frozen=True, tag=True, kw_only=True):
    """Let available units leave for another place, all or nothing, the first to expire first.

    Attributes:
        source: The pool's own actor, which does not know its number; for the `origin` of lots.
    """

    process: int = 0
    step: int
    sent_at_ms: int = 0
    source: int
    quantity: int
    product: str | None = None


class TakeIn(Message, frozen=True, tag=True, kw_only=True):
    """Take in what was sent out; each lot becomes one here."""

    process: int = 0
    step: int
    sent_at_ms: int = 0
    lots: tuple[Transfer, ...]
    product: str | None = None


class LetGo(Message, frozen=True, tag=True, kw_only=True):
    """Forget the process: it has come to its end, and whatever of it is still to come is void.

    Attributes:
        of_cart: Whether it is a cart: its steps do not tell it from a move.
    """

    process: int = 0
    step: int
    sent_at_ms: int = 0
    of_cart: bool = False


Asked: TypeAlias = Expect | SendOut | TakeIn | LetGo


# Events


class ProductExpected(Message, frozen=True, kw_only=True):
    """The location is there for this product until it has come, or the process lets go."""

    process: int
    step: int
    product: str


class UnitsSent(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units left for another place; from now on they are in transit."""

    process: int
    step: int
    quantity: int
    lots: tuple[Transfer, ...]
    product: str | None = None


class SendRefused(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units will not be sent in this step, whatever comes later.

    The one refusal that a pool journals. Whoever asked may ask again before it hears; if it could
    be refused first and then granted, the units that left would belong to nobody. What else is
    asked of a pool is undone when the process lets go.

    Attributes:
        lots: Over how many the units are spread, if these are too many; else there are too few.
    """

    process: int
    step: int
    requested: int
    available: int
    lots: int = 0
    product: str | None = None


class UnitsTaken(Message, frozen=True, kw_only=True, omit_defaults=True):
    """Units arrived; they are lot `seq` of this event.

    Attributes:
        last: Whether the step is done with it: one that brings several lots has an event for each.
        missing: Those of the units that stand for missing ones, and are gone; of lot `seq`.
    """

    process: int
    step: int
    lot: Transfer
    last: bool
    product: str | None = None
    missing: Picks = ()


class ProcessLetGo(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The process has come to its end; the units that it held went back to their lots.

    Attributes:
        missing: Those of them that stand for missing ones, and are gone.
    """

    process: int
    step: int
    quantity: int = 0
    picks: Picks = ()
    product: str | None = None
    of_cart: bool = False
    missing: Picks = ()


Transit: TypeAlias = ProductExpected | UnitsSent | SendRefused | UnitsTaken | ProcessLetGo


# Refusals


class Occupied(Message, frozen=True, tag=True, kw_only=True):
    """The location holds, or is there for, another product: this one."""

    product: str


class TooManyLots(Message, frozen=True, tag=True, kw_only=True):
    """So many units are spread over more lots than one ask may name; ask for fewer."""

    lots: int
    limit: int


class AlreadySent(Message, frozen=True, tag=True, kw_only=True):
    """This step was done before: these are the units that left. Only processes hear it."""

    lots: tuple[Transfer, ...]


class Stale(Message, frozen=True, tag=True, kw_only=True):
    """The ask was under way for too long to be believed; send it again. Only processes hear it.

    Attributes:
        now_ms: The pool's time. It may be ahead of the sender's clock: what is stamped with the
            later one of the two is believed.
    """

    now_ms: int
