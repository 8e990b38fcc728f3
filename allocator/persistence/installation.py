"""What is true of the whole installation: its secret, its era, and whether storage is safe."""

from secrets import token_bytes
from typing import Final

import msgspec

from allocator.domain.ids import SECRET_BYTES
from allocator.errors import UsageError
from allocator.persistence.connections import Connection, Executor

_SAFETY: Final = ("fsync", "full_page_writes")

_OPEN: Final = """
INSERT INTO installation (id_secret, system_identifier, era) VALUES ($1, $2, 1)
ON CONFLICT (only_row) DO UPDATE
SET era = installation.era
        + (installation.system_identifier <> excluded.system_identifier)::int,
    system_identifier = excluded.system_identifier
RETURNING id_secret, era
"""

# Where no server has started since it moved here, all eras that it knows are former ones.
_FIND: Final = """
SELECT id_secret, era + (installation.system_identifier <> control.system_identifier)::int AS era
FROM installation, pg_control_system() AS control
"""


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Facts that every server of an installation shares.

    Attributes:
        id_secret: Seals ids.
        era: The number of the cluster that the journal now lives in, from 1. Transaction ids
            of another era mean nothing in this one.
        server_version: Of PostgreSQL, for people.
    """

    id_secret: bytes
    era: int
    server_version: str


async def open_installation(connection: Connection) -> Installation:
    """Read the installation, making it on the first start and opening a new era if it moved.

    Raises:
        UsageError: The database is to become one by an import that has not finished.
    """
    await refuse_unfinished_import(connection)
    system = await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
    async with connection.transaction():
        row = await connection.fetchrow(_OPEN, token_bytes(SECRET_BYTES), system)
        assert row is not None
    version = await connection.fetchval("SHOW server_version")
    return Installation(id_secret=row["id_secret"], era=row["era"], server_version=version)


async def refuse_unsafe_storage(connection: Connection) -> None:
    """Insist that a commit survives a power cut.

    Raises:
        UsageError: It would not.
    """
    for setting in _SAFETY:
        if await connection.fetchval(f"SHOW {setting}") == "off":
            raise UsageError(
                f"PostgreSQL runs with {setting} = off, so a crash may lose what was acknowledged; "
                "turn it on, or pass --trust-storage if the provider takes care of it"
            )


async def refuse_unfinished_import(connection: Connection) -> None:
    """Insist that the database is not half of something.

    Raises:
        UsageError: An import or a restore into it was interrupted, or is under way.
    """
    if await connection.fetchval("SELECT true FROM imports WHERE finished_at IS NULL"):
        raise UsageError(
            "an import or a restore into this database has not finished: repeat its command to go "
            "on, with --start-over to begin again, or drop the database"
        )


async def find_installation(connection: Executor) -> Installation:
    """Read the installation, changing nothing.

    Raises:
        UsageError: No server has ever served from this database.
    """
    if await connection.fetchval("SELECT to_regclass('installation')") is None:
        row = None
    else:
        row = await connection.fetchrow(_FIND)
    if row is None:
        raise UsageError("nothing is stored in this database yet: `allocator serve` prepares it")
    version = await connection.fetchval("SHOW server_version")
    return Installation(id_secret=row["id_secret"], era=row["era"], server_version=version)
