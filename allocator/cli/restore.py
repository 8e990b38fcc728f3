"""`allocator restore`: an installation as it was, in another database."""

from pathlib import Path

import click

from allocator.cli.options import JSON, PREFIX, SOURCE, Command

_EPILOG = """\b
Exit codes:
  0    it is restored; or, without --into, it was looked at
  1    a database does not answer; the same command goes on
  2    a flag or a variable is wrong, there is no such moment, or the other database is not empty
  130  Ctrl-C; the same command goes on
"""


@click.command(cls=Command, params=[*SOURCE, JSON], epilog=_EPILOG)
@click.option(
    "--to",
    required=True,
    metavar="TIME|POSITION",
    envvar=f"{PREFIX}TO",
    show_envvar=True,
    help="2026-11-21T04:58:10Z, or 15m for a quarter of an hour ago; or a position, as `journal "
    "tail --json` gives it, the last one to be restored.",
)
@click.option(
    "--into",
    metavar="URL",
    envvar=f"{PREFIX}INTO",
    show_envvar=True,
    help="An empty database; without it nothing is written, and only what lies behind is shown.",
)
@click.option(
    "--start-over",
    is_flag=True,
    envvar=f"{PREFIX}START_OVER",
    show_envvar=True,
    help="Forget what an import or a restore that has not finished has stored there.",
)
def restore(  # noqa: PLR0913 (one argument a flag)
    *,
    data_dir: Path | None,
    database_url: str | None,
    to: str,
    into: str | None,
    start_over: bool,
    json: bool,
) -> int:
    """Make another database what this installation was at a moment of the past.

    Never in place: the installation is only read, beside a running server or without one. A time
    means the newest moment at or before it that was recorded, which happens each second. It says
    what lies behind that moment, and what of it nobody can rewind.
    """
    from allocator.journal.command import Source
    from allocator.journal.restoring import RestoreFlags, run_restore

    flags = RestoreFlags(to=to, into=into, start_over=start_over, as_json=json)
    return run_restore(flags, Source(database_url=database_url, data_dir=data_dir))
