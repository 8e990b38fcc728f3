"""The allocator's HTTP API, as far as a benchmark needs it to set up and to check."""

from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from bench.errors import BenchError
from bench.messages import WAREHOUSE, Balance
from bench.mixes import NOTHING

_Answer = TypeVar("_Answer")

_TIMEOUT_S = 60.0
_LAG = "allocator_projection_lag_events"


class ApiError(BenchError):
    """The server answered otherwise than the contract says, or not at all."""


class Api:
    """One connection to a server on the loopback address, for one thread.

    Args:
        headers: What every request carries.
    """

    def __init__(
        self, *, port: int, host: str = "127.0.0.1", headers: Mapping[str, str] = NOTHING
    ) -> None:
        self.port = port
        self.headers = headers
        self._connection = HTTPConnection(host, port, timeout=_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Return the status and the body of an answer.

        Raises:
            ApiError: there was no answer.
        """
        content = None if body is None else msgspec.json.encode(body)
        try:
            headers = {"Content-Type": "application/json", **self.headers}
            self._connection.request(method, path, body=content, headers=headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise ApiError(f"{method} {path} was not answered: {error!r}") from error

    def must(self, method: str, path: str, body: object = None) -> bytes:
        """Return the body of an answer that has to be a success.

        Raises:
            ApiError: it was not.
        """
        status, content = self.request(method, path, body)
        if status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(f"{method} {path} was answered {status}: {content.decode()[:500]}")
        return content

    def get(self, path: str, answer: type[_Answer]) -> _Answer:
        """Return a decoded answer.

        Raises:
            ApiError: it was no success, or is no such thing.
        """
        content = self.must("GET", path)
        try:
            return msgspec.json.decode(content, type=answer)
        except msgspec.DecodeError as error:
            raise ApiError(f"GET {path}: {error}: {content.decode()[:500]}") from error

    def open_warehouse(self) -> None:
        """Open the one warehouse that benches use."""
        self.must("PUT", f"/warehouses/{WAREHOUSE}", {"name": WAREHOUSE})

    def stock(self, product: str, *, quantity: int) -> None:
        """Open a product and receive stock of it at the one warehouse."""
        self.must("PUT", f"/products/{product}", {"name": product})
        stock = {"product": product, "warehouse": WAREHOUSE, "quantity": quantity}
        self.must("POST", "/stocks", stock)

    def balance(self, product: str) -> Balance:
        """Return the numbers of a product at the one warehouse."""
        return self.get(f"/stock-balances/{WAREHOUSE}/{product}", Balance)

    def projection_lag_events(self) -> int:
        """Return how many events the read models still have to take in.

        Raises:
            ApiError: the server does not say.
        """
        for line in self.must("GET", "/metrics").decode().splitlines():
            name, _, value = line.partition(" ")
            if name == _LAG:
                return int(float(value))
        raise ApiError(f"GET /metrics has no {_LAG}")
