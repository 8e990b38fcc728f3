"""Migrations: ordered SQL files, each applied once, under an advisory lock.

Migration libraries bring a second driver (psycopg, SQLAlchemy) for what is forty lines over the
driver that we have; plain files are also what an operator can read before running them.
"""

from hashlib import sha256
from importlib.resources import files
from typing import Final

from allocator.errors import UsageError
from allocator.persistence.connections import Connection, Executor

SERVER_VERSION_MIN: Final = 140_000
_MIGRATION_LOCK: Final = 0x6D696772

_BOOKKEEPING: Final = """
CREATE TABLE IF NOT EXISTS migrations (
    name text PRIMARY KEY,
    digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


async def migrate(connection: Connection) -> list[str]:
    """Bring the schema up to date; several servers may do so at once.

    Returns:
        The names of the migrations that were applied now.

    Raises:
        UsageError: The database is too old, too new, or was changed by hand.
    """
    if (version := int(await connection.fetchval("SHOW server_version_num"))) < SERVER_VERSION_MIN:
        raise UsageError(f"PostgreSQL 14 or newer is needed, this server is {version // 10_000}")
    known = _migrations()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        await connection.execute(_BOOKKEEPING)
        rows = await connection.fetch("SELECT name, digest FROM migrations")
        applied = {row["name"]: row["digest"] for row in rows}
        _check(applied, known)
        missing = [name for name in known if name not in applied]
        for name in missing:
            await connection.execute(known[name])
            await connection.execute(
                "INSERT INTO migrations (name, digest) VALUES ($1, $2)", name, _digest(known[name])
            )
    return missing


async def refuse_other_schema(connection: Executor) -> None:
    """Insist that the schema is the one of this release, changing nothing.

    Raises:
        UsageError: It is older or newer, or was changed by hand.
    """
    known = _migrations()
    rows = await connection.fetch("SELECT name, digest FROM migrations")
    applied = {row["name"]: row["digest"] for row in rows}
    _check(applied, known)
    if missing := known.keys() - applied.keys():
        raise UsageError(
            f"the database is older than this release: it lacks migration {min(missing)}, which "
            "`allocator serve` applies when it starts"
        )


def _migrations() -> dict[str, str]:
    folder = files("allocator.persistence").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return {name: folder.joinpath(name).read_text("utf-8") for name in names}


def _check(applied: dict[str, str], known: dict[str, str]) -> None:
    for name, digest in applied.items():
        if name not in known:
            raise UsageError(f"the database is newer than this release: it has migration {name}")
        if digest != _digest(known[name]):
            raise UsageError(f"migration {name} was applied with another content than it has now")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
