"""`allocator wms-sim`."""

import time
from typing import Final, TypeAlias

import click

from allocator.cli.options import PREFIX, Command, Number
from allocator.cli.simulators import PORT, SEED, Share, play, seed_of
from allocator.errors import UsageError

_DAY_S: Final = 86_400.0
_RATE_MAX: Final = 100_000.0


class Seconds(click.FloatRange):
    """A time, and the words for it."""

    name = "number of seconds"


class Rate(click.FloatRange):
    """How often a second, and the words for it."""

    name = "number a second"


_Kind: TypeAlias = Seconds | Share | Rate | Number | type[str]


def _option(flag: str, kind: _Kind, default: float | None, *, sort: str, what: str) -> click.Option:
    return click.Option(
        [flag],
        type=kind,
        default=default,
        metavar=sort,
        envvar=PREFIX + flag[2:].upper().replace("-", "_"),
        show_envvar=True,
        help=what,
    )


def _seconds(flag: str, default: float, what: str) -> click.Option:
    return _option(flag, Seconds(0, _DAY_S), default, sort="S", what=what)


def _share(flag: str, what: str) -> click.Option:
    return _option(flag, Share(0, 1), 0.0, sort="P", what=what)


_OPTIONS: Final = [
    _option(
        "--batch-s",
        Seconds(0, _DAY_S, min_open=True),
        900.0,
        sort="S",
        what="How often it applies the pushes that it was told of.",
    ),
    _option(
        "--rate",
        Rate(0, _RATE_MAX, min_open=True),
        10.0,
        sort="N",
        what="How many requests a second it takes in the long run; more are answered 429.",
    ),
    _option("--burst", Number(1, 1_000_000), 10, sort="N", what="How many requests at once."),
    click.Option(
        ["--stale/--no-stale"],
        default=False,
        envvar=f"{PREFIX}STALE",
        show_envvar=True,
        help="Show in pages what was so at the last batch run, not what is so now.",
    ),
    _share("--swap-rate", "How often a picker takes another batch than a push names."),
    _seconds("--latency-s", 0.0, "How long an answer takes on average; the times are exponential."),
    _share("--lost-rate", "The part of the pushes that is taken without an answer."),
    _seconds("--outage-every-s", 0.0, "How long it works on average between outages; 0: always."),
    _seconds("--outage-s", 30.0, "How long an outage takes on average."),
    _option(
        "--webhook-url",
        str,
        None,
        sort="URL",
        what="Who is told what happens: …/wms/feeds/WAREHOUSE/events of an allocator.",
    ),
    _option("--webhook-key", str, None, sort="KEY", what="The API key that it wants."),
    _share("--duplicate-rate", "The part of what webhooks tell that they tell twice."),
    _share("--disorder-rate", "The part of it that they tell later than what came after it."),
    PORT,
    SEED,
]


def _run(  # noqa: PLR0913 (a flag each)
    *,
    batch_s: float,
    rate: float,
    burst: int,
    stale: bool,
    swap_rate: float,
    latency_s: float,
    lost_rate: float,
    outage_every_s: float,
    outage_s: float,
    webhook_url: str | None,
    webhook_key: str | None,
    duplicate_rate: float,
    disorder_rate: float,
    port: int,
    seed: int | None,
) -> int:
    """Play a warehouse system (WMS), for tests and demonstrations: slow, limited and stale.

    Prints its URL, for a feed, and its seed. POST /sim/receipts and /sim/damage have something
    happen there, POST /sim/batch-now applies what it was told, POST /sim/outage has it fail; GET
    /sim/truth shows what is really there, and GET /sim/requests who asked how often.
    """
    from allocator.wms.http_wms import check_url
    from allocator.wms.interface import WmsUrlError
    from allocator.wms.simulator import Simulator
    from allocator.wms.simulator_http import serving
    from allocator.wms.simulator_nature import Nature

    if webhook_url is not None:
        try:
            check_url(webhook_url)
        except WmsUrlError as error:
            raise UsageError(f"--webhook-url: {error}") from error
    nature = Nature(
        batch_s=batch_s,
        rate_per_s=rate,
        burst=burst,
        stale=stale,
        swap_rate=swap_rate,
        latency_s=latency_s,
        lost_rate=lost_rate,
        outage_every_s=outage_every_s,
        outage_s=outage_s,
        webhook_url=webhook_url,
        webhook_key=webhook_key,
        duplicate_rate=duplicate_rate,
        disorder_rate=disorder_rate,
        seed=seed_of(seed),
    )
    play(
        "wms-sim",
        lambda: serving(Simulator(nature, clock=time.monotonic), port=port),
        port=port,
        seed=nature.seed,
    )
    return 0


wms_sim = Command("wms-sim", params=list(_OPTIONS), callback=_run, help=_run.__doc__)
