"""A moment in the middle of a move is restored, and the new server brings the move to its end."""

import pytest
import pytest_asyncio

from allocator.actors.near import Near
from allocator.persistence.cuts import Cut
from tests.integration.api_shapes import Balance
from tests.integration.long_ago import stored
from tests.integration.moving import Moved, all_ended, moved, placed_in
from tests.integration.shop import Shop, opened
from tests.integration.transfers import another, project, restore
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNITS = 10
BEFORE = """
SELECT era, xid::text FROM journal WHERE kind = $1 ORDER BY xid DESC LIMIT 1
"""
ON_HAND = "SELECT coalesce(sum(on_hand), 0)::int FROM stocks"


class Story:
    """Units of two lots went to a bin and the location's rest was sold, in many transactions."""

    url: str
    shop: Shop
    bin: Shop
    move: Moved
    balances: list[Balance]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(module_database_url: str) -> Story:
    story = Story()
    story.url = module_database_url
    with pytest.MonkeyPatch.context() as patch:
        # Each row in a transaction of its own, as if the two places were of two workers.
        patch.setattr(Near, "is_near", lambda _self, _actor_id: False)
        await _tell(story)
    return story


async def _tell(story: Story) -> None:
    async with opened(story.url) as shop:
        story.shop, story.bin = shop, await placed_in(shop, "bin-1")
        await shop.received(quantity=UNITS - 4, lot="L-1")
        await shop.received(quantity=4)
        story.move = await moved(shop, story.bin, UNITS - 2)
        await all_ended(shop, story.url)
        story.balances = [await shop.balance(), await story.bin.balance()]


@pytest.mark.parametrize(
    ("next_kind", "on_hand"),
    [
        ("product_expected", UNITS),
        ("units_sent", UNITS),
        ("units_taken", 2),
        ("process_let_go", UNITS),
        ("move_ended", UNITS),
    ],
)
async def test_a_move_that_a_restore_cut_in_two_comes_to_its_end(
    story: Story, next_kind: str, on_hand: int
) -> None:
    [[era, xid]] = await stored(story.url, BEFORE, next_kind)
    assert isinstance(era, int)
    async with another(story.url) as target:
        await restore(story.url, target, Cut(era=era, xid=int(str(xid))))
        await project(target)

        assert await stored(target, ON_HAND) == [(on_hand,)]
        assert await faults(target) == []
        async with opened(target) as server:
            await all_ended(server, target)  # nobody asks for it

            assert (await server.get(f"/moves/{story.move.id}")).read(Moved) == story.move
            balances = [
                await place.elsewhere(server).balance() for place in (story.shop, story.bin)
            ]
        assert [each.available for each in balances] == [2, UNITS - 2]
        assert [each.version for each in balances] == [each.version for each in story.balances]
        assert await faults(target) == []
