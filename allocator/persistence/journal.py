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

from allocator.domain.records import Batch, Record
from allocator.errors import FencedError, JournalError
from allocator.persistence.connections import FAILURES, Connection, Pool, connect
from allocator.persistence.key_lookup import KeyLookup
from allocator.persistence.ownership import Ownership
from allocator.persistence.reader import JournalReader
from allocator.persistence.statements import statement

_WARNING_CLASS: Final = "01"


class _Session:
    """The connection of one incarnation, with its two statements prepared."""

    __slots__ = ("append", "confirm", "connection", "incarnation", "warning")

    def __init__(
        self,
        connection: Connection,
        incarnation: UUID,
        append: "PreparedStatement[asyncpg.Record]",
        confirm: "PreparedStatement[asyncpg.Record]",
    ) -> None:
        self.connection = connection
        self.incarnation = incarnation
        self.append = append
        self.confirm = confirm
        self.warning: str | None = None

    def note(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
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
        self._keys = KeyLookup(url, timeout_s=timeout_s)

    @property
    def incarnation(self) -> UUID | None:
        """The present incarnation, or None before the first `renew` and while in doubt."""
        return None if self._session is None else self._session.incarnation

    async def append(self, batch: Batch) -> None:
        """Store all rows or none, in one round trip."""
        session = self._require_session()
        try:
            await session.append.fetch(
                session.incarnation,
                self._era,
                batch.actor_ids,
                batch.seqs,
                batch.ats_ms,
                batch.kinds,
                batch.versions,
                batch.bodies,
                batch.digests,
                batch.principals,
                batch.idempotency_keys,
                batch.request_digests,
                list(batch.wakes),
                list(batch.wakes.values()),
            )
        except FAILURES as error:
            raise JournalError(f"append: {type(error).__name__}: {error}") from error
        status = session.append.get_statusmsg()
        if status != f"INSERT 0 {len(batch)}":
            raise FencedError(incarnation=str(session.incarnation))
        _refuse_warning(session)

    async def confirm(self) -> None:
        """Prove that this incarnation may still write."""
        session = self._require_session()
        try:
            rows = await session.confirm.fetch(session.incarnation)
        except FAILURES as error:
            raise JournalError(f"confirm: {type(error).__name__}: {error}") from error
        if not rows:
            raise FencedError(incarnation=str(session.incarnation))

    async def renew(self) -> frozenset[int]:
        """Fence the present incarnation, if any, and go on under a new one."""
        self._close_session()
        await self._revive()
        # What broke one connection may have silenced all; each would cost a time-out to find out.
        await self._pool.expire_connections()
        self._keys.close()
        incarnation, shards = await self._ownership.renew()
        connection = await connect(
            self._url, application_name=str(incarnation), timeout_s=self._timeout_s
        )
        try:
            append = await connection.prepare(statement("append"))
            confirm = await connection.prepare(statement("confirm"))
        except FAILURES as error:
            connection.terminate()
            raise JournalError(f"cannot prepare to append: {error}") from error
        self._session = _Session(connection, incarnation, append, confirm)
        connection.add_log_listener(self._session.note)
        return shards

    async def find_keys(self, keys: Sequence[tuple[str, str]]) -> Sequence[Record]:
        """Return the rows stored under these (principal, key) pairs, in any order."""
        return await self._keys.find(keys)

    async def claim(self) -> frozenset[int]:
        """Take every shard that nobody serves."""
        return await self._ownership.claim()

    async def beat(self) -> bool:
        """Say that this incarnation lives; return whether it is unfenced."""
        return await self._ownership.beat()

    async def resign(self) -> None:
        """Fence the present incarnation for good; its shards are free at once."""
        self._close_session()
        self._keys.close()
        await self._ownership.resign()

    def _require_session(self) -> _Session:
        if self._session is None:
            raise JournalError("no incarnation is open")
        return self._session

    def _close_session(self) -> None:
        if self._session is not None:
            self._session.connection.terminate()
            self._session = None


def _refuse_warning(session: _Session) -> None:
    if session.warning is not None:
        raise JournalError(f"append: PostgreSQL warned: {session.warning}")
