"""What the simulate command says, in words."""

import shlex
from collections.abc import Sequence

import msgspec

from allocator.simulation.command_progress import Tally
from allocator.simulation.history import Verdict

_OTHERS_MAX = 9


class Caught(msgspec.Struct, frozen=True, kw_only=True):
    """How one mutant fared.

    Attributes:
        seed: In whose run a law was broken; None: in none.
        seeds: How many runs it took until a law was broken, the last included.
        law: The first that was.
        passed: Runs that did not notice.
    """

    mutant: str
    seed: int | None
    seeds: int | None
    law: str
    passed: int

    @property
    def line(self) -> str:
        """Say it in one line."""
        if self.seeds is None:
            return f"{self.mutant}: NOT CAUGHT in {self.passed:,} runs"
        return f"{self.mutant}: caught after {self.seeds:,}"


def told_run(verdict: Verdict) -> str:
    """Say what one run was."""
    return (
        f"seed {verdict.seed}: every law was kept; {verdict.operations:,} operations, "
        f"{verdict.steps:,} steps, {verdict.virtual_s:,.1f} s of its own time, "
        f"digest {verdict.digest}"
    )


def told_tally(tally: Tally) -> str:
    """Say what many runs were."""
    failed = f"{len(tally.failed)} failed" if tally.failed else "every law was kept"
    return (
        f"{tally.runs:,} runs: {failed}; {tally.operations:,} operations, {tally.steps:,} steps, "
        f"{tally.virtual_s:,.0f} s of their own time, {tally.pace}"
    )


def told_failure(verdict: Verdict, *, others: Sequence[int], mutant: str | None) -> list[str]:
    """Say what was wrong in a run, and how to see it again."""
    option = "" if mutant is None else f" --mutant {shlex.quote(mutant)}"
    lines = [f"seed {verdict.seed} fails:", *(f"  {failure}" for failure in verdict.failures)]
    if others:
        more = len(others) - _OTHERS_MAX
        shown = ", ".join(str(seed) for seed in others[:_OTHERS_MAX])
        lines.append(f"so do seeds {shown}" + (f" and {more} more" if more > 0 else ""))
    return [*lines, f"repeat it: allocator simulate --seed {verdict.seed}{option} --trace"]


def mutants_table(caught: Sequence[Caught]) -> list[str]:
    """Say which mutant was caught, after how many seeds, and by which law."""
    width = max((len(each.mutant) for each in caught), default=0)
    lines = [f"{'mutant':<{width}}  {'seeds':>6}  law"]
    lines += [
        f"{each.mutant:<{width}}  {each.seeds:>6,}  {each.law}"
        if each.seeds is not None
        else f"{each.mutant:<{width}}  {'-':>6}  NOT CAUGHT in {each.passed:,} runs"
        for each in caught
    ]
    found = sum(each.seeds is not None for each in caught)
    return [*lines, f"{found} of {len(caught)} mutants were caught"]
