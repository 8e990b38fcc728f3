"""Guards that are switched off are noticed, and are back afterwards."""

import pytest

from allocator.simulation.mutants import MUTANTS, mutated
from allocator.simulation.plan import plan_of
from allocator.simulation.run import simulate

AT_ONCE = (
    "answer before commit",
    "ask before commit",
    "ask every time",
    "look nothing up",
    "send without waiting",
    "take anything in",
    "charge before commit",
    "call unknown failed",
    "keep what was declined",
    "check lines separately",
    "store in pieces",
)
"""What nobody could miss; `make simulate-mutants` tries all of them for longer."""


@pytest.mark.parametrize("name", AT_ONCE)
def test_a_guard_that_is_off_is_noticed(name: str) -> None:
    assert any(simulate(plan_of(seed), mutant=name).failures for seed in range(20))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_guard_is_back_after_the_run(name: str) -> None:
    mutant = MUTANTS[name]
    guard = getattr(mutant.owner, mutant.method)

    with mutated(name):
        assert getattr(mutant.owner, mutant.method) is not guard

    assert getattr(mutant.owner, mutant.method) is guard


def test_a_guard_is_back_after_a_run_that_broke_off() -> None:
    mutant = MUTANTS["overwrite"]
    guard = getattr(mutant.owner, mutant.method)

    with pytest.raises(ZeroDivisionError), mutated("overwrite"):
        raise ZeroDivisionError

    assert getattr(mutant.owner, mutant.method) is guard


def test_a_mutant_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError, match="no such thing"), mutated("no such thing"):
        pass


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_says_which_rule_it_breaks(name: str) -> None:
    rule = MUTANTS[name].rule

    assert rule
    assert not rule.endswith(".")
