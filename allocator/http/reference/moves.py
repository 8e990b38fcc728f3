"""The operations under /moves: units go from one place to another."""

from http import HTTPStatus
from typing import Final

import msgspec

from allocator.domain.moves import MoveStatus
from allocator.http.place_shapes import Move, PostMove
from allocator.http.reference.examples import MOVE, MOVES
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
    Parameter,
)
from allocator.http.shapes import Listing

MOVE_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/moves",
        name="move_stock",
        tag="Locations",
        role="stock",
        summary="Move units to another place",
        meaning="Takes available units of a product from a warehouse or location to another, all "
        "of them or none: what expires first, then what came first. There they are stocks of "
        "their own, with the same lot code, expiry and time of receipt, and with `origin`, the "
        "stock that they were part of. Answered when they have arrived, and that is durable. On "
        "the way they are in neither place, and never lost: whatever breaks, a move comes to its "
        "end by itself.\n\n"
        "A move that is refused is kept as well, with its reason; `move` of the problem is its id. "
        "So its key is not free: a repeat hears the same. If one of the places does not answer "
        "in time the answer is 503 with `move`, and the move goes on.",
        key="move-311",
        body=Body(
            shape=PostMove,
            example=PostMove(product="tea-01", source="main", destination="shelf-07", quantity=30),
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="The units have arrived, and that is durable",
                shape=Move,
                example=MOVE,
                headers=("Location",),
            ),
        ),
        problems=(
            "insufficient-stock",
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
        path="/moves",
        name="list_moves",
        tag="Locations",
        role="any",
        summary="List moves",
        meaning="From the read model, those that were refused and those under way included.",
        query=(
            OF_PRODUCT,
            msgspec.structs.replace(
                OF_WAREHOUSE,
                name="location",
                meaning="only from or to the warehouse or location with this code",
            ),
            Parameter(name="status", shape=MoveStatus, meaning="only with this status"),
            *PAGE,
        ),
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of moves",
                shape=Listing[Move],
                example=MOVES,
            ),
        ),
        problems=("invalid-request", *READING),
    ),
    Operation(
        method="GET",
        path="/moves/{id}",
        name="get_move",
        tag="Locations",
        role="any",
        summary="Read a move",
        meaning="As it stands now; never stale. `in_transit` until both places have answered; "
        "`done` and `refused` are for good.",
        answers=(Answer(status=HTTPStatus.OK, meaning="The move", shape=Move, example=MOVE),),
        problems=("not-found", "invalid-request", *ASKING),
    ),
)
