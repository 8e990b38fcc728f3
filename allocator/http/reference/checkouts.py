"""The operations about paying."""

from http import HTTPStatus
from typing import Annotated, Final

from msgspec import Meta

from allocator.http.cart_shapes import Checkout, PaidPurchase, PostResolution
from allocator.http.checkouts import WAIT_MAX_S
from allocator.http.reference.examples import CAPTURING, PAID, PAID_PURCHASES, RESOLVED
from allocator.http.reference.operation import (
    ASKING,
    DECODING,
    PAGE,
    READING,
    Answer,
    Body,
    Filter,
    Operation,
    Parameter,
)
from allocator.http.shapes import Listing

CHECKOUT_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/carts/{id}/checkout",
        name="check_out",
        tag="Carts",
        role="client",
        summary="Pay for a cart",
        meaning="Freezes the cart and its prices, and has the payment provider asked for the "
        "money, once. Answered at once: follow `Location` for what becomes of it. Every product "
        "in the cart must have a price, all of one currency. Until the money is there, or "
        "certainly is not, nothing about the cart changes, and it does not expire. The request "
        "has no body. A server without a payment provider answers 503.",
        key="pay-42",
        answers=(
            Answer(
                status=HTTPStatus.ACCEPTED,
                meaning="The provider is asked",
                shape=Checkout,
                example=CAPTURING,
                headers=("Location",),
            ),
        ),
        problems=(
            "not-found",
            "cart-empty",
            "cart-changed",
            "cart-not-open",
            "checkout-under-way",
            "too-many-checkouts",
            "malformed-body",
            "content-too-large",
            "invalid-request",
            "key-reused",
            *ASKING,
        ),
    ),
    Operation(
        method="GET",
        path="/checkouts/{id}",
        name="get_checkout",
        tag="Carts",
        role="any",
        summary="Read a checkout",
        meaning="As it stands now; never stale. `capturing`: the provider has been asked. `paid`: "
        "the cart is an order, `order`. `failed`: no money was taken, and the cart is open for at "
        "least two more minutes. `unknown`: the provider did not say in time; it still may, or an "
        "operator finds out. `refund_due`: money came after it had been settled as failed, and is "
        "to be given back. With `wait`, answered when it is not `capturing` any more, or when the "
        "time is over.",
        query=(
            Parameter(
                name="wait",
                shape=Annotated[int, Meta(ge=0, le=WAIT_MAX_S)],
                meaning="seconds to wait for what becomes of it",
                default=0,
            ),
        ),
        answers=(
            Answer(status=HTTPStatus.OK, meaning="The checkout", shape=Checkout, example=PAID),
        ),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="POST",
        path="/checkouts/{id}/resolve",
        name="resolve_checkout",
        tag="Carts",
        role="operator",
        summary="Settle a checkout that is unknown",
        meaning="Says what a person has found out at the provider. `paid` makes the cart an order; "
        "`failed` leaves it open for two more minutes. If money comes for it after all, it is "
        "`refund_due`.",
        key="resolve-42",
        body=Body(
            shape=PostResolution, example=PostResolution(outcome="paid", reference="charge-1")
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="The checkout, settled",
                shape=Checkout,
                example=RESOLVED,
            ),
        ),
        problems=("not-found", "checkout-not-unknown", "key-reused", *DECODING, *ASKING),
    ),
    Operation(
        method="GET",
        path="/purchases",
        name="list_paid_purchases",
        tag="Carts",
        role="any",
        summary="List what was paid for",
        meaning="From the read model: the items of every cart that was paid for, their prices, and "
        "the amount.",
        query=(
            Parameter(name="customer", shape=Filter, meaning="only of this customer", example="42"),
            *PAGE,
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of purchases",
                shape=Listing[PaidPurchase],
                example=PAID_PURCHASES,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
)
