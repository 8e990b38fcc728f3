"""The operations under /stocks, /stock-balances and /journal: what is there, and how it came."""

from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from allocator.http.history import SEQ_MAX
from allocator.http.moments import VERSION_MAX
from allocator.http.paging import LIMIT_DEFAULT, LIMIT_MAX
from allocator.http.reference.examples import (
    BALANCE,
    BALANCES,
    JOURNAL,
    RECEIVED,
    STOCK,
    STOCKS,
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
    Operation,
    Parameter,
)
from allocator.http.shapes import JournalPage, Listing, PostStock, Stock, StockBalance

STOCK_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/stocks",
        name="receive_stock",
        tag="Stock",
        role="stock",
        summary="Receive stock",
        meaning="Takes units in as one stock: a lot that keeps its code and expiry. They can be "
        "ordered at once, and no longer after `expires_at`. A location that holds one product at a "
        "time takes no other one in.",
        key="delivery-1042",
        body=Body(
            shape=PostStock,
            example=PostStock(
                product="tea-01",
                warehouse="main",
                quantity=100,
                lot="L-2031",
                expires_at=RECEIVED.expires_at,
                reference="PO-1042",
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="The stock is received, and durable",
                shape=Stock,
                example=RECEIVED,
                headers=("Location",),
            ),
        ),
        problems=("location-occupied", "warehouse-fed", "key-reused", *DECODING, *ASKING),
    ),
    Operation(
        method="GET",
        path="/stocks",
        name="list_stocks",
        tag="Stock",
        role="any",
        summary="List stocks",
        meaning="Those of which something is on hand, from the read model.",
        query=(OF_PRODUCT, OF_WAREHOUSE, *PAGE),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of stocks",
                shape=Listing[Stock],
                example=STOCKS,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
    Operation(
        method="GET",
        path="/stocks/{id}",
        name="get_stock",
        tag="Stock",
        role="any",
        summary="Read a stock",
        meaning="As it stands now; never stale. A used-up stock leaves the list and stays "
        "readable here.",
        answers=(Answer(status=HTTPStatus.OK, meaning="The stock", shape=Stock, example=STOCK),),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="GET",
        path="/stock-balances/{warehouse}/{product}",
        name="get_stock_balance",
        tag="Stock",
        role="any",
        summary="Read the balance of a product at a warehouse",
        meaning="As it stands now; never stale. All zeros if the product was never at this "
        "warehouse, or another one is at a location that holds one at a time.\n\n"
        "With `at` or `version`, as it stood then: after all events that had happened by that "
        "time, or after the event of that number. The same moment always looks the same.",
        query=(
            AT,
            Parameter(
                name="version",
                shape=Annotated[int, Meta(ge=0, le=VERSION_MAX)],
                meaning="as it stood at this version, which must have been reached; not with `at`",
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="The balance",
                shape=StockBalance,
                example=BALANCE,
                headers=("ETag",),
            ),
        ),
        problems=("not-found", "history-pruned", "invalid-request", *ASKING),
    ),
    Operation(
        method="GET",
        path="/stock-balances",
        name="list_stock_balances",
        tag="Stock",
        role="any",
        summary="List balances",
        meaning="Of every product and warehouse that ever met, from the read model.",
        query=(OF_PRODUCT, OF_WAREHOUSE, *PAGE),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of balances",
                shape=Listing[StockBalance],
                example=BALANCES,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
)

JOURNAL_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/journal",
        name="list_journal",
        tag="Journal",
        role="any",
        summary="Read the journal of a product at a warehouse",
        meaning="Committed events in the order in which they happened. Balances are what these "
        "events add up to. In `body`, stocks and orders are named by the `seq` of the event "
        "that created them, and `picks` are pairs of a stock's `seq` and units.\n\n"
        "A location that holds one product at a time has one journal, of whatever was there: "
        "deliveries, orders, and what moved in and out. It needs no `product`, and shows the same "
        "with any.",
        query=(
            msgspec.structs.replace(
                OF_PRODUCT,
                meaning="the sku of the product; required but for a location that holds one "
                "product at a time",
            ),
            msgspec.structs.replace(
                OF_WAREHOUSE, required=True, meaning="the code of the warehouse or location"
            ),
            Parameter(
                name="after",
                shape=Annotated[int, Meta(ge=0, le=SEQ_MAX)],
                meaning="only events with a higher `seq`: the `next_after` of the page before",
                default=0,
            ),
            Parameter(
                name="limit",
                shape=Annotated[int, Meta(ge=1, le=LIMIT_MAX)],
                meaning="at most so many events",
                default=LIMIT_DEFAULT,
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of the journal; empty for a pair that was never used",
                shape=JournalPage,
                example=JOURNAL,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
)
