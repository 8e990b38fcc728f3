"""What it costs a worker that many customers wait for a payment provider.

Question: how much more memory does a process have with 10,000 calls to the provider under way than
    with none?
Load shape: the simulated provider, which takes a day; a process that does nothing else, and
    begins them as fast as it can.
Expected: 47 MB over plain HTTP.
Non-goals: connections that are encrypted (ten times as much, OpenSSL's); what the checkouts
    themselves keep; the memory of the system for sockets.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec

from bench.errors import BenchError
from bench.processes import free_port, start, stop
from bench.targets import PAYMENTS_MB, Figure
from bench.turns import Bench
from bench.waiting import Cost

_CALLS_OF_FULL_SIZE = 10_000
_ORDERS_OF_FULL_SIZE = 1_000_000
_WITHIN_S = 60.0
_POLL_S = 0.05


class PaymentsError(BenchError):
    """The provider did not come, or the calls were not made."""


def payments_figure(bench: Bench) -> Figure:
    """Have many calls wait, and weigh them."""
    calls = _CALLS_OF_FULL_SIZE * bench.size.fill_orders // _ORDERS_OF_FULL_SIZE
    with provider_in(bench.directory) as url:
        cost = _weigh(url, calls)
        with urlopen(url) as ledger:
            heard = len(ledger.read().splitlines())
    return Figure(
        name=PAYMENTS_MB,
        value=cost.megabytes,
        spoiled="" if heard == calls else f"the provider heard {heard} of {calls}",
        details={"calls": cost.calls, "kilobytes_a_call": cost.megabytes * 1024 / cost.calls},
    )


@contextmanager
def provider_in(directory: Path) -> Iterator[str]:
    """Have a provider that takes a day inside the block, and logs here; yield its URL."""
    log = directory / "payments_sim.log"
    log.unlink(missing_ok=True)  # of another one
    nature = ("--mean-s", "86400", "--fail-rate", "0", "--hang-rate", "0", "--seed", "1")
    simulator = start(("allocator", "payments-sim", *nature, "--port", str(free_port())), log=log)
    try:
        yield _url_in(log)
    finally:
        stop(simulator)


def _weigh(url: str, calls: int) -> Cost:
    done = subprocess.run(
        [sys.executable, "-m", "bench.waiting", url, str(calls)],
        capture_output=True,
        check=False,
        timeout=_WITHIN_S,
    )
    if done.returncode != 0:
        raise PaymentsError(f"bench.waiting left with {done.returncode}: {done.stderr.decode()}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Cost)


def _url_in(log: Path) -> str:
    """Wait until the simulator says where it is."""
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        said = [line for line in log.read_text().splitlines() if line.startswith("payments-sim: ")]
        if said:
            return said[-1].removeprefix("payments-sim: ").partition(",")[0]
        time.sleep(_POLL_S)
    raise PaymentsError(f"the simulator did not come: {log.read_text()}")
