"""Events are locked in one order by whoever takes, works off or forgets them: nobody is blocked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from allocator.domain.catalogue import Warehouse
from allocator.domain.positions import START
from allocator.feeding.told import Event
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.wms import PostgresFeeds
from allocator.persistence.wms_told import PostgresTold
from tests.integration.shop import database, until

POOL = 1 << 40
LOCK = "SELECT FROM wms_events WHERE code = $1 FOR UPDATE"
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def event(code: str, as_of: int) -> Event:
    return Event(actor_id=POOL, code=code, as_of=as_of, applied_through=0, orderable=1)


EVENTS = [event("B", 1), event("A", 2)]


class Desk:
    """A feed that was told of two batches, the second one first."""

    def __init__(self, pool: Pool, feed: int) -> None:
        self.told = PostgresTold(pool)
        self.feed = feed


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    connection = await connect(database_url, application_name="told")
    await migrate(connection)
    await open_installation(connection)
    connection.terminate()
    opened = await open_pool(database_url, size=2)
    catalogue = PostgresCatalogue(opened, era=1, clock=lambda: 1)
    await catalogue.put_warehouse(Warehouse(code="main", name="Main"), principal="", overwrite=True)
    desk = Desk(opened, await PostgresFeeds(opened).begin("main", position=START))
    for each in EVENTS:
        await desk.told.take_events(desk.feed, [each])
    try:
        yield desk
    finally:
        opened.terminate()


async def _works_off(desk: Desk) -> None:
    await desk.told.worked_off(desk.feed, EVENTS)


async def _forgets(desk: Desk) -> None:
    await desk.told.forget(desk.feed, as_of=2)


@pytest.mark.parametrize("change", [_works_off, _forgets])
async def test_who_tells_of_batches_in_order_is_not_blocked_by_who_has_heard_of_them(
    desk: Desk, database_url: str, change: Callable[[Desk], Awaitable[None]]
) -> None:
    async with database(database_url) as connection:
        async with connection.transaction():
            await connection.execute(LOCK, "A")
            changing = asyncio.ensure_future(change(desk))

            async def is_waiting() -> bool:
                async with database(database_url) as other:
                    return bool(await other.fetchval(WAITING))

            await until(is_waiting)
            await connection.execute(LOCK, "B")
        await changing

    assert not await desk.told.waiting(desk.feed, besides=(), limit=10)
