"""What holds for all routes, told once before them."""

from typing import Final

from allocator.domain.api_keys import Needed

TITLE: Final = "allocator"

SUMMARY: Final = "Stock that is never sold twice: warehouses, products, stock and orders."

CONVENTIONS: Final = {
    "Getting started": (
        "Name a warehouse and a product, receive stock, place an order: "
        "`PUT /warehouses/{code}`, `PUT /products/{sku}`, `POST /stocks`, `POST /orders`. The "
        "examples on this page are such requests and their answers, and work in this order. "
        "Stock is kept per product and warehouse; an order takes what expires first, then what "
        "came first. A warehouse may have locations (`PUT /locations/{code}`); wherever the code "
        "of a warehouse is wanted, that of a location will do."
    ),
    "API keys": (
        "A request carries an API key, as `Authorization: Bearer alk_…`; an operator makes one "
        "with `allocator keys create`. Without one it is answered 401, with a key of another role "
        "than the operation needs 403. The role `client` has carts, pays, and "
        "places and cancels orders, `stock` receives, moves and dispatches and keeps warehouses, "
        "locations and products, `operator` may do everything; each may read everything. "
        "The key's name stands in the journal for whoever asked. "
        "Only where no key was ever made, requests from the server's own machine "
        "need none."
    ),
    "Requests and answers": (
        "Bodies are JSON in UTF-8 with names in `snake_case`; a field or parameter that is not "
        "listed here is refused, so that a typing error is never ignored. Times are RFC 3339 "
        "with an offset, and answers have them in UTC. Money is an integer of minor units and a "
        "currency. An id is opaque: a UUID that can be neither guessed nor counted. `HEAD` is "
        "answered like `GET`, without the body."
    ),
    "What is answered is durable": (
        "An order is answered when it is committed, never before. A resource that is read by "
        "its id or name is never stale. Lists come from read models that follow the journal, "
        "usually within a fraction of a second; `/metrics` says how far behind they are."
    ),
    "Repeating a request": (
        "Every request that changes stock takes an `Idempotency-Key`. A repeat with the same "
        "key and the same contents happens once and gets the first answer again, across crashes "
        "and restarts, for at least 24 hours; a repeat of a request that is still under way "
        "waits for its answer. The same key with other contents is refused with 422. Only "
        "successes are remembered: after a refusal the key is free, but for a move's, which is "
        "kept whatever became of it. In a batch each line has a `key` of its own. `PUT` needs no "
        "key. Requests with different API keys never repeat each other."
    ),
    "When something goes wrong": (
        "Every error is a problem as of RFC 9457, `application/problem+json`: `type` is for "
        "programs and never changes its meaning, `detail` is for people, and some types add "
        "facts. 503 carries `Retry-After` and means: repeat this unchanged. Wherever you ask, a "
        "method that a path does not know is answered 405 with `Allow`, an unknown path 404, an "
        "expectation other than `100-continue` 417, and an error of the server itself 500. All "
        "types are explained at the end of this page, and each at the path that its `type` is."
    ),
    "Lists": (
        "A list has `items` and a `next_cursor`, which is null on the last page. Pass it as "
        "`cursor`, unchanged and with the same filters, to get the next page. A page may be "
        "empty although there was a cursor."
    ),
}
"""What is said before the routes, by its heading."""

ROLE_WORDS: Final[dict[Needed, str]] = {
    "none": "Needs no API key.",
    "any": "Needs an API key of any role.",
    "client": "Needs an API key of the role `client` or `operator`.",
    "stock": "Needs an API key of the role `stock` or `operator`.",
    "operator": "Needs an API key of the role `operator`.",
}

API_KEY_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "alk_ and 43 letters and digits",
    "description": "An API key. A server that never had one answers its own machine without.",
}
"""How requests carry their key, as OpenAPI says it."""

TAGS: Final = {
    "Orders": "Reserve units, let them leave, or give them back.",
    "Stock": "What has arrived, and what of it is left.",
    "Locations": "Places inside a warehouse, and how units get from one place to another.",
    "Carts": "Set units aside for a customer, who may pay for them.",
    "Tickets": "Stock that is nowhere: a number of tickets, sold until none is left.",
    "Catalogue": "The warehouses and products that everything else names.",
    "Journal": "Everything that ever happened, as it is stored.",
    "Webhooks": "Have others told what happens, wherever they are.",
    "Warehouse systems": "Have a warehouse be fed by a system of its own (WMS), and tell that one.",
    "Operations": "For those who run the server, and for what generates clients.",
}
"""Groups of routes in the order in which they are shown, by name."""
