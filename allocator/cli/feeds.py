"""`allocator feeds`."""

import functools
from typing import TYPE_CHECKING, Final

import click

from allocator.cli.options import JSON, KEY, PREFIX, Command, Number
from allocator.errors import UsageError

if TYPE_CHECKING:
    from allocator.client.feeds import Desk

_EPILOG: Final = """\b
Exit codes:
  0  done
  1  the server refuses, and says why; or it stays away
  2  a flag or a variable is wrong: nothing was sent
"""

_SERVER: Final = [
    click.Option(
        ["--server"],
        metavar="URL",
        default="http://127.0.0.1:8080",
        envvar=f"{PREFIX}SERVER",
        show_envvar=True,
        help="Address of the running server.",
    ),
    KEY,
    click.Option(
        ["--patience-s"],
        type=Number(0, 86_400),
        metavar="S",
        default=10,
        envvar=f"{PREFIX}PATIENCE_S",
        show_envvar=True,
        help="Seconds that a request is repeated while the server does not answer.",
    ),
]
_WAREHOUSE: Final = click.argument("warehouse", metavar="WAREHOUSE")


class _Seconds(click.FloatRange):
    name = "number of seconds"


class _Rate(click.FloatRange):
    name = "number a second"


@click.group()
def feeds() -> None:
    """Say which warehouses are fed by systems of their own (WMS), and see how that goes.

    A warehouse that is fed has the stock that its WMS says; orders never wait for it. These
    commands ask a running server.
    """


@feeds.command(cls=Command, params=[*_SERVER], epilog=_EPILOG)
@_WAREHOUSE
@click.option(
    "--url",
    "wms_url",
    metavar="URL",
    required=True,
    envvar=f"{PREFIX}WMS_URL",
    show_envvar=True,
    help="Address of the WMS, without a password or a query.",
)
@click.option(
    "--poll-s",
    type=_Seconds(0, 86_400),
    metavar="S",
    default=60.0,
    envvar=f"{PREFIX}POLL_S",
    show_envvar=True,
    help="How long after all was heard it is asked again; 0: it is not polled.",
)
@click.option(
    "--rate-per-s",
    type=_Rate(0, 10_000, min_open=True),
    metavar="N",
    default=1.0,
    envvar=f"{PREFIX}RATE_PER_S",
    show_envvar=True,
    help="Its limit: requests a second, which is kept to.",
)
@click.option(
    "--burst",
    type=Number(1, 10_000),
    metavar="N",
    default=1,
    envvar=f"{PREFIX}BURST",
    show_envvar=True,
    help="Its limit: so many requests at once after a quiet time.",
)
@click.option(
    "--excludes",
    metavar="STATES",
    default="",
    envvar=f"{PREFIX}EXCLUDES",
    show_envvar=True,
    help="States whose units it does not call orderable, such as damaged,expired. They cannot "
    "change while the warehouse is fed.",
)
def add(  # noqa: PLR0913 (one argument a flag)
    *,
    warehouse: str,
    wms_url: str,
    poll_s: float,
    rate_per_s: float,
    burst: int,
    excludes: str,
    server: str,
    key: str | None,
    patience_s: int,
) -> int:
    """Have WAREHOUSE be fed by its own system, or fed differently from now on.

    From the first time that everything was heard on, its stock is what the WMS says, and nobody
    else can receive any there.
    """
    import msgspec

    from allocator.client.feeds import run_add
    from allocator.config import states_in
    from allocator.http.feed_shapes import PutFeedBody, States

    try:
        states = msgspec.convert(states_in(excludes), States)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"--excludes {excludes!r} must be lower-case words with commas between them, such as "
            "damaged,expired, and 32 at most"
        ) from error
    body = PutFeedBody(
        url=wms_url, poll_s=poll_s, rate_per_s=rate_per_s, burst=burst, excludes=states
    )
    return run_add(warehouse, body, _desk(server=server, key=key, patience_s=patience_s))


@feeds.command("list", cls=Command, params=[*_SERVER, JSON], epilog=_EPILOG)
def list_all(*, server: str, key: str | None, patience_s: int, json: bool) -> int:
    """Show all feeds there ever were, and whether any is in trouble."""
    from allocator.client.feeds import run_list

    return run_list(_desk(server=server, key=key, patience_s=patience_s, as_json=json))


@feeds.command(cls=Command, params=[*_SERVER, JSON], epilog=_EPILOG)
@_WAREHOUSE
def show(*, warehouse: str, server: str, key: str | None, patience_s: int, json: bool) -> int:
    """Show how WAREHOUSE is fed: what was heard, how far its WMS was told, and what is missing."""
    from allocator.client.feeds import run_show

    desk = _desk(server=server, key=key, patience_s=patience_s, as_json=json)
    return run_show(warehouse, desk)


@feeds.command(cls=Command, params=[*_SERVER, JSON], epilog=_EPILOG)
@_WAREHOUSE
@click.option(
    "--product",
    metavar="SKU",
    envvar=f"{PREFIX}PRODUCT",
    show_envvar=True,
    help="Only of this product.",
)
@click.option(
    "--limit",
    type=Number(1, 1_000_000),
    default=20,
    metavar="N",
    envvar=f"{PREFIX}LIMIT",
    show_envvar=True,
    help="How many at most.",
)
def reconciliations(  # noqa: PLR0913 (one argument a flag)
    *,
    warehouse: str,
    product: str | None,
    limit: int,
    server: str,
    key: str | None,
    patience_s: int,
    json: bool,
) -> int:
    """Show of which batches the WMS of WAREHOUSE had another count, the newest first."""
    from allocator.client.feeds import run_reconciliations

    desk = _desk(server=server, key=key, patience_s=patience_s, as_json=json)
    return run_reconciliations(warehouse, desk, product=product, limit=limit)


@feeds.command(cls=Command, params=[*_SERVER, JSON], epilog=_EPILOG)
@_WAREHOUSE
@click.option(
    "--dry-run",
    is_flag=True,
    envvar=f"{PREFIX}DRY_RUN",
    show_envvar=True,
    help="Only show what would change.",
)
def poll(  # noqa: PLR0913 (one argument a flag)
    *, warehouse: str, dry_run: bool, server: str, key: str | None, patience_s: int, json: bool
) -> int:
    """Ask the WMS of WAREHOUSE sooner than planned, once a second at most."""
    from allocator.client.feeds import run_dry, run_poll

    desk = _desk(server=server, key=key, patience_s=patience_s, as_json=json)
    return run_dry(warehouse, desk) if dry_run else run_poll(warehouse, desk)


@feeds.command(cls=Command, params=[*_SERVER], epilog=_EPILOG)
@_WAREHOUSE
def remove(*, warehouse: str, server: str, key: str | None, patience_s: int) -> int:
    """Feed WAREHOUSE no longer; its numbers stay as they are."""
    from allocator.client.feeds import run_remove

    return run_remove(warehouse, _desk(server=server, key=key, patience_s=patience_s))


def _desk(*, server: str, key: str | None, patience_s: int, as_json: bool = False) -> "Desk":
    from allocator.client.feeds import Desk

    return Desk(
        server=server,
        key=key,
        patience_s=patience_s,
        say=click.echo,
        warn=functools.partial(click.echo, err=True),
        as_json=as_json,
    )
