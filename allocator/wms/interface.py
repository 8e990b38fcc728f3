"""What a warehouse system (WMS) is to us: it says what can be ordered, and hears what was.

Write another adapter by satisfying `Wms`; `docs/wms.md` says what it has to be able to do.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from allocator.domain.values import Message
from allocator.errors import AllocatorError

PUSHES_MAX: Final = 200
"""So many pushes are told at once, at most."""
LINES_MAX: Final = 2_000
"""So many lines they have together, unless one push alone has more."""
ITEMS_MAX: Final = 10_000
"""A page with more is none."""


class InventoryItem(Message, frozen=True, kw_only=True):
    """What can be ordered of one batch.

    Attributes:
        sku: Of the product.
        batch: What the batch is called there; None for units that are in none.
        orderable: How many units could be ordered there, after every push that it has applied.
            Below zero if so many units that it had promised have gone missing since.
        expires_at_ms: When the batch does.
        received_at_ms: When it came.
    """

    sku: str
    batch: str | None
    orderable: int
    expires_at_ms: int | None = None
    received_at_ms: int | None = None


class InventoryPage(Message, frozen=True, kw_only=True):
    """A part of all there is, as it was at one instant.

    Attributes:
        as_of: Which instant: a larger number is a later one. All pages of a run have the same; a
            page that has another belongs to another run, which has to be begun at its beginning.
        applied_through: Every push up to this number is in these figures, and none after it.
        items: No batch twice. A batch that no page of a run names has nothing that can be ordered.
        next_cursor: Where the next page begins; None if this was the last.
    """

    as_of: int
    applied_through: int
    items: tuple[InventoryItem, ...]
    next_cursor: str | None


class PushLine(Message, frozen=True, kw_only=True):
    """What happened to one batch.

    Attributes:
        batch: What it is called; None for units that are in none.
        decrease: How many fewer units can be ordered; below zero if it became more, as when orders
            were cancelled.
        aside: How many came to states of ours that the WMS does not call orderable, such as
            damaged, less those that left them. These cannot be ordered any more either.
        shipped: How many units have left. They cannot be ordered any more since the decrease that
            promised them, in this push or an earlier one.
    """

    batch: str | None
    decrease: int
    aside: int = 0
    shipped: int = 0


class Push(Message, frozen=True, kw_only=True):
    """What we did to the batches of one product, under a number.

    Attributes:
        number: Numbers ascend; what is told under one never changes.
        sku: Of the product.
        lines: At least one; no batch twice.
        at_ms: When it was numbered. The warehouse system is not told.
    """

    number: int
    sku: str
    lines: tuple[PushLine, ...]
    at_ms: int


class Inventory(Protocol):
    """What a warehouse system says that there is, page by page.

    Raises:
        WmsLimitedError: It wants to be left alone for a time.
        WmsUnavailableError: It did not answer, or said that it cannot. It may have heard.
        WmsBrokenError: What it said makes no sense.
    """

    async def page(self, cursor: str | None) -> InventoryPage:
        """Return a page of what there is; the first one where there is no cursor."""
        ...


class Wms(Inventory, Protocol):
    """A warehouse system. Each method sends one request, at most, and never repeats it.

    Raises:
        WmsError: As of an inventory.
    """

    async def push(self, pushes: Sequence[Push]) -> int:
        """Tell of pushes, in order; of none, to hear how far it has everything.

        A push that was told before does nothing: it is known by its number.

        Returns:
            The number up to which it has everything for good. It may apply them later.
        """
        ...


class WmsError(AllocatorError):
    """A warehouse system did not do as it was asked; ask again later."""

    retryable = True


class WmsUnavailableError(WmsError):
    """No answer, or one that says that there is none. Whether it heard is not known.

    Attributes:
        may_come: Whether the request may yet come there, and count against a limit: so it is if
            nobody waits for the answer any more, and not if the connection has ended.
    """

    def __init__(self, *, url: str, why: str, may_come: bool = True) -> None:
        super().__init__(f"the WMS at {url} is not available: {why}")
        self.url = url
        self.why = why
        self.may_come = may_come


class WmsLimitedError(WmsError):
    """It has been asked too often; leave it alone for so long."""

    def __init__(self, *, url: str, retry_after_s: float) -> None:
        super().__init__(f"the WMS at {url} wants to be left alone for {retry_after_s:g} s")
        self.url = url
        self.retry_after_s = retry_after_s


class WmsBrokenError(WmsError):
    """What it said makes no sense; somebody has to look at it."""

    def __init__(self, *, url: str, why: str) -> None:
        super().__init__(f"the WMS at {url} makes no sense: {why}")
        self.url = url
        self.why = why


class WmsUrlError(AllocatorError, ValueError):
    """An address at which no warehouse system can be; the message says what would be right."""


def within_bounds(pushes: Sequence[Push]) -> Sequence[Push]:
    """Return as many of the first pushes as may be told at once: at least one of them."""
    lines = 0
    for count, push in enumerate(pushes[:PUSHES_MAX]):
        lines += len(push.lines)
        if count and lines > LINES_MAX:
            return pushes[:count]
    return pushes[:PUSHES_MAX]
