"""The API key of a benchmark's customers, and how a database comes to know it."""

import asyncio
import time
from typing import Final

from allocator.domain.api_keys import ALPHABET, PREFIX, SECRET_CHARACTERS, digest_of
from allocator.persistence.api_keys import PostgresApiKeys
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate

SECRET: Final = PREFIX + ALPHABET[:SECRET_CHARACTERS]
"""Known to everybody who reads this: of databases that are thrown away."""

HEADERS: Final = {"Authorization": f"Bearer {SECRET}"}


def let_in(url: str) -> None:
    """Have an empty database know the key, so that its server wants one from everybody."""
    asyncio.run(_let_in(url))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _let_in(url: str) -> None:
    connection = await connect(url, application_name="bench")
    try:
        await migrate(connection)
        installation = await open_installation(connection)
    finally:
        connection.terminate()
    pool = await open_pool(url, size=1)
    try:
        keys = PostgresApiKeys(
            pool, era=installation.era, clock=lambda: time.time_ns() // 1_000_000
        )
        digest = digest_of(SECRET)
        await keys.create("bench", role="operator", secret_digest=digest, principal="")
    finally:
        pool.terminate()
