"""`allocator journal prune`."""

from pathlib import Path

import click

from allocator.cli.options import JSON, PREFIX, SOURCE, Command

_PRUNE_EPILOG = """\b
Exit codes:
  0    what was asked for is pruned; there may be pools for which it is too early
  1    some pools were left alone, for what is stored of them is not sound; or the database or
       the archive does not do as it should
  2    a flag or a variable is wrong, or somebody else prunes
  130  Ctrl-C
"""


@click.command(cls=Command, params=[*SOURCE, JSON], epilog=_PRUNE_EPILOG)
@click.option(
    "--older-than",
    metavar="DURATION",
    envvar=f"{PREFIX}OLDER_THAN",
    show_envvar=True,
    help="Which rows may go: 90d for those of more than ninety days ago; 24h is the least.",
)
@click.option(
    "--before",
    metavar="TIME",
    envvar=f"{PREFIX}BEFORE",
    show_envvar=True,
    help="Or: those from before this time, such as 2026-11-21T00:00:00Z.",
)
@click.option(
    "--archive",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    envvar=f"{PREFIX}ARCHIVE",
    show_envvar=True,
    help="Add them to this file first, a line of JSON a row; compressed if it ends in .zst.",
)
@click.option(
    "--discard",
    is_flag=True,
    envvar=f"{PREFIX}DISCARD",
    show_envvar=True,
    help="Or: keep them nowhere.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    envvar=f"{PREFIX}DRY_RUN",
    show_envvar=True,
    help="Only say how many there are.",
)
def prune(  # noqa: PLR0913 (one argument a flag)
    *,
    data_dir: Path | None,
    database_url: str | None,
    older_than: str | None,
    before: str | None,
    archive: Path | None,
    discard: bool,
    dry_run: bool,
    json: bool,
) -> int:
    """Archive the oldest rows of the journal and remove them, beside a running server.

    Of each product at a warehouse those rows go that are old enough, that every reader of the
    journal has seen, and that lie at or below the second-newest of its snapshots. All rows up to
    there are replayed and checked before. Balances, orders and stocks stay as they are, and orders
    and stocks stay readable by their ids; what is gone is how they came about. Of each move,
    order of several lines and cart that has come to its end long ago all rows go but the last, and
    it stays as readable.

    It can be stopped at any time; the same command goes on from there.
    """
    from allocator.journal.command import Source
    from allocator.journal.pruning import PruneFlags, run_prune

    flags = PruneFlags(
        older_than=older_than,
        before=before,
        archive=archive,
        discard=discard,
        dry_run=dry_run,
        as_json=json,
    )
    return run_prune(flags, Source(database_url=database_url, data_dir=data_dir))
