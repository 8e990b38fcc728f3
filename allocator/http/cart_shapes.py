"""What requests about carts and checkouts, and their answers, look like."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from allocator.domain.carts import CartStatus
from allocator.domain.checkouts import CheckoutStatus
from allocator.domain.messages import QUANTITY_MAX
from allocator.http.shapes import Body, Currency, Place, Reference, Sealed, Sku, Time, Units

Payer = Annotated[
    str,
    Meta(
        extra_json_schema={"pattern": r"^(0|[1-9][0-9]{0,17})\Z"},
        description="who is to pay: the number by which the payment provider knows them",
        examples=["42"],
    ),
]
Minor = Annotated[int, Meta(description="minor units of the currency, such as cents")]


class PostCart(Body, frozen=True, kw_only=True):
    """A new cart."""

    customer: Payer


class PutCartLine(Body, frozen=True, kw_only=True):
    """How many units a line is to have from now on."""

    quantity: Annotated[
        int, Meta(ge=0, le=QUANTITY_MAX, description="all units of the line; 0 removes it")
    ]


class CartPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit costs."""

    amount: Minor
    currency: Currency


class CartLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units that nobody else can have as long as the cart is open."""

    product: Sku
    warehouse: Place
    quantity: Units
    price: (
        Annotated[CartPrice, Meta(description="as it is now, or at which it is, or was, paid for")]
        | None
    )


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer has set aside."""

    id: Sealed
    customer: str | None
    status: CartStatus
    created_at: Time
    expires_at: (
        Annotated[Time, Meta(description="when all of it is given back, unless that changes")]
        | None
    )
    changing: Annotated[bool, Meta(description="whether changes of it are still under way")]
    lines: list[CartLine]
    checkout: Annotated[Sealed, Meta(description="id of the last attempt to pay for it")] | None
    order: Annotated[Sealed, Meta(description="id of the order that it has become")] | None


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one product, at the price at which they are paid for."""

    product: Sku
    warehouse: Place
    quantity: Units
    price: Annotated[int, Meta(description="of one unit, in minor units of the currency")]


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to pay for a cart."""

    id: Sealed
    cart: Sealed
    status: CheckoutStatus
    amount: Minor
    currency: Currency
    items: list[Bought]
    created_at: Time
    changed_at: Annotated[Time, Meta(description="when it became what it is")]
    deadline: Annotated[
        Time, Meta(description="when it becomes `unknown`, unless the provider answers before")
    ]
    order: Annotated[Sealed, Meta(description="id of the order that was bought")] | None
    reference: Annotated[str, Meta(description="what the provider calls the charge")] | None
    detail: Annotated[str, Meta(description="what else is known of the charge")] | None
    resolved: Annotated[bool, Meta(description="whether an operator has settled it")]


class PostResolution(Body, frozen=True, kw_only=True):
    """What an operator has found out about a charge."""

    outcome: Literal["paid", "failed"]
    reference: Reference | UnsetType = UNSET


class PaidPurchase(msgspec.Struct, frozen=True, kw_only=True):
    """A cart that was paid for."""

    checkout: Sealed
    order: Sealed
    customer: str | None
    amount: Minor
    currency: Currency
    items: list[Bought]
    paid_at: Time
