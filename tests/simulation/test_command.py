"""The simulate command: which seeds run, what it says of those that fail, and how it ends."""

import io
import multiprocessing
from collections.abc import Callable

import pytest
from rich.console import Console

from allocator.errors import UsageError
from allocator.simulation.command import FAILED_MAX, Wanted, run_simulations
from allocator.simulation.command_workers import LostRunsError
from allocator.simulation.history import Verdict
from allocator.simulation.plan import Plan
from tests.simulation.pretended import (
    BREAKS_OFF,
    DIES,
    FAILS_FROM,
    INTERRUPTS,
    LAW,
    SIMULATOR,
)

KEPT, BROKEN = 0, 1


def run(wanted: Wanted, *, terminal: bool = False) -> tuple[int, str]:
    """Return the exit code and what was printed."""
    out = io.StringIO()
    code = run_simulations(
        wanted,
        simulator=SIMULATOR,
        console=Console(file=out, width=200, force_terminal=terminal),
    )
    return code, out.getvalue()


@pytest.mark.parametrize("processes", [1, 3])
def test_when_every_law_is_kept_it_says_what_ran(processes: int) -> None:
    code, said = run(Wanted(seeds=100, processes=processes))

    assert code == KEPT
    assert "100 runs from seed 0" in said
    assert "100 runs: every law was kept; 20,000 operations, 100,000 steps, 400 s" in said
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [1, 3])
def test_of_seeds_that_fail_the_first_is_told(processes: int) -> None:
    code, said = run(Wanted(from_seed=FAILS_FROM - 9, seeds=12, processes=processes))

    assert code == BROKEN
    assert f"seed {FAILS_FROM} fails:\n  {LAW}: it did\n  another law: it, too\n" in said
    assert f"so do seeds {FAILS_FROM + 1}, {FAILS_FROM + 2}\n" in said
    assert f"repeat it: allocator simulate --seed {FAILS_FROM} --trace\n" in said


def test_a_failing_history_is_told_as_short_as_it_can_be() -> None:
    _, said = run(Wanted(seed=FAILS_FROM))

    [_, shrunk] = said.split("2 of 10 steps fail, too; no step of it can go:\n")
    assert (
        shrunk
        == f"  Roll(at_ms=3)\n  Roll(at_ms=7)\nthen: {LAW}: it did\nthen: another law: it, too\n"
    )


def test_a_history_is_shortened_for_as_long_as_is_wanted() -> None:
    _, said = run(Wanted(seed=FAILS_FROM, shrink_s=1e-9))

    assert "10 of 10 steps fail, too; it may be shorter still:" in said


def test_one_seed_runs_alone() -> None:
    code, said = run(Wanted(seed=7))

    assert code == KEPT
    assert said == (
        "seed 7: every law was kept; 200 operations, 1,000 steps, 4.0 s of its own time, "
        "digest abcdef\n"
    )


def test_a_trace_tells_what_happens_in_one_run() -> None:
    _, said = run(Wanted(seed=FAILS_FROM, trace=True))

    assert said.startswith("something happens\nseed ")
    assert said.count("something happens") == 1


def test_after_failures_enough_no_more_seeds_run() -> None:
    code, said = run(Wanted(from_seed=FAILS_FROM, seeds=100_000, shrink_s=0))

    assert code == BROKEN
    assert f"{FAILED_MAX + 6} failed" in said


def test_a_run_that_raises_has_failed() -> None:
    code, said = run(Wanted(from_seed=BREAKS_OFF - 3, seeds=8))

    assert code == BROKEN
    assert f"seed {BREAKS_OFF} fails:\n  no run breaks off: ValueError: a bug\n" in said


def test_a_process_that_dies_ends_the_command_with_the_seeds_it_ran() -> None:
    with pytest.raises(LostRunsError, match=r"seeds 10664 to 10671 died"):
        run(Wanted(from_seed=DIES - 2, seeds=100, processes=2))

    assert multiprocessing.active_children() == []


def test_ctrl_c_ends_it_with_what_is_known() -> None:
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        run_simulations(
            Wanted(from_seed=INTERRUPTS - 17, seeds=100),
            simulator=SIMULATOR,
            console=Console(file=out, width=200),
        )

    assert "interrupted; 16 runs: every law was kept" in out.getvalue()


def test_fresh_seeds_are_others_every_time() -> None:
    bases = {run(Wanted(seeds=1, fresh=True, shrink_s=0))[1].split("\n")[0] for _ in range(2)}

    assert len(bases) == 2


def test_progress_is_told_ten_times_where_there_is_no_terminal() -> None:
    _, said = run(Wanted(seeds=800))

    assert said.count("a minute and core, 0 failures, ") == 10
    assert "runs: 400 of 800," in said


def test_a_terminal_shows_a_bar() -> None:
    code, said = run(Wanted(seeds=80, processes=2), terminal=True)

    assert code == KEPT
    assert "80/80" in said


@pytest.mark.parametrize("processes", [1, 2])
def test_a_mutant_is_caught_after_as_many_seeds_as_it_took(processes: int) -> None:
    code, said = run(Wanted(mutants=True, seeds=60, processes=processes))

    assert code == BROKEN
    assert "seen       21  mutants are seen\n" in said
    assert "blind       -  NOT CAUGHT in 60 runs\n" in said
    assert "1 of 2 mutants were caught" in said


def test_when_every_mutant_is_caught_all_is_well() -> None:
    seeing = type(SIMULATOR)(
        plan_of=SIMULATOR.plan_of, simulate=SIMULATOR.simulate, mutants=("seen",)
    )
    code = run_simulations(
        Wanted(mutants=True, from_seed=20),
        simulator=seeing,
        console=Console(file=io.StringIO()),
    )

    assert code == KEPT


def test_a_mutant_for_which_days_are_made_is_tried_on_no_others() -> None:
    tried: list[str | None] = []

    def plan_of(seed: int) -> Plan:
        return Plan(seed=seed, day="restless" if seed % 10 == 0 else None, steps=())

    def simulate(
        plan: Plan, *, mutant: str | None = None, trace: Callable[[str], None] | None = None
    ) -> Verdict:
        tried.append(plan.day)
        return SIMULATOR.simulate(plan, mutant=mutant, trace=trace)

    picky = type(SIMULATOR)(
        plan_of=plan_of, simulate=simulate, mutants=("blind",), days={"blind": "restless"}
    )
    said = io.StringIO()
    code = run_simulations(
        Wanted(mutants=True, from_seed=0, seeds=60), simulator=picky, console=Console(file=said)
    )

    assert code == BROKEN
    assert tried == ["restless"] * 6
    assert "blind: NOT CAUGHT in 60 runs" in said.getvalue()


def test_a_seed_that_fails_anyway_proves_nothing_about_a_mutant() -> None:
    code, said = run(Wanted(mutants=True, from_seed=BREAKS_OFF, seeds=8))

    assert code == BROKEN
    assert f"without any mutant\nseed {BREAKS_OFF} fails:\n  no run breaks off" in said
    assert "blind" not in said


def test_one_mutant_runs_like_what_is_right_and_is_named_in_the_line_to_repeat_it() -> None:
    code, said = run(Wanted(mutant="seen", seed=20))

    assert code == BROKEN
    assert "repeat it: allocator simulate --seed 20 --mutant seen --trace\n" in said


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Wanted(seed=1, seeds=2), "--seed is one run"),
        (Wanted(seed=1, from_seed=2), "--seed is one run"),
        (Wanted(seed=1, mutants=True), "--seed is one run"),
        (Wanted(from_seed=1, fresh=True), "--from and --fresh exclude each other"),
        (Wanted(trace=True), "say which with --seed"),
        (Wanted(mutant="seen", mutants=True), "ask for either"),
        (Wanted(mutant="sene"), "did you mean 'seen'?"),
        (Wanted(mutant="xyz"), "--mutants has all"),
    ],
)
def test_what_cannot_be_wanted_is_refused(wanted: Wanted, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        run(wanted)


def test_a_plan_is_what_the_seed_says_and_a_verdict_travels_between_processes() -> None:
    plan = SIMULATOR.plan_of(3)
    verdict = SIMULATOR.simulate(plan)

    assert isinstance(plan, Plan)
    assert isinstance(verdict, Verdict)
    assert verdict.seed == plan.seed
