"""What a fuzzer that reads /openapi.json must be told besides; loaded by it, in its process."""

import json
from typing import Final

import msgspec
import schemathesis
from schemathesis import Case, CheckContext, HookContext, Response, SerializationContext

from allocator.http.shapes import Code

_PLACES: Final = {"from": "main", "to": "shelf-07"}
"""Of moves; in adjustments, which have a reason, they are states."""
_KNOWN: Final = {"product": "tea-01", "warehouse": "main", **_PLACES}
"""What the examples of the document create."""

_MEANT_OTHERWISE: Final = (
    "no such ",  # the product or warehouse of a body
    "cursor must be ",  # what a list gave
    "expires_at must lie in the future",
    "at must lie in the past",
    "at and version exclude each other",
    "from and to are one place",
    "locations are in warehouses",
    "product and warehouse say whose journal",
    "a product in the cart has no price",
    "a cart is paid for in one currency",
    "this request takes no body",
    "lines of one product and warehouse may have ",
    "there is no state ",
    "state goes with delta",
    "delta goes with state",
    "delta must not be 0",
    "units expire by themselves",
    "expired units can only be written off",
    "from and to are both ",
    "quantity is missing; only all of one stock needs none",
    "stock must be the id of ",
    "part must be at most parts",
    "times of batches must lie ",
    "nothing can be excluded as ",
    "url must ",  # lead somewhere, and be https unless the operator says otherwise
)
_MEANT_SO: Final = {"/problems/key-reused", "/problems/version-passed"}
_ENDINGS: Final = ("printable characters", "name a batch once")


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: SerializationContext, value: object) -> bytes:
    """Send lines as they are."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.hook
def map_body(_context: HookContext, body: object) -> object:
    """Name what exists in half of the bodies: nothing happens to what does not.

    What cannot be a name stays as it is, for it may be all that is wrong with the request.
    """
    if not isinstance(body, dict):
        return body
    lines = body.get("lines")
    if isinstance(lines, list):
        body = body | {"lines": [map_body(_context, line) for line in lines]}
    known = _KNOWN.keys() if "reason" not in body else _KNOWN.keys() - _PLACES.keys()
    wrong = {name for name in known & body.keys() if _is_code(body[name]) and len(body[name]) % 2}
    return body | {name: _KNOWN[name] for name in wrong}


def _is_code(value: object) -> bool:
    try:
        msgspec.convert(value, Code)
    except msgspec.ValidationError:
        return False
    return True


@schemathesis.hook
def map_query(_context: HookContext, query: object) -> object:
    """Have nothing be compared with a warehouse system that nobody has: it would be waited for."""
    if isinstance(query, dict) and query.get("dry_run") == "true":
        return query | {"dry_run": "false"}
    return query


@schemathesis.check
def what_the_document_allows_is_taken(
    _context: CheckContext,
    response: Response,
    case: Case,  # type: ignore[type-arg]  # nobody can spell them
) -> None:
    """Refuse a request that the document allows only for what no schema can say."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in {400, 405, 406, 412, 415, 422, 428}:
        return
    problem = json.loads(response.content)
    assert problem["type"] in _MEANT_SO or _is_meant(problem["detail"]), problem


def _is_meant(detail: str) -> bool:
    return detail.startswith(_MEANT_OTHERWISE) or detail.endswith(_ENDINGS)
