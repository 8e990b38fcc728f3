"""Dates: a lot is sold up to its time, and not a moment longer, whoever asks or nobody."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api_shapes import Order, Stock
from tests.integration.shop import Shop, database, opened, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("milliseconds", [-86_400_000, -1])
async def test_stock_that_has_expired_cannot_be_received(shop: Shop, milliseconds: int) -> None:
    at = soon(milliseconds).isoformat()
    problem = await shop.refused(422, "/stocks", shop.wanted(expires_at=at))

    assert "expires_at must lie in the future" in problem.detail
    assert (await shop.balance()).version == 0


async def test_a_lot_that_expires_becomes_unallocatable_with_nobody_asking(shop: Shop) -> None:
    at = soon(400)
    stock = await shop.received(quantity=3, expires_at=at.isoformat())
    await shop.received(quantity=4)

    async def has_expired() -> bool:
        # The journal is read from the database: this wakes no actor.
        return [event.kind for event in await shop.journal()][2:] == ["lot_expired"]

    await until(has_expired)
    event = (await shop.journal())[-1]
    assert event.body == {"lot": 1, "quantity": 3}
    assert at <= event.at < at + timedelta(seconds=10)
    assert (await shop.balance()).numbers == (4, 0, 3, 7)
    assert (await shop.stock(stock)).available == 0
    await shop.refused(409, "/orders", shop.wanted(quantity=5))


async def test_a_lot_is_sold_up_to_its_time_and_never_after(shop: Shop) -> None:
    at = soon(500)
    await shop.received(quantity=1_000, expires_at=at.isoformat())
    sold: list[Order] = []
    while (answer := await shop.order()).status == 201:
        sold.append(answer.read(Order, status=201))

    assert answer.problem(409).available == 0
    assert datetime.now(UTC) >= at
    assert sold
    assert max(order.created_at for order in sold) < at
    left = 1_000 - len(sold)
    assert (await shop.balance()).numbers == (0, len(sold), left, 1_000)


async def test_an_order_of_a_lot_that_expired_can_still_be_dispatched(shop: Shop) -> None:
    """Q1: what was promised is not taken away by a date."""
    stock = await shop.received(quantity=3, expires_at=soon(400).isoformat())
    order = await shop.placed(quantity=2)
    await expired(shop, quantity=1)

    assert (await shop.dispatch(order)).read(Order).status == "dispatched"
    assert (await shop.balance()).numbers == (0, 0, 1, 1)
    assert (await shop.stock(stock)).available == 0


async def test_units_that_come_back_after_their_date_are_not_for_sale(shop: Shop) -> None:
    await shop.received(quantity=3, expires_at=soon(400).isoformat())
    order = await shop.placed(quantity=2)
    await expired(shop, quantity=1)
    await shop.cancel(order)

    problem = await shop.refused(409, "/orders", shop.wanted())
    assert problem.available == 0
    assert (await shop.balance()).numbers == (0, 0, 3, 3)


async def test_units_that_come_back_after_their_date_are_not_sold_in_the_same_breath(
    database_url: str,
) -> None:
    """A recovering actor decides all that waits in one go; each message finds nothing due."""
    async with opened(database_url) as shop:
        await shop.received(quantity=2, expires_at=soon(400).isoformat())
        order = await shop.placed(quantity=2)
        await until_past(soon(450))

    async with opened(database_url) as another, database(database_url) as behind:
        shop = shop.elsewhere(another)
        async with behind.transaction():
            await behind.execute("LOCK TABLE snapshots")  # recovery has to wait
            cancelling = asyncio.create_task(shop.cancel(order))
            await until_waiting(shop, 1)
            buying = asyncio.create_task(shop.order())
            await until_waiting(shop, 2)

        assert (await cancelling).status == 200
        assert (await buying).problem(409).available == 0
        assert (await shop.balance()).numbers == (0, 0, 2, 2)


async def test_a_lot_that_expired_while_the_server_was_away_is_not_sold(database_url: str) -> None:
    async with opened(database_url) as shop:
        at = soon(300)
        await shop.received(quantity=2, expires_at=at.isoformat())
    await until_past(at)

    async with opened(database_url) as another:
        shop = shop.elsewhere(another)
        assert (await shop.order()).problem(409).available == 0
        assert (await shop.balance()).numbers == (0, 0, 2, 2)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2100-01-01T00:00:00Z", "2100-01-01T00:00:00+00:00"),
        ("2100-01-01T02:30:00+02:30", "2100-01-01T00:00:00+00:00"),
        ("2031-01-01T00:00:00.007Z", "2031-01-01T00:00:00.007000+00:00"),
        ("2031-01-01T00:00:00.001999Z", "2031-01-01T00:00:00.001000+00:00"),
        ("2038-06-04T04:04:28.561Z", "2038-06-04T04:04:28.561000+00:00"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999000+00:00"),
    ],
)
async def test_an_expiry_is_kept_to_the_millisecond(shop: Shop, sent: str, shown: str) -> None:
    stock = await shop.received(expires_at=sent)
    await shop.projected()
    [listed] = await shop.all_of(Stock, "/stocks", warehouse=shop.warehouse)

    assert stock.expires_at == datetime.fromisoformat(shown)
    assert await shop.stock(stock) == stock == listed


async def test_an_expiry_that_utc_cannot_show_is_refused_and_harms_nobody(shop: Shop) -> None:
    """In UTC it lies in the year 10000: no answer could ever tell it."""
    body = shop.wanted(expires_at="9999-12-31T23:59:59-12:00")
    problem = await shop.refused(422, "/stocks", body)

    assert "expires_at" in problem.detail
    assert (await shop.balance()).version == 0
    await shop.projected()
    assert (await shop.get("/stocks")).status == 200


async def until_past(at: datetime) -> None:
    async def is_past() -> bool:
        return datetime.now(UTC) > at

    await until(is_past)


async def until_waiting(shop: Shop, messages: int) -> None:
    """Wait until the actors have so many messages to answer."""

    async def they_wait() -> bool:
        return await shop.metric("allocator_unanswered_messages") == messages

    await until(they_wait)


def soon(milliseconds: int) -> datetime:
    """A time in whole milliseconds: what the server keeps."""
    at = datetime.now(UTC) + timedelta(milliseconds=milliseconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


async def expired(shop: Shop, *, quantity: int) -> None:
    """Wait until the journal tells that so many units of a lot expired."""

    async def is_told() -> bool:
        events = await shop.journal()
        return any(
            event.kind == "lot_expired" and event.body["quantity"] == quantity for event in events
        )

    await until(is_told)
