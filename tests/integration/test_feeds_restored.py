"""Feeds after an import, a restore, or a change of the WMS: no number means two things.

What a warehouse system was told is known to one database. Another one, or the same set back, would
tell it other things under numbers that it knows: it would take them for repetitions, and we would
take them for told.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from allocator.feeding import ending
from allocator.http.feed_shapes import ShownFeed
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_nature import Nature
from tests.integration.shop import Shop, database, opened, until
from tests.integration.transfers import another, export, import_
from tests.integration.wms import NEVER_S, simulated

NATURE = Nature(batch_s=NEVER_S, rate_per_s=500.0, burst=100)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feeds end a second after they were deleted."""
    monkeypatch.setattr(ending, "LINGER_MS", 1_000)


@pytest_asyncio.fixture
async def wms() -> AsyncIterator[tuple[Simulator, str]]:
    async with simulated(NATURE) as found:
        yield found


async def put(shop: Shop, url: str) -> None:
    body = {"url": url, "poll_s": 0.2, "rate_per_s": 400.0, "burst": 80}
    assert (await shop.put(f"/wms/feeds/{shop.warehouse}", body)).status in {200, 201}


async def shown(shop: Shop) -> ShownFeed:
    answer = await shop.get(f"/wms/feeds/{shop.warehouse}")
    return msgspec.json.decode(answer.body, type=ShownFeed)


async def heard(shop: Shop, simulator: Simulator) -> None:
    """Wait until a run that began after this call is complete."""
    simulator.truth.as_of += 1
    as_of = simulator.truth.as_of

    async def is_heard() -> bool:
        feed = await shown(shop)
        return feed.completed is not None and feed.completed.as_of >= as_of

    await until(is_heard)


async def told(simulator: Simulator, through: int) -> None:
    async def is_told() -> bool:
        return simulator.truth.received_through >= through

    await until(is_told)


async def has_ended(shop: Shop) -> None:
    async def is_ended() -> bool:
        answer = await shop.get(f"/wms/feeds/{shop.warehouse}")
        return answer.status == 200 and (await shown(shop)).status == "ended"

    await until(is_ended)


async def ended(shop: Shop) -> None:
    assert (await shop.send("DELETE", f"/wms/feeds/{shop.warehouse}")).status == 202
    await has_ended(shop)


async def traded(shop: Shop, simulator: Simulator, url: str) -> None:
    """Have ten units there, be fed, and have three pushes told, of which none is applied."""
    simulator.truth.receive((shop.product, "L7"), 10)
    await put(shop, url)
    await heard(shop, simulator)
    for number in range(1, 4):
        await shop.placed(quantity=1)
        await told(simulator, number)


async def copied(source: str, target: str, file: Path) -> None:
    await export(source, file)
    await import_(file, target)


async def test_an_import_ends_its_feeds_and_tells_their_wms_nothing(
    database_url: str, tmp_path: Path, wms: tuple[Simulator, str]
) -> None:
    simulator, url = wms
    async with opened(database_url) as shop:
        await traded(shop, simulator, url)
    before = simulator.truth.received_through

    async with another(database_url) as target:
        await copied(database_url, target, tmp_path / "all.ndjson")
        async with opened(target) as copy:
            copy.warehouse, copy.product = shop.warehouse, shop.product
            await has_ended(copy)
            await copy.placed(quantity=1)

            async def is_received() -> bool:
                return (await copy.receive(quantity=1)).status == 201

            await until(is_received)

    assert simulator.truth.received_through == before


async def test_n10_an_imported_warehouse_is_fed_anew_above_the_numbers_that_its_wms_knows(
    database_url: str, tmp_path: Path, wms: tuple[Simulator, str]
) -> None:
    simulator, url = wms
    async with opened(database_url) as shop:
        await traded(shop, simulator, url)

    async with another(database_url) as target:
        await copied(database_url, target, tmp_path / "all.ndjson")
        async with opened(target) as copy:
            copy.warehouse, copy.product = shop.warehouse, shop.product
            await has_ended(copy)
            await put(copy, url)

            async def is_refused() -> bool:
                return "has to have 3 applied" in ((await shown(copy)).last_error or "")

            await until(is_refused)
            simulator.run_batch()
            await heard(copy, simulator)
            await told(simulator, 4)  # what was open when it was attached
            await copy.placed(quantity=2)
            await told(simulator, 5)
            simulator.run_batch()
            await heard(copy, simulator)
            feed, balance = await shown(copy), await copy.balance()

    truth = simulator.truth.batch((shop.product, "L7"))
    assert feed.pushes.numbered == feed.pushes.applied == simulator.truth.applied_through == 5
    assert simulator.truth.gaps == 0
    assert simulator.truth.mistakes == []
    # The WMS keeps 3 units for orders of which the former database told it: once too often.
    assert (truth.orderable, truth.allocated) == (2, 8)
    assert (balance.available, balance.ordered) == (2, 5)


async def test_a_feed_that_had_ended_before_an_import_can_be_put_at_once(
    database_url: str, tmp_path: Path, wms: tuple[Simulator, str]
) -> None:
    simulator, url = wms
    async with opened(database_url) as shop:
        await traded(shop, simulator, url)
        await ended(shop)
        await told(simulator, 4)
    simulator.run_batch()

    async with another(database_url) as target:
        await copied(database_url, target, tmp_path / "all.ndjson")
        async with opened(target) as copy:
            copy.warehouse, copy.product = shop.warehouse, shop.product
            await has_ended(copy)

            async def takes_stock() -> bool:
                return (await copy.receive(quantity=1)).status == 201

            await until(takes_stock)  # it is known here that the feed has ended
            await put(copy, url)
            await heard(copy, simulator)
            feed, balance = await shown(copy), await copy.balance()

    assert feed.status == "on"
    assert (balance.available, balance.ordered) == (7, 3)


async def test_a_database_that_was_set_back_ends_its_feeds_when_it_has_moved(
    database_url: str, wms: tuple[Simulator, str]
) -> None:
    """A dump of yesterday, in another cluster: the WMS has heard more since."""
    simulator, url = wms
    async with opened(database_url) as shop:
        await traded(shop, simulator, url)
    async with database(database_url) as connection:
        await connection.execute("DELETE FROM wms_pushes WHERE number > 1")
        await connection.execute("UPDATE wms_feeds SET numbered = 1, acknowledged = 1, applied = 0")
        await connection.execute("UPDATE installation SET system_identifier = 1")
    async with opened(database_url) as later:
        later.warehouse, later.product = shop.warehouse, shop.product
        await later.placed(quantity=1)
        await has_ended(later)
        feed = await shown(later)

    assert simulator.truth.received_through == 3
    assert feed.pushes.numbered == 0


async def test_a_database_that_has_moved_goes_on_with_its_feeds_if_nothing_is_missing(
    database_url: str, wms: tuple[Simulator, str]
) -> None:
    simulator, url = wms
    async with opened(database_url) as shop:
        await traded(shop, simulator, url)
    async with database(database_url) as connection:
        await connection.execute("UPDATE installation SET system_identifier = 1")
    async with opened(database_url) as later:
        later.warehouse, later.product = shop.warehouse, shop.product
        await later.placed(quantity=1)
        await told(simulator, 4)
        simulator.run_batch()
        await heard(later, simulator)
        feed, balance = await shown(later), await later.balance()

    assert (feed.status, feed.pushes.applied) == ("on", 4)
    assert (balance.available, balance.ordered) == (6, 4)


async def test_another_wms_can_take_over_a_warehouse(
    database_url: str, wms: tuple[Simulator, str]
) -> None:
    """It knows no number, and all that is there: the former one's are not counted."""
    simulator, url = wms
    async with opened(database_url) as shop, simulated(NATURE) as (other, other_url):
        await traded(shop, simulator, url)
        simulator.run_batch()
        await heard(shop, simulator)
        await ended(shop)
        other.truth.receive((shop.product, "L7"), 10)
        await put(shop, other_url)
        await heard(shop, other)
        await told(other, 1)
        await shop.placed(quantity=2)
        await told(other, 2)
        other.run_batch()
        await heard(shop, other)
        feed, balance = await shown(shop), await shop.balance()

    truth = other.truth.batch((shop.product, "L7"))
    assert (truth.orderable, truth.allocated) == (5, 5)
    assert (balance.available, balance.ordered) == (5, 5)
    assert feed.pushes.applied == 2


async def test_a_feed_that_is_put_again_goes_on_with_its_numbers(
    database_url: str, wms: tuple[Simulator, str]
) -> None:
    simulator, url = wms
    async with opened(database_url) as shop:
        await traded(shop, simulator, url)
        await ended(shop)
        await told(simulator, 4)  # what was open is taken back
        await put(shop, url)
        simulator.run_batch()
        await heard(shop, simulator)
        await told(simulator, 5)
        simulator.run_batch()
        await heard(shop, simulator)
        balance = await shop.balance()

    truth = simulator.truth.batch((shop.product, "L7"))
    assert (truth.orderable, truth.allocated) == (7, 3)
    assert (balance.available, balance.ordered) == (7, 3)
    assert simulator.truth.gaps == 0


async def test_a_wms_that_is_away_is_waited_for_before_its_numbers_are_known(
    database_url: str, wms: tuple[Simulator, str]
) -> None:
    simulator, url = wms
    async with opened(database_url) as shop:
        simulator.truth.receive((shop.product, "L7"), 10)
        simulator.entrance.close(3_600.0)
        await put(shop, url)

        async def is_in_trouble() -> bool:
            return (await shown(shop)).last_error is not None

        await until(is_in_trouble)
        simulator.entrance.close(0.0)
        await heard(shop, simulator)

        assert (await shop.balance()).available == 10
