"""Of which pools a run has nothing new to say, so that they are not asked: each guard of that."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest
import pytest_asyncio

from allocator.domain.catalogue import Product, Warehouse
from allocator.domain.positions import START
from allocator.feeding.ports import Heard, Settled, Settling, Stated
from allocator.persistence.catalogue import PostgresCatalogue
from allocator.persistence.connections import Pool, connect, open_pool
from allocator.persistence.installation import open_installation
from allocator.persistence.migrate import migrate
from allocator.persistence.pools import PostgresPools
from allocator.persistence.wms import PostgresFeeds

NOW_MS = 1_767_225_600_123
POOLS = {"mug": 1 << 40, "tea": 2 << 40}
MUG = POOLS["mug"]
ACCOUNT = '{{"actor_id":1099511627776,"turn":{turn},"attached":true,"changed":{changed}}}'
LOOKS = 8
"""One settled pool in 64 is asked all the same; not so often in a row."""


class Desk:
    """A feed of two pools, of one of which it is asked whether it is settled."""

    def __init__(self, pool: Pool, feed: int) -> None:
        self.database = pool
        self.store = PostgresFeeds(pool)
        self.feed = feed
        self.run = 0

    async def hear(self, orderable: int | None = 10, *, batch: str = "A") -> None:
        """Begin a run that says so much of mugs, or does not name them."""
        self.run += 3
        await self.store.stage(self.feed, run=self.run, heard=self.page(orderable, batch=batch))

    @staticmethod
    def page(orderable: int | None, *, batch: str = "A") -> list[Heard]:
        """What it is said in."""
        said = {"tea": 5} if orderable is None else {"mug": orderable, "tea": 5}
        return [
            Heard(
                actor_id=POOLS[sku],
                code=batch if sku == "mug" else "A",
                orderable=units,
                expires_at_ms=None,
                received_at_ms=None,
            )
            for sku, units in said.items()
        ]

    async def look(self) -> Stated:
        """What the run says of mugs, or that they are settled."""
        settled = Stated(actor_id=MUG, turn=0, lots=(), is_settled=True)
        found = settled
        for _ in range(LOOKS):
            looked_at = await self.store.statements(
                self.feed, run=self.run, through=0, after=0, limit=10
            )
            found = next((each for each in looked_at if each.actor_id == MUG), settled)
            if found.is_settled:
                break
        return found

    async def begin_settling(self) -> None:
        """Have the run begin to ask pools."""
        settling = Settling(run=self.run, as_of=self.run, applied_through=0)
        await self.store.begin_settling(self.feed, settling)

    async def follow(self, *, seq: int = 2) -> None:
        """Have a pool have followed what the run says."""
        await self.begin_settling()
        figures = (await self.look()).figures
        settled = Settled(actor_id=MUG, figures=figures, seq=seq)
        await self.store.settle(self.feed, run=self.run, settled=[settled])

    async def put(self, *, turn: int = 1, changed: int = 2) -> None:
        """Have rows of the pool be known."""
        account = ACCOUNT.format(turn=turn, changed=changed)
        sql = "UPDATE wms_pools SET account = $3 WHERE feed = $1 AND actor_id = $2"
        await self.database.execute(sql, self.feed, MUG, account)


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    connection = await connect(database_url, application_name="settled")
    await migrate(connection)
    await open_installation(connection)
    connection.terminate()
    opened = await open_pool(database_url, size=2)
    catalogue = PostgresCatalogue(opened, era=1, clock=lambda: NOW_MS)
    main = Warehouse(code="main", name="Main")
    await catalogue.put_warehouse(main, principal="", overwrite=True)
    for sku in POOLS:
        await catalogue.put_product(Product(sku=sku, name=sku), principal="", overwrite=True)
    await PostgresPools(opened).make_pools("main", POOLS)
    desk = Desk(opened, await PostgresFeeds(opened).begin("main", position=START))
    await desk.hear()
    await desk.follow()
    await desk.put()
    try:
        yield desk
    finally:
        opened.terminate()


async def test_a_pool_of_which_the_same_is_said_again_is_left_out(desk: Desk) -> None:
    await desk.hear()

    assert (await desk.look()).is_settled


async def test_a_decrease_that_the_wms_has_applied_is_nothing_new(desk: Desk) -> None:
    sql = """UPDATE wms_pools SET applied = '{"A": 3}' WHERE feed = $1 AND actor_id = $2"""
    await desk.database.execute(sql, desk.feed, MUG)
    await desk.hear(7)

    assert (await desk.look()).is_settled


async def test_a_late_page_of_an_older_run_does_not_take_the_place_of_a_newer_one(
    desk: Desk,
) -> None:
    await desk.hear(7)
    await desk.store.stage(desk.feed, run=desk.run - 1, heard=desk.page(20))

    said = {lot.code: lot.orderable for lot in (await desk.look()).lots}
    assert said == {"A": 7}


async def test_a_batch_that_two_pages_name_is_one(desk: Desk) -> None:
    await desk.hear(7)
    for batch in ("A", "B"):
        await desk.store.stage(desk.feed, run=desk.run, heard=desk.page(8, batch=batch))

    assert await desk.store.named(desk.feed, run=desk.run) == 3


async def _says_less(desk: Desk) -> None:
    await desk.hear(9)


async def _names_it_no_more(desk: Desk) -> None:
    await desk.hear(None)


async def _names_another_batch(desk: Desk) -> None:
    await desk.hear(10, batch="B")


async def _has_applied_what_is_still_orderable(desk: Desk) -> None:
    sql = """UPDATE wms_pools SET applied = '{"Z": 3}' WHERE feed = $1 AND actor_id = $2"""
    await desk.database.execute(sql, desk.feed, MUG)
    await desk.hear()


async def _units_came_otherwise(desk: Desk) -> None:
    await desk.put(changed=3)
    await desk.hear()


async def _was_attached_again(desk: Desk) -> None:
    await desk.put(turn=3, changed=0)
    await desk.hear()


async def _is_short(desk: Desk) -> None:
    await desk.store.note_short(desk.feed, {MUG: 1})
    await desk.hear()


async def _something_was_told(desk: Desk) -> None:
    sql = """
        INSERT INTO wms_events (feed, actor_id, code, as_of, applied_through, orderable, is_waiting)
        VALUES ($1, $2, 'A', 9, 0, 12, false)
    """
    await desk.database.execute(sql, desk.feed, MUG)
    await desk.hear()


async def _was_asked_and_has_not_answered(desk: Desk) -> None:
    await desk.store.unsettle(desk.feed, [MUG])
    await desk.hear()


Happening: TypeAlias = Callable[[Desk], Awaitable[None]]


@pytest.mark.parametrize(
    "happens",
    [
        _says_less,
        _names_it_no_more,
        _names_another_batch,
        _has_applied_what_is_still_orderable,
        _units_came_otherwise,
        _was_attached_again,
        _is_short,
        _something_was_told,
        _was_asked_and_has_not_answered,
    ],
)
async def test_a_pool_is_asked_if_anything_may_have_changed(desk: Desk, happens: Happening) -> None:
    await happens(desk)

    assert not (await desk.look()).is_settled


async def test_what_an_older_run_has_settled_is_not_noted(desk: Desk) -> None:
    await desk.hear(8)
    older = desk.run
    figures = (await desk.look()).figures
    await desk.hear(9)
    await desk.begin_settling()
    late = Settled(actor_id=MUG, figures=figures, seq=9)
    await desk.store.settle(desk.feed, run=older, settled=[late])
    await desk.hear(8)

    assert not (await desk.look()).is_settled


async def test_the_last_pool_that_was_looked_at_is_returned_to_go_on_from_there(desk: Desk) -> None:
    await desk.hear()
    looked_at = await desk.store.statements(desk.feed, run=desk.run, through=0, after=0, limit=1)

    assert [each.actor_id for each in looked_at] == [MUG]
    assert not await desk.store.statements(
        desk.feed, run=desk.run, through=0, after=2 << 40, limit=1
    )
