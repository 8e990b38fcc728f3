"""A worker serves what it owns, and replaces itself when it may not write any more."""

import asyncio
from collections.abc import Awaitable

import pytest

from allocator.actors.limits import Limits
from allocator.actors.messages import Outcome
from allocator.domain.ids import SHARDS
from allocator.domain.messages import CancelOrder, Command, DispatchOrder, InsufficientStock
from allocator.domain.pool import Pool
from allocator.errors import (
    JournalError,
    OutcomeUnknownError,
    OverloadedError,
    UnavailableError,
)
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR, HOUR_MS, keyed, place, receive, units
from tests.memory_journal import Fault
from tests.scene import DRAIN_MS, Scene, serving, soon
from tests.virtual_time import START_MS, now_ms, settle, virtual_time

OTHER = ACTOR + 256
DEAD_AFTER_S = DEAD_AFTER_MS / 1000


async def unknown(scene: Scene) -> None:
    """Have an order of one unit whose outcome nobody knows."""
    with pytest.raises(OutcomeUnknownError):
        await soon(scene.ask(place(1)))
    await scene.serving_again()


# Serving.


@virtual_time
async def test_a_started_worker_serves_every_shard() -> None:
    async with serving() as scene:
        assert scene.worker.ready
        assert scene.worker.shards == frozenset(range(SHARDS))


@virtual_time
async def test_a_worker_that_has_not_started_accepts_nothing() -> None:
    scene = Scene(MemoryDatabase(clock=now_ms), Limits(), now_ms)
    with pytest.raises(UnavailableError, match="the server is starting; nothing was done"):
        await scene.ask(receive(1))

    assert not scene.worker.ready


@virtual_time
async def test_a_start_without_a_database_says_so() -> None:
    scene = Scene(MemoryDatabase(clock=now_ms), Limits(), now_ms)
    scene.journal.break_next("renew")
    with pytest.raises(JournalError):
        await scene.worker.start()

    assert scene.worker.tasks == []


@virtual_time
async def test_a_thousand_orders_at_once_for_ten_units_sell_ten() -> None:
    """C16, Q1, Q2, Q5, Q6: in the order of their arrival, and the seqs prove it."""
    async with serving() as scene:
        await scene.stock(10)
        answers = await soon(asyncio.gather(*(scene.ask(place(1)) for _ in range(1000))))
        sold = [each.seq for each in answers if isinstance(each, Outcome)]

        assert sold == list(range(2, 12))
        assert answers[:10] == [each for each in answers if isinstance(each, Outcome)]
        assert units(await scene.balance()) == (0, 10, 0, 10)


@virtual_time
async def test_of_many_dispatches_of_one_order_one_succeeds() -> None:
    """C11."""
    async with serving() as scene:
        await scene.stock(5)
        order = await scene.outcome(place(2))
        endings: list[Command] = [DispatchOrder(order=order.seq), CancelOrder(order=order.seq)] * 10
        answers = await soon(asyncio.gather(*(scene.ask(ending) for ending in endings)))

        assert [isinstance(each, Outcome) for each in answers] == [True] + [False] * 19
        assert units(await scene.balance()) == (3, 0, 0, 3)


@virtual_time
async def test_the_whole_worker_has_a_bound_on_what_is_unanswered() -> None:
    async with serving(limits=Limits(worker_max=2)) as scene:
        appending = scene.journal.hold("append")
        asked = [scene.ask(receive(1)), scene.ask(receive(1), actor_id=OTHER)]
        await appending.reached()
        with pytest.raises(OverloadedError, match="2 messages of this server"):
            await scene.ask(receive(1))
        with pytest.raises(OverloadedError):
            await scene.worker.read(ACTOR, Pool.balance)
        with pytest.raises(OverloadedError):
            await scene.ask_once(keyed("k", receive(1)))
        appending.release()
        await soon(asyncio.gather(*asked))
        await scene.stock(1)


@virtual_time
async def test_a_read_that_nobody_waits_for_any_more_is_counted_down() -> None:
    async with serving() as scene:
        await scene.stock(1)
        confirming = scene.journal.hold("confirm")
        read = asyncio.ensure_future(scene.worker.read(ACTOR, Pool.balance))
        await confirming.reached()
        read.cancel()
        confirming.release()
        await settle()

        assert scene.worker.writer.unanswered == 0


# Losing the journal.


@pytest.mark.parametrize("fault", list(Fault))
def test_after_an_unknown_append_memory_is_what_the_journal_says(fault: Fault) -> None:
    """C13, N16: done or not done, and never a third thing."""

    @virtual_time
    async def scenario() -> None:
        async with serving() as scene:
            await scene.stock(5)
            scene.journal.break_next("append", fault)
            await unknown(scene)
            stored = len(scene.kinds()) == 2

            assert stored == (fault is not Fault.NOT_DONE)
            assert (await scene.balance()).ordered == int(stored)
            assert (await scene.outcome(place(1))).seq == len(scene.kinds())

    scenario()


@virtual_time
async def test_during_a_repair_nothing_is_accepted_and_nothing_was_done() -> None:
    async with serving() as scene:
        await scene.stock(5)
        renewing = scene.journal.hold("renew")
        scene.journal.break_next("append")
        lost = scene.ask(place(1))
        await renewing.reached()
        with pytest.raises(OutcomeUnknownError):
            await soon(lost)
        with pytest.raises(UnavailableError, match="the journal is unavailable"):
            await scene.ask(place(1))
        with pytest.raises(UnavailableError):
            await scene.worker.read(ACTOR, Pool.balance)
        with pytest.raises(UnavailableError):
            await scene.ask_once(keyed("k", place(1)))

        assert not scene.worker.ready

        renewing.release()
        await scene.serving_again()

        assert (await scene.balance()).ordered == 0


@virtual_time
async def test_a_repair_is_tried_until_the_database_is_back() -> None:
    async with serving() as scene:
        await scene.stock(5)
        for _ in range(20):
            scene.journal.break_next("renew")
        scene.journal.break_next("append")
        await unknown(scene)

        assert scene.journal.count("renew") == 22
        assert 10 < asyncio.get_running_loop().time() < 20
        assert (await scene.balance()).available == 5


@virtual_time
async def test_actors_with_nothing_under_way_stay_in_memory_through_a_repair() -> None:
    async with serving() as scene:
        await scene.stock(5)
        await scene.stock(5, actor_id=OTHER)
        scene.journal.break_next("append")
        await unknown(scene)
        recoveries = scene.worker.directory.statistics.recoveries
        await scene.balance(actor_id=OTHER)

        assert scene.worker.directory.statistics.recoveries == recoveries

        await scene.balance()

        assert scene.worker.directory.statistics.recoveries == recoveries + 1


@virtual_time
async def test_messages_that_wait_for_a_recovery_are_unknown_after_a_failure() -> None:
    async with serving() as scene:
        reading = scene.journal.hold("records")
        waiting = scene.ask(receive(1))
        await reading.reached()
        scene.journal.break_next("append")
        lost = scene.ask(receive(1), actor_id=OTHER)
        results = await soon(asyncio.gather(waiting, lost, return_exceptions=True))

        assert [type(each) for each in results] == [OutcomeUnknownError] * 2

        reading.release()
        await scene.serving_again()
        await scene.stock(5)

        assert scene.kinds() == ["stock_received"]


@virtual_time
async def test_a_renewal_whose_answer_is_lost_costs_time_and_nothing_else() -> None:
    """It happened, and the shards went with an incarnation of which nobody knows."""
    async with serving() as scene:
        await scene.stock(5)
        scene.journal.break_next("append")
        scene.journal.break_next("renew", Fault.DONE)
        await unknown(scene)

        assert (await scene.balance()).available == 5
        assert scene.worker.ready


@virtual_time
async def test_a_failure_that_the_heartbeat_notices_as_well_is_repaired_once() -> None:
    """It was asked before the repair, under an incarnation that is gone."""
    async with serving() as scene:
        await scene.stock(5)
        beating = scene.journal.hold("beat")
        await beating.reached()
        scene.journal.break_next("append")
        renewing = scene.journal.hold("renew")
        lost = scene.ask(place(1))
        await renewing.reached()
        beating.release()
        await settle()
        renewing.release()
        with pytest.raises(OutcomeUnknownError):
            await soon(lost)
        await scene.serving_again()
        await scene.outcome(place(1))

        assert scene.worker.repairs == 1


@pytest.mark.parametrize("fault", [None, Fault.NOT_DONE])
def test_a_heartbeat_that_returns_after_a_repair_starts_no_other(fault: Fault | None) -> None:
    @virtual_time
    async def scenario() -> None:
        async with serving() as scene:
            await scene.stock(5)
            if fault is not None:
                scene.journal.break_next("beat", fault)
            beating = scene.journal.hold("beat")
            await beating.reached()
            await scene.outage()
            beating.release()
            await settle()
            await scene.outcome(place(1))

            assert scene.worker.repairs == 1

    scenario()


@virtual_time
async def test_a_heartbeat_that_fails_alone_has_the_incarnation_replaced() -> None:
    async with serving() as scene:
        await scene.stock(5)
        scene.journal.break_next("beat")
        await asyncio.sleep(1)

        assert scene.worker.repairs == 1
        assert (await scene.balance()).available == 5


# Several workers.


@virtual_time
async def test_a_second_worker_takes_nothing_from_one_that_lives() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as first, serving(database) as second:
        await first.stock(5)
        await asyncio.sleep(60)

        assert (len(first.worker.shards), len(second.worker.shards)) == (SHARDS, 0)
        assert not second.worker.ready
        with pytest.raises(UnavailableError, match="another worker is taking this shard over"):
            await second.ask(place(1))


@virtual_time
async def test_a_dead_workers_shards_are_taken_over_with_all_it_had_acknowledged() -> None:
    """Q7."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as dead, serving(database) as heir:
        await dead.stock(5)
        await dead.outcome(place(2))
        await dead.crash()
        await asyncio.sleep(2 * DEAD_AFTER_S)

        assert heir.worker.ready
        assert units(await heir.balance()) == (3, 2, 0, 5)


@virtual_time
async def test_an_append_in_flight_at_a_take_over_is_there_before_anybody_reads() -> None:
    """The fence waits for it: it is stored before the heir recovers, or never."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as dead, serving(database) as heir:
        await dead.stock(5)
        dead.journal.break_next("append", Fault.DONE_LATER)
        returning = dead.journal.hold("append", done=True)
        dead.tell(place(2))
        await returning.reached()
        await dead.crash()
        await asyncio.sleep(2 * DEAD_AFTER_S)

        assert units(await heir.balance()) == (3, 2, 0, 5)


def stun(scene: Scene) -> None:
    """Let a worker miss its heartbeats, as one does whose process stood still."""
    scene.journal.hold("beat")


@virtual_time
async def test_a_deposed_worker_gives_no_answer_of_its_own() -> None:
    """Orders, refusals, reads and repeats: its memory is not the truth any more."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as deposed, serving(database) as heir:
        await deposed.stock(5)
        await soon(deposed.ask_once(keyed("k", place(1))))
        stun(deposed)
        await asyncio.sleep(3 * DEAD_AFTER_S)

        assert heir.worker.ready

        await heir.stock(95)
        asked: list[Awaitable[object]] = [
            deposed.ask(place(5)),
            deposed.ask(place(1)),
            asyncio.ensure_future(deposed.worker.read(ACTOR, Pool.balance)),
            deposed.ask_once(keyed("k", place(1))),
        ]
        results = await soon(asyncio.gather(*asked, return_exceptions=True))

        assert [type(each) for each in results] == [OutcomeUnknownError] * 4
        assert (await heir.balance()).available == 99


@virtual_time
async def test_a_deposed_worker_notices_and_forgets_what_it_had() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as deposed, serving(database) as heir:
        await deposed.stock(5)
        await deposed.stock(5, actor_id=OTHER)
        stun(deposed)
        await asyncio.sleep(3 * DEAD_AFTER_S)
        with pytest.raises(OutcomeUnknownError):
            await soon(deposed.ask(place(1)))
        await settle()

        assert heir.worker.ready
        assert len(deposed.worker.directory) == 0
        with pytest.raises(UnavailableError, match="another worker"):
            await deposed.ask(place(1))


@virtual_time
async def test_shards_that_come_back_are_read_anew() -> None:
    """Somebody else wrote meanwhile."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as first, serving(database) as second:
        await first.stock(5)
        stun(first)
        await asyncio.sleep(3 * DEAD_AFTER_S)
        await second.outcome(place(5))
        with pytest.raises(OutcomeUnknownError):
            await soon(first.ask(place(1)))
        await second.crash()
        await asyncio.sleep(3 * DEAD_AFTER_S)

        # Its own heartbeat still stands still; a restart brings it back.
        await first.crash()
    async with serving(database) as again:
        await asyncio.sleep(2 * DEAD_AFTER_S)

        assert await soon(again.ask(place(1))) == InsufficientStock(requested=1, available=0)


@virtual_time
async def test_a_claim_that_straddles_a_renewal_is_of_the_new_incarnation() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as first, serving(database) as second:
        await first.crash()
        claiming = second.journal.hold("claim")
        await claiming.reached()
        second.worker.writer.doubt(JournalError("lost meanwhile"))
        await settle()

        assert second.journal.count("renew") == 1

        claiming.release()
        await asyncio.sleep(2 * DEAD_AFTER_S)

        assert second.worker.repairs == 1
        assert second.worker.ready
        assert second.worker.shards == database.shards_of(second.journal.incarnation)


# Waking up.


@virtual_time
async def test_a_lot_expires_by_itself_in_a_pool_that_nobody_uses() -> None:
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        await scene.stock(5, expires_at_ms=START_MS + HOUR_MS)
        await asyncio.sleep(HOUR_MS / 1000 - 1)

        assert len(scene.worker.directory) == 0
        assert scene.kinds() == ["stock_received"]

        await asyncio.sleep(2)

        assert scene.kinds() == ["stock_received", "lot_expired"]
        assert scene.database.wakes == {}


@virtual_time
async def test_a_full_mailbox_does_not_keep_the_others_asleep() -> None:
    async with serving(limits=Limits(mailbox_max=1)) as scene:
        for actor_id in (ACTOR, OTHER):
            await scene.stock(5, actor_id=actor_id, expires_at_ms=START_MS + HOUR_MS + actor_id)
        full = scene.journal.hold("origin")
        await scene.outage()
        scene.tell(place(1))
        await full.reached()
        await asyncio.sleep(HOUR_MS / 1000 + 10)

        assert scene.kinds(actor_id=OTHER) == ["stock_received", "lot_expired"]

        full.release()
        await settle()


@virtual_time
async def test_wake_ups_that_cannot_be_read_are_tried_again() -> None:
    async with serving() as scene:
        await scene.stock(5, expires_at_ms=START_MS + 10_000)
        await asyncio.sleep(9.9)
        for _ in range(3):
            scene.journal.break_next("due_wakes")
        await asyncio.sleep(3)

        assert scene.kinds() == ["stock_received", "lot_expired"]


# Stopping.


@virtual_time
async def test_a_stop_answers_what_was_accepted_and_accepts_nothing_more() -> None:
    async with serving() as scene:
        await scene.stock(5)
        appending = scene.journal.hold("append")
        accepted = [scene.ask(place(1)), scene.ask(receive(1), actor_id=OTHER)]
        await appending.reached()
        stopping = asyncio.ensure_future(scene.worker.stop(drain_ms=DRAIN_MS))
        await settle()
        with pytest.raises(UnavailableError, match="the server is stopping"):
            await scene.ask(place(1))
        appending.release()
        answers = await soon(asyncio.gather(*accepted))
        await soon(stopping)
        scene.worker.tasks = []

        assert [isinstance(each, Outcome) for each in answers] == [True, True]
        assert scene.database.shards_of(1) == frozenset()


@virtual_time
async def test_a_stop_answers_requests_whose_keys_are_still_looked_up() -> None:
    async with serving() as scene:
        await scene.stock(5)
        looking = scene.journal.hold("find_keys")
        accepted = scene.ask_once(keyed("k", place(1)))
        await looking.reached()
        stopping = asyncio.ensure_future(scene.worker.stop(drain_ms=DRAIN_MS))
        await asyncio.sleep(1)
        looking.release()

        assert isinstance(await soon(accepted), Outcome)

        await soon(stopping)
        scene.worker.tasks = []


@virtual_time
async def test_a_worker_lives_until_it_has_stopped() -> None:
    """A long drain without heartbeats would look like a death, and cost the last answers."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as stops, serving(database) as heir:
        await stops.stock(5)
        appending = stops.journal.hold("append")
        accepted = stops.ask(place(1))
        await appending.reached()
        stopping = asyncio.ensure_future(stops.worker.stop(drain_ms=60_000))
        await asyncio.sleep(5 * DEAD_AFTER_S)
        appending.release()

        assert isinstance(await soon(accepted), Outcome)

        await soon(stopping)
        stops.worker.tasks = []
        await asyncio.sleep(2)

        assert heir.worker.ready
        assert units(await heir.balance()) == (4, 1, 0, 5)


@virtual_time
async def test_a_stop_that_takes_too_long_leaves_nobody_waiting() -> None:
    """In flight, queued behind it, being recovered, being looked up: all hear "unknown"."""
    async with serving() as scene:
        await scene.stock(5)
        for operation in ("append", "origin", "find_keys"):
            scene.journal.hold(operation)
        waiting: list[Awaitable[object]] = [
            scene.ask(place(1)),
            scene.ask(receive(1), actor_id=OTHER),
            scene.ask_once(keyed("k", place(1))),
            asyncio.ensure_future(scene.worker.read(ACTOR, Pool.balance)),
        ]
        await settle()
        waiting.append(scene.ask(place(9)))
        await soon(scene.worker.stop(drain_ms=DRAIN_MS))
        scene.worker.tasks = []
        results = await soon(asyncio.gather(*waiting, return_exceptions=True))

        assert [type(each) for each in results] == [OutcomeUnknownError] * 5


@virtual_time
async def test_a_stop_during_an_outage_ends() -> None:
    async with serving() as scene:
        await scene.stock(5)
        for _ in range(1000):
            scene.journal.break_next("renew")
        scene.journal.break_next("append")
        scene.journal.break_next("resign")
        lost = scene.ask(place(1))
        with pytest.raises(OutcomeUnknownError):
            await soon(lost)
        await soon(scene.worker.stop(drain_ms=DRAIN_MS))
        scene.worker.tasks = []

        assert not scene.worker.ready
