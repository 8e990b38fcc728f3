"""The operations under /ticket_options: tickets are stock that nobody has to store."""

from http import HTTPStatus
from typing import Final

from allocator.http.reference.examples import OPTION, PURCHASES, USER_ID
from allocator.http.reference.operation import (
    ASKING,
    DECODING,
    PAGE,
    READING,
    Answer,
    Body,
    Operation,
)
from allocator.http.shapes import (
    Listing,
    PostPurchase,
    PostTicketOption,
    Purchase,
    TicketOption,
)

TICKET_OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/ticket_options",
        name="open_ticket_option",
        tag="Tickets",
        role="stock",
        summary="Open a ticket option",
        meaning="Puts so many tickets up for sale, under an id of their own. With an allocation "
        "of 0 there are none, for good.",
        key="option-2031",
        body=Body(
            shape=PostTicketOption,
            example=PostTicketOption(name=OPTION.name, desc=OPTION.desc, allocation=100),
        ),
        answers=(
            Answer(
                status=HTTPStatus.CREATED,
                meaning="The option is open, and durable",
                shape=TicketOption,
                example=OPTION,
                headers=("Location",),
            ),
        ),
        problems=("key-reused", *DECODING, *ASKING),
    ),
    Operation(
        method="GET",
        path="/ticket_options/{id}",
        name="get_ticket_option",
        tag="Tickets",
        role="any",
        summary="Read a ticket option",
        meaning="`allocation` is what is left of it now; never stale.",
        answers=(
            Answer(status=HTTPStatus.OK, meaning="The option", shape=TicketOption, example=OPTION),
        ),
        problems=("not-found", "invalid-request", *ASKING),
    ),
    Operation(
        method="POST",
        path="/ticket_options/{id}/purchases",
        name="purchase_tickets",
        tag="Tickets",
        role="client",
        summary="Purchase tickets",
        meaning="All of them or none: if fewer are left, nothing is purchased. Together, "
        "purchases never exceed what the option was opened with.",
        key="purchase-7781",
        body=Body(shape=PostPurchase, example=PostPurchase(quantity=2, user_id=USER_ID)),
        answers=(
            Answer(
                status=HTTPStatus.NO_CONTENT,
                meaning="The tickets are purchased, and that is durable; a repeat is told the same",
            ),
        ),
        problems=("not-found", "insufficient-stock", "key-reused", *DECODING, *ASKING),
    ),
    Operation(
        method="GET",
        path="/ticket_options/{id}/purchases",
        name="list_purchases",
        tag="Tickets",
        role="any",
        summary="List the purchases of a ticket option",
        meaning="From the read model, oldest first.",
        query=PAGE,
        answers=(
            Answer(
                status=HTTPStatus.OK,
                meaning="A page of purchases",
                shape=Listing[Purchase],
                example=PURCHASES,
            ),
        ),
        problems=("not-found", "invalid-request", *READING),
    ),
)
