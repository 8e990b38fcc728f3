"""An open loop: orders arrive at their own pace, whether or not earlier ones were answered.

A latency counts from when the order was *due*, not from when a connection was free to send it,
so a server that stalls is charged for everybody who had to wait meanwhile (no coordinated
omission). The client's own lateness is in the figure too; it is about 0.1 ms.
"""

import asyncio
import contextlib
import selectors
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns

import msgspec

from bench.client import GRACE_S, Answers, Connection, close_all, open_connections
from bench.load import NS_PER_S, Load
from bench.mixes import Mix, order_requests


def never() -> bool:
    """Say that there is not enough yet."""
    return False


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Orders for one product at even intervals, on a bounded number of connections.

    Attributes:
        enough: Says whether no more orders are to come, before all `seconds` are over.
    """

    port: int
    seed: int
    per_second: int
    seconds: float
    connections: int = 64
    enough: Callable[[], bool] = never


def paced_load(pace: Pace) -> Load:
    """Offer orders at a steady pace and time each from when it was due.

    Raises:
        LoadError: a connection could not be opened.
    """
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        return runner.run(open_loop(pace))


async def open_loop(pace: Pace) -> Load:
    """Do the same on a loop that is running already, as precisely as its timers are."""
    return await _OpenLoop(pace).run()


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return a loop for up to a thousand connections whose timers are true to microseconds.

    select() takes its time-out in microseconds; epoll and uvloop round to milliseconds, which
    would be a good part of the latency that is to be measured.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


class _OpenLoop:
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._requests = order_requests(Mix.HOT, seed=pace.seed)
        self._answers = Answers()
        self._total = round(pace.per_second * pace.seconds)
        self._interval_ns = NS_PER_S // pace.per_second
        self._started_ns = 0
        self._due = 0
        self._waiting: deque[int] = deque()
        self._idle: deque[Connection] = deque()
        self._busy: set[Connection] = set()
        self._settled = asyncio.Event()

    async def run(self) -> Load:
        connections = await open_connections(
            port=self._pace.port,
            count=self._pace.connections,
            on_answer=self._answered,
            on_lost=self._lost,
        )
        self._idle.extend(connections)
        self._started_ns = perf_counter_ns()
        self._tick()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.seconds + GRACE_S):
                    await self._settled.wait()
        finally:
            close_all(connections)
        unanswered = len(self._busy) + len(self._waiting) + self._total - self._due
        return self._answers.load(started_ns=self._started_ns, unanswered=unanswered)

    def _tick(self) -> None:
        """Queue what is due by now, send what can be sent, and come back for the next."""
        now_ns = perf_counter_ns()
        if self._pace.enough():
            self._total = self._due
            self._settle()
        while self._due < self._total and self._due_ns(self._due) <= now_ns:
            self._waiting.append(self._due_ns(self._due))
            self._due += 1
        self._send_waiting()
        if self._due < self._total:
            delay_s = max(0, self._due_ns(self._due) - perf_counter_ns()) / NS_PER_S
            asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _due_ns(self, number: int) -> int:
        return self._started_ns + number * self._interval_ns

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            connection = self._idle.popleft()
            self._busy.add(connection)
            connection.send(next(self._requests), since_ns=self._waiting.popleft())

    def _answered(self, connection: Connection, status: int) -> None:
        self._answers.count(status, since_ns=connection.since_ns)
        self._busy.discard(connection)
        self._idle.append(connection)
        self._send_waiting()
        self._settle()

    def _lost(self, connection: Connection) -> None:
        if connection in self._busy:
            self._answers.lost += 1
            self._busy.discard(connection)
        else:
            self._idle.remove(connection)
        self._settle()

    def _settle(self) -> None:
        nobody_left = not self._busy and not self._idle
        all_answered = self._due == self._total and not self._busy and not self._waiting
        if nobody_left or all_answered:
            self._settled.set()
