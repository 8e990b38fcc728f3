"""Whatever breaks, and in whichever order: nobody is told what the journal does not say."""

from hypothesis import Phase, given, settings

from tests.property.simulation import HAND_OVERS, SCRIPTS, Simulation, Step
from tests.property.simulation_laws import (
    check_accounts,
    check_answers,
    check_database,
    check_order,
    check_workers,
)
from tests.virtual_time import run

# To explain a failure takes longer than to find it.
_PHASES = tuple(phase for phase in Phase if phase is not Phase.explain)


@given(steps=SCRIPTS)
@settings(max_examples=300, phases=_PHASES)
def test_no_client_is_ever_told_what_the_journal_does_not_say(steps: list[Step]) -> None:
    """C13, C16, N16, Q1, Q2, Q3, Q5, Q6, Q7: two workers, lost answers, crashes, hand-overs."""
    run(_simulate(steps))


@given(steps=HAND_OVERS)
@settings(max_examples=150, phases=_PHASES)
def test_no_client_is_told_anything_else_while_shards_change_hands(steps: list[Step]) -> None:
    """C13, C16, N16, Q1, Q2, Q3, Q6."""
    run(_simulate(steps))


async def _simulate(steps: list[Step]) -> None:
    simulation = Simulation()
    await simulation.run(steps)

    check_workers(simulation)
    check_database(simulation.database)
    check_answers(simulation)
    check_accounts(simulation)
    check_order(simulation)
