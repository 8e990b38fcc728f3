"""What the default adapter and a warehouse system write to each other, to the letter.

Fields that are not named here are refused: an expiry under another name would be an expiry missed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from allocator.wms.interface import ITEMS_MAX, InventoryItem, InventoryPage, Push

INVENTORY: Final = "inventory"
ALLOCATIONS: Final = "allocations"
"""Below the URL of a warehouse system."""

NUMBER_MAX: Final = (1 << 63) - 1
UNITS_MAX: Final = 10**12
TEXT_MAX: Final = 200
CURSOR_MAX: Final = 1_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)

TIME_MAX_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MS
"""Of any time that can be shown again."""

Sku = Annotated[str, Meta(pattern=r"^(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,64}\Z")]
Batch = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX, pattern=r"^[^\x00]*\Z")]
Cursor = Annotated[str, Meta(min_length=1, max_length=CURSOR_MAX)]
Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Units = Annotated[int, Meta(ge=0, le=UNITS_MAX)]
Difference = Annotated[int, Meta(ge=-UNITS_MAX, le=UNITS_MAX)]
Time = Annotated[datetime, Meta(tz=True)]


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body of a request or an answer."""


class ItemBody(Body, frozen=True, kw_only=True):
    """A batch on a page."""

    sku: Sku
    batch: Batch | None
    orderable: Difference
    expires_at: Time | None = None
    received_at: Time | None = None


class PageBody(Body, frozen=True, kw_only=True):
    """The answer to `GET …/inventory?cursor=&limit=`."""

    as_of: Number
    applied_through: Number
    items: Annotated[tuple[ItemBody, ...], Meta(max_length=ITEMS_MAX)]
    next_cursor: Cursor | None


class LineBody(Body, frozen=True, kw_only=True):
    """What happened to a batch."""

    batch: Batch | None
    decrease: Difference
    aside: Difference = 0
    shipped: Units = 0


class PushBody(Body, frozen=True, kw_only=True):
    """A push."""

    number: Number
    sku: Sku
    lines: Annotated[tuple[LineBody, ...], Meta(min_length=1)]


class PushesBody(Body, frozen=True, kw_only=True):
    """The body of `POST …/allocations`."""

    pushes: tuple[PushBody, ...]


class AcknowledgedBody(Body, frozen=True, kw_only=True):
    """The answer to it."""

    acknowledged_through: Number


def page_of(body: PageBody) -> InventoryPage:
    """Return a page as all the world knows it."""
    items = tuple(
        InventoryItem(
            sku=item.sku,
            batch=item.batch,
            orderable=item.orderable,
            expires_at_ms=ms_of(item.expires_at),
            received_at_ms=ms_of(item.received_at),
        )
        for item in body.items
    )
    return InventoryPage(
        as_of=body.as_of,
        applied_through=body.applied_through,
        items=items,
        next_cursor=body.next_cursor,
    )


def body_of(pushes: Iterable[Push]) -> PushesBody:
    """Return what tells of pushes."""
    return PushesBody(
        pushes=tuple(
            PushBody(
                number=push.number,
                sku=push.sku,
                lines=tuple(
                    LineBody(
                        batch=line.batch,
                        decrease=line.decrease,
                        aside=line.aside,
                        shipped=line.shipped,
                    )
                    for line in push.lines
                ),
            )
            for push in pushes
        )
    )


def ms_of(time: datetime | None) -> int | None:
    """Return milliseconds of Unix time."""
    return None if time is None else (time - _EPOCH) // _MS
