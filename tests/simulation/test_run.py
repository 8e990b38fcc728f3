"""Whole installations from one seed: nothing goes wrong, and everything can be repeated."""

import os
import subprocess
import sys

import pytest

from allocator.simulation.plan import plan_of
from allocator.simulation.run import simulate

SEEDS = int(os.environ.get("SIMULATED_SEEDS", "60"))
CAUGHT_WITHIN = 400


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_goes_wrong_whatever_does(seed: int) -> None:
    assert simulate(plan_of(seed)).failures == ()


def test_a_seed_decides_every_step() -> None:
    for seed in range(3):
        assert simulate(plan_of(seed)) == simulate(plan_of(seed))


def test_a_seed_decides_the_same_in_any_process() -> None:
    script = (
        "from allocator.simulation.plan import plan_of\n"
        "from allocator.simulation.run import simulate\n"
        "print([simulate(plan_of(seed)).digest for seed in range(8)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }

    assert len(told) == 1


def test_a_trace_changes_nothing() -> None:
    lines: list[str] = []
    traced = simulate(plan_of(1), trace=lines.append)

    assert traced == simulate(plan_of(1))
    assert any("trouble" in line for line in lines)
    assert any("hears" in line for line in lines)
