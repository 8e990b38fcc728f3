"""An open loop that outlives its connections: what it offers does not depend on what is answered.

Each order is judged by whoever makes the load, whatever became of it, and may be sent again. A
connection that the server closes is replaced by another.
"""

import asyncio
import contextlib
import enum
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus
from time import perf_counter_ns
from typing import TypeAlias

import msgspec

from bench.client import GRACE_S, Answers, Connection, close_all
from bench.line import Line, connect
from bench.load import NS_PER_S, Load, LoadError
from bench.paced import Pace


class Loss(enum.Enum):
    """How a connection ended that still owed an answer."""

    UNANSWERED = "closed before the first byte of an answer"
    CUT_SHORT = "closed in the middle of an answer"


Reply: TypeAlias = int | Loss
"""A status, or none."""


class Order(msgspec.Struct, kw_only=True, eq=False):
    """An order of a steady load.

    Attributes:
        due_ns: When it should first have been sent.
        sent_ns: When it was last sent.
        times: How often it was.
        client_port: Our end of the connection that it was last sent on.
    """

    product: str
    request: bytes
    due_ns: int = 0
    sent_ns: int = 0
    times: int = 0
    client_port: int = 0


Judge: TypeAlias = Callable[[Order, Reply], float | None]
"""Returns after how many seconds to send an order again, or None when this reply was its last.

After a loss it is sent again on the connection that replaces the lost one.
"""


class SteadyLoad:
    """Orders at even intervals, for `pace.seconds` or until `stop`.

    Args:
        orders: Without end.
        judge: Hears every reply.
    """

    def __init__(self, pace: Pace, orders: Iterator[Order], *, judge: Judge) -> None:
        self._pace = pace
        self._orders = orders
        self._judge = judge
        self._answers = Answers()
        self._failure = ""
        self._total = round(pace.per_second * pace.seconds)
        self._interval_ns = NS_PER_S // pace.per_second
        self._started_ns = 0
        self._due = 0
        self._settled = 0
        self._waiting: deque[Order] = deque()
        self._idle: deque[Line] = deque()
        self._busy: dict[Connection, Order] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> list[int]:
        """Open all connections and return our ends' ports.

        Raises:
            LoadError: One of them was not accepted; the others are closed.
        """
        try:
            for _ in range(self._pace.connections):
                self._idle.append(await self._connect())
        except LoadError:
            close_all(list(self._idle))
            raise
        return [line.client_port for line in self._idle]

    async def run(self) -> Load:
        """Offer everything, and wait for the last answers.

        Raises:
            LoadError: A connection was lost and another was not accepted.
        """
        self._started_ns = perf_counter_ns()
        self._tick()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.seconds + GRACE_S):
                    await self._ended
        finally:
            close_all([*self._idle, *self._busy])
            for task in self._opening:
                task.cancel()
            await asyncio.gather(*self._opening, return_exceptions=True)
        unanswered = self._total - self._settled
        load = self._answers.load(started_ns=self._started_ns, unanswered=unanswered)
        return msgspec.structs.replace(load, first_failure=self._failure or load.first_failure)

    def stop(self) -> None:
        """Offer nothing more; what was due is still answered."""
        self._total = self._due
        self._end_if_settled()

    def _tick(self) -> None:
        """Queue what is due by now, send what can be sent, and come back for the next."""
        now_ns = perf_counter_ns()
        while self._due < self._total and self._due_ns() <= now_ns:
            order = next(self._orders)
            order.due_ns = self._due_ns()
            self._due += 1
            self._waiting.append(order)
        self._send_waiting()
        if self._due < self._total and not self._ended.done():
            delay_s = max(0, self._due_ns() - perf_counter_ns()) / NS_PER_S
            asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _due_ns(self) -> int:
        return self._started_ns + self._due * self._interval_ns

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            self._send(self._idle.popleft(), self._waiting.popleft())

    def _send(self, line: Line, order: Order) -> None:
        self._busy[line] = order
        order.sent_ns = perf_counter_ns()
        order.times += 1
        order.client_port = line.client_port
        line.send(order.request, since_ns=order.due_ns)

    def _answered(self, line: Connection, status: int) -> None:
        assert isinstance(line, Line)
        order = self._busy.pop(line)
        self._idle.append(line)
        delay_s = self._judge(order, status)
        if delay_s is None:
            self._answers.count(status, since_ns=order.due_ns)
            if status != HTTPStatus.CREATED:
                self._failure = self._failure or line.answer_text
            self._settle_one()
        else:
            asyncio.get_running_loop().call_later(delay_s, self._send_again, order)
        self._send_waiting()

    def _lost(self, line: Connection) -> None:
        assert isinstance(line, Line)
        order = self._busy.pop(line, None)
        if order is None:
            if line in self._idle:  # else it was lost before it was ours, and is not used
                self._idle.remove(line)
                self._replace(None, after_s=0)
            return
        delay_s = self._judge(order, Loss.CUT_SHORT if line.is_amid_answer else Loss.UNANSWERED)
        if delay_s is None:
            self._answers.lost += 1
            self._settle_one()
            self._replace(None, after_s=0)
        else:
            self._replace(order, after_s=delay_s)

    def _replace(self, order: Order | None, *, after_s: float) -> None:
        if not self._ended.done():
            task = asyncio.create_task(self._open_another(order, after_s))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open_another(self, order: Order | None, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            line = await self._connect()
        except LoadError as error:
            if not self._ended.done():
                self._ended.set_exception(error)
            return
        if order is None:
            self._idle.append(line)
            self._send_waiting()
        else:
            self._send(line, order)

    async def _connect(self) -> Line:
        return await connect(self._pace.port, on_answer=self._answered, on_lost=self._lost)

    def _send_again(self, order: Order) -> None:
        self._waiting.appendleft(order)
        self._send_waiting()

    def _settle_one(self) -> None:
        self._settled += 1
        self._end_if_settled()

    def _end_if_settled(self) -> None:
        if self._settled == self._total and not self._ended.done():
            self._ended.set_result(None)
