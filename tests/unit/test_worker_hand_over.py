"""Shards pass from one worker to another: nothing is lost, nothing is done or answered twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from itertools import count

import pytest

from allocator.actors.messages import Answer, KeyReused, Outcome
from allocator.domain.ids import SHARD_MASK, SHARDS
from allocator.domain.messages import InsufficientStock
from allocator.domain.pool import Pool
from allocator.errors import MovedError, OutcomeUnknownError, UnavailableError
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR, keyed, place, receive, units
from tests.memory_journal import Fault
from tests.scene import Scene, serving, soon
from tests.virtual_time import now_ms, settle, virtual_time

KEPT = ACTOR + 1
"""Of another shard."""

GIVEN = frozenset({ACTOR & SHARD_MASK})
LOWER_HALF = frozenset(range(SHARDS // 2))
DEAD_AFTER_S = DEAD_AFTER_MS / 1000
PROMPT_S = 0.2


@asynccontextmanager
async def two_workers() -> AsyncIterator[tuple[Scene, Scene]]:
    """Two of one server; the first has all shards."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database, server="one") as first, serving(database, server="one") as second:
        yield first, second


async def refused(scene: Scene) -> None:
    """Have a request and a look refused, since the shard is another worker's."""
    with pytest.raises(MovedError):
        await scene.ask(place(1))
    with pytest.raises(MovedError):
        await scene.ask_once(keyed("moved", place(1)))
    with pytest.raises(MovedError):
        await scene.worker.read(ACTOR, Pool.balance)


# Giving some away.


@virtual_time
async def test_what_is_given_is_served_by_whoever_takes_it_with_all_that_was_promised() -> None:
    async with two_workers() as (giver, taker):
        await giver.stock(5)
        await giver.outcome(place(2))

        assert await giver.worker.give(LOWER_HALF)

        await taker.worker.claim()

        assert taker.worker.shards == LOWER_HALF
        assert giver.worker.shards == frozenset(range(SHARDS)) - LOWER_HALF
        assert units(await taker.balance()) == (3, 2, 0, 5)
        await refused(giver)
        assert (giver.worker.hand_overs.given, taker.worker.hand_overs.taken) == (128, 128)


@virtual_time
async def test_a_worker_refuses_what_is_not_its_own_and_has_done_nothing() -> None:
    async with two_workers() as (giver, taker):
        await giver.stock(5)
        await refused(taker)

        assert (await giver.balance()).available == 5


@virtual_time
async def test_actors_that_are_kept_stay_in_memory_and_the_others_leave_it() -> None:
    async with two_workers() as (giver, _):
        await giver.stock(5)
        await giver.stock(5, actor_id=KEPT)
        recoveries = giver.worker.directory.statistics.recoveries
        await giver.worker.give(GIVEN)
        await giver.outcome(place(1), actor_id=KEPT)

        assert giver.worker.directory.statistics.recoveries == recoveries
        assert len(giver.worker.directory) == 1


@virtual_time
async def test_what_was_accepted_is_answered_before_the_shard_goes() -> None:
    """Orders, refusals, reads, and requests whose key is still being looked up."""
    async with two_workers() as (giver, taker):
        await giver.stock(5)
        appending, looking = giver.journal.hold("append"), giver.journal.hold("find_keys")
        lookup = giver.ask_once(keyed("k", place(2)))
        await looking.reached()
        asked = [giver.ask(place(1)), giver.ask(place(9)), lookup]
        reading = asyncio.ensure_future(giver.worker.read(ACTOR, Pool.balance))
        giving = asyncio.ensure_future(giver.worker.give(GIVEN))
        await settle()
        await refused(giver)
        looking.release()
        await appending.reached()
        appending.release()
        order, refusal, keyed_order = await soon(asyncio.gather(*asked))

        assert await soon(giving)
        assert isinstance(order, Outcome)
        assert refusal == InsufficientStock(requested=9, available=4)
        assert isinstance(keyed_order, Outcome)
        assert (await soon(reading)).available == 4

        await taker.worker.claim()

        assert units(await taker.balance()) == (2, 3, 0, 5)
        assert await soon(taker.ask_once(keyed("k", place(2)))) == keyed_order
        assert await soon(taker.ask_once(keyed("k", place(3)))) == KeyReused(key="k")


@virtual_time
async def test_other_shards_are_served_while_some_are_given_away() -> None:
    async with two_workers() as (giver, _):
        await giver.stock(5)
        appending = giver.journal.hold("append")
        busy = giver.ask(place(1))
        await appending.reached()
        giving = asyncio.ensure_future(giver.worker.give(GIVEN))
        await settle()
        other = giver.ask(receive(1), actor_id=KEPT)
        appending.release()

        assert await soon(giving)
        assert isinstance(await soon(other), Outcome)
        assert isinstance(await soon(busy), Outcome)


@virtual_time
async def test_nothing_is_given_if_answers_do_not_come_in_time() -> None:
    """Nobody hears "unknown" for a hand-over that can wait."""
    async with two_workers() as (giver, _):
        await giver.stock(5)
        appending = giver.journal.hold("append")
        busy = giver.ask(place(1))
        await appending.reached()

        assert not await soon(giver.worker.give(LOWER_HALF))
        assert giver.worker.ready
        assert giver.journal.count("renew") == 1

        waiting = giver.ask(place(1))
        appending.release()

        assert isinstance(await soon(busy), Outcome)
        assert isinstance(await soon(waiting), Outcome)
        assert await giver.worker.give(LOWER_HALF)


@virtual_time
async def test_a_hand_over_does_not_keep_a_repair_waiting() -> None:
    """What it waits for will never come."""
    async with two_workers() as (giver, _):
        await giver.stock(5)
        appending = giver.journal.hold("append")
        giver.journal.break_next("append")
        lost = giver.ask(place(1))
        await appending.reached()
        giving = asyncio.ensure_future(giver.worker.give(GIVEN))
        await settle()
        appending.release()
        with pytest.raises(OutcomeUnknownError):
            await soon(lost)
        broke_s = asyncio.get_running_loop().time()
        await giver.serving_again()

        assert not await soon(giving)
        assert asyncio.get_running_loop().time() < broke_s + PROMPT_S
        assert giver.worker.shards == frozenset(range(SHARDS))
        assert giver.worker.repairs == 1


@pytest.mark.parametrize("fault", [Fault.NOT_DONE, Fault.DONE])
def test_a_hand_over_whose_outcome_is_unknown_is_repaired(fault: Fault) -> None:
    """Whatever was given is somebody's afterwards, and whatever was kept is served."""

    @virtual_time
    async def scenario() -> None:
        async with two_workers() as (giver, taker):
            await giver.stock(5)
            giver.journal.break_next("renew", fault)

            assert not await soon(giver.worker.give(LOWER_HALF))

            await asyncio.sleep(2 * DEAD_AFTER_S)
            both = [*giver.worker.shards, *taker.worker.shards]

            assert sorted(both) == list(range(SHARDS))
            owner = giver if ACTOR & SHARD_MASK in giver.worker.shards else taker
            assert units(await owner.balance()) == (5, 0, 0, 5)

    scenario()


@virtual_time
async def test_who_was_deposed_while_giving_gives_no_answer_of_its_own() -> None:
    """Its next life may write, and must not say what was decided on the memory of the last."""
    async with two_workers() as (deposed, heir):
        await deposed.stock(1)
        await deposed.stock(1, actor_id=KEPT)
        renewing, _ = deposed.journal.hold("renew"), deposed.journal.hold("beat")
        giving = asyncio.ensure_future(deposed.worker.give(GIVEN))
        await renewing.reached()
        decided: list[Awaitable[object]] = [
            deposed.ask(place(9), actor_id=KEPT),
            asyncio.ensure_future(deposed.worker.read(KEPT, Pool.balance)),
        ]
        await asyncio.sleep(3 * DEAD_AFTER_S)

        assert heir.worker.ready

        await heir.stock(8, actor_id=KEPT)
        renewing.release()
        results = await soon(asyncio.gather(*decided, return_exceptions=True))

        assert [type(each) for each in results] == [OutcomeUnknownError] * 2
        assert not await soon(giving)
        assert units(await heir.balance(actor_id=KEPT)) == (9, 0, 0, 9)


@virtual_time
async def test_hand_overs_back_and_forth_under_load_lose_and_double_nothing() -> None:
    """C16, Q1, Q2: every order has one answer, and the two together sell what there is."""
    async with two_workers() as (first, second):
        await first.stock(150)
        for scene in (first, second):
            scene.journal.latency_s = lambda _: 0.002
        told: list[Answer] = []

        async def shop(name: int) -> None:
            for visit in range(20):
                request = keyed(f"{name} {visit}", place(1)) if visit % 2 else None
                for attempt in count(name):
                    scene = (first, second)[attempt % 2]
                    try:
                        asked = scene.ask(place(1)) if request is None else scene.ask_once(request)
                    except MovedError:
                        await asyncio.sleep(0.001)
                    else:
                        told.append(await soon(asked))
                        break

        async with asyncio.TaskGroup() as crowd:
            for name in range(10):
                crowd.create_task(shop(name))
            for giver, taker in [(first, second), (second, first)] * 4:
                await asyncio.sleep(0.01)
                assert await giver.worker.give(giver.worker.shards & LOWER_HALF)
                await taker.worker.claim()
        placed = [each.seq for each in told if isinstance(each, Outcome)]

        assert sorted(placed) == list(range(2, 152))
        assert len(told) == 200
        assert first.kinds() == ["stock_received"] + ["order_placed"] * 150
        assert first.worker.repairs == second.worker.repairs == 0


# Leaving for good.


@virtual_time
async def test_who_retires_answers_what_it_accepted_and_frees_its_shards_at_once() -> None:
    async with two_workers() as (leaver, heir):
        await leaver.stock(5)
        appending = leaver.journal.hold("append")
        asked = leaver.ask(place(2))
        await appending.reached()
        retiring = asyncio.ensure_future(leaver.worker.retire())
        await settle()
        await refused(leaver)
        appending.release()

        assert isinstance(await soon(asked), Outcome)

        await soon(retiring)
        leaver.worker.tasks = []
        await heir.worker.claim()

        assert heir.worker.ready
        assert units(await heir.balance()) == (3, 2, 0, 5)
        await refused(leaver)


@virtual_time
async def test_who_retires_does_not_wait_long_for_an_answer() -> None:
    """It is unknown, and what was in flight is there before anybody else reads, or never."""
    async with two_workers() as (leaver, heir):
        await leaver.stock(5)
        leaver.journal.break_next("append", Fault.DONE_LATER)
        leaver.journal.hold("append", done=True)
        asked = leaver.ask(place(2))
        await settle()
        began_s = asyncio.get_running_loop().time()
        await soon(leaver.worker.retire())
        leaver.worker.tasks = []
        with pytest.raises(OutcomeUnknownError):
            await soon(asked)

        assert asyncio.get_running_loop().time() < began_s + 1 + PROMPT_S

        await heir.worker.claim()

        assert units(await heir.balance()) == (3, 2, 0, 5)


@virtual_time
async def test_who_retires_without_a_database_leaves_all_the_same() -> None:
    async with two_workers() as (leaver, _):
        await leaver.stock(5)
        for _ in range(1000):
            leaver.journal.break_next("renew")
        leaver.journal.break_next("append")
        leaver.journal.break_next("resign")
        with pytest.raises(OutcomeUnknownError):
            await soon(leaver.ask(place(1)))
        began_s = asyncio.get_running_loop().time()
        await soon(leaver.worker.retire())
        leaver.worker.tasks = []

        assert asyncio.get_running_loop().time() < began_s + PROMPT_S
        with pytest.raises(UnavailableError):
            await leaver.ask(place(1))
