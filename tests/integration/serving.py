"""A server as its operator runs it: a process of its own, known by what it logs and answers."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from inspect import isawaitable
from pathlib import Path

import aiohttp
import msgspec

from tests.integration.embedded_support import children_of

CHECKOUT = Path(__file__).parents[2]

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}

HANG_S = 30.0
"""An answer that takes longer is a hang: no time-out of the server is as long."""
_STARTED_S = 90.0
"""However busy the machine is, a server has started by then."""


class Logged(msgspec.Struct):
    """A line of the log; fields that nobody here asks for are left out."""

    event: str
    url: str = ""
    level: str = ""
    incarnation: str = ""
    place: int = 0
    pid: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What a request was told."""

    status: int
    body: bytes
    took_s: float
    retry_after: str | None = None

    @property
    def is_unavailable(self) -> bool:
        """Whether it says "not now", in the way that lets a client repeat it."""
        return self.status == 503 and self.retry_after is not None


class Balance(msgspec.Struct):
    """The numbers of a pair."""

    available: int
    ordered: int
    on_hand: int
    version: int


class Order(msgspec.Struct):
    """An order as the API shows it."""

    id: str
    status: str
    customer: str | None = None


class Problem(msgspec.Struct):
    """Why not."""

    type: str
    detail: str


class Server:
    """`allocator serve`, started, killed and started again with the same arguments.

    Args:
        keep_alive: Whether a connection is used more than once; if not, any worker may be asked.

    Attributes:
        headers: Of every request that is `ask`ed.
    """

    def __init__(self, *arguments: str, log: Path, keep_alive: bool = True) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.headers: dict[str, str] = {}
        self.orphans: list[int] = []
        self._arguments = arguments
        self._log = log
        self._keep_alive = keep_alive
        self._session: aiohttp.ClientSession | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "it does not run"
        return self.process.pid

    async def start(self) -> None:
        """Return when it serves; it may not be ready yet."""
        begin = self._log.stat().st_size if self._log.exists() else 0
        process = self.process = self._spawn()

        def started() -> bool:
            assert process.poll() is None, self._log.read_bytes()[begin:].decode()
            urls = [line.url for line in self.logged("server.started", after=begin)]
            self.url = urls[0] if urls else ""
            return bool(urls)

        await until(started, within_s=_STARTED_S)

    async def start_ready(self) -> None:
        """Return when it serves everything."""
        await self.start()
        await until(self.is_ready)

    def crash(self) -> None:
        """Die as if the machine had, workers and all: no handler runs, nothing is flushed."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)  # it would replace those that die first
            self.crash_supervisor()
        for pid in self.orphans:
            if _is_worker(pid):  # and not somebody else who has its number now
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.orphans = []

    def crash_supervisor(self) -> None:
        """Die, and leave the workers behind."""
        assert self.process is not None
        self.orphans += self.workers()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def workers(self) -> list[int]:
        """Return the worker processes that its supervisor looks after; none without one."""
        return [pid for pid in children_of(self.pid) if _is_worker(pid)]

    async def terminate(self) -> int:
        """Ask it to stop, and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return await self.exit_code()

    async def exit_code(self) -> int:
        """Wait for its end."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, HANG_S)

    def logged(self, event: str, *, after: int = 0) -> list[Logged]:
        """Return the lines of the log that tell of an event, `after` bytes of it left out."""
        return [line for line in self._lines(after=after) if line.event == event]

    def complaints(self) -> list[str]:
        """Return the names of what was logged as an error."""
        return [line.event for line in self._lines() if line.level == "error"]

    async def ask(
        self, method: str, path: str, body: object = None, *, key: str | None = None
    ) -> Answer:
        """Send one request and wait for its answer.

        Raises:
            aiohttp.ClientError: There was none.
        """
        began = time.monotonic()
        async with self._client.request(
            method,
            self.url + path,
            data=None if body is None else msgspec.json.encode(body),
            headers=self.headers | (JSON if key is None else JSON | {"Idempotency-Key": key}),
        ) as response:
            return Answer(
                status=response.status,
                body=await response.read(),
                took_s=time.monotonic() - began,
                retry_after=response.headers.get("Retry-After"),
            )

    async def open_shop(self, **quantities: int) -> None:
        """Have a warehouse `main` with these products in stock."""
        await self.ok("PUT", "/warehouses/main", {"name": "Main"})
        for sku, quantity in quantities.items():
            await self.ok("PUT", f"/products/{sku}", {"name": sku})
            if quantity:
                await self.receive(sku, quantity)

    async def receive(self, sku: str, quantity: int) -> None:
        """Take units in."""
        body = {"product": sku, "warehouse": "main", "quantity": quantity}
        await self.ok("POST", "/stocks", body)

    async def order(
        self, sku: str, quantity: int = 1, *, customer: str | None = None, key: str | None = None
    ) -> Answer:
        """Try to place an order."""
        body = {"product": sku, "warehouse": "main", "quantity": quantity, "customer": customer}
        return await self.ask("POST", "/orders", body, key=key)

    async def batch(self, *lines: object) -> list[bytes]:
        """Send orders as one batch, and return the lines of its answer."""
        body = b"\n".join(msgspec.json.encode(line) for line in lines)
        async with self._client.post(f"{self.url}/orders/batch", data=body, headers=NDJSON) as each:
            assert each.status == 200, each
            return (await each.read()).splitlines()

    async def placed(self, sku: str, quantity: int = 1, **how: str) -> Order:
        """Place an order that succeeds."""
        answer = await self.order(sku, quantity, **how)
        assert answer.status == 201, answer
        return order_of(answer)

    async def shown(self, order_id: str) -> Order:
        """Look an order up."""
        return order_of(await self.ok("GET", f"/orders/{order_id}"))

    async def balance(self, sku: str) -> Balance:
        """Look a balance up."""
        answer = await self.ok("GET", f"/stock-balances/main/{sku}")
        return msgspec.json.decode(answer.body, type=Balance)

    async def ok(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request that succeeds."""
        answer = await self.ask(method, path, body)
        assert answer.status in {200, 201}, answer
        return answer

    async def is_ready(self) -> bool:
        """Whether it says that it serves everything."""
        return (await self.ask("GET", "/readyz")).status == 200

    async def metric(self, name: str) -> float:
        """Read one number of /metrics."""
        text = (await self.ok("GET", "/metrics")).body.decode()
        [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])

    async def close(self) -> None:
        """Let go of it, dead or alive."""
        self.crash()
        if self._session is not None:
            await self._session.close()

    def _lines(self, *, after: int = 0) -> list[Logged]:
        text = self._log.read_bytes()[after:] if self._log.exists() else b""
        whole = text[: text.rfind(b"\n") + 1].splitlines()
        # All of it is JSON, but for the last sentence of a server that cannot start.
        lines = [line for line in whole if not line.startswith(b"allocator: ")]
        return [msgspec.json.decode(line, type=Logged) for line in lines]

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "allocator", "serve", "--port", "0", *self._arguments],
                cwd=CHECKOUT,
                env={name: value for name, value in os.environ.items() if "ALLOCATOR_" not in name},
                stdout=log,
                stderr=log,
            )

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=HANG_S),
                connector=aiohttp.TCPConnector(limit=0, force_close=not self._keep_alive),
            )
        return self._session


@asynccontextmanager
async def serving(*arguments: str, log: Path) -> AsyncIterator[Server]:
    """A ready server, which dies with the test at the latest."""
    server = Server(*arguments, log=log)
    try:
        await server.start_ready()
        yield server
    finally:
        await server.close()


def _is_worker(pid: int) -> bool:
    with suppress(OSError):  # it may just have ended
        return b"allocator.worker_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def order_of(answer: Answer) -> Order:
    """Read an order."""
    return msgspec.json.decode(answer.body, type=Order)


def problem_of(answer: Answer) -> Problem:
    """Read a problem."""
    return msgspec.json.decode(answer.body, type=Problem)


async def until(condition: Callable[[], object], *, within_s: float = 30.0) -> None:
    """Wait until a condition, which may have to be awaited itself, holds."""
    deadline = time.monotonic() + within_s
    while True:
        holds = condition()
        if isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)
