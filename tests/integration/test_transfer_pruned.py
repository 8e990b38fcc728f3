"""What moves and goes back where the oldest rows were pruned: all that is left."""

from pathlib import Path

import pytest

from allocator.errors import UsageError
from allocator.persistence.cuts import Cut
from tests.integration.long_ago import Story, check_story, pruned, read_models, reopened
from tests.integration.transfers import another, everything, export, import_, now, project, restore
from tests.integration.truth import query
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_pruned_installation_moves(old: Story, old_url: str, tmp_path: Path) -> None:
    await pruned(old_url, tmp_path / "archive")
    async with reopened(old_url, old) as shop:
        open_order = next(order for order in old.orders if order.status == "new")
        await shop.dispatch(open_order)
        await shop.placed(quantity=2)
        balance = await shop.balance()
        await shop.projected()
    await export(old_url, tmp_path / "all")

    async with another(old_url) as target:
        await import_(tmp_path / "all", target)
        await project(target)

        assert await everything(target) == await everything(old_url)
        assert await read_models(target) == await read_models(old_url)
        assert await faults(target) == []
        orders = [order for order in old.orders if order.id != open_order.id]
        async with reopened(target, old) as there:
            await check_story(there, Story(old.warehouse, old.product, old.actor_id, old.version,
                                           orders, old.stocks), balance)  # fmt: skip
            assert (await there.shown(open_order)).status == "dispatched"


async def test_a_moment_after_a_prune_can_be_restored_and_none_before_it(
    old: Story, old_url: str, tmp_path: Path
) -> None:
    before = await now(old_url)
    await pruned(old_url, tmp_path / "archive")
    [row] = await query(old_url, "SELECT min(xid::text::bigint) AS xid FROM journal WHERE era = 1")
    async with reopened(old_url, old) as shop:
        await shop.placed(quantity=2)
        then, balance = await now(old_url), await shop.balance()
        open_order = next(order for order in old.orders if order.status == "new")
        await shop.cancel(open_order)
        await shop.projected()

    async with another(old_url) as target:
        with pytest.raises(UsageError, match="were pruned"):
            await restore(old_url, target, Cut(era=1, xid=row["xid"], at_ms=before.at_ms))
        await restore(old_url, target, then)
        await project(target)

        assert await faults(target) == []
        async with reopened(target, old) as there:
            await check_story(there, old, balance)
