"""Pruning: the oldest rows go to an archive, and nobody misses them."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from allocator.persistence.connections import open_pool
from allocator.persistence.projection import forget_read_models
from allocator.persistence.reader import digest_of
from tests.integration.api_shapes import Balance, JournalPage, Order
from tests.integration.long_ago import (
    Story,
    archived,
    caught_up,
    check_story,
    exported,
    floor_of,
    pruned,
    read_models,
    reopened,
    snapshot_at,
    spelled,
    stored,
)
from tests.integration.test_past_api import booked

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.ndjson.zst"])
async def test_what_is_pruned_is_in_the_archive_and_all_else_stays(
    old: Story, old_url: str, tmp_path: Path, name: str
) -> None:
    floor = old.version - 8
    rows = await exported(old_url, old.actor_id)
    models = await read_models(old_url)
    async with reopened(old_url, old) as shop:
        balance = await shop.balance()
        report = await pruned(old_url, tmp_path / name)

        assert (report.rows, report.pools, report.unsound) == (floor, 1, [])
        assert archived(tmp_path / name) == rows[:floor]
        assert await exported(old_url, old.actor_id) == rows[floor:]
        assert await floor_of(old_url, old.actor_id) == floor
        assert await read_models(old_url) == models
        await check_story(shop, old, balance)
    async with reopened(old_url, old) as shop:
        await check_story(shop, old, balance)  # recovered
        await stored(old_url, "DELETE FROM snapshots")
    async with reopened(old_url, old) as shop:
        await check_story(shop, old, balance)  # recovered from the floor


async def test_open_orders_from_before_a_floor_can_still_end(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    await pruned(old_url, tmp_path / "rows")
    first, second = [order for order in old.orders if order.status == "new"][:2]
    async with reopened(old_url, old) as shop:
        before = await shop.balance()
        shipped = (await shop.dispatch(first, key="late")).read(Order)
        given_back = (await shop.cancel(second)).read(Order)
        after = await shop.balance()

        assert (shipped.status, shipped.customer) == ("dispatched", first.customer)
        left = [msgspec.structs.replace(each, dispatched=each.quantity) for each in first.lines]
        assert (shipped.created_at, shipped.lines) == (first.created_at, left)
        assert given_back.status == "cancelled"
        assert after.on_hand == before.on_hand - first.lines[0].quantity
        assert after.available == before.available + second.lines[0].quantity
        assert [await shop.shown(order) for order in (first, second)] == [shipped, given_back]
        assert (await shop.dispatch(first, key="late")).read(Order) == shipped
        await shop.projected()
        assert [await shop.shown(order) for order in (first, second)] == [shipped, given_back]
        assert (await shop.dispatch(first)).status == 409


async def test_the_read_models_are_rebuilt_from_floors_and_the_rows_above_them(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    await stored(old_url, "CREATE TABLE former AS TABLE journal")
    await pruned(old_url, tmp_path / "rows")
    first, second = [order for order in old.orders if order.status == "new"][:2]
    async with reopened(old_url, old) as shop:
        await shop.dispatch(first)
        await shop.cancel(second)
        await shop.placed(quantity=400)
        await shop.projected()
    # A prune that was interrupted would have left some.
    floor = await floor_of(old_url, old.actor_id)
    left = "INSERT INTO journal SELECT * FROM former WHERE actor_id = $1 AND seq BETWEEN $2 AND $3"
    await stored(old_url, left, old.actor_id, floor - 4, floor)
    before = await read_models(old_url)
    pool = await open_pool(old_url, size=1)
    await forget_read_models(pool)
    open_again = await stored(old_url, "SELECT seq FROM orders WHERE status = 'new' ORDER BY seq")
    await caught_up(old_url)
    await pool.close()

    assert await read_models(old_url) == before
    assert open_again == await stored(old_url, OPEN_AT, old.actor_id, floor)


async def test_the_past_is_shown_as_far_as_it_is_kept(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    async with reopened(old_url, old) as shop:
        path = f"/stock-balances/{shop.warehouse}/{shop.product}"
        events = await shop.journal()
        book = booked(events)
        await pruned(old_url, tmp_path / "rows")
        floor = await floor_of(old_url, old.actor_id)
        reached = events[floor - 1].at

        for version in range(old.version + 1):
            answer = await shop.get(f"{path}?version={version}")
            if version >= floor:
                assert answer.read(Balance).numbers == book[version]
                continue
            problem = answer.problem(410)
            assert problem.type == "/problems/history-pruned"
            assert (problem.earliest_version, problem.earliest_at) == (floor, reached)
        answer = await shop.get(f"{path}?at={spelled(reached)}")
        last = max(number for number, event in enumerate(events, 1) if event.at <= reached)
        assert answer.read(Balance).numbers == book[last], "others may be of the same millisecond"
        answer = await shop.get(f"{path}?at={spelled(reached - timedelta(milliseconds=1))}")
        assert answer.problem(410).earliest_version == floor
        told = f"/journal?warehouse={shop.warehouse}&product={shop.product}&limit=200"
        page = (await shop.get(told)).read(JournalPage)
        assert (page.pruned_up_to, page.items) == (floor, events[floor:])


async def test_an_order_is_shown_as_it_stood_though_its_rows_are_pruned(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    await pruned(old_url, tmp_path / "rows")
    order = next(order for order in old.orders if order.status == "dispatched")
    async with reopened(old_url, old) as shop:
        answer = await shop.get(f"/orders/{order.id}?at={spelled(order.created_at)}")
        assert answer.read(Order).status == "new"
        before = order.created_at - timedelta(milliseconds=1)
        answer = await shop.get(f"/orders/{order.id}?at={spelled(before)}")
        assert answer.problem(404).detail.endswith("it was placed later")


async def test_a_repeat_within_the_window_gets_its_first_answer_after_a_prune(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    async with reopened(old_url, old) as shop:
        order = await shop.placed(quantity=2, key="today")
        await shop.projected()
        version = (await shop.balance()).version
    await snapshot_at(old_url, old.actor_id, version)
    await pruned(old_url, tmp_path / "rows")
    async with reopened(old_url, old) as shop:
        assert await floor_of(old_url, old.actor_id) == old.version - 2
        assert await shop.placed(quantity=2, key="today") == order
        assert (await shop.balance()).version == version


async def test_rows_that_are_younger_stay_however_old_the_snapshots_above_them_are(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    async with reopened(old_url, old) as shop:
        for _ in range(5):
            await shop.placed()
        await shop.projected()
    await snapshot_at(old_url, old.actor_id, old.version + 3, old.version + 5)
    await pruned(old_url, tmp_path / "rows")

    assert await floor_of(old_url, old.actor_id) == old.version


async def test_a_pool_with_one_snapshot_is_left_as_it_is(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    newest = "DELETE FROM snapshots WHERE seq < (SELECT max(seq) FROM snapshots)"
    await stored(old_url, newest)
    report = await pruned(old_url, tmp_path / "rows")

    assert (report.rows, report.without_snapshots) == (0, 1)
    assert await floor_of(old_url, old.actor_id) == 0


async def test_what_the_read_models_have_not_seen_is_not_pruned(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    half = old.version // 2
    position = "SELECT era, xid FROM journal WHERE actor_id = $1 AND seq = $2"
    [reached] = await stored(old_url, position, old.actor_id, half)
    await stored(old_url, "UPDATE projections SET era = $1, xid = $2", *reached)
    await pruned(old_url, tmp_path / "rows")
    assert await floor_of(old_url, old.actor_id) == half

    await stored(old_url, "UPDATE projections SET era = 0, xid = '0'")
    report = await pruned(old_url, tmp_path / "rows")
    assert (report.rows, report.held_back) == (0, 1)


async def test_what_a_webhook_was_not_told_yet_is_not_pruned(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    half = old.version // 2
    position = "SELECT era || '.' || xid FROM journal WHERE actor_id = $1 AND seq = $2"
    [[reached]] = await stored(old_url, position, old.actor_id, half)
    webhook = """
        INSERT INTO webhooks (name, url, secret, actor_id, version, digest, created_at)
        SELECT 'slow', 'http://127.0.0.1', '', id, 1, '', now() FROM actors LIMIT 1
    """
    await stored(old_url, webhook)
    delivery = "INSERT INTO webhook_deliveries (name, life, position) VALUES ('slow', 1, $1)"
    await stored(old_url, delivery, f"{reached}.{old.actor_id}.{half}")
    report = await pruned(old_url, tmp_path / "rows")

    assert report.slowest == "webhook slow"
    assert await floor_of(old_url, old.actor_id) == half - 1


async def test_every_position_that_is_stored_is_heeded(old_url: str) -> None:
    columns = """
        SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name IN ('xid', 'position')
    """
    tables = {name for (name,) in await stored(old_url, columns)}

    assert tables == {
        *("journal", "cuts"),  # where rows and moments stand, not somebody who reads
        "quarantined_projections",  # whose balance, which does not move, is heeded
        "webhook_dead_letters",  # which hold what they are about
        *("projections", "webhook_deliveries", "wms_feeds"),  # in prune_position.sql
    }


OPEN_AT = """
    SELECT seq FROM former AS placed
    WHERE actor_id = $1 AND seq <= $2 AND kind = 'order_placed' AND NOT EXISTS (
        SELECT FROM former AS ended
        WHERE ended.actor_id = $1 AND ended.seq <= $2
          AND (ended.body ->> 'order')::bigint = placed.seq)
    ORDER BY seq
"""
"""Which orders were open at a floor, by the rows that there were."""

DAMAGE = {
    "edited row": (
        """UPDATE journal SET body = (body::text::jsonb || '{"quantity": 501}')::json
           WHERE seq = 1 AND actor_id = $1""",
        "row 1 is not as it was written",
    ),
    "missing row": (
        "DELETE FROM journal WHERE seq = 7 AND actor_id = $1",
        "row 7 was expected",
    ),
    "broken snapshot": (
        "UPDATE snapshots SET digest = '\\x00' WHERE actor_id = $1",
        "is not what the journal gives",
    ),
    "another version's snapshot": (
        """UPDATE snapshots SET state = other.state, digest = other.digest
           FROM (SELECT * FROM snapshots WHERE actor_id = $1 ORDER BY seq LIMIT 1) AS other
           WHERE snapshots.actor_id = $1""",
        "is not what the journal gives",
    ),
}
"""What is wrong, and what is said of it."""


@pytest.mark.parametrize("which", DAMAGE)
async def test_what_is_not_sound_is_left_as_it_is(
    old: Story, old_url: str, tmp_path: Path, which: str
) -> None:
    damage, why = DAMAGE[which]
    await stored(old_url, damage, old.actor_id)
    rows = await exported(old_url, old.actor_id)
    report = await pruned(old_url, tmp_path / "rows")

    [unsound] = report.unsound
    assert (unsound.pool, why in unsound.why) == (f"{old.warehouse}/{old.product}", True)
    assert await exported(old_url, old.actor_id) == rows
    assert await floor_of(old_url, old.actor_id) == 0


async def test_pruning_goes_on_where_the_last_one_ended(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    rows = await exported(old_url, old.actor_id)
    await pruned(old_url, tmp_path / "rows")
    await snapshot_at(old_url, old.actor_id, old.version)
    await pruned(old_url, tmp_path / "rows")

    floor = old.version - 2
    assert await floor_of(old_url, old.actor_id) == floor
    assert archived(tmp_path / "rows") == rows[:floor]
    assert await exported(old_url, old.actor_id) == rows[floor:]


async def test_where_no_snapshot_can_be_read_a_recovery_starts_from_the_floor(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    await pruned(old_url, tmp_path / "rows")
    unreadable = b"\xc1"
    sql = "UPDATE snapshots SET state = $1, digest = $2"
    await stored(old_url, sql, unreadable, digest_of(unreadable))
    async with reopened(old_url, old) as shop:
        assert (await shop.balance()).version == old.version


async def test_a_damaged_floor_stops_its_product_and_no_other(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    await pruned(old_url, tmp_path / "rows")
    await stored(old_url, "DELETE FROM snapshots")
    await stored(old_url, "UPDATE floors SET state = state || '\\x00'")
    async with reopened(old_url, old) as shop:
        path = f"/stock-balances/{shop.warehouse}/{shop.product}"
        assert (await shop.get(path)).status == 500
        other = type(shop)(shop.server, shop.client)
        await other.open()
        await other.received(quantity=1)
        assert (await other.balance()).available == 1
