"""How fast an installation moves, and in how much memory.

Question: how many events a second do `allocator journal export` and `import` carry, compressed, and
    how much memory does either have at most?
Load shape: a hundred pools with equally many events; the file and both databases are on one disk.
    Nothing else runs. The start of the commands is counted in, and so are the indexes that an
    import builds at its end.
Expected: 300,000 events/s out and 150,000 in, on two quiet cores; 150 MB, whatever the length.
Non-goals: a server that sells meanwhile; the read models, which are made again later.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bench.errors import BenchError
from bench.long_journal import write_journal
from bench.targets import EXPORT_PER_S, IMPORT_PER_S, MOVING_MB, Figure
from bench.turns import Bench

_POOLS = 100


class MovingError(BenchError):
    """A command failed, or not everything arrived."""


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a command did."""

    events: int
    seconds: float
    megabytes: float

    @property
    def figures(self) -> dict[str, float]:
        return {"events": self.events, "seconds": self.seconds, "megabytes": self.megabytes}


def moving_figures(bench: Bench) -> list[Figure]:
    """Write a long journal, export it, and import it into another database."""
    file = bench.directory / "moving.ndjson.zst"
    file.unlink(missing_ok=True)
    with bench.databases.fresh("bench_leaving") as leaving:
        write_journal(leaving, pools=_POOLS, events=bench.size.fill_orders // _POOLS)
        exported = _run("export", file, leaving)
    with bench.databases.fresh("bench_arriving") as arriving:
        imported = _run("import", file, arriving)
    file.unlink()
    if imported.events != exported.events:
        raise MovingError(f"{exported.events} events left, and {imported.events} arrived")
    return [
        Figure(
            name=EXPORT_PER_S, value=exported.events / exported.seconds, details=exported.figures
        ),
        Figure(
            name=IMPORT_PER_S, value=imported.events / imported.seconds, details=imported.figures
        ),
        Figure(name=MOVING_MB, value=max(exported.megabytes, imported.megabytes)),
    ]


def _run(command: str, file: Path, url: str) -> _Run:
    started = time.perf_counter()
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "allocator", "journal", command, str(file)),
            *("--json", "--database-url", url),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert running.stdout is not None, "it was asked for"
    said = running.stdout.read()
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode != 0:
        raise MovingError(f"journal {command} left with {running.returncode}")
    return _Run(
        events=json.loads(said)["events"],
        seconds=time.perf_counter() - started,
        megabytes=usage.ru_maxrss / 1024,
    )
