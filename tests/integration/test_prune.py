"""Pruning: the oldest rows go to an archive, and nobody misses them."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from allocator.persistence.connections import open_pool
from allocator.persistence.projection import forget_read_models
from tests.integration.api_shapes import Balance, JournalPage, Order
from tests.integration.long_ago import (
    Story,
    archived,
    caught_up,
    exported,
    floor_of,
    opened_long_ago,
    pruned,
    read_models,
    snapshot_at,
    stored,
    trade,
)
from tests.integration.shop import Shop, opened
from tests.integration.test_past_api import booked


async def long_ago(url: str) -> tuple[Story, str, str]:
    """A story of forty days ago with two snapshots; also names its warehouse and its product."""
    async with opened_long_ago(url) as shop:
        story = await trade(shop)
        names = shop.warehouse, shop.product
    await snapshot_at(url, story.actor_id, story.version - 8, story.version - 2)
    return story, *names


def same_shop(shop: Shop, names: tuple[str, str]) -> Shop:
    """The shop of a story, in a server of today."""
    shop.warehouse, shop.product = names
    return shop


async def check_story(shop: Shop, story: Story, balance: Balance) -> None:
    """Hold what is shown by id against what was shown long ago."""
    assert await shop.balance() == balance
    for order in story.orders:
        assert await shop.shown(order) == order
    for stock in story.stocks:
        shown = await shop.stock(stock)
        assert (shown.lot, shown.reference, shown.received_at) == (
            *(stock.lot, stock.reference),
            stock.received_at,
        )


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.ndjson.zst"])
async def test_what_is_pruned_is_in_the_archive_and_all_else_stays(
    database_url: str, tmp_path: Path, name: str
) -> None:
    story, *names = await long_ago(database_url)
    floor = story.version - 8
    rows = await exported(database_url, story.actor_id)
    models = await read_models(database_url)
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, (names[0], names[1]))
        balance = await shop.balance()
        told = await pruned(database_url, tmp_path / name)

        assert (told.code, told.errors) == (0, "")
        assert told.lines[0].startswith(f"{floor} rows of 1 pools, from before 20")
        assert archived(tmp_path / name) == rows[:floor]
        assert await exported(database_url, story.actor_id) == rows[floor:]
        assert await floor_of(database_url, story.actor_id) == floor
        assert await read_models(database_url) == models
        await check_story(shop, story, balance)
    async with opened(database_url) as newcomer:  # recovered
        shop = same_shop(newcomer, (names[0], names[1]))
        await check_story(shop, story, balance)
        await stored(database_url, "DELETE FROM snapshots")
    async with opened(database_url) as newcomer:  # and recovered from the floor
        await check_story(same_shop(newcomer, (names[0], names[1])), story, balance)


async def test_open_orders_from_before_a_floor_can_still_end(
    database_url: str, tmp_path: Path
) -> None:
    story, *names = await long_ago(database_url)
    await pruned(database_url, tmp_path / "rows")
    open_orders = [order for order in story.orders if order.status == "new"]
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, (names[0], names[1]))
        before = await shop.balance()
        shipped = (await shop.dispatch(open_orders[0], key="late")).read(Order)
        given_back = (await shop.cancel(open_orders[1])).read(Order)
        after = await shop.balance()

        assert shipped.lines == open_orders[0].lines
        assert (shipped.status, shipped.customer) == ("dispatched", open_orders[0].customer)
        assert shipped.created_at == open_orders[0].created_at
        assert given_back.status == "cancelled"
        units = [order.lines[0].quantity for order in open_orders[:2]]
        assert after.on_hand == before.on_hand - units[0]
        assert after.available == before.available + units[1]
        for order in (shipped, given_back):
            assert await shop.shown(order) == order
        assert (await shop.dispatch(open_orders[0], key="late")).read(Order) == shipped
        await shop.projected()
        assert await shop.shown(shipped) == shipped
        assert (await shop.dispatch(shipped)).status == 409


async def test_the_read_models_are_rebuilt_from_floors_and_the_rows_above_them(
    database_url: str, tmp_path: Path
) -> None:
    story, *names = await long_ago(database_url)
    await pruned(database_url, tmp_path / "rows")
    open_orders = [order for order in story.orders if order.status == "new"]
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, (names[0], names[1]))
        await shop.dispatch(open_orders[0])
        await shop.cancel(open_orders[1])
        await shop.placed(quantity=400)
        await shop.projected()
    before = await read_models(database_url)
    pool = await open_pool(database_url, size=1)
    await forget_read_models(pool)
    forgotten = await read_models(database_url)
    await caught_up(database_url)
    await pool.close()

    assert forgotten != before
    assert await read_models(database_url) == before


async def test_the_past_is_shown_as_far_as_it_is_kept(database_url: str, tmp_path: Path) -> None:
    story, *names = await long_ago(database_url)
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, (names[0], names[1]))
        path = f"/stock-balances/{shop.warehouse}/{shop.product}"
        events = await shop.journal()
        book = booked(events)
        await pruned(database_url, tmp_path / "rows")
        floor = await floor_of(database_url, story.actor_id)
        reached = events[floor - 1].at

        for version in range(story.version + 1):
            answer = await shop.get(f"{path}?version={version}")
            if version >= floor:
                assert answer.read(Balance).numbers == book[version]
                continue
            problem = answer.problem(410)
            assert problem.type == "/problems/history-pruned"
            assert (problem.earliest_version, problem.earliest_at) == (floor, reached)
        at = reached.isoformat().replace("+00:00", "Z")
        assert (await shop.get(f"{path}?at={at}")).read(Balance).numbers == book[floor]
        at = (reached - timedelta(milliseconds=1)).isoformat().replace("+00:00", "Z")
        assert (await shop.get(f"{path}?at={at}")).problem(410).earliest_version == floor
        told = f"/journal?warehouse={shop.warehouse}&product={shop.product}"
        page = (await shop.get(f"{told}&limit=200")).read(JournalPage)
        assert (page.pruned_up_to, page.items) == (floor, events[floor:])
        order = story.orders[1]  # pruned, as its end is
        at = order.created_at.isoformat().replace("+00:00", "Z")
        assert (await shop.get(f"/orders/{order.id}?at={at}")).read(Order).status == "new"


async def test_a_repeat_within_the_window_gets_its_first_answer_after_a_prune(
    database_url: str, tmp_path: Path
) -> None:
    story, *names = await long_ago(database_url)
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, (names[0], names[1]))
        order = await shop.placed(quantity=2, key="today")
        await shop.projected()
        version = (await shop.balance()).version
        await snapshot_at(database_url, story.actor_id, version)
        await pruned(database_url, tmp_path / "rows")
        assert await shop.placed(quantity=2, key="today") == order
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, (names[0], names[1]))

        assert await floor_of(database_url, story.actor_id) == story.version - 2
        assert await shop.placed(quantity=2, key="today") == order
        assert (await shop.balance()).version == version


async def test_rows_that_are_younger_stay_however_old_the_snapshots_are(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_long_ago(database_url) as shop:
        story = await trade(shop)
        names = shop.warehouse, shop.product
    async with opened(database_url) as newcomer:
        shop = same_shop(newcomer, names)
        for _ in range(5):
            await shop.placed()
        await shop.projected()
    await snapshot_at(database_url, story.actor_id, story.version + 3, story.version + 5)
    await pruned(database_url, tmp_path / "rows")

    assert await floor_of(database_url, story.actor_id) == story.version


async def test_a_pool_without_two_snapshots_is_left_as_it_is(
    database_url: str, tmp_path: Path
) -> None:
    async with opened_long_ago(database_url) as shop:
        story = await trade(shop)
    await snapshot_at(database_url, story.actor_id, story.version)
    told = await pruned(database_url, tmp_path / "rows")

    assert await floor_of(database_url, story.actor_id) == 0
    assert told.lines[1].startswith("1 pools with such rows have fewer than two snapshots")


async def test_what_the_read_models_have_not_seen_is_not_pruned(
    database_url: str, tmp_path: Path
) -> None:
    story, *_ = await long_ago(database_url)
    half = story.version // 2
    position = await stored(
        database_url, "SELECT era, xid FROM journal WHERE actor_id = $1 AND seq = $2",
        story.actor_id, half,
    )  # fmt: skip
    back = "UPDATE projections SET era = $1, xid = $2"
    await stored(database_url, back, *position[0])
    await pruned(database_url, tmp_path / "rows")
    assert await floor_of(database_url, story.actor_id) == half

    await stored(database_url, "UPDATE projections SET era = 0, xid = '0'")
    told = await pruned(database_url, tmp_path / "rows")
    assert told.lines[1].startswith("1 pools with such rows wait")


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
    database_url: str, tmp_path: Path, which: str
) -> None:
    damage, why = DAMAGE[which]
    story, *_ = await long_ago(database_url)
    await stored(database_url, damage, story.actor_id)
    rows = await exported(database_url, story.actor_id)
    told = await pruned(database_url, tmp_path / "rows", "--json")

    assert told.code == 1
    [unsound] = json.loads(told.lines[0])["unsound"]
    assert why in unsound["why"]
    assert await exported(database_url, story.actor_id) == rows
    assert await floor_of(database_url, story.actor_id) == 0


async def test_a_dry_run_says_how_much_and_does_nothing(database_url: str, tmp_path: Path) -> None:
    story, *_ = await long_ago(database_url)
    rows = await exported(database_url, story.actor_id)
    told = await pruned(database_url, tmp_path / "rows", "--dry-run", "--json")

    assert told.objects[0]["rows"] == story.version - 8
    assert await exported(database_url, story.actor_id) == rows
    assert not (tmp_path / "rows").exists()


async def test_pruning_goes_on_where_the_last_one_ended(database_url: str, tmp_path: Path) -> None:
    story, *_ = await long_ago(database_url)
    rows = await exported(database_url, story.actor_id)
    await pruned(database_url, tmp_path / "rows")
    await snapshot_at(database_url, story.actor_id, story.version)
    await pruned(database_url, tmp_path / "rows")

    floor = story.version - 2
    assert await floor_of(database_url, story.actor_id) == floor
    assert archived(tmp_path / "rows") == rows[:floor]
    assert await exported(database_url, story.actor_id) == rows[floor:]
