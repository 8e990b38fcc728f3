"""The one line that machines read: what was measured, on what, and the state checksums."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import msgspec

from bench import contenders as who
from bench.latency import Percentiles
from bench.ratios import Rounds
from bench.report import verdicts
from bench.targets import Figure, significant
from bench.turns import Bench

_CHECKOUT = Path(__file__).parent.parent


class ContenderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One contender: a number for each round, and medians.

    Attributes:
        sold: The state checksum: orders in the database, beside what the clients have `seen`.
    """

    client: str
    per_second: list[float]
    median_per_second: float
    to_floor: float | None
    latency: Percentiles | None
    failed: int
    first_failure: str
    catch_up_max_s: float
    seen: list[int]
    sold: list[int | None]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run."""

    commit: str
    size: str
    seed: int
    rounds: int
    seconds: float
    connections: int
    machine: str
    cores: int | None
    load_before: float
    python: str
    postgresql: str
    synchronous_commit: str
    fsync: str
    contenders: dict[str, ContenderSummary]
    figures: dict[str, Figure]
    verdicts: dict[str, str]


def json_line(bench: Bench, rounds: Rounds, figures: list[Figure]) -> str:
    """Return the run as one line of JSON."""
    summary = Summary(
        commit=_commit(),
        size=bench.size.name,
        seed=bench.seed,
        rounds=bench.size.rounds,
        seconds=bench.size.seconds,
        connections=bench.size.connections,
        machine=platform.machine(),
        cores=os.cpu_count(),
        load_before=round(bench.load_before, 2),
        python=platform.python_version(),
        postgresql=bench.databases.setting("server_version"),
        synchronous_commit=bench.databases.setting("synchronous_commit"),
        fsync=bench.databases.setting("fsync"),
        contenders={name: _contender(name, rounds) for name in rounds.names},
        figures={figure.name: figure.rounded for figure in figures},
        verdicts=verdicts(figures),
    )
    return msgspec.json.encode(summary).decode()


def _contender(name: str, rounds: Rounds) -> ContenderSummary:
    turns = rounds.of(name)
    to_floor = rounds.ratio(name, who.FLOOR)
    return ContenderSummary(
        client=turns[0].load.client,
        per_second=[significant(turn.load.per_second) for turn in turns],
        median_per_second=significant(rounds.per_second(name)),
        to_floor=None if to_floor is None else significant(to_floor),
        latency=rounds.latency(name),
        failed=rounds.failed(name),
        first_failure=rounds.first_failure(name),
        catch_up_max_s=significant(rounds.catch_up_max_s(name)),
        seen=[turn.seen for turn in turns],
        sold=[turn.sold for turn in turns],
    )


def _commit() -> str:
    """Return the checkout's commit, marked when there are changes; "unknown" without git."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    described = subprocess.run(
        [git, "-C", str(_CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
