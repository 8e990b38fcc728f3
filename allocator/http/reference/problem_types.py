"""Every type of problem: what it means, and what a client should do about it.

Examples are made by the code that makes the real ones.
"""

from typing import Final

import msgspec
from aiohttp import web

from allocator.actors.messages import KeyReused
from allocator.domain.messages import InsufficientStock, OrderNotOpen
from allocator.domain.past import Pruned
from allocator.domain.reconciling import IsFed
from allocator.domain.transfers import Occupied, TooManyLots
from allocator.errors import OutcomeUnknownError, OverloadedError
from allocator.http.moments import pruned
from allocator.http.problems import (
    EXPECTATION_FAILED,
    INTERNAL,
    conflict,
    forbidden,
    header_too_large,
    invalid,
    line_too_long,
    malformed,
    malformed_request,
    method_not_allowed,
    not_found,
    not_so_much_left,
    problem_of,
    problem_of_http,
    rate_limited,
    too_many_connections,
    unauthenticated,
)
from allocator.http.reference.adjustment_problems import ADJUSTMENT_PROBLEMS
from allocator.http.reference.cart_problems import CART_PROBLEMS
from allocator.http.reference.problem_type import ProblemType
from allocator.http.refusals import problem_for


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What a type of problem means, and what to do about it."""

    type: str
    title: str
    status: int
    meaning: str
    remedy: str
    facts: dict[str, str]


def explanation(kind: ProblemType) -> Explanation:
    """Show a type of problem."""
    return Explanation(
        type=f"/problems/{kind.name}",
        title=kind.example.title,
        status=int(kind.status),
        meaning=kind.meaning,
        remedy=kind.remedy,
        facts=kind.facts,
    )


_ALL: Final = (
    ProblemType(
        example=problem_for(InsufficientStock(requested=500, available=97)),
        instance="/orders",
        meaning="Fewer units are available than were asked for. Nothing was reserved or moved: "
        "an order or a move gets all of its units or none. What is ordered already cannot move.",
        remedy="Ask for at most `available` units, or wait for stock. An order's Idempotency-Key "
        "may be used again: only successes are remembered. That of a move or of an order of "
        "several lines may not: what was refused is kept.",
        facts={
            "requested": "units asked for",
            "available": "units that could have been had",
            "move": "id of the move, if it was one that was refused",
            "lines": "of an order with `lines`: each of which there is not enough, with its "
            "`product`, `warehouse`, `requested` and `available`",
        },
    ),
    ProblemType(
        example=not_so_much_left(requested=3, left=2, product="tea-01", warehouse="main"),
        instance="/orders/813f74ad-5f45-8f78-982c-5bc8016c96f7/dispatch",
        meaning="More units of a line were to leave than the order has left of it. Nothing left.",
        remedy="Read the order, and dispatch at most what is left.",
        facts={
            "product": "of the line",
            "warehouse": "likewise",
            "requested": "units that were to leave",
            "left": "units that could",
        },
    ),
    ProblemType(
        example=problem_for(OrderNotOpen(order=1)),
        instance="/orders/813f74ad-5f45-8f78-982c-5bc8016c96f7/cancel",
        meaning="The order was dispatched or cancelled before, which is final; or it was to be "
        "cancelled, and units of it have left.",
        remedy="Read the order: its `status` says which it was.",
    ),
    ProblemType(
        example=problem_for(Occupied(product="tea-01")),
        instance="/stocks",
        meaning="The location holds one product at a time, and units of another one are there, "
        "or are expected. Nothing changed.",
        remedy="Choose another location, or empty this one first.",
        facts={
            "product": "the sku of what is there",
            "move": "id of the move, if it was one that was refused",
        },
    ),
    ProblemType(
        example=problem_for(IsFed()),
        instance="/stocks",
        meaning="The warehouse is fed by its own system (WMS), which alone says what comes in.",
        remedy="Tell the WMS; what it says appears with the next poll, or when it is pushed.",
    ),
    ProblemType(
        example=problem_for(TooManyLots(lots=300, limit=256)),
        instance="/moves",
        meaning="The units are spread over more lots than can move at once. Nothing moved.",
        remedy="Move fewer units at a time.",
        facts={
            "lots": "lots that the units would come from",
            "limit": "lots that can move at once",
            "move": "id of the move that was refused",
        },
    ),
    *ADJUSTMENT_PROBLEMS,
    ProblemType(
        example=conflict("warehouse main exists with other contents"),
        instance="/warehouses",
        meaning="A warehouse or location of this code, or a product of this sku, exists with other "
        "contents; or what is fixed at a location was to change.",
        remedy="Choose another name, or change with `PUT` what may change of the existing one.",
    ),
    ProblemType(
        example=malformed("the body is not JSON: Input data was truncated"),
        instance="/orders",
        meaning="The body is not what the head of the request says: no JSON, not UTF-8, or not "
        "compressed as its Content-Encoding says.",
        remedy="Correct the client; the same request will always fail.",
    ),
    ProblemType(
        example=invalid("no such product", product="tea-99"),
        instance="/orders",
        meaning="The request was understood and makes no sense: a value of the wrong type or out "
        "of its bounds, an unknown field or parameter, a product or warehouse that does not "
        "exist, stock that is past its date already.",
        remedy="Correct what `detail` names.",
        facts={
            "product": "the sku that names no product",
            "warehouse": "the code that names no warehouse",
            "from": "likewise, of a move",
            "to": "likewise, of a move",
        },
    ),
    ProblemType(
        example=problem_for(KeyReused(key="order-7781")),
        instance="/orders",
        meaning="This Idempotency-Key was used by another request that succeeded. "
        "Nothing was done.",
        remedy="Use a new key for each request that is not a repeat. If this one should have "
        "been a repeat, its contents differ from the first.",
        facts={"idempotency_key": "the key"},
    ),
    ProblemType(
        example=not_found("order"),
        instance="/orders/00000000-0000-8000-8000-000000000000",
        meaning="The path names nothing: no route, or a thing that does not exist.",
        remedy="Check the path; `/openapi.json` lists the routes.",
    ),
    ProblemType(
        example=pruned(Pruned(version=48_211, at_ms=1_769_860_800_000)),
        instance="/stock-balances/main/tea-01",
        meaning="The moment that was asked for lies before the oldest one of which this "
        "server still keeps the journal: what is older has been archived by its operator.",
        remedy="Ask for `earliest_at`, `earliest_version` or a later moment, or ask the operator "
        "for the archive.",
        facts={
            "earliest_version": "the oldest version that can be shown",
            "earliest_at": "when it came to be: the oldest time that can be shown",
        },
    ),
    ProblemType(
        example=method_not_allowed(frozenset({"GET", "POST"})),
        instance="/orders",
        meaning="The path exists and does not know this method.",
        remedy="Use one of the methods in the `Allow` header.",
    ),
    ProblemType(
        example=problem_of_http(
            web.HTTPRequestEntityTooLarge(max_size=1_048_576, actual_size=1_048_577)
        ),
        instance="/orders",
        meaning="The body, or a line of a batch, is larger than this server accepts: one "
        "mebibyte, unless its operator chose otherwise.",
        remedy="Send less at once; a batch may have any number of lines.",
    ),
    ProblemType(
        example=problem_of_http(
            web.HTTPUnsupportedMediaType(text="this route takes application/json, not text/plain")
        ),
        instance="/orders",
        meaning="The Content-Type is not what the route takes.",
        remedy="Send the type that `detail` names, or no Content-Type at all.",
    ),
    ProblemType(
        example=EXPECTATION_FAILED,
        instance="/orders",
        meaning="The request has an `Expect` header that says something else than `100-continue`.",
        remedy="Leave the header out.",
    ),
    ProblemType(
        example=problem_of(OverloadedError(whose="product and warehouse", limit=4096)),
        instance="/orders",
        meaning="Too many requests wait for an answer, for this product at this warehouse or for "
        "the server. This one was turned away at once; nothing was done.",
        remedy="Repeat it unchanged after `Retry-After`, with growing pauses.",
    ),
    ProblemType(
        example=problem_of(OutcomeUnknownError()),
        instance="/orders",
        meaning="The database did not answer in time, or the server starts, stops or repairs "
        "itself. `detail` says whether nothing was done or the outcome is unknown.",
        remedy="Repeat the request unchanged after `Retry-After`. With an Idempotency-Key it "
        "happens once, whatever happened before; without one, look first.",
        facts={
            "move": "id of a move that goes on meanwhile",
            "order": "likewise, of an order of several lines",
        },
    ),
    ProblemType(
        example=unauthenticated(is_missing=True),
        instance="/orders",
        meaning="The request has no API key, or one that is unknown or revoked. Nothing was done.",
        remedy="Send a key in the header `Authorization: Bearer alk_…`. An operator makes one with "
        "`allocator keys create`.",
    ),
    ProblemType(
        example=forbidden("client", needed="stock"),
        instance="/stocks",
        meaning="The API key has another role than the operation needs. Nothing was done.",
        remedy="Use a key of that role, or of the role operator, which may do everything.",
        facts={"role": "the role of the key", "needed": "the role that the operation needs"},
    ),
    ProblemType(
        example=rate_limited(100),
        instance="/orders",
        meaning="More requests came with this API key in a second than its server allows. Nothing "
        "was done.",
        remedy="Repeat it unchanged after `Retry-After`, and send fewer at once; many orders fit "
        "into one request to `/orders/batch`.",
        facts={"limit": "requests a second"},
    ),
    ProblemType(
        example=malformed_request(),
        instance="/",
        meaning="What was sent is not HTTP/1.1, or not to be trusted: two lengths, a header that "
        "has no colon. Or it is HTTPS, and this server speaks HTTP. The connection is closed.",
        remedy="Correct the client, or whatever stands between it and the server.",
    ),
    ProblemType(
        example=line_too_long(8_192),
        instance="/",
        meaning="Path and query are longer than this server accepts. The connection is closed.",
        remedy="Send less: no path or query of this API needs as much.",
    ),
    ProblemType(
        example=header_too_large("a header may have 8190 bytes"),
        instance="/",
        meaning="A header is longer than this server accepts, or there are too many of them. The "
        "connection is closed.",
        remedy="Send fewer or shorter headers: cookies of others perhaps?",
    ),
    ProblemType(
        example=too_many_connections(),
        instance="/",
        meaning="The server has as many connections as it may have. Nothing was done; this one is "
        "closed.",
        remedy="Repeat the request after `Retry-After`; keep connections, and use fewer of them.",
    ),
    ProblemType(
        example=INTERNAL,
        instance="/orders",
        meaning="An error of this server, which has been logged. If it says that nothing was "
        "done, nothing was.",
        remedy="Tell the operator when it happened, and at which path.",
    ),
    *CART_PROBLEMS,
)

PROBLEM_TYPES: Final = {kind.name: kind for kind in _ALL}
"""Every type that an answer can have, by its name."""
