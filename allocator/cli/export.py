"""`allocator journal export` and `import`: a whole installation in one file."""

from pathlib import Path

import click

from allocator.cli.options import JSON, PREFIX, SOURCE, Command

_EXPORT_EPILOG = """\b
Exit codes:
  0    the file is whole and on disk
  1    the database does not answer; the same command goes on
  2    a flag or a variable is wrong, the file is there already, or there is nothing to export
  130  Ctrl-C; the same command goes on
"""
_IMPORT_EPILOG = """\b
Exit codes:
  0    everything is stored, each row as it was written
  1    the file is damaged, and the last line says where; or the database does not answer
  2    a flag or a variable is wrong, there is no such file, or the database is not empty
  130  Ctrl-C; the same command goes on
"""


@click.command("export", cls=Command, params=[*SOURCE, JSON], epilog=_EXPORT_EPILOG)
@click.argument("file", metavar="FILE")
def export_journal(
    *, file: str, data_dir: Path | None, database_url: str | None, json: bool
) -> int:
    """Write the whole installation into FILE, beside a running server or without one.

    Everything that was committed when it began, in lines of JSON; compressed if FILE ends in .zst,
    to standard output if it is `-`. An export that is interrupted goes on when the command is
    repeated. The file holds the installation's secret: keep it as you keep the database.
    """
    from allocator.journal.command import Source
    from allocator.journal.exporting import run_export

    source = Source(database_url=database_url, data_dir=data_dir)
    return run_export(file, source, as_json=json)


@click.command("import", cls=Command, params=[*SOURCE, JSON], epilog=_IMPORT_EPILOG)
@click.argument("file", metavar="FILE")
@click.option(
    "--start-over",
    is_flag=True,
    envvar=f"{PREFIX}START_OVER",
    show_envvar=True,
    help="Forget what an import that has not finished has stored.",
)
def import_journal(
    *, file: str, data_dir: Path | None, database_url: str | None, json: bool, start_over: bool
) -> int:
    """Make an empty database the installation that FILE was written from; `-` is standard input.

    The same ids, idempotency keys, balances and API keys. Every row is checked on its way in. An
    import that is interrupted goes on when the command is repeated; until it has finished, `serve`
    refuses to start on the database.
    """
    from allocator.journal.command import Source
    from allocator.journal.importing import run_import

    source = Source(database_url=database_url, data_dir=data_dir)
    return run_import(file, source, start_over=start_over, as_json=json)
