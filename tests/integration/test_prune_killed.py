"""`kill -9` in mid-prune and mid-snapshot: nothing is lost, and it can be repeated."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from allocator.domain.chains import Chain
from allocator.domain.records import GENESIS, Record
from tests.integration.journal_command import allocator, start_allocator
from tests.integration.long_ago import (
    Story,
    archived,
    check_story,
    exported,
    floor_of,
    prune_command,
    reopened,
    stored,
)
from tests.integration.shop import database, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def held(url: str, lock: str) -> AsyncIterator[None]:
    """Have whoever needs what is locked wait."""
    async with database(url) as connection, connection.transaction():
        await connection.execute(lock)
        yield


async def killed_in(url: str, *arguments: str, lock: str, at: str) -> None:
    """Run a command until a statement of it waits for a lock, and kill it there."""
    async with held(url, lock):
        process = await start_allocator(*arguments)

        async def waits() -> bool:
            sql = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1"
            return bool(await stored(url, sql, f"%{at}%"))

        await until(waits)
        process.kill()
        await process.communicate()


async def check_nothing_is_lost(url: str, old: Story, rows: list[str], archive: Path) -> int:
    """Hold the archive and the journal together against what the journal was."""
    kept = await exported(url, old.actor_id)
    gone = archived(archive)
    assert kept == rows[len(rows) - len(kept) :]
    assert set(gone) | set(kept) == set(rows)
    floor = await floor_of(url, old.actor_id)
    assert len(rows) - len(kept) <= floor
    return floor


POINTS = {
    "before the floor": ("LOCK TABLE floors IN SHARE MODE", "INSERT INTO floors"),
    "before the removal": ("LOCK TABLE journal IN SHARE MODE", "DELETE FROM journal"),
}
"""What to lock, and which statement waits for it then."""


@pytest.mark.parametrize("point", POINTS)
async def test_a_prune_that_is_killed_has_lost_nothing_and_is_repeated(
    old: Story, old_url: str, tmp_path: Path, point: str
) -> None:
    lock, at = POINTS[point]
    archive, rows = tmp_path / "rows.zst", await exported(old_url, old.actor_id)
    command = ("journal", *prune_command(old_url, archive))
    await killed_in(old_url, *command, lock=lock, at=at)

    floor = await check_nothing_is_lost(old_url, old, rows, archive)
    assert floor == (0 if point == "before the floor" else old.version - 8)
    async with reopened(old_url, old) as shop:
        balance = await shop.balance()
        await check_story(shop, old, balance)
    again = await allocator(*command)

    assert again.code == 0, again.errors
    floor = await check_nothing_is_lost(old_url, old, rows, archive)
    assert floor == old.version - 8
    assert await exported(old_url, old.actor_id) == rows[floor:]
    async with reopened(old_url, old) as shop:
        await check_story(shop, old, balance)


async def test_a_prune_that_is_killed_between_two_removals_is_repeated(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    """Some rows are gone, and some below the floor are not."""
    archive, rows = tmp_path / "rows", await exported(old_url, old.actor_id)
    command = ("journal", *prune_command(old_url, archive))
    await killed_in(old_url, *command, lock="LOCK TABLE journal IN SHARE MODE", at="DELETE FROM")
    await stored(old_url, "DELETE FROM journal WHERE actor_id = $1 AND seq <= 5", old.actor_id)
    async with reopened(old_url, old) as shop:
        balance = await shop.balance()
        await check_story(shop, old, balance)
        page = await shop.get(f"/journal?warehouse={old.warehouse}&product={old.product}&limit=200")
        assert json.loads(page.body)["items"][0]["seq"] == old.version - 7
    again = await allocator(*command, "--json")

    assert again.objects[0]["leftovers"] == old.version - 8 - 5
    assert await exported(old_url, old.actor_id) == rows[old.version - 8 :]
    assert archived(archive) == rows[: old.version - 8]


async def test_a_snapshot_that_is_killed_is_repeated(old: Story, old_url: str) -> None:
    await stored(old_url, "DELETE FROM snapshots")
    command = ("snapshot", "--all", "--database-url", old_url)
    lock = "LOCK TABLE snapshots IN SHARE MODE"
    await killed_in(old_url, *command, lock=lock, at="INSERT INTO snapshots")
    assert await stored(old_url, "SELECT seq FROM snapshots") == []

    again = await allocator(*command)
    assert (again.code, again.lines) == (0, ["1 snapshots stored; 0 were there already"])
    assert await stored(old_url, "SELECT seq FROM snapshots") == [(old.version,)]


async def test_an_archive_s_rows_are_chained_to_those_that_stay(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    """Whoever keeps the archive can prove the whole history."""
    archive = tmp_path / "rows"
    await allocator("journal", *prune_command(old_url, archive))
    chain = Chain(actor_id=old.actor_id, seq=0, digest=GENESIS)
    for text in [*archived(archive), *await exported(old_url, old.actor_id)]:
        row = json.loads(text)
        asked = row.get("request_digest")
        chain.check(
            Record(
                actor_id=row["actor_id"],
                seq=row["seq"],
                at_ms=row["at_ms"],
                kind=row["kind"],
                version=row["version"],
                body=json.dumps(row["body"], separators=(",", ":"), ensure_ascii=False),
                digest=bytes.fromhex(row["digest"]),
                principal=row.get("principal", ""),
                idempotency_key=row.get("idempotency_key"),
                request_digest=None if asked is None else bytes.fromhex(asked),
            )
        )

    assert chain.seq == old.version
