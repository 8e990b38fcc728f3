"""The simulator as a program of its own: it says where it is, and serves until it is stopped."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable
from typing import Final

import uvloop

from allocator.errors import AllocatorError
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_http import serving
from allocator.wms.simulator_nature import Nature

_SEED_BITS: Final = 31


def run_simulator(nature: Nature, *, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        nature: How it behaves.
        port: On which of this machine's; 0 takes a free one.
        say: Told where it is, and with which seed.

    Raises:
        AllocatorError: It cannot listen there.
    """
    uvloop.run(_serve(nature, port=port, say=say))


def fresh_seed() -> int:
    """Return a seed that nobody knows yet."""
    return secrets.randbits(_SEED_BITS)


async def _serve(nature: Nature, *, port: int, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with serving(Simulator(nature, clock=time.monotonic), port=port) as url:
            say(f"wms-sim: {url}, seed {nature.seed}")
            await stop.wait()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise AllocatorError(f"cannot listen on port {port}: {why}") from error
