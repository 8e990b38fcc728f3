"""`allocator keys`."""

from pathlib import Path

import click

from allocator.cli.options import JSON, PREFIX, SOURCE, Command
from allocator.domain.api_keys import ROLES, Role

_KEYS_EPILOG = """\b
Exit codes:
  0  done
  1  the database does not answer
  2  a flag or a variable is wrong, the name is taken or unknown, or there is no database
"""


@click.group()
def keys() -> None:
    """Say who may ask: create, list and revoke API keys.

    A client sends its key with every request, as `Authorization: Bearer KEY`. The name of the
    key stands in the journal for whoever asked. Until the first key is created, a server answers
    everybody on this machine, and nobody else; from then on, only who has a key.
    """


@keys.command(cls=Command, params=[*SOURCE], epilog=_KEYS_EPILOG)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    required=True,
    envvar=f"{PREFIX}ROLE",
    show_envvar=True,
    help="client: places and cancels orders. stock: receives stock, dispatches, and keeps "
    "warehouses and products. operator: everything. Each may read.",
)
@click.option(
    "--name",
    metavar="NAME",
    required=True,
    envvar=f"{PREFIX}NAME",
    show_envvar=True,
    help="Whom the key is for: 1 to 64 of A-Z a-z 0-9 . _ -, never used before.",
)
def create(*, role: Role, name: str, data_dir: Path | None, database_url: str | None) -> int:
    """Create a key and print it, once: only its digest is kept.

    It works beside a running server, which knows the key at once, and before the first start, for
    which it prepares the database.
    """
    from allocator.journal.api_keys import run_create
    from allocator.journal.command import Source

    return run_create(name, role, Source(database_url=database_url, data_dir=data_dir))


@keys.command("list", cls=Command, params=[*SOURCE, JSON], epilog=_KEYS_EPILOG)
def list_all(*, data_dir: Path | None, database_url: str | None, json: bool) -> int:
    """Show all keys there ever were, with the time of their last use, up to ten seconds late."""
    from allocator.journal.api_keys import run_list
    from allocator.journal.command import Source

    return run_list(Source(database_url=database_url, data_dir=data_dir), as_json=json)


@keys.command(cls=Command, params=[*SOURCE], epilog=_KEYS_EPILOG)
@click.argument("name", metavar="NAME")
def revoke(*, name: str, data_dir: Path | None, database_url: str | None) -> int:
    """Shut a key out for ever; running servers do so within a second."""
    from allocator.journal.api_keys import run_revoke
    from allocator.journal.command import Source

    return run_revoke(name, Source(database_url=database_url, data_dir=data_dir))
