"""The operations under /carts, but for paying."""

from http import HTTPStatus
from typing import Final

from allocator.http.cart_shapes import Cart, PostCart, PutCartLine
from allocator.http.reference.examples import CART, EMPTY_CART
from allocator.http.reference.operation import ASKING, DECODING, Answer, Body, Operation

_CHANGING: Final = ("cart-not-open", "checkout-under-way")

CART_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/carts",
        name="open_cart",
        tag="Carts",
        role="client",
        summary="Open a cart",
        meaning="What is put into it is held: nobody else can buy it. It expires some time after "
        "its last change (`expires_at`), and then everything is given back. A customer may have "
        "a few open at once.",
        key="cart-42",
        body=Body(shape=PostCart, example=PostCart(customer="42")),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="The cart is open",
                shape=Cart,
                example=EMPTY_CART,
                headers=("Location",),
            ),
        ),
        problems=("too-many-carts", "key-reused", *DECODING, *ASKING),
    ),
    Operation(
        method="PUT",
        path="/carts/{id}/lines/{warehouse}/{product}",
        name="put_cart_line",
        tag="Carts",
        role="client",
        summary="Put units into a cart",
        meaning="Sets how many units of a product from a warehouse or location are in the cart: "
        "all of them or, if there are not so many, none that were not before. 0 removes the line. "
        "Answered when they are held. If their stock does not answer in time the answer is 503, "
        "and the change goes on: read the cart.",
        body=Body(shape=PutCartLine, example=PutCartLine(quantity=2)),
        answers=(
            Answer(status=HTTPStatus.OK, meaning="The cart, changed", shape=Cart, example=CART),
        ),
        problems=(
            "not-found",
            "insufficient-stock",
            "too-many-lines",
            *_CHANGING,
            *DECODING,
            *ASKING,
        ),
    ),
    Operation(
        method="GET",
        path="/carts/{id}",
        name="get_cart",
        tag="Carts",
        role="any",
        summary="Read a cart",
        meaning="As it stands now, with what its products cost now; never stale. While an attempt "
        "to pay for it is not settled it does not expire, and `expires_at` is null.",
        answers=(Answer(status=HTTPStatus.OK, meaning="The cart", shape=Cart, example=CART),),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="DELETE",
        path="/carts/{id}",
        name="close_cart",
        tag="Carts",
        role="client",
        summary="Give a cart up",
        meaning="Everything in it is given back. Once more changes nothing. The request has no "
        "body.",
        answers=(Answer(status=HTTPStatus.NO_CONTENT, meaning="The cart is closed"),),
        problems=(
            "not-found",
            "malformed-body",
            "content-too-large",
            "invalid-request",
            *_CHANGING,
            *ASKING,
        ),
    ),
)
