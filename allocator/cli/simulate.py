"""`allocator simulate`."""

import os

import click

from allocator.cli.options import PREFIX, Command, Number

_SEED_MAX = (1 << 63) - 1

_SIMULATE_EPILOG = """\b
Exit codes:
  0  every law was kept; with --mutants, every mutant was caught
  1  a law was broken, and the last lines say how to repeat it; or a mutant was not caught
  2  a flag or a variable is wrong
"""


@click.command(cls=Command, epilog=_SIMULATE_EPILOG)
@click.option(
    "--seed",
    type=Number(0, _SEED_MAX),
    metavar="N",
    envvar=f"{PREFIX}SEED",
    show_envvar=True,
    help="Run this seed alone.",
)
@click.option(
    "--seeds",
    type=Number(1, 1_000_000_000),
    metavar="N",
    envvar=f"{PREFIX}SEEDS",
    show_envvar=True,
    help="How many seeds to run; 2000 if nothing else is said.",
)
@click.option(
    "--from",
    "from_seed",
    type=Number(0, _SEED_MAX),
    metavar="N",
    envvar=f"{PREFIX}FROM_SEED",
    show_envvar=True,
    help="The first of them; 0 if nothing else is said.",
)
@click.option(
    "--fresh",
    is_flag=True,
    envvar=f"{PREFIX}FRESH",
    show_envvar=True,
    help="Begin at a seed that nobody has seen.",
)
@click.option(
    "--trace",
    is_flag=True,
    envvar=f"{PREFIX}TRACE",
    show_envvar=True,
    help="Tell everything that happens in the run of --seed.",
)
@click.option(
    "--mutant",
    metavar="NAME",
    envvar=f"{PREFIX}MUTANT",
    show_envvar=True,
    help="Switch one guard of the design off.",
)
@click.option(
    "--mutants",
    is_flag=True,
    envvar=f"{PREFIX}MUTANTS",
    show_envvar=True,
    help="Switch them off one by one, and see whether each is noticed.",
)
@click.option(
    "--processes",
    type=Number(1, 1_024),
    metavar="N",
    envvar=f"{PREFIX}PROCESSES",
    show_envvar=True,
    help="Processes that share the seeds; one a core if nothing else is said.",
)
def simulate(  # noqa: PLR0913 (one argument a flag)
    *,
    seed: int | None,
    seeds: int | None,
    from_seed: int | None,
    fresh: bool,
    trace: bool,
    mutant: str | None,
    mutants: bool,
    processes: int | None,
) -> int:
    """Run whole servers in memory, with everything that can go wrong, each decided by a seed.

    Every run has several workers, clients who repeat themselves, a database and a network that
    fail, and clocks that jump. What everybody was told is held against the journal.
    """
    from rich.console import Console

    from allocator.simulation.command import Wanted, run_simulations
    from allocator.simulation.command_runs import Simulator
    from allocator.simulation.mutants import MUTANTS
    from allocator.simulation.plan import plan_of
    from allocator.simulation.run import simulate as simulate_plan

    wanted = Wanted(
        seed=seed,
        seeds=seeds,
        from_seed=from_seed,
        fresh=fresh,
        trace=trace,
        mutant=mutant,
        mutants=mutants,
        processes=processes or os.cpu_count() or 1,
    )
    simulator = Simulator(
        plan_of=plan_of,
        simulate=simulate_plan,
        mutants=tuple(MUTANTS),
        days={name: mutant.day for name, mutant in MUTANTS.items() if mutant.day is not None},
    )
    return run_simulations(wanted, simulator=simulator, console=Console())
