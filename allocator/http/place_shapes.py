"""What requests and responses about locations and moves look like."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from allocator.domain.moves import MoveStatus
from allocator.http.shapes import (
    Body,
    Code,
    KnownPlace,
    KnownSku,
    Place,
    Quantity,
    Sealed,
    Sku,
    StockBalance,
    Time,
    Title,
    Units,
)

_ENDS: Final = {"source": "from", "destination": "to"}  # the one is no name in Python

Parent = Annotated[Code, Meta(description="code of the warehouse that it is in")]
SingleProduct = Annotated[
    bool, Meta(description="whether it holds one product at a time; another one only once empty")
]


class PutLocation(Body, frozen=True, kw_only=True):
    """Contents of a location; it is called by its code unless a name is given."""

    warehouse: Parent
    single_product: SingleProduct = True
    name: Title | None = None


class PostMove(Body, frozen=True, kw_only=True, rename=_ENDS):
    """Units that are to go from one place to another."""

    product: KnownSku
    source: KnownPlace
    destination: KnownPlace
    quantity: Quantity


class LocationLevels(msgspec.Struct, frozen=True, kw_only=True):
    """A location, and what is there; pass `next_cursor` as `cursor` to see more of it."""

    code: Place
    name: Title
    warehouse: Parent
    single_product: SingleProduct
    levels: list[StockBalance]
    next_cursor: str | None


class MovedLot(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one stock that moved."""

    origin: Annotated[Sealed, Meta(description="the stock that they were part of")]
    quantity: Units


class MoveReason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a move was refused; the facts are those of the problem of this type."""

    type: Annotated[str, Meta(description="of a problem: a path that explains it")]
    detail: str
    requested: Units | msgspec.UnsetType = msgspec.UNSET
    available: Units | msgspec.UnsetType = msgspec.UNSET
    product: Sku | msgspec.UnsetType = msgspec.UNSET
    lots: int | msgspec.UnsetType = msgspec.UNSET
    limit: int | msgspec.UnsetType = msgspec.UNSET


class Move(msgspec.Struct, frozen=True, kw_only=True, rename=_ENDS):
    """Units on their way from one place to another, or what became of them."""

    id: Sealed
    product: Sku
    source: Place
    destination: Place
    quantity: Units
    status: Annotated[
        MoveStatus, Meta(description="`in_transit` until it is done or refused, which is for good")
    ]
    requested_at: Time
    decided_at: Annotated[Time, Meta(description="when it was done or refused")] | None
    lots: Annotated[list[MovedLot], Meta(description="which units left; none if it was refused")]
    reason: MoveReason | None
