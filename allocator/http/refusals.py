"""What a client is told of each refusal: a problem, and what programs may know of it."""

from http import HTTPStatus
from typing import Final, assert_never

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
from allocator.http.problems import (
    INTERNAL,
    Fact,
    Problem,
    conflict,
    invalid,
    not_so_much_left,
    overloaded,
    version_passed,
)

_NOT_OPEN: Final = {
    "closed": "the cart was closed: open another one",
    "expired": "the cart has expired, and everything in it was given back: open another one",
    "paid": "the cart was paid for, and is an order now: open another one",
}
_NOT_ON: Final = {
    "deleted": "the feed was deleted, and ends in some seconds: it can be put again then",
    "ended": "the feed has ended: put it again to have the warehouse fed",
}


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
                detail="its own system (WMS) says what comes into this warehouse, and what is "
                "lost there",
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
            detail = _NOT_ON.get(status, "there is no feed: put one")
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
