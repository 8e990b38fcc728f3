"""`allocator replay`."""

from pathlib import Path

import click

from allocator.cli.options import KEY, PREFIX, Command, Number

_REPLAY_EPILOG = """\b
Exit codes:
  0  every answer and balance is right
  1  some are not; the report says which
  2  nothing was compared: a wrong file or flag, or a server that stayed away
"""


@click.command(cls=Command, params=[KEY], epilog=_REPLAY_EPILOG)
@click.argument(
    "file", metavar="FILE.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
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
    default=64,
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
def replay(*, file: Path, url: str, key: str | None, clients: int, patience_s: int) -> int:
    """Send a shop's order history through a running server and check what comes of it.

    It opens the products and their stock, places the orders as the customers did, and
    compares every balance with a sequential calculation.
    """
    from rich.console import Console

    from allocator.replay.command import run_replay

    return run_replay(
        file=file, url=url, key=key, clients=clients, patience_s=patience_s, console=Console()
    )
