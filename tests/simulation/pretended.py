"""A simulator that simulates nothing, for the command that runs it. Other processes import it."""

import os
from collections.abc import Callable
from typing import Final

from allocator.simulation.command_runs import Simulator
from allocator.simulation.history import Verdict
from allocator.simulation.plan import Plan
from allocator.simulation.steps import Roll

FAILS_FROM: Final = 20_013
BREAKS_OFF: Final = 10_500
DIES: Final = 10_666
INTERRUPTS: Final = 10_777
LAW: Final = "nothing rolls at 3 and at 7"


def plan_of(seed: int) -> Plan:
    return Plan(seed=seed, steps=tuple(Roll(at_ms=at_ms) for at_ms in range(10)))


def simulate(
    plan: Plan, *, mutant: str | None = None, trace: Callable[[str], None] | None = None
) -> Verdict:
    if plan.seed == BREAKS_OFF:
        raise ValueError("a bug")
    if plan.seed == DIES:
        os._exit(1)
    if plan.seed == INTERRUPTS:
        raise KeyboardInterrupt
    if trace is not None:
        trace("something happens")
    moments = {step.at_ms for step in plan.steps}
    failures = []
    if plan.seed >= FAILS_FROM and {3, 7} <= moments:
        failures = [f"{LAW}: it did", "another law: it, too"]
    elif plan.seed >= FAILS_FROM and not moments:
        failures = ["something happens: nothing did"]
    if mutant == "seen" and plan.seed % 100 >= 20:
        failures = ["mutants are seen: this one"]
    return Verdict(
        seed=plan.seed,
        failures=tuple(failures),
        operations=200,
        steps=1_000,
        virtual_s=4.0,
        digest="abcdef",
    )


SIMULATOR: Final = Simulator(plan_of=plan_of, simulate=simulate, mutants=("seen", "blind"))
