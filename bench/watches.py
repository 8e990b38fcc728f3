"""What a load on several workers tells: a watch judges every reply, and keeps what it shows."""

import asyncio
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from time import perf_counter_ns

from bench.latency import Histogram, Percentiles
from bench.steady import Loss, Order, Reply

_REPEAT_AFTER_S = 0.05
_NOT_NOW = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}


class ForwardWatch:
    """Times orders apart by whether the worker that held the connection owned the product.

    Args:
        owners: The process that owns each product's pool.

    Attributes:
        holders: The process that holds each connection, by our end's port.
    """

    def __init__(self, owners: Mapping[str, int]) -> None:
        self.holders: Mapping[int, int] = {}
        self._owners = owners
        self._direct = Histogram()
        self._forwarded = Histogram()

    def judge(self, order: Order, reply: Reply) -> None:
        """Time an order that was placed, from when it was due; nothing is repeated."""
        if reply != HTTPStatus.CREATED:
            return
        direct = self.holders[order.client_port] == self._owners[order.product]
        histogram = self._direct if direct else self._forwarded
        histogram.record(perf_counter_ns() - order.due_ns)

    @property
    def direct(self) -> Percentiles:
        """What orders took whose connection was held by the owner."""
        return self._direct.percentiles()

    @property
    def forwarded(self) -> Percentiles:
        """What the others took."""
        return self._forwarded.percentiles()

    @property
    def forwarded_share(self) -> float:
        """How many of all were forwarded."""
        return self._forwarded.count / max(1, self._direct.count + self._forwarded.count)


class DeathWatch:
    """Notices when products take orders again; has keyed orders repeated until they are placed."""

    def __init__(self) -> None:
        self._away: set[str] = set()
        self._dead_ns = 0
        self._back: asyncio.Future[int] | None = None

    async def return_of(self, products: Iterable[str]) -> int:
        """Return when each of these had placed an order that was sent after this call.

        What was sent before may have been placed by whoever is dead now.
        """
        self._away = set(products)
        self._dead_ns = perf_counter_ns()
        self._back = asyncio.get_running_loop().create_future()
        return await self._back

    def judge(self, order: Order, reply: Reply) -> float | None:
        """Repeat what was not answered, and what was answered "not now"."""
        if isinstance(reply, Loss) or reply in _NOT_NOW:
            return _REPEAT_AFTER_S
        if reply == HTTPStatus.CREATED and order.sent_ns >= self._dead_ns:
            self._away.discard(order.product)
            if self._back is not None and not self._back.done() and not self._away:
                self._back.set_result(perf_counter_ns())
        return None


class RollWatch:
    """Does as a client does that knows nothing of workers.

    Attributes:
        repeated: Requests whose connection was closed before any byte of an answer.
        roll_s: What exchanging the workers took; set by whoever had it done.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self.roll_s = 0.0

    def judge(self, order: Order, reply: Reply) -> float | None:
        """Repeat such a request at once, and no other; and none twice."""
        if reply is not Loss.UNANSWERED or order.times > 1:
            return None
        self.repeated += 1
        return 0
