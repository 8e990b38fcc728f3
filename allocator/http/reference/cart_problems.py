"""Every type of problem that carts have, and what was bought with them."""

from typing import Final

from allocator.domain.carts import CartNotOpen, PaidFor, TooManyLines
from allocator.domain.checkouts import (
    CHECKOUTS_MAX,
    CartChanged,
    CartEmpty,
    CheckoutUnderWay,
    NotUnknown,
    TooManyCheckouts,
)
from allocator.http.problems import too_many_carts
from allocator.http.reference.examples import ORDER_ID
from allocator.http.reference.problem_type import ProblemType
from allocator.http.refusals import problem_for

_CART: Final = f"/carts/{ORDER_ID}"
_CHECKOUT: Final = f"{_CART}/checkout"

CART_PROBLEMS: Final = (
    ProblemType(
        example=too_many_carts(5),
        instance="/carts",
        meaning="The customer has as many carts open as may be (`--carts-max`): each keeps its "
        "units from others. None was opened.",
        remedy="Go on with one of them, or close one.",
        facts={"limit": "carts that a customer may have open"},
    ),
    ProblemType(
        example=problem_for(CartNotOpen(status="expired")),
        instance=_CHECKOUT,
        meaning="The cart was closed, has expired or was paid for. Nothing changed.",
        remedy="Open another cart.",
        facts={"cart_status": "what has become of the cart"},
    ),
    ProblemType(
        example=problem_for(TooManyLines(limit=100)),
        instance=f"{_CART}/lines/main/tea-01",
        meaning="The cart has as many lines as it may have, or has had as many, those included "
        "that were removed. Nothing changed.",
        remedy="Remove a line, or pay for this cart and open another one.",
        facts={"limit": "lines that there may be, or may have been"},
    ),
    ProblemType(
        example=problem_for(CartChanged(version=7)),
        instance=_CHECKOUT,
        meaning="Something has happened to the cart while its prices were looked up, or one of "
        "its lines is just being changed. Nobody was charged.",
        remedy="Read the cart, and check out what is in it.",
    ),
    ProblemType(
        example=problem_for(CartEmpty()),
        instance=_CHECKOUT,
        meaning="There is nothing in the cart to pay for.",
        remedy="Put something into it first.",
    ),
    ProblemType(
        example=problem_for(CheckoutUnderWay(attempt=7)),
        instance=f"{_CART}/lines/main/tea-01",
        meaning="The payment provider has been asked for the money, and it is not known what has "
        "become of that. Until it is, nothing about the cart changes.",
        remedy="Wait for the checkout to be `paid` or `failed`. One that is `unknown` is resolved "
        "by the provider's late answer, or by an operator.",
    ),
    ProblemType(
        example=problem_for(TooManyCheckouts(limit=CHECKOUTS_MAX)),
        instance=_CHECKOUT,
        meaning="As many attempts to pay for the cart have failed as there may be: each keeps its "
        "units from others a little longer.",
        remedy="Open another cart.",
        facts={"limit": "attempts that there may be"},
    ),
    ProblemType(
        example=problem_for(NotUnknown(status="paid")),
        instance=f"/checkouts/{ORDER_ID}/resolve",
        meaning="Only a checkout of which nobody knows what became can be resolved. Nothing "
        "changed.",
        remedy="Read the checkout: its `status` says what became of it.",
        facts={"checkout_status": "what has become of the checkout"},
    ),
    ProblemType(
        example=problem_for(PaidFor()),
        instance=f"/orders/{ORDER_ID}/cancel",
        meaning="The order was paid for: it can be dispatched, but not cancelled.",
        remedy="Dispatch it, or give the money back elsewhere.",
    ),
)
