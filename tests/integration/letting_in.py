"""API keys for tests: made and revoked behind a server's back, as the command does it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import aiohttp

from allocator.domain.api_keys import PREFIX, Role, digest_of
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.runtime.parts import now_ms


def secret_of(name: str) -> str:
    """The key that tests give somebody of this name."""
    return PREFIX + sha256(name.encode()).hexdigest()[:43]


def bearing(secret: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"Authorization": f"Bearer {secret}"}


async def let_in(database_url: str, **roles: Role) -> dict[str, dict[str, str]]:
    """Make keys of these names and roles; return the header of each."""
    async with _keys(database_url) as keys:
        for name, role in roles.items():
            digest = digest_of(secret_of(name))
            await keys.create(name, role=role, secret_digest=digest, principal="test")
    return {name: bearing(secret_of(name)) for name in roles}


async def shut_out(database_url: str, name: str) -> None:
    """Revoke a key."""
    async with _keys(database_url) as keys:
        assert await keys.revoke(name, principal="test")


@asynccontextmanager
async def calling_as(headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that carries a key."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as session:
        yield session


@asynccontextmanager
async def _keys(database_url: str) -> AsyncIterator[PostgresApiKeys]:
    connection = await connect(database_url, application_name="test")
    try:
        await migrate(connection)
        installation = await open_installation(connection)
    finally:
        connection.terminate()
    pool = await open_pool(database_url, size=1)
    try:
        yield PostgresApiKeys(pool, era=installation.era, clock=now_ms)
    finally:
        pool.terminate()
