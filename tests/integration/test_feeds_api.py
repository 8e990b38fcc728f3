"""Warehouses that are fed by a simulated warehouse system (WMS), from poll to push and back."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import pytest_asyncio

from allocator.http.feed_shapes import ShownFeed
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_nature import Nature
from tests.integration.shop import Shop, until
from tests.integration.wms import NEVER_S, control, simulated

pytestmark = pytest.mark.asyncio(loop_scope="module")

NATURE = Nature(batch_s=NEVER_S, rate_per_s=500.0, burst=100)


class Fed:
    """A shop whose warehouse is fed, and the warehouse system that feeds it."""

    def __init__(self, shop: Shop, simulator: Simulator, url: str) -> None:
        self.shop = shop
        self.wms = simulator
        self.url = url

    @property
    def path(self) -> str:
        return f"/wms/feeds/{self.shop.warehouse}"

    async def put(self, **members: object) -> ShownFeed:
        """Have it be fed; it is polled five times a second, and asked often enough."""
        body = {"url": self.url, "poll_s": 0.2, "rate_per_s": 400.0, "burst": 80} | members
        answer = await self.shop.put(self.path, body)
        assert answer.status in {200, 201}, answer.body
        return msgspec.json.decode(answer.body, type=ShownFeed)

    async def shown(self) -> ShownFeed:
        return (await self.shop.get(self.path)).read(ShownFeed)

    async def begun(self, quantity: int = 10, batch: str | None = "L7") -> None:
        """Have units there, be fed, and know of them."""
        self.wms.truth.receive((self.shop.product, batch), quantity)
        await self.put()
        await self.heard()

    async def heard(self) -> None:
        """Wait until a run that began after this call is complete."""
        self.wms.truth.as_of += 1
        as_of = self.wms.truth.as_of

        async def is_heard() -> bool:
            feed = await self.shown()
            return feed.completed is not None and feed.completed.as_of >= as_of

        await until(is_heard)

    async def told(self, pushes: int) -> None:
        """Wait until the warehouse system has been told of so many pushes."""

        async def is_told() -> bool:
            return self.wms.truth.received_through >= pushes

        await until(is_told)

    async def available(self) -> int:
        return (await self.shop.balance()).available

    async def metric(self, name: str) -> float:
        label = f'{{warehouse="{self.shop.warehouse}"}}'
        return await self.shop.metric(f"allocator_feed_{name}{label}")

    def truth(self, batch: str | None = "L7") -> tuple[int, int, int]:
        """What is orderable, allocated and shipped there."""
        found = self.wms.truth.batch((self.shop.product, batch))
        return found.orderable, found.allocated, found.shipped


@asynccontextmanager
async def fed_by(shop: Shop, nature: Nature) -> AsyncIterator[Fed]:
    async with simulated(nature) as (simulator, url):
        fed = Fed(shop, simulator, url)
        yield fed
        await shop.send("DELETE", fed.path)


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def test_n8_what_can_be_ordered_comes_from_the_warehouse_system(fed: Fed) -> None:
    """N8: it is input; what is available follows from it, and from what we know."""
    await fed.begun(10)

    assert await fed.available() == 10
    assert (await fed.shown()).shortfall == 0


async def test_what_became_of_requests_to_the_warehouse_system_is_counted(fed: Fed) -> None:
    async def requests(outcome: str) -> float:
        labels = f'{{outcome="{outcome}",warehouse="{fed.shop.warehouse}"}}'
        return await fed.shop.metric(f"allocator_feed_requests_total{labels}")

    await fed.begun(1)
    await control(fed.url, "outage", {"seconds": 3_600})

    async def has_failed() -> bool:
        return (await fed.shown()).failures > 0

    await until(has_failed)

    assert await requests("answered") >= 2
    assert await requests("failed") >= 1


async def test_n10_a_decrease_counts_once_before_and_after_the_wms_has_applied_it(fed: Fed) -> None:
    """N10, N11: and dispatched, it is not forgotten."""
    await fed.begun(10)
    order = await fed.shop.placed(quantity=3)
    await fed.told(1)
    await fed.heard()

    assert await fed.available() == 7
    assert fed.truth() == (10, 0, 0)  # it has not applied it

    fed.wms.run_batch()
    await fed.heard()

    assert fed.truth() == (7, 3, 0)
    assert (await fed.shown()).pushes.applied == 1
    assert await fed.available() == 7

    assert (await fed.shop.dispatch(order)).status == 200
    await fed.told(2)
    fed.wms.run_batch()
    await fed.heard()

    assert fed.truth() == (7, 0, 3)
    assert await fed.available() == 7
    assert fed.wms.truth.mistakes == []


async def test_n12_a_receipt_at_the_dock_can_be_sold_after_the_next_run(fed: Fed) -> None:
    """N7, N12."""
    await fed.begun(2)
    await fed.shop.placed(quantity=2)
    fed.wms.truth.receive((fed.shop.product, "L8"), 5)
    await fed.heard()

    assert await fed.available() == 5


async def test_a_cancelled_order_is_told_and_taken_back(fed: Fed) -> None:
    await fed.begun(4)
    order = await fed.shop.placed(quantity=3)
    await fed.told(1)
    assert (await fed.shop.cancel(order)).status == 200
    await fed.told(2)
    fed.wms.run_batch()
    await fed.heard()

    assert fed.truth() == (4, 0, 0)
    assert await fed.available() == 4


async def test_what_no_page_of_a_complete_run_names_has_nothing_to_sell(fed: Fed) -> None:
    await fed.shop.received(quantity=9)
    fed.wms.truth.receive(("unheard-of", None), 1)
    await fed.put()
    await fed.heard()

    assert await fed.available() == 0


async def test_an_order_from_before_is_told_when_the_warehouse_comes_to_be_fed(fed: Fed) -> None:
    await fed.shop.received(quantity=5, lot="L7")
    await fed.shop.placed(quantity=2)
    await fed.begun(5)
    await fed.told(1)
    fed.wms.run_batch()
    await fed.heard()

    assert fed.truth() == (3, 2, 0)
    assert await fed.available() == 3


async def test_n4_a_loss_below_what_is_promised_is_a_shortfall_and_sells_nothing(fed: Fed) -> None:
    """N4, Q1, Q2: nothing is cancelled, and nothing is negative."""
    await fed.begun(5)
    await fed.shop.placed(quantity=4)
    await fed.told(1)
    fed.wms.damage((fed.shop.product, "L7"), 3)
    await fed.heard()

    feed = await fed.shown()
    assert feed.shortfall == 2
    assert await fed.available() == 0
    assert (await fed.shop.order(quantity=1)).status == 409

    async def is_told() -> bool:
        return await fed.metric("shortfall_units") == 2

    await until(is_told)
    assert await fed.metric("waiting_pushes") == 0


async def test_nobody_else_brings_stock_into_a_fed_warehouse(fed: Fed) -> None:
    await fed.begun(1)

    answer = await fed.shop.receive(quantity=1)

    assert answer.status == 409


async def test_nothing_is_moved_into_a_warehouse_that_its_own_system_feeds(fed: Fed) -> None:
    """It would be for sale there before that system has seen it."""
    await fed.begun(1)
    away = f"{fed.shop.warehouse}-away"
    assert (await fed.shop.put(f"/warehouses/{away}", {"name": "Away"})).status == 201
    await fed.shop.received(warehouse=away, quantity=5)
    move = {"product": fed.shop.product, "from": away, "to": fed.shop.warehouse, "quantity": 5}

    problem = await fed.shop.refused(409, "/moves", move)

    assert problem.type == "/problems/warehouse-fed"


async def test_after_its_end_stock_can_be_received_again(fed: Fed) -> None:
    await fed.begun(1)
    assert (await fed.shop.send("DELETE", fed.path)).status == 202

    assert (await fed.shown()).status == "deleted"


async def test_what_feeds_no_longer_is_not_polled(fed: Fed) -> None:
    await fed.begun(1)
    await fed.shop.send("DELETE", fed.path)

    problem = (await fed.shop.post(f"{fed.path}/poll")).problem(409)

    assert problem.type == "/problems/conflict"
    assert "the feed was deleted" in (problem.detail or "")
    assert (await fed.shop.post("/wms/feeds/none/poll")).status == 404


async def test_what_says_something_older_than_before_is_told_from_what_it_went_back_to_what(
    fed: Fed,
) -> None:
    """Row N4."""
    await fed.begun(10)
    await fed.shop.placed(quantity=1)
    await fed.told(1)
    fed.wms.run_batch()
    await fed.heard()
    fed.wms.truth.as_of += 1_000
    await fed.heard()
    fed.wms.truth.as_of -= 500
    fed.wms._snapshots.clear()  # noqa: SLF001 (as if it was restored)

    async def is_said() -> bool:
        feed = await fed.shown()
        assert feed.completed is not None
        said = re.fullmatch(
            r"the WMS says what was so as of \d+, with push 1 applied, and had said before what "
            r"was so as of (\d+), with push 1 applied: it was set back",
            feed.last_error or "",
        )
        return said is not None and int(said[1]) == feed.completed.as_of

    await until(is_said)
    assert await fed.available() == 9


async def test_a_feed_of_nowhere_is_refused_with_what_would_be_right(fed: Fed) -> None:
    body = {"url": "http://wms.example/x"}

    answer = await fed.shop.put(fed.path, body)

    assert answer.status == 422
    assert (await fed.shop.put("/wms/feeds/none", {"url": fed.url})).status == 404
    assert (await fed.shop.get(fed.path)).status == 404


async def test_what_no_state_is_called_cannot_be_excluded(fed: Fed) -> None:
    """A slip of the pen would have units taken off twice, and nobody would know why."""
    body = {"url": fed.url, "excludes": ["expired", "damagd"]}

    problem = (await fed.shop.put(fed.path, body)).problem(422)

    assert problem.detail == (
        "nothing can be excluded as damagd; there are "
        "damaged, expired, lost, quarantined, wms_reserved"
    )
    assert (await fed.shop.get(fed.path)).status == 404


async def test_n2_an_outage_of_the_wms_slows_no_order_and_loses_nothing(fed: Fed) -> None:
    """N2, N3: nobody who orders asks it."""
    await fed.begun(10)
    fed.wms.entrance.close(60)
    for _ in range(5):
        await fed.shop.placed(quantity=1)
    assert await fed.available() == 5
    fed.wms.entrance.close(0)

    async def is_told() -> bool:
        fed.wms.run_batch()
        return fed.truth()[1] == 5

    await until(is_told)
    assert fed.wms.truth.mistakes == []
