"""A simulated warehouse system, and what a feed does with it, without a feed."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TypeVar

import aiohttp
import msgspec

from allocator.wms.bucket import Limit
from allocator.wms.gate import Gate, LimitedWms
from allocator.wms.http_wms import HttpWms, Terms, open_wms
from allocator.wms.interface import InventoryPage, Push, PushLine, Wms
from allocator.wms.sender import Patience, Sender
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_http import serving
from allocator.wms.simulator_nature import Nature
from allocator.wms.simulator_shapes import RequestsBody, TruthBody

TERMS = Terms(agent="allocator/test", timeout_s=5)
NEVER_S = 86_400.0

T = TypeVar("T")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def now_us() -> int:
    return time.monotonic_ns() // 1_000


@asynccontextmanager
async def simulated(nature: Nature) -> AsyncIterator[tuple[Simulator, str]]:
    """A warehouse system that runs its batches only if its nature says so."""
    simulator = Simulator(nature, clock=time.monotonic)
    async with serving(simulator) as url:
        yield simulator, url


@asynccontextmanager
async def asking(url: str, *, page_items: int = 1_000) -> AsyncIterator[HttpWms]:
    """The adapter, without a gate."""
    terms = msgspec.structs.replace(TERMS, page_items=page_items)
    async with open_wms(url, terms, clock=now_ms) as wms:
        yield wms


async def control(url: str, what: str, body: object = None) -> None:
    """Have something happen there."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/sim/{what}", json=body) as response,
    ):
        assert response.status == 204, await response.text()


async def truth_of(url: str) -> TruthBody:
    return await _told(f"{url}/sim/truth", TruthBody)


async def requests_of(url: str) -> RequestsBody:
    return await _told(f"{url}/sim/requests", RequestsBody)


async def _told(url: str, shape: type[T]) -> T:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return msgspec.json.decode(await response.read(), type=shape)


async def whole_run(wms: Wms) -> list[InventoryPage]:
    """All pages of a run."""
    pages = [await wms.page(None)]
    while pages[-1].next_cursor is not None:
        pages.append(await wms.page(pages[-1].next_cursor))
    return pages


class Box:
    """An outbox in memory: pushes of one unit, or back again."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.through = 0
        self.open: Counter[tuple[str, str | None]] = Counter()

    def push(self, sku: str, batch: str | None, decrease: int, *, shipped: int = 0) -> None:
        line = PushLine(batch=batch, decrease=decrease, shipped=shipped)
        self.pushes.append(
            Push(number=len(self.pushes) + 1, sku=sku, lines=(line,), at_ms=now_ms())
        )

    async def pending(self, *, after: int, limit: int) -> Sequence[Push]:
        return self.pushes[after : after + limit]

    async def newest(self) -> int:
        return len(self.pushes)

    async def acknowledged(self, through: int) -> None:
        assert through <= len(self.pushes)
        self.through = max(self.through, through)


@asynccontextmanager
async def sending(url: str, box: Box, limit: Limit, *, seed: int) -> AsyncIterator[Sender]:
    """A sender with a gate of its own, as a worker that has just begun has one."""
    async with open_wms(url, msgspec.structs.replace(TERMS, timeout_s=0.5), clock=now_ms) as wms:
        sender = Sender(
            LimitedWms(wms, Gate(limit, clock=now_us)),
            box,
            name=url,
            after=box.through,
            patience=Patience(first_pause_ms=20, longest_pause_ms=200, look_every_ms=20),
            clock=now_ms,
            chance=Random(seed),
        )
        running = asyncio.create_task(sender.run())
        try:
            yield sender
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
