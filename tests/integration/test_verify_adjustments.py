"""What is derived of adjustments, and of warehouses that are fed: verified, and made again."""

import pytest

from tests.integration.shop import Shop, database, opened, until
from tests.integration.test_feeds_api import NATURE, fed_by
from tests.integration.verifying import faults


async def recalled(shop: Shop) -> None:
    """Have two orders get units of another stock, one of them none."""
    bad = await shop.received(quantity=5)
    for quantity in (2, 2, 1):
        await shop.placed(quantity=quantity)
    await shop.received(quantity=4)
    body = shop.wanted(stock=bad.id, to="quarantined", reason="recall")
    assert (await shop.post("/adjustments", body)).status == 201

    async def is_repicked() -> bool:
        return (await shop.balance()).available == 0

    await until(is_repicked)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM repicks WHERE seq = (SELECT max(seq) FROM repicks)",
        "UPDATE repicks SET added = '[[9,1]]' WHERE seq = (SELECT min(seq) FROM repicks)",
        "UPDATE repicks SET order_seq = order_seq + 1",
        "INSERT INTO repicks SELECT actor_id, 1, order_seq, returned, added FROM repicks LIMIT 1",
    ],
)
async def test_orders_that_got_other_lots_are_listed_as_their_pool_says(
    database_url: str, damage: str
) -> None:
    async with opened(database_url) as shop:
        await recalled(shop)
        await shop.projected()
    sound = await faults(database_url)
    async with database(database_url) as connection:
        await connection.execute(damage)
    found = await faults(database_url, repair=True)

    assert sound == []
    assert [(fault.kind, fault.table, fault.repaired) for fault in found] == [
        ("order", "repicks", True)
    ]
    assert await faults(database_url) == []


async def test_n11_a_shop_that_is_fed_has_no_fault(database_url: str) -> None:
    async with opened(database_url) as shop, fed_by(shop, NATURE) as fed:
        await fed.begun(5)
        await shop.placed(quantity=4)
        fed.wms.truth.damage((shop.product, "L7"), 3)
        await fed.heard()
        fed.wms.truth.receive((shop.product, "L8"), 9)
        await fed.heard()
        await shop.projected()

        assert await faults(database_url) == []
