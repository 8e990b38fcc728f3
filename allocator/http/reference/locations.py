"""The operations under /locations: places inside a warehouse, and what is there."""

from http import HTTPStatus
from typing import Final

import msgspec

from allocator.domain.catalogue import Location
from allocator.http.locations import LEVELS_MAX
from allocator.http.place_shapes import LocationLevels, PutLocation
from allocator.http.reference.examples import LEVELS, LOCATIONS, SHELF
from allocator.http.reference.operation import (
    ASKING,
    DECODING,
    OF_WAREHOUSE,
    PAGE,
    READING,
    Answer,
    Body,
    Operation,
)
from allocator.http.shapes import Listing

_LIMIT, _CURSOR = PAGE

LOCATION_OPERATIONS: Final = (
    Operation(
        method="PUT",
        path="/locations/{code}",
        name="put_location",
        tag="Locations",
        role="stock",
        summary="Create a location, or rename it",
        meaning="A place inside a warehouse: a shelf, a bin, a shop window. Its code is used "
        "wherever one of a warehouse is, and no warehouse has the same; its stock is no part of "
        "the warehouse's. Unless `single_product` is false it holds one product at a time: "
        "another one may come when nothing is there, ordered from there or on its way there. "
        "Until then, everything else asked of it about another product is as if it were empty.\n\n"
        "Safe to repeat without a key. The warehouse and `single_product` are fixed for ever: 409 "
        "if they differ. The name may change; it is the code if it is left out.",
        body=Body(
            shape=PutLocation, example=PutLocation(warehouse=SHELF.warehouse, name=SHELF.name)
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED, meaning="It was created", shape=Location, example=SHELF
            ),
            Answer(
                status=HTTPStatus.OK,
                meaning="It existed, and has this name now",
                shape=Location,
            ),
        ),
        problems=("conflict", *DECODING, *READING),
    ),
    Operation(
        method="GET",
        path="/locations/{code}",
        name="get_location",
        tag="Locations",
        role="any",
        summary="Read what is at a location",
        meaning="`levels` has the balance of each product there. A location that holds one "
        "product at a time has one, which is never stale, or none if nothing is there or on its "
        f"way there. Others are told from the read model, by sku, {LEVELS_MAX} a page.",
        query=(msgspec.structs.replace(_LIMIT, default=LEVELS_MAX), _CURSOR),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="The location and what is there",
                shape=LocationLevels,
                example=LEVELS,
            ),
        ),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="GET",
        path="/locations",
        name="list_locations",
        tag="Locations",
        role="any",
        summary="List locations with what is there",
        meaning=f"By code; with at most {LEVELS_MAX} levels each, from the read model. If a "
        "location has a `next_cursor` of its own, `GET /locations/{code}` goes on with it.",
        query=(
            msgspec.structs.replace(OF_WAREHOUSE, meaning="only inside the warehouse of this code"),
            *PAGE,
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of locations",
                shape=Listing[LocationLevels],
                example=LOCATIONS,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
)
