"""Problems (RFC 9457): how every request that fails is answered.

`type` is the contract, a path under /problems/ that the documentation explains; `title` and
`detail` are for people; the other members are facts for programs.
"""

from http import HTTPStatus
from typing import Final, assert_never

import msgspec
from aiohttp import web

from allocator.actors.messages import KeyReused
from allocator.domain.adjustments import (
    AdjustRefusal,
    FlaggedUnits,
    InsufficientUnits,
    UnknownLot,
    VersionPassed,
)
from allocator.domain.carts import CartNotOpen, PaidFor, TooManyEdits, TooManyLines
from allocator.domain.checkouts import (
    AmountTooLarge,
    CartChanged,
    CartChanging,
    CartEmpty,
    CheckoutRefusal,
    CheckoutUnderWay,
    NotUnknown,
    TooManyCheckouts,
)
from allocator.domain.feeds import (
    ExcludesFixed,
    FeedNotOn,
    FeedRefusal,
    NotUnderWay,
    OlderRun,
    PartsMissing,
    UnknownPush,
)
from allocator.domain.holds import AlreadyHeld
from allocator.domain.kinds import Refusal
from allocator.domain.messages import (
    AlreadyBegun,
    AlreadyExpired,
    InsufficientStock,
    OrderNotOpen,
)
from allocator.domain.moves import SamePlace
from allocator.domain.orders import NotOpen, TooMuch
from allocator.domain.reconciling import IsFed, NotFed, TurnUnknown
from allocator.domain.transfers import AlreadySent, Occupied, Stale, TooManyLots
from allocator.errors import AllocatorError, OverloadedError
from allocator.http.answers import JsonAnswer

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1

_NOT_OPEN: Final = {
    "closed": "the cart was closed: open another one",
    "expired": "the cart has expired, and everything in it was given back: open another one",
    "paid": "the cart was paid for, and is an order now: open another one",
}

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


def problem_for(refusal: Refusal | KeyReused) -> Problem:
    """Translate a refusal."""
    match refusal:
        case (Occupied() | TooManyLots() | SamePlace() | AlreadyExpired() | IsFed()) | (
            InsufficientUnits() | UnknownLot() | FlaggedUnits() | VersionPassed()
        ):
            return _problem_of_place(refusal)
        case (AlreadyBegun() | AlreadySent() | AlreadyHeld()) | (
            Stale() | NotFed() | TurnUnknown()
        ):
            return _problem_between_actors(refusal)
        case InsufficientStock(requested=requested, available=available):
            return Problem(
                type="insufficient-stock",
                title="Not enough stock",
                status=HTTPStatus.CONFLICT,
                detail=f"{requested} requested, {available} available",
                facts={"requested": requested, "available": available},
            )
        case OrderNotOpen() | NotOpen() | TooMuch() | PaidFor():
            return _problem_of_order(refusal)
        case KeyReused(key=key):
            return Problem(
                type="key-reused",
                title="Idempotency-Key used for another request",
                status=HTTPStatus.UNPROCESSABLE_ENTITY,
                detail="this key belongs to a request with other contents; use a new one",
                facts={"idempotency_key": key},
            )
        case _:
            return _problem_of_process(refusal)


def _problem_between_actors(
    refusal: AlreadyBegun | AlreadySent | AlreadyHeld | Stale | NotFed | TurnUnknown,
) -> Problem:
    return conflict("this was begun before") if isinstance(refusal, AlreadyBegun) else INTERNAL


def _problem_of_place(
    refusal: Occupied | TooManyLots | SamePlace | AlreadyExpired | IsFed | AdjustRefusal,
) -> Problem:
    match refusal:
        case IsFed():
            return Problem(
                type="warehouse-fed",
                title="The warehouse is fed by its own system",
                status=HTTPStatus.CONFLICT,
                detail="what comes into this warehouse, its own system (WMS) says",
            )
        case Occupied(product=product):
            return Problem(
                type="location-occupied",
                title="The location holds another product",
                status=HTTPStatus.CONFLICT,
                detail=f"it holds, or is there for, {product}",
                facts={"product": product},
            )
        case TooManyLots(lots=lots, limit=limit):
            return Problem(
                type="too-many-lots",
                title="Too many lots",
                status=HTTPStatus.CONFLICT,
                detail=f"so many units are spread over {lots} lots; {limit} can move at once",
                facts={"lots": lots, "limit": limit},
            )
        case SamePlace():
            return invalid("from and to are one place: nothing would move")
        case AlreadyExpired():
            return invalid("expires_at must lie in the future: expired stock cannot be sold")
        case _:
            return _problem_of_adjustment(refusal)


def _problem_of_adjustment(refusal: AdjustRefusal) -> Problem:
    match refusal:
        case InsufficientUnits(state=state, requested=requested, available=available):
            return Problem(
                type="insufficient-units",
                title="Not so many units in this state",
                status=HTTPStatus.CONFLICT,
                detail=f"{requested} units were to leave the state {state}, which has {available}",
                facts={"state": state, "requested": requested, "available": available},
            )
        case UnknownLot():
            return invalid("nothing is there of this stock, or it is elsewhere: see GET /stocks")
        case FlaggedUnits(requested=requested, available=available):
            return Problem(
                type="units-recalled",
                title="Units of the order were recalled",
                status=HTTPStatus.CONFLICT,
                detail=f"{requested} units of one stock were to leave, which was recalled, and "
                f"{available} may: they leave when others have come, or that stock is released",
                facts={"requested": requested, "available": available},
            )
        case VersionPassed(version=version):
            why = f"the balance is at version {version} by now: read it, and decide anew"
            return version_passed(why, version=version)
        case _:
            assert_never(refusal)


def _problem_of_process(
    refusal: CartNotOpen | TooManyEdits | TooManyLines | CheckoutRefusal | FeedRefusal,
) -> Problem:
    match refusal:
        case FeedNotOn(status=status):
            detail = f"the feed is {status}" if status else "there is no feed"
        case ExcludesFixed():
            detail = "excludes cannot change while the warehouse is fed: delete the feed first"
        case OlderRun(as_of=as_of, applied_through=through):
            detail = f"it was heard before what is there as of {as_of}, applied through {through}"
        case UnknownPush(applied_through=applied, sent_through=sent):
            detail = f"push {applied} was never sent; the last one is {sent}"
        case NotUnderWay(number=number):
            detail = f"{number} is over, or a newer one has taken its place"
        case PartsMissing(heard=heard, parts=parts):
            detail = f"{heard} of {parts} parts were heard"
        case _:
            return _problem_of_cart(refusal)
    return conflict(detail)


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


def _problem_of_order(refusal: OrderNotOpen | NotOpen | TooMuch | PaidFor) -> Problem:
    match refusal:
        case OrderNotOpen() | NotOpen():
            return Problem(
                type="order-not-open",
                title="The order is closed",
                status=HTTPStatus.CONFLICT,
                detail="it was dispatched or cancelled before; one of which units have left "
                "can only be dispatched",
            )
        case TooMuch(line=line, requested=requested, left=left):
            return not_so_much_left(requested=requested, left=left, line=line)
        case PaidFor():
            return Problem(
                type="order-paid",
                title="The order was paid for",
                status=HTTPStatus.CONFLICT,
                detail="an order that was paid for can be dispatched, but not cancelled",
            )
        case _:
            assert_never(refusal)


def _problem_of_cart(
    refusal: CartNotOpen | TooManyEdits | TooManyLines | CheckoutRefusal,
) -> Problem:
    facts: dict[str, Fact] = {}
    match refusal:
        case TooManyEdits(limit=limit):
            return overloaded(f"{limit} changes of this cart wait")
        case CartNotOpen(status=status):
            kind, title = "cart-not-open", "The cart is not open"
            detail, facts = _NOT_OPEN.get(status, ""), {"cart_status": status}
        case TooManyLines(limit=limit, removed=removed):
            kind, title, facts = "too-many-lines", "Too many lines", {"limit": limit}
            counted = "may ever have had" if removed else "may have at a time"
            detail = f"{limit} lines are all that a cart {counted}"
        case CartChanged() | CartChanging():
            kind, title = "cart-changed", "The cart has changed"
            detail = "the cart has changed meanwhile, or is about to: see what is in it, and repeat"
        case CartEmpty():
            kind, title = "cart-empty", "The cart is empty"
            detail = "there is nothing in the cart to pay for"
        case _:
            return _problem_of_checkout(refusal)
    return Problem(type=kind, title=title, status=HTTPStatus.CONFLICT, detail=detail, facts=facts)


def _problem_of_checkout(
    refusal: CheckoutUnderWay | TooManyCheckouts | NotUnknown | AmountTooLarge,
) -> Problem:
    facts: dict[str, Fact] = {}
    match refusal:
        case AmountTooLarge(amount=amount, limit=limit):
            return invalid(
                f"the cart costs {amount} minor units; {limit} are the most", limit=limit
            )
        case CheckoutUnderWay():
            kind, title = "checkout-under-way", "The cart is being paid for"
            detail = "nothing about the cart can change until its checkout is paid or has failed"
        case TooManyCheckouts(limit=limit):
            kind, title, facts = "too-many-checkouts", "Too many checkouts", {"limit": limit}
            detail = f"{limit} attempts to pay for this cart have failed; open another one"
        case NotUnknown(status=status):
            kind, title = "checkout-not-unknown", "Nothing to resolve"
            facts = {"checkout_status": status}
            detail = f"the checkout is {status}: only one that is unknown can be resolved"
        case _:
            assert_never(refusal)
    return Problem(type=kind, title=title, status=HTTPStatus.CONFLICT, detail=detail, facts=facts)


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
