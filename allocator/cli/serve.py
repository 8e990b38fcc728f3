"""`allocator serve`, and `allocator db`."""

import signal
import threading
from pathlib import Path
from typing import Final

import click

from allocator.cli.options import CONFIG_OPTIONS, Command
from allocator.config import Config

_LOOK_AGAIN_S: Final = 2.0

# The first field of each section of `serve --help`; the fields after it belong to it too.
_HEADINGS = {
    "host": "Listening",
    "rate_limit": "Clients",
    "data_dir": "Storage",
    "mailbox_max": "Limits",
    "actors_max": "Memory",
    "heartbeat_ms": "Watching",
}

# Click leaves the lines of a paragraph that begins with \b alone.
_SERVE_EPILOG = """\b
Exit codes:
  0  stopped as asked; everything acknowledged is on disk
  1  could not start or go on; the last line says why
  2  a flag or a variable is wrong

In Kubernetes set enableServiceLinks: false, or give the Service another name than
allocator: the variables that it adds would be taken for settings.
"""


class __ServeCommand(Command):
    """`serve`, whose many options are listed under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        heading = ""
        for parameter in self.get_params(ctx):
            heading = _HEADINGS.get(str(parameter.name), heading)
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


@click.command(cls=__ServeCommand, params=list(CONFIG_OPTIONS.values()), epilog=_SERVE_EPILOG)
@click.pass_context
def serve(ctx: click.Context, /, **_settings: object) -> int:
    """Serve the HTTP API until SIGTERM or Ctrl-C.

    Without --database-url it starts a PostgreSQL of its own in --data-dir, reachable only
    through a Unix socket there, and stops it when it stops. What was acknowledged is on
    disk: after any crash, start it again with the same directory or URL.

    On SIGTERM or Ctrl-C it takes no new requests, finishes those it has accepted, writes
    everything out and exits.

    A flag wins over its variable. An unknown flag, an unknown ALLOCATOR_ variable or a
    value out of its bounds stops the start with one sentence on stderr.
    """
    config = Config(**ctx.params)

    from allocator.server import serve as serve_until_stopped

    return serve_until_stopped(config)


@click.command(cls=Command, params=[CONFIG_OPTIONS["data_dir"]])
def db(data_dir: Path | None) -> int:
    """Start the embedded PostgreSQL alone, until SIGTERM or Ctrl-C.

    It prints the URL for psql and other tools. While `allocator serve` runs on a data
    directory, its PostgreSQL answers at the same URL, and `db` refuses to start a second.
    """
    from allocator.persistence.embedded import EmbeddedPostgres, default_data_dir

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with EmbeddedPostgres(data_dir or default_data_dir()) as postgres:
        click.echo(postgres.dsn)
        click.echo("PostgreSQL accepts connections there; Ctrl-C stops it.", err=True)
        while not stop.wait(timeout=_LOOK_AGAIN_S):
            postgres.ensure_running()
    return 0
