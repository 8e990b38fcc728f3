"""The simulate command: seeds in; out comes nothing, or what failed, as short as can be."""

import secrets
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec
from rich.console import Console

from allocator.errors import UsageError
from allocator.simulation.command_progress import Tally, Watch, watch_on
from allocator.simulation.command_report import (
    Caught,
    mutants_table,
    told_failure,
    told_run,
    told_tally,
)
from allocator.simulation.command_runs import Chunk, Simulator, run_plan
from allocator.simulation.command_workers import Workers
from allocator.simulation.history import Verdict
from allocator.simulation.oracle import law_of
from allocator.simulation.shrink import SECONDS_MAX, Shrunk, shrink
from allocator.simulation.steps import Step

KEPT: Final = 0
BROKEN: Final = 1
"""Exit codes."""

SEEDS: Final = 2_000
FAILED_MAX: Final = 10
"""After so many failing seeds there is enough to look at."""

_CHUNK: Final = 8
_FRESH_MAX: Final = 1 << 40


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What one invocation is about.

    Attributes:
        seed: Run this one alone.
        seeds: How many to run; of mutants: how many may pass until each is caught.
        from_seed: The first of them; `fresh`: any.
        trace: Tell what happens in the run of `seed`.
        mutant: Switch this guard off; `mutants`: one after the other.
        processes: That share the seeds.
        shrink_s: How long a failing history is made shorter.
    """

    seed: int | None = None
    seeds: int | None = None
    from_seed: int | None = None
    fresh: bool = False
    trace: bool = False
    mutant: str | None = None
    mutants: bool = False
    processes: int = 1
    shrink_s: float = SECONDS_MAX


def run_simulations(wanted: Wanted, *, simulator: Simulator, console: Console) -> int:
    """Run what is wanted, and say what came of it.

    Returns:
        0 if every law was kept; with `mutants`, if each was caught by a law that is kept without
        it. Else 1.

    Raises:
        UsageError: That cannot be wanted; nothing ran.
        LostRunsError: A process that ran seeds died.
    """
    _refuse_nonsense(wanted, simulator)
    show = _Shown(wanted, simulator, console)
    if wanted.mutants:
        return show.mutants()
    return show.one(wanted.seed) if wanted.seed is not None else show.many()


def _refuse_nonsense(wanted: Wanted, simulator: Simulator) -> None:
    many = wanted.seeds is not None or wanted.from_seed is not None or wanted.fresh
    if wanted.seed is not None and (many or wanted.mutants):
        raise UsageError("--seed is one run; for many use --seeds, with --from or --fresh")
    if wanted.from_seed is not None and wanted.fresh:
        raise UsageError("--from and --fresh exclude each other")
    if wanted.trace and wanted.seed is None:
        raise UsageError("--trace tells one run; say which with --seed")
    if wanted.mutants and wanted.mutant is not None:
        raise UsageError("--mutant is one of --mutants; ask for either")
    if wanted.mutant is not None and wanted.mutant not in simulator.mutants:
        close = get_close_matches(wanted.mutant, simulator.mutants, n=1)
        others = f"did you mean {close[0]!r}?" if close else "allocator simulate --mutants has all."
        raise UsageError(f"there is no mutant {wanted.mutant!r}; {others}")


class _Shown:
    """Everything that is printed on the way."""

    def __init__(self, wanted: Wanted, simulator: Simulator, console: Console) -> None:
        self._wanted = wanted
        self._simulator = simulator
        self._console = console
        fresh = secrets.randbelow(_FRESH_MAX) if wanted.fresh else 0
        self._base = fresh if wanted.from_seed is None else wanted.from_seed
        self._seeds = SEEDS if wanted.seeds is None else wanted.seeds

    def one(self, seed: int) -> int:
        """Run one seed, here."""
        wanted = self._wanted
        trace = self._print if wanted.trace else None
        plan = self._simulator.plan_of(seed)
        verdict = run_plan(self._simulator, plan, mutant=wanted.mutant, trace=trace)
        if verdict.failures:
            self._tell_failure(verdict)
            return BROKEN
        self._print(told_run(verdict))
        return KEPT

    def many(self) -> int:
        """Run many seeds, and tell of the first that fails."""
        tally = Tally()
        self._print(f"{self._seeds:,} runs from seed {self._base}")
        with (
            Workers(self._simulator, processes=self._wanted.processes) as workers,
            watch_on(self._console, "runs", total=self._seeds) as watch,
        ):
            try:
                self._run(workers, tally, watch, mutant=self._wanted.mutant, failed_max=FAILED_MAX)
            except KeyboardInterrupt:
                self._print(f"interrupted; {told_tally(tally)}")
                raise
        self._print(told_tally(tally))
        if not tally.failed:
            return KEPT
        first, *others = sorted(tally.failed, key=lambda verdict: verdict.seed)
        self._tell_failure(first, others=[verdict.seed for verdict in others])
        return BROKEN

    def mutants(self) -> int:
        """Switch every guard off, and see whether that is noticed."""
        caught: list[Caught] = []
        self._print(f"each mutant has {self._seeds:,} seeds from {self._base}")
        with Workers(self._simulator, processes=self._wanted.processes) as workers:
            for name in self._simulator.mutants:
                tally = Tally()
                with watch_on(self._console, name, total=self._seeds) as watch:
                    self._run(workers, tally, watch, mutant=name, failed_max=1)
                caught.append(_caught(name, tally, base=self._base))
                if (seed := caught[-1].seed) is not None and self._fails_anyway(seed):
                    return BROKEN
                self._print(caught[-1].line)
        for line in mutants_table(caught):
            self._print(line)
        return KEPT if all(each.seeds is not None for each in caught) else BROKEN

    def _fails_anyway(self, seed: int) -> bool:
        """Say whether a seed fails with every guard on: then it proves nothing about a mutant."""
        verdict = run_plan(self._simulator, self._simulator.plan_of(seed))
        if verdict.failures:
            self._print("without any mutant")
            for line in told_failure(verdict, others=(), mutant=None):
                self._print(line)
        return bool(verdict.failures)

    def _run(
        self, workers: Workers, tally: Tally, watch: Watch, *, mutant: str | None, failed_max: int
    ) -> None:
        """Run chunks, ascending, until there are failures enough."""

        def chunks() -> Iterator[Chunk]:
            end = self._base + self._seeds
            for first in range(self._base, end, _CHUNK):
                if len(tally.failed) >= failed_max:
                    return
                yield Chunk(first=first, count=min(_CHUNK, end - first), mutant=mutant)

        for report in workers.run(chunks()):
            tally.add(report)
            watch.show(tally)

    def _tell_failure(self, verdict: Verdict, *, others: Sequence[int] = ()) -> None:
        wanted = self._wanted
        for line in told_failure(verdict, others=others, mutant=wanted.mutant):
            self._print(line)
        if wanted.trace or not wanted.shrink_s:
            return
        self._print(f"making it shorter, for {wanted.shrink_s:.0f} s at most …")
        steps = self._simulator.plan_of(verdict.seed).steps
        shrunk = self._shrunk(verdict, steps)
        state = "no step of it can go" if shrunk.complete else "it may be shorter still"
        self._print(f"{len(shrunk.steps)} of {len(steps)} steps fail, too; {state}:")
        for step in shrunk.steps:
            self._print(f"  {step}")
        for failure in self._failures_of(verdict.seed, shrunk.steps):
            self._print(f"then: {failure}")

    def _shrunk(self, verdict: Verdict, steps: Sequence[Step]) -> Shrunk[Step]:
        laws = {law_of(failure) for failure in verdict.failures}

        def fails(some: Sequence[Step]) -> bool:
            # For one of the same reasons: what is short but fails otherwise explains nothing.
            found = self._failures_of(verdict.seed, some)
            return any(law_of(failure) in laws for failure in found)

        return shrink(steps, fails, seconds_max=self._wanted.shrink_s)

    def _failures_of(self, seed: int, steps: Sequence[Step]) -> tuple[str, ...]:
        plan = msgspec.structs.replace(self._simulator.plan_of(seed), steps=tuple(steps))
        return run_plan(self._simulator, plan, mutant=self._wanted.mutant).failures

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _caught(name: str, tally: Tally, *, base: int) -> Caught:
    if not tally.failed:
        return Caught(mutant=name, seed=None, seeds=None, law="", passed=tally.runs)
    first = min(tally.failed, key=lambda verdict: verdict.seed)
    passed = first.seed - base
    law = law_of(first.failures[0])
    return Caught(mutant=name, seed=first.seed, seeds=passed + 1, law=law, passed=passed)
