"""`allocator journal prune` and `allocator snapshot` as their user runs them."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from allocator.errors import AllocatorError, UsageError
from allocator.journal.command import Source
from allocator.journal.pruning import PruneFlags, run_prune
from allocator.journal.snapshotting import run_snapshot
from allocator.persistence.leadership import Role
from allocator.persistence.transfer.departure import open_departure
from allocator.persistence.windows import open_windows
from tests.integration.journal_command import allocator
from tests.integration.long_ago import (
    Story,
    actor_of,
    archived,
    floor_of,
    prune_command,
    stored,
)
from tests.integration.shop import Shop, database, opened

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_it_says_what_became_of_the_rows_and_what_is_left(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    archive = tmp_path / "rows.ndjson.zst"
    planned = await allocator("journal", *prune_command(old_url, archive, "--dry-run"))
    told = await allocator("journal", *prune_command(old_url, archive))

    floor = old.version - 8
    assert planned.lines[0].endswith("would be pruned")
    assert told.lines[0].startswith(f"{floor} rows of 1 pools, from before 20")
    assert told.lines[0].endswith(f"pruned; they are in {archive}")
    assert (told.code, told.errors, len(archived(archive))) == (0, "", floor)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"older_than": "23h"}, "the rows of the last 24 hours must stay"),
        ({"before": "2999-01-01T00:00:00Z"}, "the rows of the last 24 hours must stay"),
        ({}, "say which rows are to go: either --older-than 30d, or --before TIME"),
        ({"older_than": "30d", "before": "30d"}, "say which rows are to go"),
        ({"older_than": "30d", "discard": False}, "say where the rows are to go, with --archive"),
        ({"older_than": "30d", "archive": Path("x")}, "say where the rows are to go"),
        ({"older_than": "30"}, "'30' is not a length of time, like 90d"),
        ({"before": "then"}, "'then' is not a time"),
        (
            {"older_than": "30d", "archive": Path("/dev/null/x"), "discard": False},
            "cannot write to the archive /dev/null/x: Not a directory",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused(
    old: Story, old_url: str, flags: dict[str, object], sentence: str
) -> None:
    usual = {"older_than": None, "before": None, "archive": None, "discard": True}
    asked = msgspec.convert(
        usual | {"dry_run": False, "as_json": False} | flags, PruneFlags, strict=False
    )
    with pytest.raises(UsageError, match=sentence):
        await asyncio.to_thread(run_prune, asked, Source(database_url=old_url, data_dir=None))

    assert await floor_of(old_url, old.actor_id) == 0


async def test_rows_may_go_nowhere(old: Story, old_url: str) -> None:
    flags = ("--older-than", "30d", "--discard", "--database-url", old_url)
    told = await allocator("journal", "prune", *flags)

    assert told.code == 0, told.errors
    assert await floor_of(old_url, old.actor_id) == old.version - 8


async def test_two_do_not_prune_at_once(old: Story, old_url: str, tmp_path: Path) -> None:
    async with database(old_url) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", Role.PRUNING)
        told = await allocator("journal", *prune_command(old_url, tmp_path / "rows"))

    assert told.code == 2
    assert told.errors.startswith("allocator: another `allocator journal prune` is at work")
    assert await floor_of(old_url, old.actor_id) == 0


async def test_what_is_left_of_a_history_is_shown_and_what_is_pruned_is_told(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    name, floor = f"{old.warehouse}/{old.product}", old.version - 8
    new = next(order for order in old.orders if order.status == "new")
    show = ("journal", "show", "--database-url", old_url)
    before, stock_before = await allocator(*show, name), await allocator(*show, old.stocks[0].id)
    await allocator("journal", *prune_command(old_url, tmp_path / "rows"))
    after, stock = await allocator(*show, name), await allocator(*show, old.stocks[0].id)
    order = await allocator(*show, new.id)

    place = f"{old.product}@{old.warehouse}"
    told = f"allocator: the journal of {place} is pruned up to #{floor}.\n"
    assert (after.lines, after.errors) == (before.lines[floor:], told)
    assert (order.code, order.lines, order.errors) == (0, [], told)
    assert stock.lines == stock_before.lines[-len(stock.lines) :] != []
    verified = await allocator("journal", "verify", "--database-url", old_url)
    assert verified.code == 0, verified.lines


async def test_nobody_prunes_while_the_whole_history_is_read(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    async with open_windows(old_url):
        told = await allocator("journal", *prune_command(old_url, tmp_path / "rows"))
    async with open_departure(old_url):
        again = await allocator("journal", *prune_command(old_url, tmp_path / "rows"))

    assert (told.code, again.code) == (2, 2)
    assert await floor_of(old_url, old.actor_id) == 0


async def test_snapshots_are_stored_beside_a_running_server(database_url: str) -> None:
    async with opened(database_url) as shop:
        await shop.received(quantity=5)
        await shop.placed()
        name = f"{shop.warehouse}/{shop.product}"
        first = await allocator("snapshot", name, "--database-url", database_url)
        again = await allocator("snapshot", name, "--database-url", database_url, "--json")
        await shop.placed()
        everything = await allocator("snapshot", "--all", "--database-url", database_url, "--json")

    assert (first.code, first.lines) == (0, ["1 snapshots stored; 0 were there already"])
    assert again.objects == [{"pool": name, "version": 2, "did": "already"}]
    assert everything.objects == [{"pool": name, "version": 3, "did": "stored"}]
    rows = await stored(database_url, "SELECT seq FROM snapshots ORDER BY seq")
    assert rows == [(2,), (3,)]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], "say which: either WAREHOUSE/PRODUCT, as often as you like, or --all"),
        (["main/tea", "--all"], "say which"),
        (["main/"], "'main/' is neither WAREHOUSE/PRODUCT, like main/tea, nor the code of a loc"),
        (["main"], "nothing has ever happened at a location main"),
        (["main/tea"], "nothing has ever happened to product tea at main"),
    ],
)
async def test_a_snapshot_of_nothing_is_refused(
    old: Story, old_url: str, names: list[str], sentence: str
) -> None:
    assert old.warehouse != "main"
    source = Source(database_url=old_url, data_dir=None)
    everything, names = "--all" in names, [name for name in names if name != "--all"]
    with pytest.raises(AllocatorError, match=sentence):
        await asyncio.to_thread(run_snapshot, names, source, all_pools=everything, as_json=False)


async def test_a_product_that_cannot_be_replayed_is_named_and_the_others_get_theirs(
    database_url: str,
) -> None:
    async with opened(database_url) as shop:
        await shop.received(quantity=5)
        await shop.placed()
        name, actor_id = f"{shop.warehouse}/{shop.product}", await actor_of(shop)
        other = Shop(shop.server, shop.client)
        await other.open()
        await other.received(quantity=5)
    await stored(database_url, "DELETE FROM journal WHERE seq = 1 AND actor_id = $1", actor_id)
    told = await allocator("snapshot", "--all", "--database-url", database_url)

    assert (told.code, told.lines) == (1, ["1 snapshots stored; 0 were there already"])
    assert f"{name} cannot be replayed: GapError" in told.errors
