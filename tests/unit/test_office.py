"""What processes wait for is counted, in every life of theirs, and who waits for long is named."""

import asyncio

from allocator.actors.limits import Limits
from allocator.actors.statistics import Figures
from allocator.actors.wakes import EVERY_MS
from allocator.domain.ids import SHARD_MASK
from allocator.domain.moves import RequestMove
from allocator.errors import QuarantinedError
from allocator.http.statistics import HttpStatistics, figures_of
from allocator.persistence.memory.database import MemoryDatabase
from tests.builders import ACTOR
from tests.scene import Scene, serving, soon
from tests.virtual_time import now_ms, virtual_time

SOURCE = ACTOR + 256


def figures(scene: Scene) -> Figures:
    """Everything that the worker has counted."""
    return figures_of(scene.worker, HttpStatistics())


async def begin_move(scene: Scene) -> int:
    """Have a move begin; it waits for ever if its source is quarantined."""
    actor_id = await scene.worker.begin("the shard of this name")
    request = RequestMove(
        product="tea",
        source=SOURCE,
        destination=ACTOR,
        from_code="here",
        to_code="there",
        quantity=1,
        expects=False,
    )
    await soon(scene.ask(request, actor_id=actor_id))
    return actor_id


def quarantine(scene: Scene) -> None:
    """Have the source of moves answer nobody."""
    error = QuarantinedError(actor_id=SOURCE, why="of a test")
    scene.worker.directory.quarantined[SOURCE] = error


@virtual_time
async def test_a_move_that_ends_leaves_nothing_outstanding() -> None:
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        await scene.stock(5, actor_id=SOURCE)
        await begin_move(scene)
        during = figures(scene)
        await asyncio.sleep(10)
        after = figures(scene)

    assert (during.processes, during.outstanding_asks) == (1, 1)
    assert (after.processes, after.outstanding_asks, after.oldest_ask_ms) == (0, 0, 0)
    assert (after.asks_sent, after.asks_repeated, after.wake_up_lag_ms) == (4, 0, 0)
    assert (after.events["move_requested"], after.events["move_ended"]) == (1, 1)


@virtual_time
async def test_an_ask_that_is_not_answered_grows_older() -> None:
    async with serving() as scene:
        quarantine(scene)
        await begin_move(scene)
        await asyncio.sleep(50)
        await begin_move(scene)
        await asyncio.sleep(5)
        told = figures(scene)

    assert (told.processes, told.outstanding_asks) == (2, 2)
    assert abs(told.oldest_ask_ms - 55_000) < 10
    assert abs(told.wake_up_lag_ms - 55_000) <= EVERY_MS  # that the first was seen to be the first
    assert told.asks_sent - told.asks_repeated == 2
    assert told.asks_repeated > 20


@virtual_time
async def test_who_waits_for_longer_than_a_minute_is_named_once_a_minute() -> None:
    async with serving() as scene:
        quarantine(scene)
        moves = [await begin_move(scene) for _ in range(20)]
        await asyncio.sleep(190)
        lines = [line for line in scene.logs if line["event"] == "process.waits"]

    assert [line["outstanding"] for line in lines] == [20] * 3
    assert {line["asked"] for line in lines} == {SOURCE}
    assert {line["actor"] for line in lines} <= set(moves)
    assert [int(str(line["seconds"])) // 60 for line in lines] == [1, 2, 3]


@virtual_time
async def test_whatever_breaks_an_ask_is_counted_as_often_as_it_is_outstanding() -> None:
    async with serving() as scene:
        quarantine(scene)
        await begin_move(scene)
        for _ in range(10):
            await scene.outage()
            await asyncio.sleep(0.7)
        lives = scene.worker.lives
        scene.journal.break_next("confirm")  # of the turn with which the ask leaves once more
        await asyncio.sleep(10)
        told = figures(scene)

        assert scene.worker.lives == lives + 1
        assert (told.processes, told.outstanding_asks) == (1, 1)


@virtual_time
async def test_a_process_that_another_worker_leads_is_not_waited_for_here() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with (
        serving(database, server="ours", address="a") as scene,
        serving(database, server="ours", address="b") as other,
    ):
        for each in (scene, other):
            quarantine(each)
        move = await begin_move(scene)
        await asyncio.sleep(5)
        assert await scene.worker.give(frozenset({move & SHARD_MASK}))
        await other.worker.claim()
        await asyncio.sleep(5)
        former, present = figures(scene), figures(other)

    assert (former.processes, former.outstanding_asks, former.oldest_ask_ms) == (0, 0, 0)
    assert former.wake_up_lag_ms == 0
    assert (present.processes, present.outstanding_asks) == (1, 1)
