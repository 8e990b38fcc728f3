"""How fast everything that is stored is held to the journal, and in how much memory.

Question: how many events a second does `allocator journal verify` check, digests, laws, read models
    and all, and how much memory do its processes have together?
Load shape: a hundred pools with equally many events, half of them orders, a tenth still open; no
    snapshots. Nothing else runs. Its start and that of its processes are counted in.
Expected: 400,000 events/s on two quiet cores; 150 MB, however long the journal is.
Non-goals: a server that sells meanwhile; --repair; --server, which is as slow as HTTP.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.errors import BenchError
from bench.long_journal import write_journal
from bench.targets import VERIFY_MB, VERIFY_PER_S, Figure
from bench.turns import Bench

_POOLS = 100
_WITHIN_S = 600.0
_POLL_S = 0.05


class VerifyError(BenchError):
    """It failed, or found something wrong."""


def verify_figures(bench: Bench) -> list[Figure]:
    """Write a long journal and have it verified."""
    with bench.databases.fresh("bench_verify") as url:
        write_journal(url, pools=_POOLS, events=bench.size.fill_orders // _POOLS)
        events, seconds, megabytes = _verify(url)
    details = {"events": events, "seconds": seconds}
    return [
        Figure(name=VERIFY_PER_S, value=events / seconds, details=details),
        Figure(name=VERIFY_MB, value=megabytes, details=details),
    ]


def _verify(url: str) -> tuple[int, float, float]:
    """Return how many events were verified, in how many seconds and megabytes."""
    processes = str(len(os.sched_getaffinity(0)))
    started = time.perf_counter()
    verifying = subprocess.Popen(
        [
            *(sys.executable, "-m", "allocator", "journal", "verify", "--json"),
            *("--database-url", url, "--processes", processes),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    most_kb = 0
    while verifying.poll() is None:
        if time.perf_counter() - started > _WITHIN_S:
            verifying.kill()
            raise VerifyError(f"journal verify did not end within {_WITHIN_S:.0f} s")
        most_kb = max(most_kb, sum(map(_resident_kb, _family(verifying.pid))))
        time.sleep(_POLL_S)
    seconds = time.perf_counter() - started
    assert verifying.stdout is not None, "it was asked for"
    last = verifying.stdout.read().splitlines()[-1:]
    if verifying.returncode != 0 or not last:
        raise VerifyError(f"journal verify left with {verifying.returncode}: {last}")
    return int(json.loads(last[0])["summary"]["events"]), seconds, most_kb / 1024


def _family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *map(int, children)]


def _resident_kb(pid: int) -> int:
    """Return what a process has in memory, a page that it shares counted in part (proc(5))."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
