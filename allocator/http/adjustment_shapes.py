"""What requests about adjustments look like, and what they are answered."""

from typing import Annotated

import msgspec
from msgspec import Meta

from allocator.domain.messages import QUANTITY_MAX
from allocator.http import patterns
from allocator.http.shapes import (
    Body,
    KnownPlace,
    KnownSku,
    Place,
    Quantity,
    Reference,
    Sealed,
    Sku,
    Text,
    Time,
)

"""Of the names of states: lower-case words."""

StateName = Annotated[
    str,
    Meta(
        pattern=patterns.STATE,
        description="`available`, `expired`, `damaged`, `quarantined`, `wms_reserved`, `lost`, "
        "`withheld`, or one that the operator of the server chose",
        examples=["damaged"],
    ),
]
Why = Annotated[Text, Meta(description="why, in a few words", examples=["stocktake"])]
StockId = Annotated[
    str,
    Meta(
        max_length=64,
        description="the id of the stock that the units are of; the first to expire, if it is left "
        "out",
    ),
]


class PostAdjustment(Body, frozen=True, kw_only=True):
    """Units that were found or are gone (`delta`), or that come from one state to another."""

    product: KnownSku
    warehouse: KnownPlace
    delta: (
        Annotated[
            int,
            Meta(
                ge=-QUANTITY_MAX,
                le=QUANTITY_MAX,
                description="units that are more than was known, or fewer if it is negative",
            ),
        ]
        | None
    ) = None
    state: (
        Annotated[StateName, Meta(description="with `delta`: of which state; else `available`")]
        | None
    ) = None
    source: (
        Annotated[StateName, Meta(description="the state that units leave; else `available`")]
        | None
    ) = msgspec.field(default=None, name="from")
    target: (
        Annotated[StateName, Meta(description="the state that they come to; else `available`")]
        | None
    ) = msgspec.field(default=None, name="to")
    quantity: (
        Annotated[
            Quantity,
            Meta(description="how many; may be left out for all of `stock`, also what is ordered"),
        ]
        | None
    ) = None
    stock: StockId | None = None
    reason: Why
    reference: Reference | None = None


class PutState(Body, frozen=True, kw_only=True):
    """How many units are in a state, as somebody has counted."""

    quantity: Annotated[int, Meta(ge=0, le=QUANTITY_MAX, description="units")]
    reason: Why = "correction"
    reference: Reference | None = None


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one stock that came to another state."""

    stock: Sealed
    source: Annotated[str, Meta(description="null if they were found")] | None = msgspec.field(
        name="from"
    )
    target: Annotated[str, Meta(description="null if they are gone")] | None = msgspec.field(
        name="to"
    )
    quantity: Annotated[int, Meta(description="units")]


class StateRecall(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one stock that are ordered or held, and come to a state as others replace them."""

    stock: Sealed
    state: str
    quantity: Annotated[int, Meta(description="units; negative: so many fewer")]


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """Units that came to other states, were found or written off."""

    id: Sealed
    product: Sku
    warehouse: Place
    at: Time
    reason: str
    reference: Reference | None
    changes: list[StateChange]
    recalled: list[StateRecall]
    version: Annotated[int, Meta(description="of the balance, with this adjustment")]
