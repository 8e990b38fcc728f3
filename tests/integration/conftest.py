"""Shops: the real server, in the test's own process and on a real PostgreSQL."""

import secrets
from collections.abc import AsyncIterator

import pytest_asyncio

from allocator.persistence.embedded import EmbeddedPostgres
from tests.integration.long_ago import Story, copied, opened_long_ago, snapshot_at, trade
from tests.integration.shop import Shop, database, opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a database that the tests of a module share."""
    name = f"module_{secrets.token_hex(8)}"
    async with database(postgres.dsn) as connection:
        await connection.execute(f"CREATE DATABASE {name}")
        yield postgres.dsn.replace("/allocator?", f"/{name}?")
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def old(module_database_url: str) -> Story:
    """What happened forty days ago in the database that tests get copies of."""
    async with opened_long_ago(module_database_url) as shop:
        story = await trade(shop)
    await snapshot_at(module_database_url, story.actor_id, story.version - 8, story.version - 2)
    return story


@pytest_asyncio.fixture(loop_scope="module")
async def old_url(
    postgres: EmbeddedPostgres,
    module_database_url: str,
    old: Story,  # noqa: ARG001 (it has to have happened)
) -> AsyncIterator[str]:
    """The DSN of a test's own copy of it."""
    async with copied(postgres, module_database_url) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_shop(module_database_url: str) -> AsyncIterator[Shop]:
    """The first shop of a module's server."""
    async with opened(module_database_url) as shop:
        yield shop


@pytest_asyncio.fixture(loop_scope="module")
async def shop(module_shop: Shop) -> Shop:
    """A shop that no other test has touched, in the server that they share."""
    fresh = Shop(module_shop.server, module_shop.client)
    await fresh.open()
    return fresh
