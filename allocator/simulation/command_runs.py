"""Runs of many seeds: what is asked of a process that runs some, and what it says afterwards."""

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec

from allocator.simulation.history import Verdict
from allocator.simulation.plan import Fitness, Plan

BROKE_OFF = "no run breaks off"
"""The law that a run breaks by raising."""


class Simulate(Protocol):
    """Runs a plan and judges what came of it."""

    def __call__(
        self,
        plan: Plan,
        *,
        mutant: str | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> Verdict:
        """Return the verdict."""


class Simulator(msgspec.Struct, frozen=True, kw_only=True):
    """What runs. All of it can be named to another process: it has no state.

    Attributes:
        mutants: The names of guards that can be switched off.
        days: Of those of them that are only tried on days made for them, which.
    """

    plan_of: Callable[[int], Plan]
    simulate: Simulate
    mutants: tuple[str, ...] = ()
    days: dict[str, Fitness] = {}


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some seeds, one after the other."""

    first: int
    count: int
    mutant: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a chunk.

    Attributes:
        cpu_s: What it took.
        failed: Verdicts with failures.
    """

    chunk: Chunk
    operations: int
    steps: int
    virtual_s: float
    cpu_s: float
    failed: tuple[Verdict, ...]


def run_chunk(simulator: Simulator, chunk: Chunk) -> Report:
    """Run the seeds of a chunk; with some mutants, just those whose day is fit for it."""
    day = None if chunk.mutant is None else simulator.days.get(chunk.mutant)
    started = time.process_time()
    verdicts: list[Verdict] = []
    with _collector_at_rest():
        for seed in range(chunk.first, chunk.first + chunk.count):
            plan = simulator.plan_of(seed)
            if day is not None and not plan.is_fit_for(day):
                continue
            verdicts.append(run_plan(simulator, plan, mutant=chunk.mutant))
            gc.collect()  # now, while what there is of this run is in the processor's caches
    return Report(
        chunk=chunk,
        operations=sum(verdict.operations for verdict in verdicts),
        steps=sum(verdict.steps for verdict in verdicts),
        virtual_s=sum(verdict.virtual_s for verdict in verdicts),
        cpu_s=time.process_time() - started,
        failed=tuple(verdict for verdict in verdicts if verdict.failures),
    )


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Have the garbage collector come when it is called, and not look at what was there before."""
    collecting = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if collecting:
            gc.enable()


def run_plan(
    simulator: Simulator,
    plan: Plan,
    *,
    mutant: str | None = None,
    trace: Callable[[str], None] | None = None,
) -> Verdict:
    """Run one plan; a run that raises has failed like any other."""
    try:
        return simulator.simulate(plan, mutant=mutant, trace=trace)
    except Exception as error:  # noqa: BLE001 (whatever it is, its seed has to be told)
        return Verdict(
            seed=plan.seed,
            failures=(f"{BROKE_OFF}: {type(error).__name__}: {error}",),
            operations=0,
            steps=0,
            virtual_s=0.0,
            digest="",
        )
