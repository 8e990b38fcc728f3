"""`allocator journal verify`."""

from pathlib import Path

import click

from allocator.cli.options import JSON, PREFIX, SOURCE, Command, Number
from allocator.errors import UsageError

_EPILOG = """\b
Exit codes:
  0    everything agrees with the journal, or does now that it was repaired
  1    something is wrong, and listed; or the database or the server does not answer
  2    a flag or a variable is wrong, or there is no journal
  130  Ctrl-C; nothing is lost, run it again
"""


@click.command(cls=Command, params=[*SOURCE, JSON], epilog=_EPILOG)
@click.option(
    "--repair",
    is_flag=True,
    envvar=f"{PREFIX}REPAIR",
    show_envvar=True,
    help="Make again what is wrong and derived: snapshots, read models, wake-up times. "
    "Nothing of an actor whose own journal is damaged.",
)
@click.option(
    "--server",
    metavar="URL",
    envvar=f"{PREFIX}SERVER",
    show_envvar=True,
    help="Compare the balances that this running server tells as well.",
)
@click.option(
    "--key",
    metavar="KEY",
    envvar=f"{PREFIX}KEY",
    show_envvar=True,
    help="An API key for --server. Prefer the variable: a command line can be read by others.",
)
@click.option(
    "--processes",
    type=Number(1, 64),
    metavar="N",
    envvar=f"{PREFIX}PROCESSES",
    show_envvar=True,
    help="How many processes; without it, one for each core if there is much to do.",
)
@click.option(
    "--limit",
    type=Number(0, 1_000_000),
    default=100,
    metavar="N",
    envvar=f"{PREFIX}LIMIT",
    show_envvar=True,
    help="How many faults to list one by one; all are counted.",
)
def verify(  # noqa: PLR0913 (one argument a flag)
    *,
    data_dir: Path | None,
    database_url: str | None,
    repair: bool,
    server: str | None,
    key: str | None,
    processes: int | None,
    limit: int,
    json: bool,
) -> int:
    """Hold everything that is stored to the journal, and the journal to itself.

    Every row's digest, every event of every actor, every snapshot and every number in the lists is
    checked, beside a running server or without one. It only reads, unless it is told to --repair.
    """
    from allocator.journal.command import Source
    from allocator.journal.verify.command import VerifyFlags, run_verify
    from allocator.journal.verify.job import Server

    if server is not None and not server.startswith(("http://", "https://")):
        raise UsageError(f"--server {server!r} is no URL, like http://127.0.0.1:8080")
    if key is not None and server is None:
        raise UsageError("--key is for --server: name both, or neither")
    flags = VerifyFlags(
        repair=repair,
        server=None if server is None else Server(url=server, key=key),
        processes=processes,
        limit=limit,
        as_json=json,
    )
    return run_verify(flags, Source(database_url=database_url, data_dir=data_dir))
