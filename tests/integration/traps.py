"""A trap in the database: whoever stores a certain row stands still in the middle of the commit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg

from tests.integration.serving import until
from tests.integration.shop import database

_LOCK = 20_260_000

_INSTALL = f"""
CREATE OR REPLACE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({_LOCK});
    RETURN NULL;
END $$
"""

_CAUGHT = f"""
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND objid = {_LOCK} AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Spot(NamedTuple):
    """Where a trap is set: rows of a table for which a condition on NEW, and OLD, holds."""

    table: str
    change: str
    when: str


class Trap:
    """Set at a spot, it holds whoever commits such a row, until it is opened.

    Its victim has done everything but the commit itself. So both can be had when a server has been
    killed meanwhile: that the row is stored, though nobody hears of it, and that it is not.
    """

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection
        self._table = ""

    async def set(self, spot: Spot) -> None:
        """Lie in wait from now on."""
        self._table = spot.table
        await self._connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        await self._connection.execute(
            f"CREATE CONSTRAINT TRIGGER trap AFTER {spot.change} ON {spot.table} "
            "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
            f"WHEN ({spot.when}) EXECUTE FUNCTION stand_still()"
        )

    async def sprung(self) -> None:
        """Wait until somebody is caught."""
        await until(self._caught)

    async def open(self, *, stored: bool) -> None:
        """Let everybody who was caught commit, or have them fail; nobody is caught any more."""
        if not stored:
            for pid in await self._caught():
                await self._connection.execute("SELECT pg_terminate_backend($1)", pid)
            await until(self._is_empty)
        await self._connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")
        await self._connection.execute(f"DROP TRIGGER trap ON {self._table}")

    async def _caught(self) -> list[int]:
        return [row["pid"] for row in await self._connection.fetch(_CAUGHT)]

    async def _is_empty(self) -> bool:
        return not await self._caught()


@asynccontextmanager
async def trapping(database_url: str) -> AsyncIterator[Trap]:
    """A trap for a database whose tables are there."""
    async with database(database_url) as connection:
        await connection.execute(_INSTALL)
        yield Trap(connection)
