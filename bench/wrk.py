"""Loads by `wrk`: written in C, it leaves the server more of the cores than a Python client."""

import shutil
import subprocess
from pathlib import Path

import msgspec

from bench.latency import Percentiles
from bench.load import Crowd, Load, LoadError
from bench.messages import HOT_PRODUCT, WAREHOUSE

_SCRIPT = Path(__file__).with_name("orders.lua")
_GRACE_S = 15.0
_US_PER_MS = 1000


class _Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What orders.lua prints at the end."""

    requests: int
    duration_us: int
    bad_status: int
    broken: int
    p50_us: int
    p99_us: int
    p999_us: int
    max_us: int


def find_wrk() -> str | None:
    """Return the program, or None where there is none."""
    return shutil.which("wrk")


def wrk_load(crowd: Crowd, *, wrk: str) -> Load:
    """Keep every connection busy for whole seconds, at least one.

    wrk walks away at the end: what is in flight then is decided but not counted. It counts
    answers above 399 as errors; that the others are 201 is for the state checksum to show.

    Raises:
        LoadError: wrk did not run to its end.
    """
    whole_seconds = max(1, round(crowd.seconds))
    command = [
        *(wrk, "--threads", "1", "--connections", str(crowd.connections)),
        *("--duration", f"{whole_seconds}s", "--timeout", "10s", "--script", str(_SCRIPT)),
        *(f"http://127.0.0.1:{crowd.port}/orders", "--"),
        *(crowd.mix.value, str(crowd.seed), WAREHOUSE, crowd.option or HOT_PRODUCT),
        *crowd.mix.headers.values(),
    ]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=whole_seconds + _GRACE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"wrk did not end within {_GRACE_S:.0f} s of its time") from error
    last_line = run.stdout.strip().rpartition("\n")[2]
    if run.returncode or not last_line.startswith("{"):
        raise LoadError(f"wrk failed: {run.stderr.strip() or run.stdout.strip()}")
    return _load_of(msgspec.json.decode(last_line, type=_Summary), connections=crowd.connections)


def _load_of(summary: _Summary, *, connections: int) -> Load:
    return Load(
        client="wrk",
        created=summary.requests - summary.bad_status,
        failed=summary.bad_status + summary.broken,
        unread_max=connections,
        elapsed_ns=summary.duration_us * 1000,
        latency=Percentiles(
            p50_ms=summary.p50_us / _US_PER_MS,
            p99_ms=summary.p99_us / _US_PER_MS,
            p999_ms=summary.p999_us / _US_PER_MS,
            max_ms=summary.max_us / _US_PER_MS,
        ),
    )
