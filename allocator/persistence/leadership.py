"""Of all processes that could do a thing, one does it, and another when that one dies.

Whoever leads holds an advisory lock with the session of its connection. PostgreSQL lets the lock
go in the moment in which that session ends, however it ends; so nobody leads twice, and nothing
has to be found out about the dead. What two must never do at once is done on that very
connection: then the work ends with the right to do it.
"""

import asyncio
from enum import IntEnum
from typing import Final

from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Connection

_TRY_EVERY_S: Final = 0.5


class Role(IntEnum):
    """What one process of all does, as the number of its lock."""

    PROJECTION = 0x70726F6A
    FOLDING = 0x666F6C64
    WEBHOOKS = 0x77656268
    IMPORT = 0x696D706F
    PRUNING = 0x7072756E


async def try_lead(connection: Connection, role: Role) -> bool:
    """Return whether the role is ours; then it is until `connection` ends.

    Raises:
        JournalError: The database does not answer.
    """
    return await _locked(connection, "pg_try_advisory_lock", role)


async def forbid(connection: Connection, role: Role) -> None:
    """Return when nobody plays a role; nobody does until `connection` ends.

    Raises:
        JournalError: The database does not answer.
    """
    while True:
        if await _locked(connection, "pg_try_advisory_lock_shared", role):
            return
        await asyncio.sleep(_TRY_EVERY_S)


async def lead(connection: Connection, role: Role) -> None:
    """Return when the role is ours; it is until `connection` ends.

    Raises:
        JournalError: The database does not answer.
    """
    while True:
        if await try_lead(connection, role):
            return
        await asyncio.sleep(_TRY_EVERY_S)


async def _locked(connection: Connection, function: str, role: Role) -> bool:
    try:
        return bool(await connection.fetchval(f"SELECT {function}($1)", role))
    except FAILURES as error:
        raise JournalError(f"{role.name.lower()}: {type(error).__name__}: {error}") from error
