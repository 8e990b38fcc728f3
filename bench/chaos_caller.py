"""Requests of a soak as bytes, and what their answers mean."""

from http import HTTPStatus

import msgspec

from bench.chaos_history import (
    Answer,
    Done,
    Kind,
    NotNow,
    NotOpen,
    Numbers,
    Operation,
    Shown,
    TooLittle,
)
from bench.messages import WAREHOUSE, Order, OrderRequest
from bench.mixes import request_bytes
from bench.sale_caller import Answer as HttpAnswer

_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_STATUSES = {Kind.DISPATCH: "dispatched", Kind.CANCEL: "cancelled"}
_SHORT = "/problems/insufficient-stock"
_NOT_OPEN = "/problems/order-not-open"


class UnexpectedAnswerError(Exception):
    """An answer that the contract has no room for."""


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    detail: str
    requested: int | None = None
    available: int | None = None


class _Stock(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    quantity: int


class StockRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Units to receive."""

    product: str
    warehouse: str
    quantity: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """A balance, as far as a soak moves it."""

    version: int
    available: int
    ordered: int
    on_hand: int


def request_of(operation: Operation, order_id: str) -> bytes:
    """Return the bytes of any attempt; `order_id` is that of the order it is about."""
    match operation.kind:
        case Kind.PLACE:
            order = OrderRequest(
                product=operation.product,
                warehouse=WAREHOUSE,
                quantity=operation.quantity,
                customer=operation.key,
            )
            return _post("/orders", msgspec.json.encode(order), operation)
        case Kind.RECEIVE:
            stock = StockRequest(
                product=operation.product, warehouse=WAREHOUSE, quantity=operation.quantity
            )
            return _post("/stocks", msgspec.json.encode(stock), operation)
        case Kind.DISPATCH | Kind.CANCEL:
            return _post(f"/orders/{order_id}/{operation.kind.value}", b"", operation)
        case Kind.SEE_BALANCE:
            return get_bytes(f"/stock-balances/{WAREHOUSE}/{operation.product}")
        case Kind.SEE_ORDER:
            return get_bytes(f"/orders/{order_id}")


def get_bytes(path: str) -> bytes:
    """Return the bytes of a reading."""
    return request_bytes(path, b"", method="GET")


def answer_of(operation: Operation, answer: HttpAnswer) -> Answer:
    """Understand an answer.

    Raises:
        UnexpectedAnswerError: The contract has no room for it.
    """
    try:
        understood = _understood(operation, answer)
    except (msgspec.DecodeError, ValueError):
        understood = None
    if understood is None:
        raise UnexpectedAnswerError(
            f"{operation.kind.value} {operation.key} was answered {answer.status}: "
            f"{answer.body.decode(errors='replace')[:300]}"
        )
    return understood


def _post(path: str, body: bytes, operation: Operation) -> bytes:
    return request_bytes(path, body, key=operation.key)


def _understood(operation: Operation, answer: HttpAnswer) -> Answer | None:
    if answer.status in _LATER and answer.retry_after_s:
        problem = msgspec.json.decode(answer.body, type=_Problem)
        return NotNow("nothing was done" in problem.detail)
    if answer.status == HTTPStatus.CONFLICT:
        return _refusal(operation, msgspec.json.decode(answer.body, type=_Problem))
    if answer.status == (HTTPStatus.CREATED if _creates(operation) else HTTPStatus.OK):
        return _success(operation, answer.body)
    return None


def _creates(operation: Operation) -> bool:
    return operation.kind in {Kind.PLACE, Kind.RECEIVE}


def _refusal(operation: Operation, problem: _Problem) -> Answer | None:
    if operation.kind is Kind.PLACE and problem.type == _SHORT and problem.available is not None:
        return TooLittle(problem.available)
    if operation.kind in _STATUSES and problem.type == _NOT_OPEN:
        return NotOpen()
    return None


def _success(operation: Operation, body: bytes) -> Answer | None:
    match operation.kind:
        case Kind.RECEIVE:
            stock = msgspec.json.decode(body, type=_Stock)
            return Done(stock.id) if stock.quantity == operation.quantity else None
        case Kind.SEE_BALANCE:
            seen = msgspec.json.decode(body, type=Balance)
            return Numbers(seen.version, seen.available, seen.ordered, seen.on_hand)
        case Kind.SEE_ORDER:
            return Shown(msgspec.json.decode(body, type=Order).status)
        case Kind.PLACE:
            order = msgspec.json.decode(body, type=Order)
            is_ours = (order.status, order.customer) == ("new", operation.key)
            return Done(order.id) if is_ours and _units(order) == operation.quantity else None
        case Kind.DISPATCH | Kind.CANCEL:
            order = msgspec.json.decode(body, type=Order)
            return Done(order.id) if order.status == _STATUSES[operation.kind] else None


def _units(order: Order) -> int:
    """Return the units that an order names, which its stocks have to add up to.

    Raises:
        ValueError: They do not.
    """
    units = sum(line.quantity for line in order.lines)
    if units != sum(part.quantity for line in order.lines for part in line.stocks):
        raise ValueError(order.id)
    return units
