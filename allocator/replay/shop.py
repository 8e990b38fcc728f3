"""The server's HTTP contract as far as a replay needs it."""

import hashlib
from http import HTTPStatus
from typing import TypeVar

import msgspec

from allocator.client.patience import Answer, PatientClient
from allocator.errors import AllocatorError
from allocator.replay.ledger import Balance
from allocator.replay.plan import Cancelling, Opening, Placing, Receiving

_DETAIL_MAX = 200
_SUCCESSES = range(200, 300)

_Content = TypeVar("_Content")


class UnexpectedAnswerError(AllocatorError):
    """The server answered against its contract, or does not take this history."""

    def __init__(self, *, request: str, status: int, detail: str) -> None:
        super().__init__(f"{request} was answered with {status}: {detail}")
        self.status = status


class _Named(msgspec.Struct, frozen=True):
    name: str


class _NewOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    product: str
    warehouse: str
    quantity: int
    customer: str = ""


class _NewStock(msgspec.Struct, frozen=True, kw_only=True):
    product: str
    warehouse: str
    quantity: int
    reference: str


class _Order(msgspec.Struct, frozen=True):
    id: str


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""


class Shop:
    """One warehouse of a running server, as its customers reach it."""

    def __init__(self, client: PatientClient, *, warehouse: str, digest: str) -> None:
        """Ask through `client`.

        Args:
            client: Repeats what goes unanswered.
            warehouse: The code of the warehouse that this run has for itself.
            digest: Names the history; with the warehouse it makes the keys of this run its own.
        """
        self._client = client
        self._warehouse = warehouse
        self._digest = digest

    async def open_warehouse(self, *, name: str) -> None:
        """Create the warehouse."""
        await self._put(f"/warehouses/{self._warehouse}", name=name, place="")

    async def open_product(self, opening: Opening) -> None:
        """Create the product, or name it anew, and take its opening stock in."""
        await self._put(f"/products/{opening.sku}", name=opening.name, place=_at(opening.line))
        if opening.quantity:
            stock = _NewStock(
                product=opening.sku,
                warehouse=self._warehouse,
                quantity=opening.quantity,
                reference="opening stock",
            )
            await self._take_in(stock, line=opening.line, step="opening")

    async def place(self, step: Placing) -> str | None:
        """Place an order; returns its id, or None if it is refused."""
        order = _NewOrder(
            product=step.sku,
            warehouse=self._warehouse,
            quantity=step.quantity,
            customer=step.customer,
        )
        answer = await self._post("/orders", order, key=self._key(step.line, "order"))
        if answer.status == HTTPStatus.CONFLICT:
            return None
        request = f"POST /orders{_at(step.line)}"
        _expect(answer, HTTPStatus.CREATED, request=request)
        return _decode(answer, _Order, request=request).id

    async def cancel(self, step: Cancelling, *, order: str) -> bool:
        """Cancel the order with this id; False if it is refused."""
        path = f"/orders/{order}/cancel"
        answer = await self._post(path, None, key=self._key(step.line, "cancel"))
        if answer.status == HTTPStatus.CONFLICT:
            return False
        _expect(answer, HTTPStatus.OK, request=f"POST {path}{_at(step.line)}")
        return True

    async def receive(self, step: Receiving) -> None:
        """Take a return in as stock."""
        stock = _NewStock(
            product=step.sku,
            warehouse=self._warehouse,
            quantity=step.quantity,
            reference=step.reference,
        )
        await self._take_in(stock, line=step.line, step="return")

    async def balance(self, sku: str) -> Balance:
        """Return the product's numbers as the server has them now."""
        path = f"/stock-balances/{self._warehouse}/{sku}"
        answer = await self._client.ask("GET", path)
        _expect(answer, HTTPStatus.OK, request=f"GET {path}")
        return _decode(answer, Balance, request=f"GET {path}")

    async def _put(self, path: str, *, name: str, place: str) -> None:
        body = msgspec.json.encode(_Named(name))
        answer = await self._client.ask("PUT", path, body=body)
        if answer.status not in _SUCCESSES:
            raise _unexpected(answer, request=f"PUT {path}{place}")

    async def _take_in(self, stock: _NewStock, *, line: int, step: str) -> None:
        answer = await self._post("/stocks", stock, key=self._key(line, step))
        _expect(answer, HTTPStatus.CREATED, request=f"POST /stocks{_at(line)}")

    async def _post(self, path: str, content: msgspec.Struct | None, *, key: str) -> Answer:
        body = None if content is None else msgspec.json.encode(content)
        return await self._client.ask("POST", path, body=body, key=key)

    def _key(self, line: int, step: str) -> str:
        """Name a request for ever: the same in every attempt, another in every other run."""
        name = f"{self._digest} {self._warehouse} {line} {step}"
        return hashlib.sha256(name.encode()).hexdigest()[:32]


def _at(line: int) -> str:
    return f" for line {line}"


def _expect(answer: Answer, status: HTTPStatus, *, request: str) -> None:
    if answer.status != status:
        raise _unexpected(answer, request=request)


def _decode(answer: Answer, kind: type[_Content], *, request: str) -> _Content:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        detail = f"the body is not as agreed ({error})"
        raise UnexpectedAnswerError(request=request, status=answer.status, detail=detail) from error


def _unexpected(answer: Answer, *, request: str) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(request=request, status=answer.status, detail=_detail(answer))


def _detail(answer: Answer) -> str:
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        return repr(answer.body[:_DETAIL_MAX].decode(errors="replace"))
    return problem.detail or problem.title or "no reason given"
