"""The operations under /orders."""

from http import HTTPStatus
from typing import Final

from allocator.domain.messages import InsufficientStock
from allocator.domain.rows import OrderStatus
from allocator.http.batch import NDJSON, BatchResult
from allocator.http.order_shapes import BatchLines, DispatchLine, PostDispatch, PostLines
from allocator.http.reference.examples import (
    CANCELLED,
    DISPATCHED,
    OF_BATCH,
    ORDERS,
    PLACED,
)
from allocator.http.reference.operation import (
    ASKING,
    AT,
    DECODING,
    OF_PRODUCT,
    OF_WAREHOUSE,
    PAGE,
    READING,
    Answer,
    Body,
    Filter,
    Operation,
    Parameter,
)
from allocator.http.refusals import problem_for
from allocator.http.shapes import BatchOrder, Listing, Order, PostOrder

_CLOSING: Final = (
    "malformed-body",
    "content-too-large",
    "not-found",
    "order-not-open",
    "invalid-request",
    "key-reused",
    *ASKING,
)

ORDER_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/orders",
        name="place_order",
        tag="Orders",
        role="client",
        summary="Place an order",
        meaning="Reserves units of one product at one warehouse, or of several with `lines`: all "
        "of them or none. `stocks` of the answer says which were selected: what expires first, "
        "then what came first.\n\n"
        "Lines of the same product and warehouse are one. If there is not enough for some lines, "
        "`lines` of the problem names each of them, and nothing is ordered. Such an order that is "
        "refused is kept: a repeat with its key hears the same.",
        key="order-7781",
        body=Body(
            shape=PostOrder,
            other=PostLines,
            example=PostOrder(product="tea-01", warehouse="main", quantity=2, customer="c-42"),
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="The order is placed, and durable",
                shape=Order,
                example=PLACED,
                headers=("Location",),
            ),
        ),
        problems=("insufficient-stock", "key-reused", *DECODING, *ASKING),
    ),
    Operation(
        method="POST",
        path="/orders/batch",
        name="place_orders",
        tag="Orders",
        role="client",
        summary="Place many orders in one request",
        meaning="Lines in, lines out: each line of the body is an order, with a `key` of its own "
        "if it should be safe to repeat, and each line of the answer says what became of it, in "
        "the same order. Lines are independent of each other. The answer begins before the body "
        "ends, and a client must read it while it sends: one that does not is not read from, "
        "either. Blank lines are skipped.\n\n"
        "The request is answered 200 whatever becomes of its lines; the `status` of a line is "
        "what `POST /orders` would have answered. A key for the whole batch is refused.",
        body=Body(
            shape=BatchOrder,
            other=BatchLines,
            required=False,
            media_type=NDJSON,
            example=(
                BatchOrder(product="tea-01", warehouse="main", customer="c-43", key="basket-1"),
                BatchOrder(product="tea-01", warehouse="main", quantity=500, key="basket-2"),
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="One result a line, in order",
                shape=BatchResult,
                media_type=NDJSON,
                example=(
                    BatchResult(status=201, order=OF_BATCH),
                    BatchResult(
                        status=409,
                        problem=problem_for(InsufficientStock(requested=500, available=97)).members(
                            instance=None
                        ),
                    ),
                ),
            ),
        ),
        problems=("unsupported-media-type", "invalid-request"),
    ),
    Operation(
        method="GET",
        path="/orders",
        name="list_orders",
        tag="Orders",
        role="any",
        summary="List orders",
        meaning="From the read model, oldest first within a product and warehouse. An order of "
        "several lines is found by any of them.",
        query=(
            Parameter(name="status", shape=OrderStatus, meaning="only with this status"),
            OF_PRODUCT,
            OF_WAREHOUSE,
            Parameter(name="customer", shape=Filter, meaning="only of this customer"),
            *PAGE,
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of orders",
                shape=Listing[Order],
                example=ORDERS,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
    Operation(
        method="GET",
        path="/orders/{id}",
        name="get_order",
        tag="Orders",
        role="any",
        summary="Read an order",
        meaning="As it stands now; never stale. With `at`, as it stood then: 404 if it was placed "
        "later.",
        query=(AT,),
        answers=(Answer(status=HTTPStatus.OK, meaning="The order", shape=Order, example=PLACED),),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="POST",
        path="/orders/{id}/dispatch",
        name="dispatch_order",
        tag="Orders",
        role="stock",
        summary="Dispatch an order",
        meaning="Its units leave the warehouse, all that have not left yet; or so many of each of "
        "these `lines`, and the order is `partly_dispatched` until nothing is left of it. The "
        "units of a part are those that leave now, so that parts add up.",
        key="dispatch-7781",
        body=Body(
            shape=PostDispatch,
            required=False,
            example=PostDispatch(
                lines=[DispatchLine(product="tea-01", warehouse="main", quantity=2)]
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="The order, dispatched",
                shape=Order,
                example=DISPATCHED,
            ),
        ),
        problems=("units-recalled", "not-so-much-left", "unsupported-media-type", *_CLOSING),
    ),
    Operation(
        method="POST",
        path="/orders/{id}/cancel",
        name="cancel_order",
        tag="Orders",
        role="client",
        summary="Cancel an order",
        meaning="Its units go back to the stocks they came from. Only an order with status `new` "
        "can be cancelled, once: of a `partly_dispatched` one units have left. The request has no "
        "body.",
        key="cancel-7781",
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="The order, cancelled",
                shape=Order,
                example=CANCELLED,
            ),
        ),
        problems=_CLOSING,
    ),
)
