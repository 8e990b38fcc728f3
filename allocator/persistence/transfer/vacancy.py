"""Whether a database is empty, what an interrupted import has left in it, and how it begins."""

from typing import Final

import asyncpg

from allocator.errors import UsageError
from allocator.persistence.connections import Connection
from allocator.persistence.migrate import migrate
from allocator.persistence.statements import statement
from allocator.persistence.transfer.format import Header, line_of
from allocator.persistence.transfer.tables import APART, CARRIED, DERIVED, LOCAL

_OURS: Final = frozenset(CARRIED) | DERIVED | LOCAL | APART
_NAMED_MAX: Final = 3

_FIND: Final = "SELECT header, reached, indexes, finished_at IS NOT NULL AS finished FROM imports"
_BEGIN: Final = "INSERT INTO imports (header, indexes) VALUES ($1, $2)"
_IN_USE: Final = """
SELECT EXISTS (SELECT FROM installation) OR EXISTS (SELECT FROM actors)
    OR EXISTS (SELECT FROM journal)
"""


async def find_import(connection: Connection) -> asyncpg.Record | None:
    """Return what an import has left here, None if nothing was ever here.

    Raises:
        UsageError: Something was, and no import.
    """
    tables = {row["name"] for row in await connection.fetch(statement("tables_here"))}
    if strangers := sorted(tables - _OURS):
        more = len(strangers) - _NAMED_MAX
        raise UsageError(
            f"the database is not empty, it has the tables {', '.join(strangers[:_NAMED_MAX])}"
            f"{f' and {more} more' if more > 0 else ''}: name one that is"
        )
    found = await connection.fetchrow(_FIND) if "imports" in tables else None
    if found is None and tables and await connection.fetchval(_IN_USE):
        raise UsageError("the database is not empty, an installation is in it: name one that is")
    return found


def refuse_another(found: asyncpg.Record, header: Header) -> None:
    """Insist that what was found is an import of the same.

    Raises:
        UsageError: It is of something else.
    """
    if found["header"].encode() == line_of(header):
        return
    if found["finished"]:
        raise UsageError(
            "the database is not empty, another installation was imported into it: name one that is"
        )
    raise UsageError(
        "an import or a restore of something else into this database has not finished: repeat its "
        "command to go on, add --start-over to this one to forget it, or name an empty database"
    )


async def prepare(connection: Connection, header: Header) -> list[str]:
    """Make tables for what is to come, without the journal's indexes; return how to make those."""
    await migrate(connection)
    async with connection.transaction():
        rows = await connection.fetch(statement("journal_indexes"))
        indexes = [row["definition"] for row in rows]
        for row in rows:
            await connection.execute(f"DROP INDEX {row['name']}")
        await connection.execute(_BEGIN, line_of(header).decode(), indexes)
    return indexes


async def forget(connection: Connection) -> None:
    """Take everything out that an unfinished import has stored."""
    found = await connection.fetchrow(_FIND)
    assert found is not None, "an import was here"
    assert not found["finished"], "it is an installation"
    async with connection.transaction():
        await connection.execute(f"TRUNCATE journal, imports, {', '.join(CARRIED)} CASCADE")
        for definition in found["indexes"]:
            await connection.execute(definition)
