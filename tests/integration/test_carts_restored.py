"""A moment amid carts, checkouts and orders is restored, and all of them come to their ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from allocator.actors.near import Near
from allocator.journal.aftermath import aftermath_of
from allocator.persistence.behind import behind
from allocator.persistence.connections import connect
from allocator.persistence.cuts import Cut
from tests.integration.api_shapes import Cart, Checkout, Order
from tests.integration.carts import Till, paying
from tests.integration.long_ago import stored
from tests.integration.multi_orders import asked_one_by_one, placed, settled
from tests.integration.shop import Shop, until
from tests.integration.transfers import another, export, import_, project, restore
from tests.integration.verifying import faults

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE = "SELECT era, xid::text FROM journal WHERE kind = $1 ORDER BY xid DESC LIMIT 1"
TIMEOUT_MS = 2_000


class Story:
    """A cart that was paid for, and then an order, over two pools; each row is a transaction."""

    url: str
    here: Till
    there: Till
    cart: Cart
    paid: Checkout
    order: Order


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(module_database_url: str) -> Story:
    story = Story()
    story.url = module_database_url
    with pytest.MonkeyPatch.context() as patch, asked_one_by_one():
        patch.setattr(Near, "is_near", lambda _self, _actor_id: False)
        async with paying(story.url, payment_timeout_ms=TIMEOUT_MS) as till:
            story.here, story.there = await till.stocked(9), await till.stocked(9)
            story.cart = await story.here.filled(2)
            await story.there.fill(story.cart, 1)
            story.paid = await till.decided(await till.pay(story.cart))
            await settled(till)
            story.order = await placed(till, (story.here, 3), (story.there, 2))
            await settled(till)
    return story


@asynccontextmanager
async def as_before(story: Story, next_kind: str) -> AsyncIterator[str]:
    """Have the database as it was before the last row of a kind was stored."""
    [[era, xid]] = await stored(story.url, BEFORE, next_kind)
    assert isinstance(era, int)
    async with another(story.url) as target:
        await restore(story.url, target, Cut(era=era, xid=int(str(xid))))
        await project(target)
        assert await faults(target) == []
        yield target


@pytest.mark.parametrize(
    "next_kind", ["units_held", "order_accepted", "hold_confirmed", "lines_settled"]
)
async def test_an_order_that_a_restore_cut_in_two_comes_to_its_end(
    story: Story, next_kind: str
) -> None:
    async with as_before(story, next_kind) as url, paying(url) as server:
        await settled(server)  # nobody asks for it

        assert await server.shown(story.order) == story.order
        assert await balances(story, server) == [(4, 5, 0), (6, 3, 0)]
        await server.projected()
        assert await faults(url) == []
        assert server.provider.ledger == []


@pytest.mark.parametrize("way", ["restored", "exported and imported"])
async def test_a_checkout_under_way_ends_unknown_in_a_copy_and_charges_nobody(
    story: Story, way: str, tmp_path: Path
) -> None:
    """O10: the money may have been taken elsewhere; a person has to look."""
    async with as_before(story, "checkout_paid") as restored, another(restored) as imported:
        url = restored
        if way != "restored":
            await export(restored, tmp_path / "export")
            await import_(tmp_path / "export", imported)
            url = imported
        async with paying(url, payment_timeout_ms=TIMEOUT_MS) as server:

            async def is_over() -> bool:
                return (await server.decided(story.paid)).status != "capturing"

            await until(is_over)  # nobody asks for it

            checkout = await server.decided(story.paid)
            assert (checkout.status, checkout.order) == ("unknown", None)
            assert await balances(story, server) == [(7, 0, 2), (8, 0, 1)]
            assert server.provider.ledger == []
            assert (await server.resolve(checkout, "paid")).status == 200
            await settled(server)
            assert await balances(story, server) == [(7, 2, 0), (8, 1, 0)]
            await server.projected()
        assert await faults(url) == []


async def test_a_cart_whose_change_was_under_way_is_changed_in_a_copy(story: Story) -> None:
    async with as_before(story, "line_held") as url, paying(url) as server:

        async def is_changed() -> bool:
            cart = await server.seen(story.cart)  # whoever looks has it go on
            return [line.quantity for line in cart.lines] == [2, 1] and not cart.changing

        await until(is_changed)
        assert await balances(story, server) == [(7, 0, 2), (8, 0, 1)]


async def balances(story: Story, server: Shop) -> list[tuple[int, int, int]]:
    """Return what is available, ordered and held of both pools."""
    found = [await each.elsewhere(server).balance() for each in (story.here, story.there)]
    return [(each.available, each.ordered, each.held) for each in found]


async def test_who_restores_is_told_of_money_that_a_provider_may_have_taken(story: Story) -> None:
    [[era, xid]] = await stored(story.url, BEFORE, "checkout_begun")
    assert isinstance(era, int)

    connection = await connect(story.url, application_name="test")
    try:
        found = await behind(connection, Cut(era=era, xid=int(str(xid))))
    finally:
        connection.terminate()

    outside = aftermath_of(found, id_secret=bytes(32)).outside
    assert [(each.kind, each.events) for each in outside] == [("checkout_begun", 1)]
