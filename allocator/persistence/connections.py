"""Connections to PostgreSQL: how they are opened, and what their failures are called.

Every connection insists on `synchronous_commit` and finds out within its time-out that its peer
has gone. Times travel as integers, milliseconds of Unix time: a `datetime` a row would be the
dearest part of reading it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from allocator.errors import JournalError

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Borrowed: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Executor: TypeAlias = "Connection | Borrowed"

CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 10.0
_EPOCH_2000_US: Final = 946_684_800_000_000

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Everything that the driver raises when the database does not answer as it should.

`InternalClientError` is no bug: it is what a statement gets that is sent in the moment in which
PostgreSQL says that it ends the session, and what an answer that makes no sense becomes.
"""

_PLANS_ANEW: Final = {"plan_cache_mode": "force_custom_plan"}


async def connect(
    url: str, *, application_name: str, timeout_s: float = COMMAND_TIMEOUT_S
) -> Connection:
    """Open one connection, on which every statement must be answered within `timeout_s`.

    Raises:
        JournalError: The database does not answer.
    """
    try:
        connection: Connection = await asyncpg.connect(
            url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=timeout_s,
            server_settings=_settings(application_name),
        )
        try:
            await _set_codecs(connection)
        except BaseException:
            connection.terminate()
            raise
    except FAILURES as error:
        raise JournalError(f"cannot connect to PostgreSQL: {error}") from error
    return connection


async def open_pool(
    url: str, *, size: int, timeout_s: float = COMMAND_TIMEOUT_S, plans_anew: bool = False
) -> Pool:
    """Open a pool for everything but appends, with the same promise.

    Args:
        url: Of the database.
        size: How many connections at most.
        timeout_s: Within which every statement must be answered.
        plans_anew: Whether each statement is planned for the very parameters that it comes with.
            Lists want that: a plan for any filters, most of which are missing, reads everything.

    Raises:
        JournalError: The database does not answer.
    """
    try:
        pool: Pool | None = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=timeout_s,
            init=_set_codecs,
            reset=_leave_as_is,
            server_settings=_settings("allocator") | (_PLANS_ANEW if plans_anew else {}),
        )
    except FAILURES as error:
        raise JournalError(f"cannot connect to PostgreSQL: {error}") from error
    assert pool is not None
    return pool


@asynccontextmanager
async def borrowed(pool: Pool) -> AsyncIterator[Borrowed]:
    """Lend a connection of the pool, and translate what goes wrong on it.

    Raises:
        JournalError: The database does not answer as it should.
    """
    try:
        async with pool.acquire(timeout=COMMAND_TIMEOUT_S) as connection:
            yield connection
    except FAILURES as error:
        raise JournalError(f"PostgreSQL: {type(error).__name__}: {error}") from error


def _settings(application_name: str) -> dict[str, str]:
    return {
        "application_name": application_name,
        "synchronous_commit": "on",
        "timezone": "UTC",
        "jit": "off",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "1",
        "tcp_keepalives_count": "5",
    }


async def _set_codecs(connection: Executor) -> None:
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=_encode_ms,
        decoder=_decode_ms,
        format="tuple",
    )


async def _leave_as_is(_connection: Connection) -> None:
    """Save the round trip that resets a session: nothing here changes one."""


def _encode_ms(at_ms: int) -> tuple[int]:
    return (at_ms * 1000 - _EPOCH_2000_US,)


def _decode_ms(stored: tuple[int]) -> int:
    return (stored[0] + _EPOCH_2000_US) // 1000
