"""`allocator snapshot`."""

from pathlib import Path

import click

from allocator.cli.options import JSON, PREFIX, SOURCE, Command

_SNAPSHOT_EPILOG = """\b
Exit codes:
  0    each of them has a snapshot of what was committed when it was its turn
  1    some cannot be replayed, or there is no such product; or the database does not answer
  2    a flag or a variable is wrong, or there is no journal
  130  Ctrl-C
"""


@click.command(cls=Command, params=[*SOURCE, JSON], epilog=_SNAPSHOT_EPILOG)
@click.argument("pools", metavar="[WAREHOUSE/PRODUCT | LOCATION]...", nargs=-1)
@click.option(
    "--all",
    "all_pools",
    is_flag=True,
    envvar=f"{PREFIX}ALL_POOLS",
    show_envvar=True,
    help="Of every product at every warehouse.",
)
def snapshot(
    *,
    pools: tuple[str, ...],
    data_dir: Path | None,
    database_url: str | None,
    all_pools: bool,
    json: bool,
) -> int:
    """Store snapshots now, beside a running server or without one.

    A snapshot is where a recovery starts: a server makes them by itself, after so many events of
    a product and when it leaves memory. Make them by hand before you prune, or before a restart
    that should be quick. What has a snapshot that nothing has happened since is left as it is.
    A location that holds one product at a time is named by its code.

    It can be stopped at any time; the same command goes on from there.
    """
    from allocator.journal.command import Source
    from allocator.journal.snapshotting import run_snapshot

    source = Source(database_url=database_url, data_dir=data_dir)
    return run_snapshot(pools, source, all_pools=all_pools, as_json=json)
