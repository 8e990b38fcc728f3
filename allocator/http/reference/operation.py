"""What an operation of the API consists of, as people describe it.

Types are the very ones that decode requests and encode answers; examples are values of them, so
that neither can say what the code does not.
"""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from allocator.domain.api_keys import Needed
from allocator.http.adjustment_shapes import StateName
from allocator.http.answers import JSON
from allocator.http.context import KEY_MAX
from allocator.http.paging import LIMIT_DEFAULT, LIMIT_MAX, PARAMETER_MAX
from allocator.http.reference.examples import (
    CART_ID,
    CHECKOUT_ID,
    MOVE_ID,
    OPTION_ID,
    ORDER_ID,
    STOCK_ID,
)
from allocator.http.shapes import Code, Place, Sealed, Sku, Time
from allocator.http.webhook_shapes import MessageId

KEY: Final = "Idempotency-Key"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the path, of the query, or a header.

    Attributes:
        shape: The type of its value.
        example: A value that the examples use; empty if they leave it out.
    """

    name: str
    shape: object
    meaning: str = ""
    example: str = ""
    default: int | None = None
    required: bool = False


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries.

    Attributes:
        shape: The type of the body, or of one of its lines.
        example: A value of that type, or a tuple of them, one a line.
        other: Another type that it may have; None if there is only one.
        required: Whether there must be one.
    """

    shape: object
    example: object
    media_type: str = JSON
    other: object = None
    required: bool = True


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How a request may be answered, problems aside.

    Attributes:
        shape: The type of the body, or of one of its lines; None if there is no body.
        example: As for `Body`, or text; None if there is nothing to learn from one.
        headers: Names of headers, each in `HEADERS`.
    """

    status: HTTPStatus
    meaning: str
    shape: object = None
    example: object = None
    media_type: str = JSON
    headers: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A method of a path.

    Attributes:
        name: Unique; generated clients call the operation by it.
        role: Of the API key that it needs.
        summary: A few words.
        meaning: What one must know to use it, in Markdown of paragraphs and `code`.
        key: The Idempotency-Key of the example; empty if the operation takes none.
        match: Likewise its If-Match, which whoever takes one needs.
        answers: The first is the ordinary one.
        problems: Types of the problems that it may answer with, `internal` and those at the door
            aside.
    """

    method: str
    path: str
    name: str
    tag: str
    role: Needed
    summary: str
    meaning: str
    answers: tuple[Answer, ...]
    query: tuple[Parameter, ...] = ()
    body: Body | None = None
    key: str = ""
    match: str = ""
    problems: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[Parameter, ...]:
        """What it takes in headers, with the values of the example."""
        taken = ((KEY_HEADER, self.key), (MATCH_HEADER, self.match))
        return tuple(msgspec.structs.replace(one, example=value) for one, value in taken if value)

    @property
    def at_the_door(self) -> tuple[str, ...]:
        """Types of the problems that it may answer with before it begins."""
        match self.role:
            case "none":
                return ()
            case "any":
                return ("unauthenticated", "rate-limited", "try-again")
            case _:
                return ("unauthenticated", "forbidden", "rate-limited", "try-again")


HEADERS: Final = {
    "Allow": "the methods that the path knows",
    "ETag": "the version of the numbers, in quotes",
    "Location": "where the thing can be read",
    "Retry-After": "seconds to wait before the request is repeated",
    "WWW-Authenticate": "that an API key is wanted, and what is wrong with the one that was sent",
}

DECODING: Final = (
    "malformed-body",
    "content-too-large",
    "unsupported-media-type",
    "invalid-request",
)
"""What may be wrong with a JSON body."""

READING: Final = ("try-again",)
"""What may go wrong when the database is read."""

ASKING: Final = ("overloaded", "try-again")
"""What may go wrong when the stock of a product at a warehouse is asked."""

Filter = Annotated[str, Meta(max_length=PARAMETER_MAX)]

PAGE: Final = (
    Parameter(
        name="limit",
        shape=Annotated[int, Meta(ge=1, le=LIMIT_MAX)],
        meaning="at most so many items",
        default=LIMIT_DEFAULT,
    ),
    Parameter(
        name="cursor",
        shape=Filter,
        meaning="the `next_cursor` of the page before, unchanged",
    ),
)

OF_PRODUCT: Final = Parameter(
    name="product", shape=Filter, meaning="only of the product with this sku", example="tea-01"
)
OF_WAREHOUSE: Final = Parameter(
    name="warehouse",
    shape=Filter,
    meaning="only at the warehouse or location with this code",
    example="main",
)

AT: Final = Parameter(
    name="at",
    shape=Time,
    meaning="as it stood at this time, which must lie in the past",
)

KEY_HEADER: Final = Parameter(
    name=KEY,
    shape=Annotated[str, Meta(min_length=1, max_length=KEY_MAX, pattern=r"^[\x20-\x7e]+$")],
    meaning="makes the request safe to repeat: any printable ASCII of your own choice, "
    "such as a random UUID",
)

MATCH_HEADER: Final = Parameter(
    name="If-Match",
    shape=Annotated[str, Meta(pattern=r"^\"(0|[1-9][0-9]{0,17})\"$")],
    meaning="the `ETag` of the balance that was read before",
    required=True,
)

_CODE: Final = Parameter(name="code", shape=Code, meaning="code of the warehouse", example="main")
_SKU: Final = Parameter(name="sku", shape=Code, meaning="sku of the product", example="tea-01")

IN_PATH: Final = {
    "/orders/{id}": Parameter(name="id", shape=Sealed, meaning="id of the order", example=ORDER_ID),
    "/stocks/{id}": Parameter(name="id", shape=Sealed, meaning="id of the stock", example=STOCK_ID),
    "/ticket_options/{id}": Parameter(
        name="id", shape=Sealed, meaning="id of the ticket option", example=OPTION_ID
    ),
    "/moves/{id}": Parameter(name="id", shape=Sealed, meaning="id of the move", example=MOVE_ID),
    "/carts/{id}": Parameter(name="id", shape=Sealed, meaning="id of the cart", example=CART_ID),
    "/carts/{id}/lines/{warehouse}": msgspec.structs.replace(
        _CODE, name="warehouse", shape=Place, meaning="code of the warehouse or location"
    ),
    "/carts/{id}/lines/{warehouse}/{product}": msgspec.structs.replace(
        _SKU, name="product", shape=Sku
    ),
    "/checkouts/{id}": Parameter(
        name="id", shape=Sealed, meaning="id of the checkout", example=CHECKOUT_ID
    ),
    "/warehouses/{code}": _CODE,
    "/locations/{code}": msgspec.structs.replace(
        _CODE, meaning="code of the location", example="shelf-07"
    ),
    "/products/{sku}": _SKU,
    "/stock-balances/{warehouse}": msgspec.structs.replace(_CODE, name="warehouse", shape=Place),
    "/stock-balances/{warehouse}/{product}": msgspec.structs.replace(
        _SKU, name="product", shape=Sku
    ),
    "/stock-balances/{warehouse}/{product}/{state}": Parameter(
        name="state", shape=StateName, meaning="which state is set", example="damaged"
    ),
    "/wms/feeds/{warehouse}": msgspec.structs.replace(_CODE, name="warehouse"),
    "/webhooks/{name}": Parameter(
        name="name", shape=Code, meaning="name of the webhook", example="shop"
    ),
    "/webhooks/{name}/dead-letters/{id}": Parameter(
        name="id",
        shape=MessageId,
        meaning="the `webhook-id` of the message",
        example="1-7482-27136-2",
    ),
    "/problems/{type}": Parameter(
        name="type",
        shape=str,
        meaning="what follows /problems/ in a problem's `type`",
        example="try-again",
    ),
}
"""Every parameter that a path has, by the path up to it."""
