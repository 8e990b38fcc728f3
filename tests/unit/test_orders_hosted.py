"""Orders of several lines in a worker, whose pools are asked: all or nothing, whatever breaks."""

import asyncio
from collections import Counter

import pytest

from allocator.domain.messages import PlaceOrder
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    NotOpen,
    RequestOrder,
    Shortage,
    TooMuch,
)
from allocator.domain.queries import LinesQuery
from allocator.errors import (
    OutcomeUnknownError,
    QuarantinedError,
    UnavailableError,
)
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.memory_journal import Fault
from tests.scene import Scene, serving, soon, succeeded
from tests.unit.tea_and_pots import POT, STOCK, TEA, decided, numbers, request
from tests.virtual_time import now_ms, virtual_time

ROWS = [
    "order_requested",
    "units_held",
    "units_held",
    "order_accepted",
    "hold_confirmed",
    "hold_confirmed",
    "lines_settled",
]
"""What an accepted order leaves in three journals, in the order in which it is decided."""


async def stocked(scene: Scene) -> None:
    """Five of each, and pools that are not at hand: they are asked one after the other."""
    scene.worker.office.at_hand = lambda _: None  # type: ignore[assignment,method-assign]
    for pool in (TEA, POT):
        await scene.stock(STOCK, actor_id=pool)


async def begun(scene: Scene, request: RequestOrder) -> int:
    """Have an order requested, and return its actor."""
    actor_id = await scene.worker.begin(None)
    succeeded(await soon(scene.ask(request, actor_id=actor_id)))
    return actor_id


async def settled(scene: Scene, *orders: int) -> None:
    """Wait until the pools have done what was decided."""
    for each in orders:
        while scene.kinds(actor_id=each)[-1] != "lines_settled":  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0.01)


@virtual_time
async def test_an_order_of_two_pools_has_its_units_of_both() -> None:
    """N1, O8."""
    async with serving() as scene:
        await stocked(scene)
        actor_id = await begun(scene, request(tea=2, pot=3))

        order = await decided(scene, actor_id)

        assert order.status == "new"
        await settled(scene, actor_id)
        assert await numbers(scene) == [(3, 2, 0), (2, 3, 0)]
        assert scene.database.kinds == {actor_id: "order"}


@virtual_time
async def test_a_refused_order_names_every_line_that_failed_and_leaves_no_trace() -> None:
    async with serving() as scene:
        await stocked(scene)
        actor_id = await begun(scene, request(tea=6, pot=7))

        order = await decided(scene, actor_id)

        assert order.shortages == (
            Shortage(line=0, requested=6, available=5),
            Shortage(line=1, requested=7, available=5),
        )
        await settled(scene, actor_id)
        assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]


@virtual_time
async def test_a_line_that_can_be_held_is_given_back_if_another_one_cannot() -> None:
    async with serving() as scene:
        await stocked(scene)
        actor_id = await begun(scene, request(tea=5, pot=6))

        order = await decided(scene, actor_id)

        assert order.shortages == (Shortage(line=1, requested=6, available=5),)
        await settled(scene, actor_id)
        assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]


@virtual_time
async def test_a_request_that_is_lost_holds_nothing() -> None:
    async with serving() as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)
        scene.journal.break_next("append", Fault.NOT_DONE)

        with pytest.raises(OutcomeUnknownError):
            await soon(scene.ask(request(tea=1, pot=1), actor_id=actor_id))
        await scene.serving_again()

        assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]


@virtual_time
async def test_parts_of_an_order_add_up_and_the_rest_stays() -> None:
    async with serving() as scene:
        await stocked(scene)
        actor_id = await begun(scene, request(tea=2, pot=3))
        await decided(scene, actor_id)
        for parts in (((1, 1),), ((0, 1), (1, 1))):
            await scene.outcome(DispatchLines(parts=parts), actor_id=actor_id)
        too_much = await soon(scene.ask(DispatchLines(parts=((1, 2),)), actor_id=actor_id))
        cancelled = await soon(scene.ask(CancelLines(), actor_id=actor_id))

        assert too_much == TooMuch(line=1, requested=2, left=1)
        assert cancelled == NotOpen(status="partly_dispatched")
        await settled(scene, actor_id)
        assert await numbers(scene) == [(3, 1, 0), (2, 1, 0)]
        await scene.outcome(DispatchLines(), actor_id=actor_id)
        await asyncio.sleep(1)
        await settled(scene, actor_id)
        assert await numbers(scene) == [(3, 0, 0), (2, 0, 0)]


@virtual_time
async def test_a_cancelled_order_gives_everything_back() -> None:
    async with serving() as scene:
        await stocked(scene)
        actor_id = await begun(scene, request(tea=2, pot=3))
        await decided(scene, actor_id)
        await scene.outcome(CancelLines(), actor_id=actor_id)
        await asyncio.sleep(1)

        await settled(scene, actor_id)
        assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]


@virtual_time
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("number", range(len(ROWS)))
async def test_an_order_is_settled_whichever_append_fails(number: int, fault: Fault) -> None:
    async with serving() as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)
        requested = scene.ask(request(tea=2, pot=3), actor_id=actor_id)
        while len(rows_of(scene)) < 2 + number:  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        scene.journal.break_next("append", fault)
        await asyncio.wait([requested])
        requested.exception()
        await asyncio.sleep(5)

        if scene.kinds(actor_id=actor_id):
            assert (await decided(scene, actor_id)).status == "new"
            await settled(scene, actor_id)
            assert await numbers(scene) == [(3, 2, 0), (2, 3, 0)]
        else:
            assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]


def rows_of(scene: Scene) -> list[str]:
    return [kind for actor_id in scene.database.rows for kind in scene.kinds(actor_id=actor_id)]


@virtual_time
@pytest.mark.parametrize("number", range(1, len(ROWS)))
async def test_whoever_takes_over_settles_what_the_dead_had_begun(number: int) -> None:
    """Q7."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as dying:
        await stocked(dying)
        actor_id = await dying.worker.begin(None)
        dying.tell(request(tea=2, pot=3), actor_id=actor_id)
        while len(rows_of(dying)) < 2 + number:  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        await dying.crash()
    await asyncio.sleep(DEAD_AFTER_MS / 1000 + 1)

    async with serving(database) as heir:
        await heir.serving_again()
        await settled(heir, actor_id)

        assert (await decided(heir, actor_id)).status == "new"
        assert await numbers(heir) == [(3, 2, 0), (2, 3, 0)]


@virtual_time
async def test_of_a_crowd_as_many_are_served_as_there_is_for() -> None:
    """Q1, Q5: beside orders of one line, which take what they can."""
    async with serving() as scene:
        await stocked(scene)
        singles = [scene.ask(PlaceOrder(quantity=1), actor_id=TEA) for _ in range(2)]
        orders = [await begun(scene, request(tea=1, pot=1)) for _ in range(30)]
        await asyncio.gather(*singles)
        statuses = Counter([(await decided(scene, each)).status for each in orders])

        assert statuses == {"new": STOCK - 2, "declined": 27}
        await settled(scene, *orders)
        assert await numbers(scene) == [(0, 5, 0), (2, 3, 0)]


@virtual_time
async def test_whoever_waits_for_an_order_that_is_stuck_gives_up_and_leaves_nothing_behind() -> (
    None
):
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=TEA)
        scene.worker.directory.quarantined[POT] = QuarantinedError(actor_id=POT, why="test")
        actor_id = await begun(scene, request(tea=1, pot=1))
        query = LinesQuery(decided=True)
        crowd = [asyncio.ensure_future(scene.worker.look(actor_id, query)) for _ in range(50)]

        told = await asyncio.gather(*crowd, return_exceptions=True)

        assert {type(each) for each in told} == {UnavailableError}
        await asyncio.sleep(1)
        assert scene.worker.writer.unanswered == 0
