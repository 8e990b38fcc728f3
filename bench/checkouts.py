"""Customers who check out a cart of one unit each, many at once."""

import asyncio
import itertools
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from bench.api import Api
from bench.errors import BenchError
from bench.messages import PLENTY_UNITS, WAREHOUSE, product_name

_CLIENTS: Final = 32
_FIRST_CUSTOMER: Final = 1
_PRODUCTS: Final = [product_name(number) for number in range(16)]
_PRICE: Final = {"amount": 250, "currency": "EUR"}


class CheckoutError(BenchError):
    """A cart could not be opened, filled or checked out."""


class _Cart(msgspec.Struct):
    id: str


def open_shop(port: int) -> None:
    """Have products that can be paid for."""
    with Api(port=port) as api:
        api.open_warehouse()
        for product in _PRODUCTS:
            api.stock(product, quantity=PLENTY_UNITS)
            api.must("PUT", f"/products/{product}", {"name": product, "price": _PRICE})


class Customers:
    """People who are new here, each of whom checks out one cart.

    Args:
        port: Of the server.
    """

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._numbers: Iterator[int] = itertools.count(_FIRST_CUSTOMER)

    async def check_out(self, count: int) -> None:
        """Have so many checkouts begun: the provider is asked, or about to be.

        Raises:
            CheckoutError: One was refused.
        """
        numbers = iter(list(itertools.islice(self._numbers, count)))
        async with aiohttp.ClientSession(self._url) as session:
            await asyncio.gather(*(self._come(session, numbers) for _ in range(_CLIENTS)))

    async def _come(self, session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for number in numbers:
            # The key spreads the carts over the workers, whichever takes the connection.
            key = {"Idempotency-Key": f"cart {number}"}
            body = await _ask(session, "POST", "/carts", {"customer": str(number)}, headers=key)
            cart = msgspec.json.decode(body, type=_Cart).id
            product = _PRODUCTS[number % len(_PRODUCTS)]
            line = f"/carts/{cart}/lines/{WAREHOUSE}/{product}"
            await _ask(session, "PUT", line, {"quantity": 1})
            await _ask(session, "POST", f"/carts/{cart}/checkout")


async def _ask(
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
) -> bytes:
    async with session.request(method, path, json=body, headers=headers) as answer:
        content = await answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise CheckoutError(f"{method} {path} was answered {answer.status}: {content.decode()}")
        return content
