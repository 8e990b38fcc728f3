"""The embedded PostgreSQL, against every death of it and of us that we could think of."""

import asyncpg


async def test_each_test_has_a_database_of_its_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        tables = await connection.fetchval(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        )
    finally:
        await connection.close()

    assert tables == 0


def test_a_synchronous_test_may_ask_for_a_database_too(database_url: str) -> None:
    assert "test_" in database_url
