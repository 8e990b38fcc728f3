"""What requests about orders of several lines look like."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from allocator.domain.orders import LINES_MAX
from allocator.http.shapes import Body, Customer, Key, KnownPlace, KnownSku, Quantity


class PostLine(Body, frozen=True, kw_only=True):
    """Units of one product from one warehouse."""

    product: KnownSku
    warehouse: KnownPlace
    quantity: Quantity = 1


class PostLines(Body, frozen=True, kw_only=True):
    """An order of several products, or from several warehouses: all of it or nothing."""

    lines: Annotated[list[PostLine], Meta(min_length=1, max_length=LINES_MAX)]
    customer: Customer | None = None


class BatchLines(PostLines, frozen=True, kw_only=True):
    """A line of a batch: an order of several lines, and the Idempotency-Key of that order alone."""

    key: Key | None = None


class DispatchLine(Body, frozen=True, kw_only=True):
    """Units of one line that are to leave."""

    product: KnownSku
    warehouse: KnownPlace
    quantity: Quantity


class PostDispatch(Body, frozen=True, kw_only=True):
    """What is to leave; everything that is left, unless it is said."""

    lines: Annotated[list[DispatchLine], Meta(min_length=1, max_length=LINES_MAX)] | UnsetType = (
        UNSET
    )
