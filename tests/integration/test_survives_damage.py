"""Damaged rows and snapshots cost what they damage, and nobody else anything."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from allocator.domain.pool import Pool
from allocator.domain.replay import replay
from allocator.domain.snapshots import dump_pool
from allocator.persistence.connections import open_pool
from allocator.persistence.folding import fold, fold_due
from allocator.persistence.reader import JournalReader, digest_of
from tests.integration.crowd import crowd, promised
from tests.integration.serving import Server, serving, until
from tests.integration.truth import check, query

STOCK = {"hot": 100_000, "scarce": 20}
FREQUENT = ("--snapshot-events", "100")

ACTOR_OF = "(SELECT actor_id FROM pools WHERE product = '{}')"

DAMAGE = {
    "the newest": "UPDATE snapshots SET state = '\\x00' || state WHERE (actor_id, seq) IN "
    "(SELECT actor_id, max(seq) FROM snapshots GROUP BY actor_id)",
    "all": "UPDATE snapshots SET state = substr(state, 2)",
}


@asynccontextmanager
async def reading(database_url: str) -> AsyncIterator[JournalReader]:
    """The journal, read without any server."""
    pool = await open_pool(database_url, size=1)
    try:
        yield JournalReader(pool)
    finally:
        await pool.close()


async def actor_of(database_url: str, sku: str) -> int:
    [row] = await query(database_url, f"SELECT {ACTOR_OF.format(sku)} AS actor_id")
    return int(row["actor_id"])


async def newest_snapshot(database_url: str, sku: str) -> int:
    """The seq of the newest snapshot, 0 if there is none."""
    sql = f"SELECT coalesce(max(seq), 0) AS seq FROM snapshots WHERE actor_id = {ACTOR_OF}"
    [row] = await query(database_url, sql.format(sku))
    return int(row["seq"])


async def spoil_a_row(database_url: str, sku: str) -> None:
    """Make the third event of a product one that nobody understands."""
    sql = f"UPDATE journal SET kind = 'nonsense' WHERE seq = 3 AND actor_id = {ACTOR_OF}"
    await query(database_url, sql.format(sku))


async def restarted(server: Server) -> float:
    """Kill the server and start it again; return how many events have been replayed so far."""
    server.crash()
    await server.start_ready()
    return await server.metric("allocator_replayed_events_total")


async def test_what_is_recovered_from_a_snapshot_is_what_a_whole_replay_gives(
    database_url: str, tmp_path: Path
) -> None:
    """Q3, Q7."""

    async def folded() -> bool:
        return await newest_snapshot(database_url, "hot") > 100

    async with serving("--database-url", database_url, *FREQUENT, log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told:
            await promised(told, more=400)
            await until(folded)
        await restarted(server)
        version = (await server.balance("hot")).version
        replayed = await server.metric("allocator_replayed_events_total")

        # Which snapshot it was is open: pools are folded all the time, also while it restarted.
        actor_id = await actor_of(database_url, "hot")
        kept = await query(database_url, f"SELECT seq FROM snapshots WHERE actor_id = {actor_id}")
        assert version - replayed in {row["seq"] for row in kept}
        await check(server, database_url, told)

    whole = Pool()
    async with reading(database_url) as reader:
        origin = await reader.origin(actor_id)
        assert origin.snapshot is not None
        seq = origin.snapshot.seq
        async for records in reader.records(actor_id, after_seq=0):
            replay(whole, records[: max(0, seq - whole.version)])
    assert origin.snapshot.state == dump_pool(whole)


@pytest.mark.parametrize("which", DAMAGE)
async def test_a_damaged_snapshot_is_passed_over(
    database_url: str, tmp_path: Path, which: str
) -> None:
    """Q3, Q7."""
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(**STOCK)
        async with crowd(server, *STOCK) as told, reading(database_url) as reader:
            actor_id = await actor_of(database_url, "hot")
            for _ in range(3):
                await promised(told, more=100)
                await fold(reader, actor_id)
        kept = await query(database_url, "SELECT seq FROM snapshots ORDER BY seq")
        await query(database_url, DAMAGE[which])
        await restarted(server)
        version = (await server.balance("hot")).version

        usable = 0 if which == "all" else kept[-2]["seq"]
        assert len(kept) == 3
        assert await server.metric("allocator_replayed_events_total") == version - usable
        assert len(server.logged("snapshot.damaged")) == (3 if which == "all" else 1)
        await check(server, database_url, told)


async def test_a_snapshot_that_nobody_can_read_is_passed_over_and_made_again(
    database_url: str, tmp_path: Path
) -> None:
    """Q7: a snapshot is a shortcut; whatever is wrong with it, the journal is the truth."""
    unreadable = b"\xc1 no snapshot"
    sql = "UPDATE snapshots SET state = $1, digest = $2"
    async with (
        serving("--database-url", database_url, log=tmp_path / "log") as server,
        reading(database_url) as reader,
    ):
        await server.open_shop(tea=10)
        order = await server.placed("tea", 3)
        actor_id = await actor_of(database_url, "tea")
        await fold(reader, actor_id)
        await query(database_url, sql, unreadable, digest_of(unreadable))
        await restarted(server)

        assert (await server.shown(order.id)).status == "new"
        assert (await server.balance("tea")).available == 7
        await server.placed("tea")
        assert await fold(reader, actor_id) == 3


async def test_a_damaged_row_stops_the_snapshots_of_its_product_only(
    database_url: str, tmp_path: Path
) -> None:
    """Q3."""
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=1_000, jam=1_000)
        await asyncio.gather(
            *(server.placed("tea") for _ in range(150)), *(server.placed("jam") for _ in range(120))
        )

        async def caught_up() -> bool:
            return await server.metric("allocator_projection_lag_events") == 0

        await until(caught_up)
    await spoil_a_row(database_url, "tea")
    pool = await open_pool(database_url, size=1)
    damaged: set[int] = set()
    for _ in range(2):
        await fold_due(pool, snapshot_events=100, damaged=damaged)
    await pool.close()

    assert damaged == {await actor_of(database_url, "tea")}
    assert await newest_snapshot(database_url, "tea") == 0
    assert await newest_snapshot(database_url, "jam") == 121


async def test_a_damaged_row_stops_its_product_and_no_other(
    database_url: str, tmp_path: Path
) -> None:
    """Q3: not even where both have something to do at a certain time."""
    async with serving("--database-url", database_url, log=tmp_path / "log") as server:
        await server.open_shop(tea=10, jam=10)
        soon = datetime.now(UTC) + timedelta(seconds=3)
        later = soon + timedelta(seconds=1.5)
        for sku, expires_at in (("tea", soon), ("jam", soon), ("jam", later)):
            lot = {"product": sku, "warehouse": "main", "quantity": 5, "expires_at": expires_at}
            await server.ok("POST", "/stocks", lot)
        order = await server.placed("tea", key="once")
        await spoil_a_row(database_url, "tea")
        await restarted(server)

        async def expired() -> bool:
            sql = "SELECT FROM journal WHERE kind = 'lot_expired'"
            return len(await query(database_url, sql)) == 2

        await until(expired)  # nobody asked: the server woke them up, twice
        assert datetime.now(UTC) >= later
        assert (await server.balance("jam")).available == 10
        assert (await server.order("tea")).status == 500
        assert (await server.ask("GET", "/stock-balances/main/tea")).status == 500
        assert (await server.ask("GET", f"/orders/{order.id}")).status == 500
        assert (await server.order("tea", key="once")).status == 500
        assert await server.metric("allocator_quarantined_actors") == 1
        assert len(server.logged("actor.quarantined")) == 1
        await server.placed("jam")
        assert await server.is_ready()
        assert await server.terminate() == 0
