"""A process with many calls to a payment provider under way: says what they cost, and ends."""

import argparse
import asyncio
import gc
import resource
import time
from pathlib import Path

import msgspec
import uvloop

from allocator.domain.checkouts import Charge
from allocator.payments.calls import Bounds, Calls
from allocator.payments.files import room_for
from allocator.payments.http_provider import HttpProvider
from allocator.payments.provider import Verdict

_TIMEOUT_MS = 600_000
_OTHER_FILES = 64
_AT_ONCE = 50
_SETTLE_S = 8.0


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What it costs to wait.

    Attributes:
        calls: So many were under way.
        megabytes: What the process has then, less what it had before.
    """

    calls: int
    megabytes: float


async def wait_for_many(url: str, calls: int) -> Cost:
    """Have so many calls under way at once; the provider has to take its time."""
    bounds = Bounds(
        calls_max=room_for(calls, beside=_OTHER_FILES), waiting_max=calls, timeout_ms=_TIMEOUT_MS
    )
    sight = Calls(HttpProvider(url, agent="bench"), bounds=bounds, clock=_now_ms)
    gc.collect()
    before_mb = _resident_mb()
    for client_id in range(calls):
        sight.charge(_charge(client_id), _forget)
        if client_id % _AT_ONCE == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(_SETTLE_S)  # connections open, requests leave
    cost = Cost(calls=sight.statistics.under_way, megabytes=_resident_mb() - before_mb)
    await sight.stop()
    return cost


def _charge(client_id: int) -> Charge:
    return Charge(
        attempt=client_id,
        amount=500,
        currency="EUR",
        client_id=client_id,
        deadline_ms=_now_ms() + _TIMEOUT_MS,
    )


async def _forget(_: Verdict) -> None:
    """Have somebody told."""


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("calls", type=int)
    asked = parser.parse_args()
    print(msgspec.json.encode(uvloop.run(wait_for_many(asked.url, asked.calls))).decode())
