"""What checkouts cost a server while the payment provider takes its time, and what a roll does.

Questions: how much more memory do a server's workers have with 10,000 checkouts under way than
    before? How many of 1,000 become unknown when all workers are exchanged meanwhile?
Load shape: 32 clients open a cart each, put a unit into it and check out, again and again, at a
    server of two workers. For the memory the simulated provider takes a day; for the exchange one
    of our own answers nobody before every worker that has asked it has given its shards away.
Expected: under 200 MB; none.
Non-goals: encrypted connections to the provider; how fast checkouts begin.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from bench.bench_payments import provider_in
from bench.checkouts import CheckoutError, Customers, open_shop
from bench.databases import fetch_text
from bench.processes import free_port
from bench.targets import CHECKOUTS_MB, ROLL_UNKNOWN, Figure
from bench.turns import Bench
from bench.workers import Workers, several_serving

_WAITING_OF_FULL_SIZE: Final = 10_000
_ROLLED_OF_FULL_SIZE: Final = 1_000
_ORDERS_OF_FULL_SIZE: Final = 1_000_000
_WARM_UP: Final = 64
_SETTLE_S: Final = 2.0
_QUICK_SHARE: Final = 0.01
_WITHIN_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.1
_DRAIN_MS: Final = 1_000
"""So long, and five seconds more, a place waits for a worker that lingers, before the next one."""
_PAID: Final = b"HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n" + b'{"id":"of-1"}'

_STATUSES: Final = """
SELECT coalesce(json_object_agg(status, number), '{}')
FROM (SELECT status, count(*) AS number FROM checkouts GROUP BY status) AS counted
"""


def checkouts_figures(bench: Bench) -> list[Figure]:
    """Weigh those that wait, and count what an exchange of workers leaves unknown."""
    return [_waiting_figure(bench), _roll_figure(bench)]


def _waiting_figure(bench: Bench) -> Figure:
    count = _scaled(_WAITING_OF_FULL_SIZE, bench)
    with (
        bench.databases.fresh("bench_checkouts") as url,
        provider_in(bench.directory) as provider,
        _serving(url, provider, log=bench.directory / "checkouts.log") as workers,
    ):
        open_shop(workers.port)
        grown_mb, before_mb = uvloop.run(_weigh(workers, count))
        statuses = _statuses(url, lambda found: _are_waiting(found, _WARM_UP + count))
    spoiled = "" if _are_waiting(statuses, _WARM_UP + count) else f"there were {statuses}"
    return Figure(
        name=CHECKOUTS_MB,
        value=grown_mb,
        spoiled=spoiled,
        details={
            "checkouts": count,
            "before_mb": before_mb,
            "kilobytes_a_checkout": grown_mb * 1024 / count,
        },
    )


def _are_waiting(statuses: dict[str, int], count: int) -> bool:
    """Whether so many wait, or nearly: a day on average is quick for one in thousands."""
    paid = statuses.get("paid", 0)
    return statuses.get("capturing", 0) + paid == count and paid <= count * _QUICK_SHARE


def _roll_figure(bench: Bench) -> Figure:
    count = _scaled(_ROLLED_OF_FULL_SIZE, bench)
    port = free_port()
    provider = f"http://127.0.0.1:{port}/charges"
    with (
        bench.databases.fresh("bench_checkouts_roll") as url,
        _serving(url, provider, log=bench.directory / "checkouts_roll.log") as workers,
    ):
        open_shop(workers.port)
        roll_s = uvloop.run(_roll(workers, port, count))
        statuses = _statuses(
            url, lambda found: sum(found.values()) == count and "capturing" not in found
        )
    unknown = statuses.pop("unknown", 0)
    spoiled = "" if statuses.get("paid", 0) + unknown == count else f"there were {statuses}"
    return Figure(
        name=ROLL_UNKNOWN,
        value=unknown,
        spoiled=spoiled,
        details={"checkouts": count, "roll_s": roll_s},
    )


def _serving(url: str, provider: str, *, log: Path) -> AbstractContextManager[Workers]:
    drain = ("--drain-ms", str(_DRAIN_MS))
    return several_serving(url, "--payment-url", provider, *drain, log=log)


async def _weigh(workers: Workers, count: int) -> tuple[float, float]:
    """Return by how much the workers grow, and what they had before; in MB."""
    customers = Customers(workers.port)
    await customers.check_out(_WARM_UP)
    await asyncio.sleep(_SETTLE_S)
    before_mb = workers.resident_mb()
    await customers.check_out(count)
    await asyncio.sleep(_SETTLE_S)
    return workers.resident_mb() - before_mb, before_mb


async def _roll(workers: Workers, port: int, count: int) -> float:
    """Exchange all workers while charges are under way; return how long that took, in seconds."""
    async with _patient(port) as go_on:
        await Customers(workers.port).check_out(count)
        former = {each.pid for each in workers.alive()}
        began_s = time.monotonic()
        workers.supervisor.send_signal(signal.SIGHUP)
        await _until(lambda: not former & workers.shares().keys())
        took_s = time.monotonic() - began_s
        go_on.set()
        await _until(lambda: not former & {each.pid for each in workers.alive()})
    return took_s


@asynccontextmanager
async def _patient(port: int) -> AsyncIterator[asyncio.Event]:
    """Have a provider that answers nobody before it is told to go on."""
    go_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await go_on.wait()
        writer.write(_PAID)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=_ROLLED_OF_FULL_SIZE)
    try:
        yield go_on
    finally:
        server.close()


def _statuses(url: str, are_final: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    """Return how many checkouts have which status, once the read models have come so far."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        found = msgspec.json.decode(fetch_text(url, _STATUSES), type=dict[str, int])
        if are_final(found) or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_EVERY_S)


async def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not await asyncio.to_thread(holds):
        if time.monotonic() > deadline:
            raise CheckoutError(f"the workers were not exchanged within {_WITHIN_S:.0f} s")
        await asyncio.sleep(_LOOK_EVERY_S)


def _scaled(count: int, bench: Bench) -> int:
    return count * bench.size.fill_orders // _ORDERS_OF_FULL_SIZE
