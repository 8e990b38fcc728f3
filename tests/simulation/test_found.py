"""What the simulator has found so far, each told as the trouble that brought it about.

A seed would do until plans are drawn in another way. These are the steps that mattered, with the
dice thrown differently some times, so that each fails if its bug comes back.
"""

from collections.abc import Sequence

import pytest

from allocator.persistence.memory.trouble import End
from allocator.simulation.plan import Plan
from allocator.simulation.run import simulate
from allocator.simulation.steps import (
    Break,
    Crash,
    Foreign,
    Jump,
    Kill,
    Orphan,
    Part,
    Roll,
    Slow,
    Step,
    Wish,
)
from allocator.simulation.wants import Move, Place, Receive, Want

POOLS = (1 << 8 | 20, 2 << 8 | 120, 3 << 8 | 220)
"""Of three workers, whoever has which."""


def day(*troubles: Step) -> list[Step]:
    """Return a day with a few orders in it, and trouble."""
    wants: list[tuple[int, Want]] = [(pool, Receive(quantity=20)) for pool in POOLS]
    wants += [(POOLS[number % 3], Place(quantity=1)) for number in range(60)]
    orders: list[Step] = [
        Wish(at_ms=40 * number, client=number % 5, pool=pool, want=want, key=f"key {number}")
        for number, (pool, want) in enumerate(wants)
    ]
    return sorted([*orders, *troubles], key=lambda step: step.at_ms)


def failures_of(seed: int, steps: Sequence[Step]) -> tuple[str, ...]:
    """Run a day."""
    return simulate(Plan(seed=seed, steps=tuple(steps))).failures


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_a_server_whose_owners_cannot_all_be_asked_does_not_call_itself_ready(seed: int) -> None:
    # Every fourth seed stops the server as soon as it says that it is whole again.
    assert failures_of(seed, day(Foreign(at_ms=2_300, place=0))) == ()


@pytest.mark.parametrize("seed", range(10))
def test_a_line_that_was_parted_with_leaves_no_suspect_behind(seed: int) -> None:
    troubles = (
        Kill(at_ms=900, places=(1, 2, 0)),
        Part(at_ms=1_400, one=0, other=1, for_ms=5_000),
        Kill(at_ms=2_800, places=(0,)),
    )

    assert failures_of(seed, day(*troubles)) == ()


@pytest.mark.parametrize("late_ms", range(0, 500, 25))
def test_a_database_that_dies_while_a_server_starts_does_not_end_the_server(late_ms: int) -> None:
    troubles = (Orphan(at_ms=300, for_ms=0), Crash(at_ms=300 + late_ms, for_ms=1_500))

    assert failures_of(late_ms, day(*troubles)) == ()


def moves() -> list[Step]:
    """Return moves under keys, between all pools, among the orders of a day."""
    return [
        Wish(
            at_ms=50 * number,
            client=number % 5,
            pool=POOLS[number % 3],
            want=Move(to=POOLS[(number + 1) % 3], quantity=1),
            key=f"move {number}",
        )
        for number in range(1, 40)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_a_move_begins_under_a_key_whoever_took_its_number(seed: int) -> None:
    assert failures_of(seed, day(*moves())) == ()


@pytest.mark.parametrize("seed", range(10))
def test_moves_of_which_somebody_asks_end_whatever_clocks_have_said(seed: int) -> None:
    troubles = (Jump(at_ms=100, place=0, by_ms=3_600_000), Kill(at_ms=900, places=(0, 1, 2)))

    assert failures_of(seed, day(*moves(), *troubles)) == ()


@pytest.mark.parametrize("end", [End.LOST, End.SILENT])
@pytest.mark.parametrize("seed", range(5))
def test_a_claim_whose_answer_was_lost_leaves_no_shard_that_nobody_serves(
    seed: int, end: End
) -> None:
    troubles = (
        Break(at_ms=800, place=2, operation="claim", end=end, times=1),
        Kill(at_ms=900, places=(1,)),
    )

    assert failures_of(seed, day(*troubles)) == ()


@pytest.mark.parametrize("seed", range(12, 24))  # 17 and 20 were judged too early
def test_a_move_that_begins_when_its_client_has_gone_ends_before_it_is_judged(seed: int) -> None:
    stock: list[Step] = [
        Wish(at_ms=0, client=number, pool=pool, want=Receive(quantity=20))
        for number, pool in enumerate(POOLS)
    ]
    move = Move(to=POOLS[1], quantity=1)
    steps = (
        *stock,
        Wish(at_ms=1_000, client=3, pool=POOLS[0], want=move),
        Slow(at_ms=1_700, delay_ms=600, for_ms=400),
        Wish(at_ms=1_950, client=4, pool=POOLS[0], want=move, attempts=1),
    )

    assert simulate(Plan(seed=seed, load_ms=2_000, steps=steps)).failures == ()


@pytest.mark.parametrize("seed", range(8))
def test_what_others_do_not_understand_leaves_though_it_was_about_to_be_exchanged(
    seed: int,
) -> None:
    troubles = (
        Slow(at_ms=600, delay_ms=400, for_ms=1_500),
        Foreign(at_ms=1_200, place=0),
        Roll(at_ms=1_900),
    )
    steps = tuple(step for step in day(*troubles) if step.at_ms < 2_240)

    assert simulate(Plan(seed=seed, load_ms=2_240, steps=steps)).failures == ()
