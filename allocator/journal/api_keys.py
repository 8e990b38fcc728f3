"""The commands about API keys: create, list, revoke."""

import asyncio
import getpass
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from secrets import choice
from typing import Final

import msgspec

from allocator.domain.api_keys import (
    ALPHABET,
    PREFIX,
    SECRET_CHARACTERS,
    ApiKey,
    Role,
    digest_of,
)
from allocator.domain.catalogue import is_code
from allocator.errors import UsageError
from allocator.journal.command import DONE, Source
from allocator.journal.output import Output
from allocator.journal.sources import database
from allocator.journal.times import text_of, time_of
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.installation import (
    Installation,
    find_installation,
    open_installation,
)
from allocator.persistence.migrate import migrate

_NAME: Final = "allocator keys"
_HEADINGS: Final = ("NAME", "ROLE", "CREATED", "LAST USE", "REVOKED")


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `--json`."""

    name: str
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def run_create(name: str, role: Role, source: Source) -> int:
    """Make a key and print its secret, alone; return the exit code.

    Where there is no database yet, it is prepared: a server that others can reach does not start
    without a key.

    Raises:
        UsageError: The name is none, or was used before.
        JournalError: The database does not answer.
    """
    _require_name(name)
    secret = PREFIX + "".join(choice(ALPHABET) for _ in range(SECRET_CHARACTERS))
    output = Output(sys.stdout, sys.stderr)
    with database(**msgspec.structs.asdict(source), may_make=True) as url:
        asyncio.run(_create(url, name, role=role, secret_digest=digest_of(secret)))
    output.warn(f"key {name} may act as {role}; it is shown only now, and sent as a bearer token")
    output.show([secret])
    return DONE


def run_list(source: Source, *, as_json: bool) -> int:
    """Show all keys there ever were; return the exit code.

    Raises:
        UsageError: There is no database.
        JournalError: The database does not answer.
    """
    with database(**msgspec.structs.asdict(source)) as url:
        keys = asyncio.run(_list(url))
    Output(sys.stdout, sys.stderr).show(_in_json(keys) if as_json else _in_words(keys))
    return DONE


def run_revoke(name: str, source: Source) -> int:
    """Shut a key out for ever; return the exit code.

    Raises:
        UsageError: There is no such key, or no database.
        JournalError: The database does not answer.
    """
    _require_name(name)
    with database(**msgspec.structs.asdict(source)) as url:
        is_new = asyncio.run(_revoke(url, name))
    said = "is revoked: servers shut it out within a second" if is_new else "was revoked before"
    Output(sys.stdout, sys.stderr).warn(f"key {name} {said}")
    return DONE


async def _create(url: str, name: str, *, role: Role, secret_digest: bytes) -> None:
    async with _opened(url, may_prepare=True) as keys:
        await keys.create(name, role=role, secret_digest=secret_digest, principal=_principal())


async def _list(url: str) -> list[ApiKey]:
    async with _opened(url) as keys:
        return await keys.all()


async def _revoke(url: str, name: str) -> bool:
    async with _opened(url) as keys:
        return await keys.revoke(name, principal=_principal())


@asynccontextmanager
async def _opened(url: str, *, may_prepare: bool = False) -> AsyncIterator[PostgresApiKeys]:
    installation = await _prepared(url) if may_prepare else await _found(url)
    pool = await open_pool(url, size=1)
    try:
        yield PostgresApiKeys(pool, era=installation.era, clock=_now_ms)
    finally:
        pool.terminate()


async def _prepared(url: str) -> Installation:
    connection = await connect(url, application_name=_NAME)
    try:
        await migrate(connection)
        return await open_installation(connection)
    finally:
        connection.terminate()


async def _found(url: str) -> Installation:
    connection = await connect(url, application_name=_NAME)
    try:
        installation = await find_installation(connection)
        if await connection.fetchval("SELECT to_regclass('api_keys')") is None:
            raise UsageError(
                "this database is of a release without API keys: `allocator serve` of this one "
                "brings it up to date"
            )
    finally:
        connection.terminate()
    return installation


def _principal() -> str:
    """Return who types the command; no key has such a name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user need not have a name
        return "cli:"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _require_name(name: str) -> None:
    if not is_code(name):
        raise UsageError("a key's name must be 1 to 64 of A-Z a-z 0-9 . _ -, but neither . nor ..")


def _in_json(keys: Sequence[ApiKey]) -> list[str]:
    return [
        msgspec.json.encode(
            _Object(
                name=key.name,
                role=key.role,
                created_at=time_of(key.created_at_ms),
                last_used_at=None if key.last_used_at_ms is None else time_of(key.last_used_at_ms),
                revoked_at=None if key.revoked_at_ms is None else time_of(key.revoked_at_ms),
            )
        ).decode()
        for key in keys
    ]


def _in_words(keys: Sequence[ApiKey]) -> list[str]:
    rows = [_HEADINGS, *[_row_of(key) for key in keys]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row_of(key: ApiKey) -> tuple[str, str, str, str, str]:
    return (
        key.name,
        key.role,
        text_of(key.created_at_ms),
        "never" if key.last_used_at_ms is None else text_of(key.last_used_at_ms),
        "" if key.revoked_at_ms is None else text_of(key.revoked_at_ms),
    )
