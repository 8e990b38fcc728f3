"""`allocator payments-sim`."""

import click

from allocator.cli.options import PREFIX, Command, Number

_DAY_S = 86_400.0
_SEED_MAX = (1 << 63) - 1


class Share(click.FloatRange):
    """A part of all, and the words for it."""

    name = "number from 0 to 1"


@click.command("payments-sim", cls=Command)
@click.option(
    "--mean-s",
    type=click.FloatRange(0, _DAY_S),
    default=120.0,
    metavar="S",
    envvar=f"{PREFIX}MEAN_S",
    show_envvar=True,
    help="Seconds that an answer takes on average; the times are exponential.",
)
@click.option(
    "--fail-rate",
    type=Share(0, 1),
    default=0.05,
    metavar="P",
    envvar=f"{PREFIX}FAIL_RATE",
    show_envvar=True,
    help="The part of the charges that fails (402).",
)
@click.option(
    "--hang-rate",
    type=Share(0, 1),
    default=0.01,
    metavar="P",
    envvar=f"{PREFIX}HANG_RATE",
    show_envvar=True,
    help="The part that is never answered, whether it was charged or not.",
)
@click.option(
    "--port",
    type=Number(0, 65_535),
    default=0,
    metavar="PORT",
    envvar=f"{PREFIX}PORT",
    show_envvar=True,
    help="TCP port of this machine to listen on; 0 takes a free one.",
)
@click.option(
    "--seed",
    type=Number(0, _SEED_MAX),
    metavar="N",
    envvar=f"{PREFIX}SEED",
    show_envvar=True,
    help="Decide as this seed does; without it, one that nobody has seen.",
)
def payments_sim(
    *, mean_s: float, fail_rate: float, hang_rate: float, port: int, seed: int | None
) -> int:
    """Play the payment provider, for tests and demonstrations: slow, and not always willing.

    Prints its URL, for `allocator serve --payment-url`, and its seed. A GET of that URL shows the
    ledger of all that it was asked for, a line of JSON a charge.
    """
    from allocator.payments.simulating import fresh_seed, run_simulator
    from allocator.payments.simulator import Nature

    nature = Nature(
        mean_s=mean_s,
        fail_rate=fail_rate,
        hang_rate=hang_rate,
        seed=fresh_seed() if seed is None else seed,
    )
    run_simulator(nature, port=port, say=click.echo)
    return 0
