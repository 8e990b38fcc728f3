"""Actors come from the journal when a message does, and go when nothing of theirs is under way."""

import asyncio

import msgspec
import pytest

from allocator.actors.limits import Limits
from allocator.domain.messages import CancelOrder, InsufficientStock, OrderNotOpen
from allocator.domain.snapshots import dump_pool
from allocator.errors import QuarantinedError, UnavailableError
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR, HOUR_MS, place, receive, units
from tests.scene import Scene, serving, soon
from tests.virtual_time import START_MS, now_ms, settle, virtual_time

OTHER = ACTOR + 256
QUICK = Limits(idle_ms=1_000)
"""Passivates after a second, and looks ten times a second whom."""


async def idle(scene: Scene) -> None:
    """Let everybody become idle, and the sweep see it."""
    await asyncio.sleep(1.5)
    assert len(scene.worker.directory) == 0


async def order_many(scene: Scene, number: int) -> None:
    await scene.stock(1000)
    await soon(asyncio.gather(*(scene.ask(place(1)) for _ in range(number))))


@virtual_time
async def test_an_actor_is_recovered_from_all_its_rows() -> None:
    """Q7."""
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 20)
        await scene.outcome(CancelOrder(order=2))
        before = await soon(scene.worker.read(ACTOR, dump_pool))
        await idle(scene)
        after = await soon(scene.worker.read(ACTOR, dump_pool))

        assert after == before
        assert scene.worker.directory.statistics.replayed == 22


@virtual_time
async def test_an_actor_goes_on_with_the_chain_where_it_left_off() -> None:
    """The scene checks every chain at its end."""
    async with serving(limits=QUICK) as scene:
        for _ in range(3):
            await order_many(scene, 120)
            await idle(scene)

        assert scene.worker.directory.statistics.passivations == 3


@virtual_time
async def test_an_actor_with_many_new_events_leaves_a_snapshot_behind() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 99)
        await idle(scene)
        balance = await scene.balance()
        replayed = scene.worker.directory.statistics.replayed

        assert list(scene.database.snapshots[ACTOR]) == [100]
        assert units(balance) == (901, 99, 0, 1000)
        assert replayed == 0


@virtual_time
async def test_an_actor_with_few_new_events_is_passivated_without_a_snapshot() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 98)
        await idle(scene)

        assert not scene.database.snapshots[ACTOR]


@virtual_time
async def test_rows_above_the_snapshot_are_replayed() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 99)
        await idle(scene)
        await scene.outcome(place(1))
        await idle(scene)

        assert units(await scene.balance()) == (900, 100, 0, 1000)
        assert scene.worker.directory.statistics.replayed == 1


@virtual_time
async def test_a_snapshot_that_cannot_be_read_is_not_needed() -> None:
    """The journal can always make another."""
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 99)
        await idle(scene)
        scene.database.snapshots[ACTOR][100] = b"no snapshot"

        assert units(await scene.balance()) == (901, 99, 0, 1000)
        assert scene.worker.directory.quarantined == {}


@virtual_time
async def test_an_actor_that_is_used_stays() -> None:
    async with serving(limits=QUICK) as scene:
        await scene.stock(5)
        for _ in range(10):
            await asyncio.sleep(0.5)
            await scene.balance()

        assert scene.worker.directory.statistics.recoveries == 1


@virtual_time
async def test_an_actor_with_something_under_way_stays() -> None:
    async with serving(limits=QUICK) as scene:
        await scene.stock(5)
        appending = scene.journal.hold("append")
        order = scene.ask(place(1))
        await appending.reached()
        await asyncio.sleep(10)

        assert len(scene.worker.directory) == 1

        appending.release()
        await soon(order)
        await idle(scene)


@virtual_time
async def test_no_snapshot_is_made_of_what_is_not_durable_yet() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 120)
        appending = scene.journal.hold("append")
        order = scene.ask(place(1))
        await appending.reached()
        await asyncio.sleep(10)

        assert scene.journal.count("save_snapshot") == 0

        appending.release()
        await soon(order)


@virtual_time
async def test_an_actor_that_gets_a_message_during_its_snapshot_stays() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 99)
        saving = scene.journal.hold("save_snapshot")
        await saving.reached()
        appending = scene.journal.hold("append")
        order = scene.ask(place(1))
        await appending.reached()
        saving.release()
        await settle()

        assert len(scene.worker.directory) == 1

        appending.release()
        await soon(order)

        assert scene.worker.directory.statistics.passivations == 0
        assert (await scene.balance()).ordered == 100


@virtual_time
async def test_an_actor_that_was_changed_during_its_snapshot_stays() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 99)
        saving = scene.journal.hold("save_snapshot")
        await saving.reached()
        await scene.outcome(place(1))
        saving.release()
        await settle()

        assert len(scene.worker.directory) == 1
        assert (await scene.balance()).ordered == 100


@virtual_time
async def test_a_snapshot_that_cannot_be_saved_keeps_the_actor_a_little_longer() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 99)
        scene.journal.break_next("save_snapshot")
        await idle(scene)

        assert scene.journal.count("save_snapshot") == 2
        assert list(scene.database.snapshots[ACTOR]) == [100]


@virtual_time
async def test_a_crowd_is_thinned_before_anybody_is_idle() -> None:
    async with serving(limits=Limits(idle_ms=600_000, actors_max=10)) as scene:
        for number in range(30):
            await scene.stock(1, actor_id=ACTOR + 256 * number)
        await asyncio.sleep(60)

        assert len(scene.worker.directory) <= 10


@virtual_time
async def test_the_longest_unused_leave_a_crowd_first() -> None:
    async with serving(limits=Limits(idle_ms=600_000, actors_max=2)) as scene:
        first, second, third = (ACTOR + 256 * number for number in range(3))
        for actor_id in (first, second, third):
            await scene.stock(1, actor_id=actor_id)
            await asyncio.sleep(2)
        await scene.balance(actor_id=first)
        await asyncio.sleep(30)
        for actor_id in (first, third):
            await scene.balance(actor_id=actor_id)

        assert scene.worker.directory.statistics.passivations == 1
        assert scene.worker.directory.statistics.recoveries == 3


@virtual_time
async def test_a_journal_that_cannot_be_read_is_said_and_tried_again() -> None:
    async with serving(limits=QUICK) as scene:
        await scene.stock(5)
        await idle(scene)
        scene.journal.break_next("records")
        waiting = [scene.ask(place(1)), scene.ask(place(1))]
        results = await soon(asyncio.gather(*waiting, return_exceptions=True))

        assert [type(each) for each in results] == [UnavailableError] * 2
        assert (await scene.balance()).available == 5


@pytest.mark.parametrize("damage", ["gap", "body", "version", "impossible"])
def test_an_actor_whose_journal_is_damaged_stops_and_the_rest_serve_on(damage: str) -> None:
    @virtual_time
    async def scenario() -> None:
        database = MemoryDatabase(clock=now_ms)
        async with serving(database) as before:
            for actor_id in (ACTOR, OTHER):
                await before.stock(5, actor_id=actor_id)
                await before.outcome(place(1), actor_id=actor_id)
                await before.outcome(place(1), actor_id=actor_id)
            await before.crash()
        _damage(database, how=damage)
        await asyncio.sleep(DEAD_AFTER_MS / 1000)
        async with serving(database) as scene:
            with pytest.raises(QuarantinedError, match=f"actor {ACTOR} is quarantined"):
                await soon(scene.ask(place(1)))
            with pytest.raises(QuarantinedError):
                await scene.ask(place(1))

            assert (await scene.balance(actor_id=OTHER)).ordered == 2
            assert scene.worker.writer.unanswered == 0

            await scene.crash()

    scenario()


def _damage(database: MemoryDatabase, *, how: str) -> None:
    rows = database.rows[ACTOR]
    match how:
        case "gap":
            del rows[2]
        case "body":
            rows[2] = msgspec.structs.replace(rows[2], body="{}")
        case "version":
            rows[2] = msgspec.structs.replace(rows[2], version=99)
        case _:
            body = '{"order":9,"quantity":1,"picks":[[1,1]]}'
            rows[2] = msgspec.structs.replace(rows[2], kind="order_dispatched", body=body)


@virtual_time
async def test_a_quarantined_actor_does_not_stop_the_wake_ups_of_the_others() -> None:
    """One damaged journal must not end a task without which the server stops."""
    soon_ms = START_MS + HOUR_MS
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as before:
        for actor_id in (ACTOR, OTHER):
            await before.stock(5, actor_id=actor_id, expires_at_ms=soon_ms)
        await before.crash()
    database.rows[ACTOR][1] = msgspec.structs.replace(database.rows[ACTOR][1], version=99)
    database.wakes[ACTOR] -= 1
    await asyncio.sleep(DEAD_AFTER_MS / 1000)
    async with serving(database) as scene:
        await asyncio.sleep(HOUR_MS / 1000 + 5)

        assert scene.kinds(actor_id=OTHER) == ["stock_received", "lot_expired"]
        assert list(scene.worker.directory.quarantined) == [ACTOR]
        assert [task for task in scene.worker.tasks if task.done()] == []

        await scene.crash()


@virtual_time
async def test_only_some_are_recovered_at_a_time() -> None:
    async with serving(limits=QUICK) as scene:
        ids = [ACTOR + 256 * number for number in range(20)]
        holds = [scene.journal.hold("origin") for _ in ids]
        asked = [scene.ask(receive(1), actor_id=actor_id) for actor_id in ids]
        await settle()

        assert 1 < sum(hold.is_reached for hold in holds) < len(ids)

        for hold in holds:
            hold.release()
        await soon(asyncio.gather(*asked))


@virtual_time
async def test_an_actor_that_was_never_used_is_empty() -> None:
    async with serving() as scene:
        assert units(await scene.balance()) == (0, 0, 0, 0)
        assert await soon(scene.ask(place(1))) == InsufficientStock(requested=1, available=0)
        assert await soon(scene.ask(CancelOrder(order=1))) == OrderNotOpen(order=1)


@virtual_time
async def test_a_recovery_that_a_repair_overtook_is_not_believed() -> None:
    """It read while the right to write was lost: somebody else may have written since."""
    async with serving() as scene:
        await scene.stock(5, actor_id=OTHER)
        await scene.crash()
    await asyncio.sleep(DEAD_AFTER_MS / 1000)
    async with serving(scene.database) as late:
        reading = late.journal.hold("records", done=True)
        before = late.ask(place(1), actor_id=OTHER)
        await reading.reached()
        await late.outage()

        assert before.exception() is not None

        await late.outcome(place(1), actor_id=OTHER)
        reading.release()
        await settle()
        await late.outcome(place(1), actor_id=OTHER)

        assert (await late.balance(actor_id=OTHER)).ordered == 2


@virtual_time
async def test_who_was_dropped_while_others_were_passivated_is_not_passivated_any_more() -> None:
    async with serving(limits=QUICK) as scene:
        await order_many(scene, 120)
        saving = scene.journal.hold("save_snapshot", done=True)
        await asyncio.sleep(0.95)
        scene.worker.directory.get(OTHER)  # of which there is nothing, and nobody asks it anything
        await saving.reached()
        await scene.outage()
        saving.release()
        await idle(scene)  # and the scene sees that passivation goes on


@virtual_time
async def test_a_view_gets_the_state_and_returns_what_it_makes_of_it() -> None:
    async with serving() as scene:
        await scene.stock(5)

        assert await soon(scene.worker.read(ACTOR, lambda pool: pool.version)) == 1
