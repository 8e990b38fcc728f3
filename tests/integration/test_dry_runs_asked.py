"""Whoever asks what a run would change is told when it was asked for, whoever else asks."""

import asyncio

from allocator.domain.positions import START
from allocator.feeding.dry_runs import Comparison
from allocator.persistence.connections import connect, open_pool
from allocator.persistence.dry_runs import PostgresDryRuns
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.wms import PostgresFeeds
from tests.integration.serving import until

NOW_MS = 1_767_225_600_123
_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


async def test_two_who_ask_in_the_same_moment_ask_the_same(database_url: str) -> None:
    first = await connect(database_url, application_name="the first")
    await migrate(first)
    await open_installation(first)
    pool = await open_pool(database_url, size=2)
    try:
        feed = await PostgresFeeds(pool).begin("main", position=START)
        kept = PostgresDryRuns(pool)
        asking = first.transaction()
        await asking.start()
        sql = "INSERT INTO wms_dry_runs (feed, asked_at) VALUES ($1, $2)"
        await first.execute(sql, feed, NOW_MS)
        second = asyncio.create_task(kept.ask(feed, at_ms=NOW_MS + 5))

        async def is_blocked() -> bool:
            return bool(await pool.fetchval(_BLOCKED))

        await until(is_blocked)
        await asking.commit()

        assert await second == NOW_MS
        assert await kept.wanted(feed) == NOW_MS
        await kept.tell(feed, Comparison(), asked_ms=NOW_MS)
        assert await kept.ask(feed, at_ms=NOW_MS + 9) == NOW_MS + 9
        assert await kept.answer(feed, asked_ms=NOW_MS + 9) is None

        await kept.tell(feed, Comparison(batches=7), asked_ms=NOW_MS + 9)
        late = await kept.answer(feed, asked_ms=NOW_MS)
        assert late == Comparison(batches=7), "who has not looked yet gets what is newer"
        assert await kept.ask(feed, at_ms=NOW_MS + 3) == NOW_MS + 10, "however clocks go"
    finally:
        first.terminate()
        pool.terminate()
