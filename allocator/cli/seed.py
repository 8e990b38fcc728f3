"""`allocator seed`."""

import functools

import click

from allocator.cli.options import KEY, PREFIX, Command, Number

_SEED_EPILOG = """\b
Exit codes:
  0  everything in the file is there
  1  the server refused something, or stayed away: what it said, and how far it got
  2  a wrong file or flag: nothing was sent
"""


@click.command(cls=Command, params=[KEY], epilog=_SEED_EPILOG)
@click.argument("source", metavar="FILE.toml|demo")
@click.option(
    "--url",
    metavar="URL",
    default="http://127.0.0.1:8080",
    envvar=f"{PREFIX}URL",
    show_envvar=True,
    help="Address of the running server.",
)
@click.option(
    "--clients",
    type=Number(1, 4_096),
    metavar="N",
    default=8,
    envvar=f"{PREFIX}CLIENTS",
    show_envvar=True,
    help="Connections that send at the same time.",
)
@click.option(
    "--patience-s",
    type=Number(0, 86_400),
    metavar="S",
    default=60,
    envvar=f"{PREFIX}PATIENCE_S",
    show_envvar=True,
    help="Seconds that a request is repeated while the server does not answer.",
)
def seed(*, source: str, url: str, key: str | None, clients: int, patience_s: int) -> int:
    """Fill a running server with the products, places and stock of a file.

    The file is checked whole before anything is sent; what is there already stays as it is, so a
    repeat doubles nothing. `demo` is a small shop that comes along.
    """
    from allocator.fixtures.command import run_seed

    return run_seed(
        source=source,
        url=url,
        key=key,
        clients=clients,
        patience_s=patience_s,
        say=click.echo,
        warn=functools.partial(click.echo, err=True),
    )
