"""What a feed asks of pools, and what happens there: their numbers follow the WMS's.

The WMS says what is **orderable** of a batch, as of a moment of its own counting, and which of our
pushes it has **applied** by then. What it calls orderable and what it has applied of our decreases
together are the batch's gross quantity: each decrease leaves the one and enters the other at the
same instant, so that none is subtracted twice, and none is forgotten (row N10).
"""

from typing import Final, TypeAlias

from allocator.domain.fed import Code
from allocator.domain.values import Message, Picks

STATEMENTS_MAX: Final = 256
"""Of one ask; with the longest codes it still fits a message between workers."""

STATEMENT_STALE_MS: Final = 5_000
"""An ask to reconcile that was sent longer ago is not executed. A feed that does not know whether
an ask was heard waits for as long before it says something newer to that pool."""


class Statement(Message, frozen=True, kw_only=True, array_like=True):
    """What the WMS says of a batch of one product.

    Attributes:
        orderable: Negative if the WMS has promised more than it has.
        applied: Our decreases that it has applied, since the pool was attached.
        expires_at_ms: Of the batch, milliseconds of Unix time; taken from the first that names it.
        received_at_ms: Likewise.
    """

    code: Code = None
    orderable: int = 0
    applied: int = 0
    expires_at_ms: int | None = None
    received_at_ms: int | None = None


# Commands


class Reconcile(Message, frozen=True, tag=True, kw_only=True):
    """Have the pool's lots be what the WMS says they are.

    Attributes:
        process: The feed's actor.
        step: The run.
        as_of: A number of the WMS's that ascends; the greater, the newer is what it says.
        turn: The row that attached or detached the pool of which the feed knows; 0 for none.
        lots: No code twice.
        complete: Whether these are all batches of the product, so that the others have none.
        lowered: Whether all other batches of the product were stated in this run before, so that
            what lowers them has been heard. Units may only appear then, or if `complete`: what
            appears in one batch may be what has vanished from another.
        excludes: The states that the WMS does not call orderable.
    """

    process: int = 0
    step: int
    sent_at_ms: int = 0
    as_of: int
    turn: int
    lots: tuple[Statement, ...] = ()
    complete: bool = False
    lowered: bool = False
    excludes: tuple[str, ...] = ()


class Detach(Message, frozen=True, tag=True, kw_only=True):
    """Be fed no longer; the numbers stay as they are."""

    process: int = 0
    step: int
    sent_at_ms: int = 0


class RepeatReceipt(Message, frozen=True, tag=True):
    """Stock was to be received where the WMS says what comes in.

    It stands for the command of a request of which only a repeat may be answered: with what was
    answered before the warehouse was fed.
    """


FeedAsked: TypeAlias = Reconcile | Detach


# Events


class Committed(Message, frozen=True, kw_only=True, array_like=True):
    """What the WMS is to be told of a lot when its pool is attached, or to forget when detached.

    Attributes:
        aside: Units in states that the WMS does not call orderable.
    """

    lot: int
    code: Code
    ordered: int = 0
    aside: int = 0


class FeedAttached(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The pool's increases come from a feed from now on.

    Attributes:
        lots: All that are there, ascending; what is ordered of them is the WMS's to subtract.
    """

    feed: int
    excludes: tuple[str, ...] = ()
    lots: tuple[Committed, ...] = ()


class LotReconciled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A batch's gross quantity is what the WMS says; both sides' numbers.

    Attributes:
        code: Of the batch.
        orderable: What the WMS said; `applied`, what it had applied of our decreases.
        before: Our gross quantity, in units, until now; from now on it is their sum.
        opened: Units that are lot `seq` of this event.
        changes: (lot, units) that became available, or negative: were not there after all.
        expired: (lot, units) past their date that are gone.
        available: Of the batch, from now on.
        short: Units that we count beyond `orderable + applied`, as they are promised already, or
            in a state of their own.
    """

    feed: int
    as_of: int
    code: Code = None
    orderable: int
    applied: int
    before: int
    opened: int = 0
    changes: tuple[tuple[int, int], ...] = ()
    expired: Picks = ()
    available: int
    short: int = 0
    expires_at_ms: int | None = None
    received_at_ms: int | None = None


class FeedDetached(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The pool is fed no longer.

    Attributes:
        lots: Those of which anything is promised, ascending; the WMS may forget about that.
    """

    feed: int
    lots: tuple[Committed, ...] = ()


class ShortfallChanged(Message, frozen=True, kw_only=True):
    """Other ordered units are missing than before, and no lot is there that could stand in.

    Attributes:
        before: Units that were missing when it was last said; 0 if none were.
        short: Units that are missing; 0 if none are any more.
    """

    before: int
    short: int


FedEvent: TypeAlias = FeedAttached | LotReconciled | FeedDetached | ShortfallChanged


# Refusals


class IsFed(Message, frozen=True, tag=True):
    """What comes into this warehouse, its own system says: nobody else can."""


class NotFed(Message, frozen=True, tag=True, kw_only=True):
    """This feed cannot attach the pool: it is another's, or a location's, or recalls units."""

    feed: int


class TurnUnknown(Message, frozen=True, tag=True, kw_only=True):
    """The feed does not know yet by which row the pool was attached, or detached.

    So it cannot say what the WMS has applied since.

    Attributes:
        turn: That row; 0 if none ever did.
    """

    turn: int
