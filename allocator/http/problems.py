"""Problems (RFC 9457): how every request that fails is answered.

`type` is the contract, a path under /problems/ that the documentation explains; `title` and
`detail` are for people; the other members are facts for programs.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from allocator.errors import AllocatorError, OverloadedError
from allocator.http.answers import JsonAnswer

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1

Fact = str | int | list[dict[str, str | int]] | None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, for programs and for people."""

    type: str
    title: str
    status: HTTPStatus
    detail: str
    facts: dict[str, Fact] = {}
    allow: frozenset[str] = frozenset()
    challenge: str = ""

    def members(self, *, instance: str | None) -> dict[str, Fact]:
        """Return the members of the JSON object, without those that are unknown."""
        members: dict[str, Fact] = {
            "type": f"/problems/{self.type}",
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
        }
        if instance is not None:
            members["instance"] = instance
        return members | self.facts


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def answer(problem: Problem, *, instance: str | None) -> JsonAnswer:
    """Answer with a problem; one that will pass says when to try again."""
    headers = {}
    if problem.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if problem.allow:
        headers["Allow"] = ", ".join(sorted(problem.allow))
    if problem.challenge:
        headers["WWW-Authenticate"] = problem.challenge
    return JsonAnswer(
        msgspec.json.encode(problem.members(instance=instance)),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=headers,
    )


def version_passed(why: str, **facts: Fact) -> Problem:
    """Say that what a client has read is not how things are."""
    return Problem(
        type="version-passed",
        title="The balance has changed",
        status=HTTPStatus.PRECONDITION_FAILED,
        detail=why,
        facts=facts,
    )


def version_required() -> Problem:
    """Say that an absolute quantity is set on what somebody has read, which is not said."""
    return Problem(
        type="version-required",
        title="Say which version you have read",
        status=HTTPStatus.PRECONDITION_REQUIRED,
        detail="an absolute quantity needs the header If-Match with the ETag of the balance that "
        "you have read",
    )


def problem_of(error: AllocatorError) -> Problem:
    """Translate an error: 503 if the same request may succeed later, else 500."""
    if isinstance(error, OverloadedError):
        kind, title = "overloaded", "Too many requests wait"
    elif error.retryable:
        kind, title = "try-again", "Repeat this request"
    else:
        kind, title = "internal", "An error of this server"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    if error.retryable:
        status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(type=kind, title=title, status=status, detail=str(error))


def not_decided(move: str) -> Problem:
    """Say that a move goes on, and that nobody knows yet how it ends."""
    return Problem(
        type="try-again",
        title="Repeat this request",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail="the move is requested and goes on by itself, but one of the places does not answer "
        f"yet; see /moves/{move}, or repeat the request with the same Idempotency-Key",
        facts={"move": move},
    )


def order_not_decided(order: str) -> Problem:
    """Say that an order goes on, and that nobody knows yet whether all of it is there."""
    return Problem(
        type="try-again",
        title="Repeat this request",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail="the order is requested and goes on by itself, but the stock of one of its lines "
        f"does not answer yet; see /orders/{order}, or repeat the request with the same "
        "Idempotency-Key",
        facts={"order": order},
    )


def lines_short(short: list[dict[str, str | int]]) -> Problem:
    """Say of which lines of an order there is not enough, so that none of it was ordered."""
    lines = "one line" if len(short) == 1 else f"{len(short)} lines"
    return Problem(
        type="insufficient-stock",
        title="Not enough stock",
        status=HTTPStatus.CONFLICT,
        detail=f"there is not enough for {lines} of the order, and nothing was ordered",
        facts={"lines": short},
    )


def not_so_much_left(*, requested: int, left: int, **line: Fact) -> Problem:
    """Say that more units of a line are to leave than are left of it."""
    return Problem(
        type="not-so-much-left",
        title="Less is left of the line",
        status=HTTPStatus.CONFLICT,
        detail=f"{requested} units are to leave, and {left} are left of this line",
        facts=line | {"requested": requested, "left": left},
    )


def invalid(detail: str, **facts: Fact) -> Problem:
    """Say that a request was understood and makes no sense."""
    return Problem(
        type="invalid-request",
        title="Invalid request",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=detail,
        facts=facts,
    )


def bad_code(name: str) -> Problem:
    """Say that what is given as `name` can be the code of nothing."""
    return invalid(f"{name} must be 1 to 64 of A-Z a-z 0-9 . _ -, but neither . nor ..")


def malformed(detail: str) -> Problem:
    """Say that a body is not what its media type says."""
    return Problem(
        type="malformed-body",
        title="Malformed body",
        status=HTTPStatus.BAD_REQUEST,
        detail=detail,
    )


def overloaded(detail: str) -> Problem:
    """Say that there is no room for one more just now."""
    return Problem(
        type="overloaded",
        title="Too many requests wait",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail=f"{detail}; nothing was done, repeat the request",
    )


def not_found(what: str) -> Problem:
    """Say that the path names nothing."""
    return Problem(
        type="not-found", title="Not found", status=HTTPStatus.NOT_FOUND, detail=f"no such {what}"
    )


def too_many_carts(limit: int) -> Problem:
    """Refuse to open one more cart."""
    return Problem(
        type="too-many-carts",
        title="Too many carts",
        status=HTTPStatus.CONFLICT,
        detail=f"{limit} carts are all that a customer may have open",
        facts={"limit": limit},
    )


def conflict(detail: str) -> Problem:
    """Say that the thing exists already, and differs."""
    return Problem(type="conflict", title="Conflict", status=HTTPStatus.CONFLICT, detail=detail)


def problem_of_http(error: web.HTTPException) -> Problem:
    """Translate what aiohttp refuses: oversized bodies, wrong media types."""
    status = HTTPStatus(error.status)
    if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        # Named by hand: Python 3.13 has another phrase for it, and a type is a contract.
        return Problem(
            type="content-too-large",
            title="Content Too Large",
            status=status,
            detail="the body is larger than this server accepts",
        )
    kind, detail = status.phrase.lower().replace(" ", "-"), error.text or status.phrase
    return Problem(type=kind, title=status.phrase, status=status, detail=detail)


def method_not_allowed(allowed: frozenset[str]) -> Problem:
    """Say which methods a route knows."""
    return Problem(
        type="method-not-allowed",
        title="Method Not Allowed",
        status=HTTPStatus.METHOD_NOT_ALLOWED,
        detail=f"this route knows {', '.join(sorted(allowed))}",
        allow=allowed,
    )


def unauthenticated(*, is_missing: bool) -> Problem:
    """Say that nobody knows who asks; the challenges are those of RFC 6750 §3."""
    detail, challenge = "this API key is unknown or revoked", 'Bearer error="invalid_token"'
    if is_missing:
        detail, challenge = "this server wants an API key: `Authorization: Bearer alk_…`", "Bearer"
    return Problem(
        type="unauthenticated",
        title="No valid API key",
        status=HTTPStatus.UNAUTHORIZED,
        detail=detail,
        challenge=challenge,
    )


def forbidden(role: str, *, needed: str) -> Problem:
    """Say that a key of this role may not do what only that one may."""
    return Problem(
        type="forbidden",
        title="Not with this API key",
        status=HTTPStatus.FORBIDDEN,
        detail=f"this takes a key of the role {needed}; yours is {role}",
        facts={"role": role, "needed": needed},
        challenge='Bearer error="insufficient_scope"',
    )


def malformed_request() -> Problem:
    """Say that what came is not HTTP."""
    return Problem(
        type="malformed-request",
        title="Not a request",
        status=HTTPStatus.BAD_REQUEST,
        detail="what was sent is not a request of HTTP/1.1",
    )


def line_too_long(limit: int) -> Problem:
    """Say that a request's path and query are too long."""
    return Problem(
        type="uri-too-long",
        title="Path too long",
        status=HTTPStatus.REQUEST_URI_TOO_LONG,
        detail=f"the path and the query may have {limit} bytes together",
    )


def header_too_large(detail: str) -> Problem:
    """Say that headers are too long or too many."""
    return Problem(
        type="header-too-large",
        title="Headers too large",
        status=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        detail=detail,
    )


def too_many_connections() -> Problem:
    """Say that there is no place left."""
    return Problem(
        type="too-many-connections",
        title="Too many connections",
        status=HTTPStatus.SERVICE_UNAVAILABLE,
        detail="this server has as many connections as it may have; nothing was done",
    )


def rate_limited(limit: int) -> Problem:
    """Say that a key has had its share of this second."""
    return Problem(
        type="rate-limited",
        title="Too many requests",
        status=HTTPStatus.TOO_MANY_REQUESTS,
        detail=f"a key may have {limit} requests a second; nothing was done",
        facts={"limit": limit},
    )


EXPECTATION_FAILED: Final = Problem(
    type="expectation-failed",
    title="Expectation Failed",
    status=HTTPStatus.EXPECTATION_FAILED,
    detail="the only expectation that this server meets is 100-continue",
)
INTERNAL: Final = Problem(
    type="internal",
    title="An error of this server",
    status=HTTPStatus.INTERNAL_SERVER_ERROR,
    detail="an unexpected error; it has been logged",
)
