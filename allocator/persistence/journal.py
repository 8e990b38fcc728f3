"""The journal in PostgreSQL. Satisfies `actors.ports.Journal`.

Appends have a connection of their own, which lives exactly as long as an incarnation: any doubt
about an append closes it, and `renew` fences the incarnation before a new one is opened. All
else goes through a small pool.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from allocator.domain.records import Batch, KeyName, Record
from allocator.domain.shares import Survey
from allocator.errors import FencedError, JournalError
from allocator.logs import bind_incarnation
from allocator.persistence.columns import births_of, columns_of, joined
from allocator.persistence.connections import FAILURES, Connection, Pool, connect
from allocator.persistence.ownership import Ownership
from allocator.persistence.reader import JournalReader, record_of
from allocator.persistence.statements import statement

_STATEMENTS: Final = ("append", "confirm", "find_keys")
_PLANNING: Final = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off"
)
"""Planned once, while the journal may be empty: keys are found through their index all the same."""

_WARNING_CLASS: Final = "01"


class _Session:
    """The connection of one incarnation, with its statements prepared."""

    __slots__ = ("_statements", "connection", "incarnation", "warning")

    def __init__(self, connection: Connection, incarnation: UUID) -> None:
        self.connection = connection
        self.incarnation = incarnation
        self.warning: str | None = None
        self._statements: dict[str, PreparedStatement[asyncpg.Record]] = {}

    async def prepare(self) -> None:
        """Prepare everything that a turn may need, so that none has to wait for it."""
        self.connection.add_log_listener(self._note)
        for name in _STATEMENTS:
            self._statements[name] = await self.connection.prepare(statement(name))
        # Last: the driver leaves a statement that was prepared and not yet run in a transaction.
        await self.connection.execute(_PLANNING)

    async def fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        """Run a statement.

        Raises:
            JournalError: It failed, or it is not known whether it did.
        """
        try:
            rows = await self._statements[name].fetch(*arguments)
        except FAILURES as error:
            raise JournalError(f"{name}: {type(error).__name__}: {error}") from error
        if self.warning is not None:
            raise JournalError(f"{name}: PostgreSQL warned: {self.warning}")
        return rows

    def _note(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        """Remember a warning: a synchronous standby that did not confirm gives no error."""
        if (message.sqlstate or "").startswith(_WARNING_CLASS):
            self.warning = message.message


class PostgresJournal(JournalReader):
    """Rows of many actors, appended under one incarnation at a time.

    Args:
        url: For the connection of the appends.
        timeout_s: How long an append may take before its outcome counts as unknown.
        pool: For everything else.
        ownership: Who may write.
        era: Of the cluster; see `installation`.
        revive: Awaited before a new incarnation is opened, to have a server of our own
            running again; raises `JournalError` if that fails.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        *,
        url: str,
        timeout_s: float,
        pool: Pool,
        ownership: Ownership,
        era: int,
        revive: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(pool)
        self._url = url
        self._timeout_s = timeout_s
        self._ownership = ownership
        self._era = era
        self._revive = revive
        self._session: _Session | None = None

    @property
    def incarnation(self) -> UUID | None:
        """The present incarnation, or None before the first `renew` and while in doubt."""
        return None if self._session is None else self._session.incarnation

    async def append(self, batch: Batch, names: Sequence[KeyName] = ()) -> list[Record]:
        """Store all rows or none, and look keys up, in one round trip."""
        session = self._require_session()
        rows = await session.fetch(
            "append",
            session.incarnation,
            self._era,
            *columns_of(batch),
            *_asked(names),
            *births_of(batch),
        )
        if rows[0]["stored"] != len(batch):
            raise FencedError(incarnation=str(session.incarnation))
        return _found(rows)

    async def confirm(self, names: Sequence[KeyName] = ()) -> list[Record]:
        """Prove that this incarnation may still write, and look keys up."""
        session = self._require_session()
        rows = await session.fetch("confirm", session.incarnation, *_asked(names))
        if not rows:
            raise FencedError(incarnation=str(session.incarnation))
        return _found(rows)

    async def find_keys(self, names: Sequence[KeyName]) -> list[Record]:
        """Look keys up."""
        session = self._require_session()
        return _found(await session.fetch("find_keys", *_asked(names)))

    async def renew(self, keep: frozenset[int] | None = None) -> frozenset[int]:
        """Fence the present incarnation, if any, and go on under a new one."""
        self._close_session()
        await self._revive()
        # What broke one connection may have silenced all; each would cost a time-out to find out.
        await self._pool.expire_connections()
        incarnation, shards = await self._ownership.renew(keep)
        connection = await connect(
            self._url, application_name=str(incarnation), timeout_s=self._timeout_s
        )
        session = _Session(connection, incarnation)
        try:
            await session.prepare()
        except FAILURES as error:
            connection.terminate()
            raise JournalError(f"cannot prepare to append: {error}") from error
        self._session = session
        bind_incarnation(str(incarnation))
        return shards

    async def claim(self, *, dead: Sequence[str] = ()) -> frozenset[int]:
        """Fence whoever is dead, and take free shards up to a fair share of them."""
        return await self._ownership.claim(dead=dead)

    async def survey(self) -> Survey:
        """Return who serves what."""
        return await self._ownership.survey()

    async def beat(self) -> bool:
        """Say that this incarnation lives; return whether it is unfenced."""
        return await self._ownership.beat()

    async def resign(self) -> None:
        """Fence the present incarnation for good; its shards are free at once."""
        self._close_session()
        await self._ownership.resign()

    def _require_session(self) -> _Session:
        if self._session is None:
            raise JournalError("no incarnation is open")
        return self._session

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None


def _asked(names: Sequence[KeyName] = ()) -> tuple[str, str]:
    return joined([principal for principal, _ in names]), joined([key for _, key in names])


def _found(rows: Sequence[asyncpg.Record]) -> list[Record]:
    """Return what was found; a row without it says only that the rest was done."""
    return [record_of(row) for row in rows if row["actor_id"] is not None]
