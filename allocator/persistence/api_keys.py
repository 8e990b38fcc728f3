"""API keys as PostgreSQL keeps them: every change of one is a row of its own journal as well."""

from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from allocator.domain.api_keys import (
    API_KEY_CREATED,
    API_KEY_REVOKED,
    ApiKey,
    LiveKey,
    Role,
    api_key_key,
)
from allocator.errors import UsageError
from allocator.persistence.changes import Changes, make_actor
from allocator.persistence.connections import Connection, Pool, borrowed
from allocator.persistence.statements import statement

LIVE_MAX: Final = 10_000
"""Keys that are not revoked: every worker has all of them in memory."""

_LOCK: Final = "SELECT * FROM api_keys WHERE name = $1 FOR UPDATE"
_LIST: Final = "SELECT * FROM api_keys ORDER BY name"
_LIVE: Final = "SELECT name, role, secret_digest FROM api_keys WHERE revoked_at IS NULL"
_REVISION: Final = "SELECT count(*) AS created, count(revoked_at) AS revoked FROM api_keys"
_CREATE: Final = """
INSERT INTO api_keys (actor_id, version, digest, created_at, name, role, secret_digest)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_REVOKE: Final = (
    "UPDATE api_keys SET version = $2, digest = $3, revoked_at = $4 WHERE actor_id = $1"
)


class PostgresApiKeys:
    """Who may ask.

    Every method raises `JournalError` when the database does not answer.

    Args:
        era: Of the journal, for the rows that changes write.
        clock: Milliseconds of Unix time.
    """

    def __init__(self, pool: Pool, *, era: int, clock: Callable[[], int]) -> None:
        self._pool = pool
        self._changes = Changes(era=era, clock=clock)

    async def create(self, name: str, *, role: Role, secret_digest: bytes, principal: str) -> None:
        """Let whoever has the secret in.

        Raises:
            UsageError: The name was used before, or there are too many keys.
        """
        async with borrowed(self._pool) as connection, connection.transaction():
            actor_id = await make_actor(connection, kind="api_key", key=api_key_key(name))
            if actor_id is None:
                raise UsageError(
                    f"there is, or was, a key named {name}; a name stands in the journal for "
                    "whoever asked, so it is never used again: choose another"
                )
            revision = await connection.fetchrow(_REVISION)
            assert revision is not None
            if revision["created"] - revision["revoked"] >= LIVE_MAX:
                raise UsageError(f"there are {LIVE_MAX} keys: revoke one that nobody uses first")
            change = self._changes.first(
                actor_id, kind=API_KEY_CREATED, contents={"role": role}, principal=principal
            )
            await change.note(connection)
            await connection.execute(_CREATE, *change.columns, name, role, secret_digest)

    async def revoke(self, name: str, *, principal: str) -> bool:
        """Shut a key out for ever; return False if that was done before.

        Raises:
            UsageError: There is no such key.
        """
        async with borrowed(self._pool) as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK, name)
            if row is None:
                raise UsageError(f"there is no key named {name}; `allocator keys list` shows all")
            if row["revoked_at"] is not None:
                return False
            change = self._changes.next(row, kind=API_KEY_REVOKED, contents={}, principal=principal)
            await change.note(connection)
            await connection.execute(_REVOKE, *change.columns)
        return True

    async def all(self) -> list[ApiKey]:
        """Return all keys there ever were, by name."""
        async with borrowed(self._pool) as connection:
            return [_key_of(row) for row in await connection.fetch(_LIST)]

    async def revision(self) -> tuple[int, int]:
        """Return numbers that differ from all former ones if a key was created or revoked.

        The first says how many were ever created.
        """
        async with borrowed(self._pool) as connection:
            row = await connection.fetchrow(_REVISION)
        assert row is not None
        return row["created"], row["revoked"]

    async def live(self) -> list[LiveKey]:
        """Return the keys that are not revoked."""
        async with borrowed(self._pool) as connection:
            return [
                LiveKey(name=row["name"], role=row["role"], secret_digest=row["secret_digest"])
                for row in await connection.fetch(_LIVE)
            ]

    async def note_use(self, names: Sequence[str], *, at_ms: int) -> None:
        """Remember that these keys were used; an older time changes nothing."""
        async with borrowed(self._pool) as connection:
            await connection.execute(statement("note_use"), list(names), at_ms)


async def refuse_open_doors(connection: Connection, *, address: str) -> None:
    """Insist that requests need a key, for others can send them.

    Raises:
        UsageError: They would not: there has never been one.
    """
    if not await connection.fetchval("SELECT count(*) FROM api_keys"):
        raise UsageError(
            f"--host {address} would let everybody in, since there is no API key yet: "
            "`allocator keys create --role operator --name NAME` makes the first one, with the "
            "same --data-dir or --database-url"
        )


def _key_of(row: asyncpg.Record) -> ApiKey:
    return ApiKey(
        name=row["name"],
        role=row["role"],
        created_at_ms=row["created_at"],
        revoked_at_ms=row["revoked_at"],
        last_used_at_ms=row["last_used_at"],
    )
