"""`allocator payments-sim`."""

import time
from typing import Final

import click

from allocator.cli.options import PREFIX, Command
from allocator.cli.simulators import PORT, SEED, Share, play, seed_of

_DAY_S: Final = 86_400.0
_FILES_MAX: Final = 65_536


@click.command("payments-sim", cls=Command, params=[PORT, SEED])
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
def payments_sim(
    *, mean_s: float, fail_rate: float, hang_rate: float, port: int, seed: int | None
) -> int:
    """Play the payment provider, for tests and demonstrations: slow, and not always willing.

    Prints its URL, for `allocator serve --payment-url`, and its seed. A GET of that URL shows the
    ledger of all that it was asked for, a line of JSON a charge.
    """
    from allocator.payments.files import allow_files
    from allocator.payments.simulator import Nature, Simulator, serving

    nature = Nature(
        mean_s=mean_s,
        fail_rate=fail_rate,
        hang_rate=hang_rate,
        seed=seed_of(seed),
    )
    allow_files(_FILES_MAX)
    play(
        "payments-sim",
        lambda: serving(Simulator(nature, clock=_now_ms), port=port),
        port=port,
        seed=nature.seed,
    )
    return 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
