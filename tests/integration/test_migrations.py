"""Migrations: each is applied once, whole, and never guessed about."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from importlib.resources import files

import asyncpg
import pytest

from allocator.errors import UsageError
from allocator.persistence.connections import Connection
from allocator.persistence.migrate import migrate

FILES = {
    entry.name: entry.read_text("utf-8")
    for entry in files("allocator.persistence").joinpath("migrations").iterdir()
    if entry.name.endswith(".sql")
}


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_file_is_applied_in_order_and_recorded(database_url: str) -> None:
    async with connected(database_url) as connection:
        applied = await migrate(connection)

        rows = await connection.fetch("SELECT name, digest FROM migrations")
        assert applied == sorted(FILES)
        assert {row["name"]: row["digest"] for row in rows} == {
            name: sha256(text.encode()).hexdigest() for name, text in FILES.items()
        }


async def test_a_schema_that_is_up_to_date_is_left_alone(database_url: str) -> None:
    async with connected(database_url) as connection:
        await migrate(connection)

        assert await migrate(connection) == []


async def test_of_servers_that_start_at_once_one_migrates_and_all_go_on(database_url: str) -> None:
    async def start() -> list[str]:
        async with connected(database_url) as connection:
            return await migrate(connection)

    applied = await asyncio.gather(*(start() for _ in range(4)))

    assert sorted(applied) == [[], [], [], sorted(FILES)]


async def test_a_database_of_a_newer_release_is_refused_by_name(database_url: str) -> None:
    async with connected(database_url) as connection:
        await migrate(connection)
        await connection.execute("INSERT INTO migrations VALUES ('9999_tomorrow.sql', '')")

        with pytest.raises(UsageError, match=r"newer than this release.*9999_tomorrow\.sql"):
            await migrate(connection)


async def test_a_migration_that_was_edited_after_it_was_applied_is_refused(
    database_url: str,
) -> None:
    async with connected(database_url) as connection:
        await migrate(connection)
        await connection.execute("UPDATE migrations SET digest = 'of another text'")

        with pytest.raises(UsageError, match=r"0001_spine\.sql was applied with another content"):
            await migrate(connection)


async def test_a_migration_that_fails_leaves_nothing_behind(database_url: str) -> None:
    async with connected(database_url) as connection:
        # In the way of a table in the middle of the first file.
        await connection.execute("CREATE TABLE balances ()")

        with pytest.raises(asyncpg.DuplicateTableError):
            await migrate(connection)

        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        assert [row["table_name"] for row in tables] == ["balances"]


async def test_tables_of_what_was_bought_refuse_what_must_not_be(database_url: str) -> None:
    """O13: whatever a bug may try to say there."""
    nobodys = "SELECT 999, version, customer, status, opened_at, expires_at, ttl, cap FROM carts"
    async with connected(database_url) as connection:
        await migrate(connection)
        await connection.execute(
            """
            INSERT INTO actors VALUES (256, 'cart', 'key', NULL);
            INSERT INTO carts VALUES (256, 1, '42', 'paid', now(), now(), '1 min', '1 hour');
            INSERT INTO checkouts VALUES (256, 4, 'paid', 500, 'EUR', '[]', now(), now(), 5);
            INSERT INTO process_orders VALUES (256, 5, 5, 'new', '42', now(), NULL, true, false);
            INSERT INTO process_order_lines VALUES (256, 0, 512, 2, 'main', 'tea', 2, 0, '[]');
            """
        )

        for statement, refused in (
            (f"INSERT INTO carts {nobodys}", asyncpg.ForeignKeyViolationError),
            ("INSERT INTO carts SELECT * FROM carts", asyncpg.UniqueViolationError),
            ("UPDATE carts SET status = 'lost'", asyncpg.CheckViolationError),
            ("UPDATE checkouts SET status = 'lost'", asyncpg.CheckViolationError),
            ("UPDATE checkouts SET amount = -1", asyncpg.CheckViolationError),
            ("INSERT INTO checkouts SELECT * FROM checkouts", asyncpg.UniqueViolationError),
            ("UPDATE process_order_lines SET quantity = 0", asyncpg.CheckViolationError),
            ("UPDATE process_order_lines SET dispatched = 3", asyncpg.CheckViolationError),
            ("UPDATE process_orders SET status = 'lost'", asyncpg.CheckViolationError),
            ("UPDATE process_orders SET actor_id = 999", asyncpg.ForeignKeyViolationError),
        ):
            with pytest.raises(refused):
                await connection.execute(statement)


OF_BEFORE = """
ALTER TABLE wms_feeds DROP COLUMN settling_as_of, DROP COLUMN settling_through;
DELETE FROM migrations WHERE name = '0019_wms_asked.sql';
INSERT INTO actors (id, kind, key)
SELECT feed, 'feed', 'feed:' || feed FROM generate_series(1, 3) AS feed;
INSERT INTO wms_feeds (actor_id, warehouse, position, settling)
SELECT feed, 'w' || feed, '1.0.0.0', (feed > 1)::int * 2 FROM generate_series(1, 3) AS feed;
INSERT INTO journal (actor_id, seq, at, era, version, kind, digest, body)
SELECT feed, seq, now(), 1, 1, kind, '', body::json
FROM generate_series(1, 3) AS feed, (VALUES
    (2, 'run_begun', '{"as_of": 12, "applied_through": 3, "deadline_ms": 1}'),
    (3, 'feed_ended', '{}')
) AS row (seq, kind, body)
WHERE feed < 3 OR seq < 3;
"""


async def test_of_a_feed_from_before_it_is_known_as_of_when_a_run_asked_pools_unless_it_has_ended(
    database_url: str,
) -> None:
    """The first has asked nobody, the second has ended since."""
    async with connected(database_url) as connection:
        await migrate(connection)
        await connection.execute(OF_BEFORE)
        await migrate(connection)

        rows = await connection.fetch(
            "SELECT settling_as_of, settling_through FROM wms_feeds ORDER BY actor_id"
        )
        assert [tuple(row) for row in rows] == [(None, None), (None, None), (12, 3)]
