"""The operations about units that are counted anew, set aside or released."""

from http import HTTPStatus
from typing import Final

from allocator.http.adjustment_shapes import Adjustment, PostAdjustment, PutState
from allocator.http.reference.examples import COUNTED, DAMAGED
from allocator.http.reference.operation import (
    ASKING,
    DECODING,
    OF_PRODUCT,
    OF_WAREHOUSE,
    PAGE,
    READING,
    Answer,
    Body,
    Operation,
)
from allocator.http.shapes import Listing

ADJUSTMENT_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/adjustments",
        name="adjust_stock",
        tag="Stock",
        role="stock",
        summary="Adjust stock",
        meaning="Says that units were found or are gone (`delta`), or that they come from one "
        "state to another (`from`, `to`, `quantity`): from `available` to `damaged`, say, in which "
        "they are there and cannot be sold. Units that were found are a new stock, unless `stock` "
        "says of which one they are; of others, those that expire first are taken, unless it "
        "does.\n\n"
        "What is ordered or held stays so. But of a `stock` that is named, more may come to a "
        "state than is available, or all of it, without `quantity`: what is ordered of it is "
        "recalled then. Such orders get units of other stocks as soon as there are any; until then "
        "they are `flagged`, and do not leave.",
        key="adjustment-17",
        body=Body(
            shape=PostAdjustment,
            example=PostAdjustment(
                product="tea-01",
                warehouse="main",
                target="damaged",
                quantity=3,
                reason="water damage",
                reference="report-9",
            ),
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="It is so now, and durable",
                shape=Adjustment,
                example=DAMAGED,
            ),
        ),
        problems=(
            "insufficient-units",
            "location-occupied",
            "too-many-lots",
            "warehouse-fed",
            "key-reused",
            *DECODING,
            *ASKING,
        ),
    ),
    Operation(
        method="PUT",
        path="/stock-balances/{warehouse}/{product}/{state}",
        name="set_state",
        tag="Stock",
        role="stock",
        summary="Set how many units are in a state",
        meaning="As somebody has counted: what is missing was found, and is a new stock; what is "
        "too much is gone, of the stocks that expire first. `If-Match` says which balance the "
        "count was compared with: if anything has happened since, nothing is done.",
        key="count-17",
        match='"7"',
        body=Body(shape=PutState, example=PutState(quantity=2, reason="stocktake")),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="It is so now; `changes` are empty if it was so before",
                shape=Adjustment,
                example=COUNTED,
                headers=("ETag",),
            ),
        ),
        problems=(
            "not-found",
            "version-required",
            "version-passed",
            "insufficient-units",
            "location-occupied",
            "too-many-lots",
            "warehouse-fed",
            "key-reused",
            *DECODING,
            *ASKING,
        ),
    ),
    Operation(
        method="GET",
        path="/adjustments",
        name="list_adjustments",
        tag="Stock",
        role="any",
        summary="List adjustments",
        meaning="From the journal, as far back as that is kept: never stale. Those of one product "
        "at one place stand in the order in which they happened.",
        query=(OF_PRODUCT, OF_WAREHOUSE, *PAGE),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of adjustments",
                shape=Listing[Adjustment],
                example=Listing(items=[DAMAGED, COUNTED], next_cursor=None),
            ),
        ),
        problems=("invalid-request", *READING),
    ),
)
