"""Pruning where units have moved: what is shown stays, and nothing is wrong afterwards."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from allocator.persistence.connections import open_pool
from allocator.persistence.embedded import EmbeddedPostgres
from allocator.persistence.projection import forget_read_models
from tests.integration.api_shapes import Answer, Balance, Order, Stock
from tests.integration.journal_command import journal
from tests.integration.long_ago import (
    actor_of,
    archived,
    caught_up,
    copied,
    opened_long_ago,
    pruned,
    snapshot_at,
    stored,
)
from tests.integration.moving import all_ended, moved, not_moved, placed_in
from tests.integration.shop import Shop, opened
from tests.integration.transfers import another, export, import_
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIRST_KEPT = """
SELECT journal.kind FROM floors
JOIN pools USING (actor_id)
JOIN journal ON journal.actor_id = floors.actor_id AND journal.seq = floors.seq + 1
"""
MOVES = "SELECT * FROM moves ORDER BY actor_id"
LAST_SENT = "SELECT max(seq) FROM journal WHERE actor_id = $1 AND kind = 'units_sent'"
OF_MOVES = """
SELECT array_agg(journal.kind ORDER BY seq)::text[] AS kinds FROM actors
JOIN journal ON actor_id = actors.id
WHERE actors.kind = 'move' GROUP BY actors.id ORDER BY actors.id
"""


class Story(msgspec.Struct):
    """What happened long ago at a warehouse, on a shelf and in a bin for one product at a time.

    Attributes:
        moves: Ids, the last one of a move that was refused.
    """

    shop: Shop
    bin: Shop
    moves: list[str]
    lots: list[Stock]
    order: Order
    balances: list[Balance]

    async def shown(self, server: Shop) -> list[Answer]:
        """What a server says of all of it now."""
        paths = [f"/moves/{move}" for move in self.moves]
        paths += [f"/stocks/{lot.id}" for lot in self.lots]
        paths += [f"/orders/{self.order.id}", f"/moves?location={self.bin.warehouse}"]
        paths += [f"/locations/{self.bin.warehouse}"]
        return [await server.get(path) for path in paths]

    async def balances_in(self, server: Shop) -> list[Balance]:
        return [await each.elsewhere(server).balance() for each in (self.shop, self.bin)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(module_database_url: str) -> Story:
    """What happened forty days ago in the database that tests get copies of."""
    database_url = module_database_url
    async with opened_long_ago(database_url) as shop:
        bin_ = await placed_in(shop, "bin-1")
        await shop.received(quantity=9, lot="L-1", reference="PO")
        await shop.received(quantity=1)
        moves = [(await moved(shop, bin_, units)).id for units in (2, 3)]
        order = await bin_.placed(quantity=3)
        moves.append((await moved(bin_, shop, 2)).id)
        moves.append(await not_moved(shop, bin_, 100))
        await all_ended(shop, database_url)
        lots = await shop.all_of(Stock, "/stocks", warehouse=shop.warehouse)
        lots += await shop.all_of(Stock, "/stocks", warehouse=bin_.warehouse)
        balances = [await shop.balance(), await bin_.balance()]
        for each in (shop, bin_):
            actor_id = await actor_of(each)
            [[version]] = await stored(database_url, LAST_SENT, actor_id)
            assert isinstance(version, int)
            await snapshot_at(database_url, actor_id, version, version + 1)
    return Story(shop, bin_, moves, lots, order, balances)


@pytest_asyncio.fixture(loop_scope="module")
async def database_url(
    postgres: EmbeddedPostgres,
    module_database_url: str,
    story: Story,  # noqa: ARG001 (it has to have happened)
) -> AsyncIterator[str]:
    """The DSN of a test's own copy of it."""
    async with copied(postgres, module_database_url) as url:
        yield url


async def test_what_was_moved_is_shown_as_before_when_its_rows_are_pruned(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    async with opened(database_url) as server:
        before = await story.shown(server)
        rows = await stored(database_url, MOVES)
        report = await pruned(database_url, tmp_path / "rows")

        assert (report.pools, report.moves, report.unsound) == (2, 4, [])
        assert len(archived(tmp_path / "rows")) == report.rows
        assert await stored(database_url, OF_MOVES) == [(["move_ended"],)] * 4
        assert await stored(database_url, MOVES) == rows
        assert [each.body for each in await story.shown(server)] == [each.body for each in before]
        assert await faults(database_url) == []
    async with opened(database_url) as server:  # recovered
        assert [each.body for each in await story.shown(server)] == [each.body for each in before]
        assert await story.balances_in(server) == story.balances
        bin_, shop = story.bin.elsewhere(server), story.shop.elsewhere(server)
        assert (await bin_.dispatch(story.order)).status == 200
        await moved(shop, bin_, 1)
        await all_ended(server, database_url)
    assert await faults(database_url) == []
    again = await pruned(database_url, tmp_path / "rows")
    assert (again.rows, again.moves) == (0, 0)


async def test_floors_hold_what_processes_had_asked_for(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    """One floor lies between what was sent and the end of the move."""
    await pruned(database_url, tmp_path / "rows")
    assert await stored(database_url, FIRST_KEPT) == [("process_let_go",)] * 2
    assert story.moves


async def test_the_read_models_of_moves_are_made_again_from_floors(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    tables = ("moves", "stocks", "orders", "balances")
    listed = [f"SELECT * FROM {table} ORDER BY 1, 2" for table in tables]
    before = [await stored(database_url, each) for each in listed]
    pool = await open_pool(database_url, size=1)
    await forget_read_models(pool)
    await pool.close()
    await caught_up(database_url)

    assert [await stored(database_url, each) for each in listed] == before
    assert await faults(database_url) == []
    assert story.moves


async def test_pruned_moves_travel_with_the_installation(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    listed = await stored(database_url, MOVES)
    async with another(database_url) as target:
        await export(database_url, tmp_path / "export")
        await import_(tmp_path / "export", target)
        await caught_up(target)

        assert await stored(target, MOVES) == listed
        assert await faults(target) == []
        async with opened(target) as server:
            assert await story.balances_in(server) == story.balances


async def test_a_pruned_move_that_lists_lack_is_repaired(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")
    before = await stored(database_url, MOVES)
    await stored(database_url, "DELETE FROM moves WHERE status = 'refused'")
    await stored(database_url, "UPDATE moves SET lots = '[]', quantity = 7")

    found = await faults(database_url, repair=True)

    assert {(fault.kind, fault.repaired) for fault in found} == {("move", True)}
    assert len({fault.actor for fault in found}) == len(story.moves)
    assert await stored(database_url, MOVES) == before


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("UPDATE moves SET quantity = 7 WHERE status = 'refused'", "its row in moves is not what"),
        (
            "UPDATE journal SET principal = 'mallory' WHERE kind = 'move_refused'",
            "is not as it was written",
        ),
        ("DELETE FROM journal WHERE kind = 'move_refused'", "was expected where"),
    ],
)
async def test_a_move_that_is_not_sound_is_left_as_it_is(
    story: Story, database_url: str, tmp_path: Path, damage: str, why: str
) -> None:
    await stored(database_url, damage)
    report = await pruned(database_url, tmp_path / "rows")

    [unsound] = report.unsound
    assert (report.moves, unsound.pool.split()[0], why in unsound.why) == (3, "move", True)
    left = [str(kinds) for (kinds,) in await stored(database_url, OF_MOVES)]
    assert ["move_requested" in kinds for kinds in sorted(left)] == [False, False, False, True]
    assert story.moves


async def test_a_move_is_told_by_its_places_and_its_end_when_it_is_pruned(
    story: Story, database_url: str, tmp_path: Path
) -> None:
    await pruned(database_url, tmp_path / "rows")

    told = await journal("show", story.moves[2], "--database-url", database_url)

    assert "is pruned up to #" in told.errors
    assert told.lines[-1].split("  ")[3] == "ended"
