"""What flags are made of: every flag is also a variable."""

import os
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click
from msgspec import Meta

from allocator.config import LOG_LEVELS, Config, described_fields, flag
from allocator.errors import UsageError

PREFIX: Final = "ALLOCATOR_"

_KINDS: Final = {
    "data_dir": click.Path(file_okay=False, path_type=Path),
    "log_level": click.Choice(LOG_LEVELS),
}
_METAVARS: Final = frozenset({"HOST", "PORT", "DIR", "URL", "MS", "BYTES", "LEVEL"})


class Command(click.Command):
    """A command that runs only if every ALLOCATOR_ variable means something."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, or refuse a variable that looks like ours and is not.

        Raises:
            UsageError: It is not.
        """
        root = ctx.find_root().command
        assert isinstance(root, click.Group)
        _refuse_unknown_variables(os.environ, root)
        return super().invoke(ctx)


class Number(click.IntRange):
    """A whole number with bounds, and the words for it."""

    name = "whole number"


def config_option(field: str, meta: Meta) -> click.Option:
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


def _range(meta: Meta) -> Number | None:
    if isinstance(meta.ge, int) and isinstance(meta.le, int):
        return Number(meta.ge, meta.le)
    return None


def _metavar(field: str) -> str:
    """Say what kind of value a flag takes, or its unit: `--drain-ms MS`."""
    if field.startswith("tls_"):
        return "FILE"
    last_word = field.rpartition("_")[2].upper()
    return last_word if last_word in _METAVARS else "N"


def all_commands(group: click.Group) -> Iterator[click.Command]:
    """Yield every command of a group and of the groups in it."""
    for command in group.commands.values():
        if isinstance(command, click.Group):
            yield from all_commands(command)
        else:
            yield command


def _refuse_unknown_variables(environ: Iterable[str], root: click.Group) -> None:
    options = (option for command in all_commands(root) for option in command.params)
    known = {option.envvar for option in options if isinstance(option.envvar, str)}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "allocator serve --help lists them."
            raise UsageError(f"{name} is not a variable that allocator knows; {hint}")


CONFIG_OPTIONS: Final = {
    field: config_option(field, meta) for field, meta in described_fields().items()
}

SOURCE = [
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
KEY = click.Option(
    ["--key"],
    metavar="KEY",
    envvar=f"{PREFIX}KEY",
    show_envvar=True,
    help="API key to send, of the role operator; needed where there is any. Prefer the variable: "
    "other users of the machine can read a command line.",
)
JSON = click.Option(
    ["--json"],
    is_flag=True,
    envvar=f"{PREFIX}JSON",
    show_envvar=True,
    help="One JSON object a line.",
)
