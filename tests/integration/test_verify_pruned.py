"""Verification of a journal whose oldest rows are gone: it begins at floors."""

from pathlib import Path

import pytest

from allocator.persistence import rebuilding, windows
from tests.integration.long_ago import Story, floor_of, pruned, reopened, stored
from tests.integration.verifying import Said, contents, faults

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def go_on(url: str, story: Story, archive: Path) -> int:
    """Prune, and have two orders from before the floor end above it; return the floor."""
    await pruned(url, archive)
    shipped, given_back = [order for order in story.orders if order.status == "new"][:2]
    async with reopened(url, story) as shop:
        await shop.dispatch(shipped)
        await shop.cancel(given_back)
        await shop.received(quantity=7)
        await shop.projected()
    return await floor_of(url, story.actor_id)


@pytest.mark.parametrize("rows", [windows.WINDOW_ROWS, 2])
async def test_what_was_pruned_is_not_missed(
    old: Story, old_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(windows, "WINDOW_ROWS", rows)
    assert await faults(old_url) == []

    floor = await go_on(old_url, old, tmp_path / "rows")

    assert floor > 0
    assert await faults(old_url) == []
    assert not await stored(old_url, f"SELECT seq FROM journal WHERE seq = {floor} - 1")


DAMAGE = {
    "UPDATE floors SET state = '\\x00' || state": ("floor", "journal"),
    "UPDATE floors SET seq = seq + 1": ("floor", "journal"),
    "UPDATE floors SET digest = substr(digest, 2) || '\\x00'": ("edited_row", "journal"),
    "DELETE FROM floors": ("missing_row", "journal"),
    "DELETE FROM orders WHERE closed_at > now() - interval '1 day'": ("kept_row", "orders"),
    "UPDATE orders SET status = 'new', closed_at = NULL WHERE seq = 4": ("kept_row", "orders"),
}


@pytest.mark.parametrize("sql", DAMAGE)
async def test_what_nothing_can_make_again_is_named_and_left_alone(
    old: Story, old_url: str, tmp_path: Path, sql: str
) -> None:
    await go_on(old_url, old, tmp_path / "rows")
    await stored(old_url, sql)

    found = await faults(old_url, repair=True)

    assert DAMAGE[sql] in {(fault.kind, fault.table) for fault in found}
    assert not any(fault.repaired for fault in found)
    assert {Said.by(fault) for fault in await faults(old_url)} == set(map(Said.by, found))


async def test_what_was_open_and_on_hand_at_a_floor_is_made_again(
    old: Story, old_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "_ROWS", 3)
    floor = await go_on(old_url, old, tmp_path / "rows")
    before = await contents(old_url)
    reopened_orders = (
        "UPDATE orders SET status = 'new', closed_at = NULL, quantity = 9 WHERE status <> 'new'"
        f" AND seq <= {floor} AND closed_at > now() - interval '1 day'"
    )
    for sql in (
        reopened_orders,
        f"DELETE FROM orders WHERE seq > {floor}",
        "UPDATE stocks SET available = 0, on_hand = 0",
        "DELETE FROM stocks WHERE seq = 1",
        "UPDATE balances SET ordered = 0",
    ):
        await stored(old_url, sql)

    found = await faults(old_url, repair=True)

    assert {fault.kind for fault in found} == {"order", "stock", "balance"}
    assert all(fault.repaired for fault in found)
    assert await contents(old_url) == before


async def test_rows_that_an_interrupted_prune_left_below_a_floor_are_no_fault(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    await stored(old_url, "CREATE TABLE kept AS TABLE journal")
    floor = await go_on(old_url, old, tmp_path / "rows")
    left = f"INSERT INTO journal SELECT * FROM kept WHERE seq BETWEEN {floor} - 3 AND {floor}"
    await stored(old_url, f"{left} AND actor_id = {old.actor_id}")

    assert await faults(old_url) == []
