"""Several feeds at once, and one after another: brands and warehouses do not mix."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from allocator.feeding import ending
from allocator.persistence.statements import statement
from tests.integration.shop import Shop, database, until
from tests.integration.test_feeds_api import NATURE, Fed, fed_by
from tests.integration.traps import Spot, trapping
from tests.integration.wms import simulated

pytestmark = pytest.mark.asyncio(loop_scope="module")


POSITION = "SELECT position FROM wms_feeds WHERE warehouse = $1"
SET_BACK = "UPDATE wms_feeds SET position = $2 WHERE warehouse = $1"


@pytest_asyncio.fixture(loop_scope="module")
async def fed(shop: Shop) -> AsyncIterator[Fed]:
    async with fed_by(shop, NATURE) as fed:
        yield fed


async def another(shop: Shop) -> Shop:
    """Return a warehouse of another brand, which has the same product."""
    other = Shop(shop.server, shop.client)
    other.product = shop.product
    assert (await other.put(f"/warehouses/{other.warehouse}", {"name": "Other"})).status == 201
    return other


async def told_and_applied(fed: Fed, pushes: int) -> None:
    await fed.told(pushes)
    fed.wms.run_batch()
    await fed.heard()


async def ended(fed: Fed) -> None:
    """End a feed."""
    assert (await fed.shop.send("DELETE", fed.path)).status == 202

    async def has_ended() -> bool:
        return (await fed.shown()).status == "ended"

    await until(has_ended)


async def test_n15_two_brands_have_warehouse_systems_of_their_own(fed: Fed) -> None:
    """N15: at once, with the same product and batch; each hears of its own orders."""
    async with fed_by(await another(fed.shop), NATURE) as other:
        await asyncio.gather(fed.begun(10), other.begun(4))
        await asyncio.gather(fed.shop.placed(quantity=3), other.shop.placed(quantity=4))
        await asyncio.gather(told_and_applied(fed, 1), told_and_applied(other, 1))

        assert (await fed.available(), await other.available()) == (7, 0)
        assert fed.truth() == (7, 3, 0)
        assert other.truth() == (0, 4, 0)


async def test_a_warehouse_that_is_fed_again_goes_on_where_it_was(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N10: what had left is not counted twice, what was open is told anew, numbers go on."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    gone = await fed.shop.placed(quantity=2)
    await fed.shop.placed(quantity=3)
    assert (await fed.shop.dispatch(gone)).status == 200
    await told_and_applied(fed, 1)
    await ended(fed)
    await fed.shop.placed(quantity=1)
    await fed.put()
    await fed.heard()

    async def is_told() -> bool:
        fed.wms.run_batch()
        return fed.truth() == (4, 4, 2)

    await until(is_told)
    await fed.heard()
    assert await fed.available() == 4
    assert (fed.wms.truth.mistakes, fed.wms.truth.gaps) == ([], 0)


async def test_nothing_is_missing_of_what_is_fed_no_longer(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(5)
    await fed.shop.placed(quantity=4)
    await fed.told(1)
    fed.wms.damage((fed.shop.product, "L7"), 3)
    await fed.heard()
    assert (await fed.shown()).shortfall == 2

    await ended(fed)

    assert (await fed.shown()).shortfall == 0
    problem = (await fed.shop.post(f"{fed.path}/poll?dry_run=true")).problem(409)
    assert problem.detail == "the feed has ended: put it again to have the warehouse fed"


async def test_a_warehouse_may_be_fed_by_another_system_after_the_end(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which knows nothing of what the former one was told."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    gone = await fed.shop.placed(quantity=2)
    await fed.shop.placed(quantity=3)
    assert (await fed.shop.dispatch(gone)).status == 200
    await told_and_applied(fed, 1)
    await ended(fed)
    async with simulated(NATURE) as (wms, url):
        new = Fed(fed.shop, wms, url)
        wms.truth.receive((fed.shop.product, "L7"), 8)
        await new.put()
        await new.heard()

        async def is_told() -> bool:
            wms.run_batch()
            return new.truth() == (5, 3, 0)

        await until(is_told)
        await new.heard()
        assert await new.available() == 5
        assert wms.truth.mistakes == []


async def test_two_warehouses_cannot_be_fed_from_the_same_address(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both would tell it of a push 1, and it would hear of one of them."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    other = await another(fed.shop)
    path, body = f"/wms/feeds/{other.warehouse}", {"url": f"{fed.url}/"}

    problem = (await other.put(path, body)).problem(409)

    assert fed.shop.warehouse in problem.detail
    assert (await other.get(path)).status == 404
    await ended(fed)
    assert (await other.put(path, body)).status == 201


async def test_of_those_who_put_one_address_at_once_one_has_it(shop: Shop) -> None:
    async with simulated(NATURE) as (_, url):
        shops = [shop, *[await another(shop) for _ in range(4)]]
        paths = [f"/wms/feeds/{each.warehouse}" for each in shops]
        answers = await asyncio.gather(
            *(each.put(path, {"url": url}) for each, path in zip(shops, paths, strict=True))
        )

        assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]
        await shop.send("DELETE", paths[[answer.status for answer in answers].index(201)])


async def test_a_warehouse_system_that_was_set_back_is_not_believed(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say what of its figures it has taken off for us."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    await fed.shop.placed(quantity=3)
    await told_and_applied(fed, 1)
    await ended(fed)
    fed.wms.truth.applied_through = 0
    await fed.put()

    async def is_said() -> bool:
        return "set back" in ((await fed.shown()).last_error or "")

    await until(is_said)
    assert await fed.available() == 7
    assert (await fed.shown()).completed is None


async def test_a_feed_has_ended_when_what_was_open_is_on_its_way_back(
    fed: Fed, module_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another one could begin before, and be told to give back what it never had."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    await fed.shop.placed(quantity=3)
    await told_and_applied(fed, 1)
    async with (
        trapping(module_database_url) as trap,
        fed_by(await another(fed.shop), NATURE) as without_pools,
    ):
        await without_pools.put()
        await trap.set(Spot("wms_pushes", "INSERT", "true"))
        assert (await fed.shop.send("DELETE", fed.path)).status == 202
        await trap.sprung()
        await ended(without_pools)  # so somebody has looked whether anything can end
        assert (await fed.shown()).status == "deleted"
        await trap.open(stored=True)
    await ended(fed)
    await fed.told(2)


async def test_a_poll_is_begun_anew_at_once_after_somebody_else_has_made_pushes(
    fed: Fed, module_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker begins again then, and the answer that it waited for comes to nobody."""
    await fed.begun(10)
    async with database(module_database_url) as connection:
        before = await connection.fetchval(POSITION, fed.shop.warehouse)
        await fed.shop.placed(quantity=1)
        await fed.told(1)
        with monkeypatch.context() as slow:
            slow.setattr(fed.wms, "drawn_latency_s", lambda: 60.0)
            asked = fed.wms.entrance.counts.total()

            async def is_asked() -> bool:
                return fed.wms.entrance.counts.total() > asked

            await until(is_asked)
            await connection.execute(SET_BACK, fed.shop.warehouse, before)
            await fed.shop.placed(quantity=1)

            async def is_begun_again() -> bool:
                return (await fed.shown()).pushes.numbered == 2

            await until(is_begun_again)

    await fed.heard()


async def test_a_feed_that_is_put_again_as_it_ends_is_on(
    fed: Fed, module_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has seen its end, and is slow to note it, changes nothing."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    await ended(fed)
    await fed.put()
    async with database(module_database_url) as connection:
        sql = "SELECT actor_id FROM wms_feeds WHERE warehouse = $1"
        actor_id = await connection.fetchval(sql, fed.shop.warehouse)
        await connection.execute(statement("wms_end"), actor_id)

    await fed.heard()
    assert (await fed.shown()).status == "on"


async def test_what_was_missing_of_a_feed_is_not_missing_any_more_when_it_is_put_again(
    fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows before its first run."""
    monkeypatch.setattr(ending, "LINGER_MS", 0)
    await fed.begun(10)
    await fed.shop.placed(quantity=3)
    await fed.told(1)
    fed.wms.damage((fed.shop.product, "L7"), 9)
    await fed.heard()
    assert (await fed.shown()).shortfall == 2
    await ended(fed)
    fed.wms.entrance.close(3_600.0)
    await fed.put()

    assert (await fed.shown()).shortfall == 0

    fed.wms.entrance.close(0.0)
    await fed.heard()

    assert (await fed.shown()).shortfall == 2
