"""Finding the rows that remember idempotency keys."""

from collections.abc import Sequence

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from allocator.domain.records import Record
from allocator.errors import JournalError
from allocator.persistence.connections import FAILURES, Connection, connect
from allocator.persistence.reader import record_of
from allocator.persistence.statements import statement


class KeyLookup:
    """Looks keys up on a connection of its own, one query at a time.

    Every keyed request waits for this once, so it does without a pool: borrowing a connection
    costs as much as the query.

    Args:
        url: Of the database.
        timeout_s: How long a query may take.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection: Connection | None = None
        self._find: PreparedStatement[asyncpg.Record] | None = None

    async def find(self, keys: Sequence[tuple[str, str]]) -> list[Record]:
        """Return the rows stored under these (principal, key) pairs, in any order.

        Raises:
            JournalError: The database does not answer as it should; the next call tries anew.
        """
        principals = [principal for principal, _ in keys]
        try:
            find = self._find or await self._prepare()
            rows = await find.fetch(principals, [key for _, key in keys])
        except FAILURES as error:
            self.close()
            raise JournalError(f"find keys: {type(error).__name__}: {error}") from error
        return [record_of(row) for row in rows]

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._connection is not None:
            self._connection.terminate()
        self._connection = self._find = None

    async def _prepare(self) -> "PreparedStatement[asyncpg.Record]":
        self._connection = await connect(
            self._url, application_name="allocator keys", timeout_s=self._timeout_s
        )
        self._find = await self._connection.prepare(statement("find_keys"))
        return self._find
