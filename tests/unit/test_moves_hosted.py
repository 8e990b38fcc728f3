"""Processes in a worker: they come into being, ask others, and come to an end whatever breaks."""

import asyncio

import pytest

from allocator.actors.host import PATIENCE_S
from allocator.actors.keys import KeyedRequest
from allocator.actors.messages import Answer
from allocator.actors.near import Near
from allocator.domain.ids import SHARD_BITS, SHARD_MASK, SHARDS
from allocator.domain.kinds import Command
from allocator.domain.messages import InsufficientStock, OpenTicketOption, PlaceOrder
from allocator.domain.moves import Move, RequestMove, SamePlace
from allocator.domain.queries import BalanceQuery, MoveQuery
from allocator.errors import (
    AllocatorError,
    OutcomeUnknownError,
    QuarantinedError,
    UnavailableError,
)
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR
from tests.memory_journal import Fault
from tests.scene import Scene, serving, soon, succeeded
from tests.virtual_time import now_ms, virtual_time

HERE, THERE = ACTOR, ACTOR + 256
STOCK = 10

ROWS = [
    "move_requested",
    "units_sent",
    "move_sent",
    "units_taken",
    "move_done",
    "process_let_go",
    "process_let_go",
    "move_ended",
]
"""What a move leaves in three journals, in the order in which it is decided."""


@pytest.fixture(autouse=True, params=["near", "far"])
def distance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Actors of one worker ask each other without waiting, or as if they were of several."""
    if request.param == "far":
        monkeypatch.setattr(Near, "is_near", lambda _self, _actor_id: False)
    return str(request.param)


def request(quantity: int = 3, *, destination: int = THERE) -> RequestMove:
    return RequestMove(
        product="tea",
        source=HERE,
        destination=destination,
        from_code="here",
        to_code="there",
        quantity=quantity,
        expects=False,
    )


async def begun(scene: Scene, quantity: int = 3) -> int:
    """Have a move requested, and return its actor."""
    actor_id = await scene.worker.begin(None)
    succeeded(await soon(scene.ask(request(quantity), actor_id=actor_id)))
    return actor_id


async def decided(scene: Scene, actor_id: int) -> Move:
    """Wait for the end of a move, as a client does: who is told to repeat repeats."""
    while True:
        try:
            view = await soon(scene.worker.look(actor_id, MoveQuery(decided=True)))
        except AllocatorError:
            await asyncio.sleep(0.1)
        else:
            assert view.move is not None
            return view.move


async def units(scene: Scene) -> tuple[int, int]:
    """What is available here and there."""
    here = (await soon(scene.worker.look(HERE, BalanceQuery()))).balance
    there = (await soon(scene.worker.look(THERE, BalanceQuery()))).balance
    assert here is not None
    assert there is not None
    return here.available, there.available


async def ended(scene: Scene, actor_id: int) -> None:
    """Wait until both places have let go."""
    while scene.kinds(actor_id=actor_id)[-1:] != ["move_ended"]:  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.01)


@virtual_time
async def test_a_move_brings_units_from_here_to_there() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        actor_id = await begun(scene)

        assert (await decided(scene, actor_id)).status == "done"
        assert await units(scene) == (STOCK - 3, 3)
        await ended(scene, actor_id)
        assert scene.database.kinds == {actor_id: "move"}


@virtual_time
async def test_what_is_not_there_is_not_moved() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        actor_id = await begun(scene, STOCK + 1)

        move = await decided(scene, actor_id)

        assert move.reason == InsufficientStock(requested=STOCK + 1, available=STOCK)
        assert await units(scene) == (STOCK, 0)
        await ended(scene, actor_id)


@virtual_time
async def test_what_is_refused_at_once_never_comes_into_being() -> None:
    async with serving() as scene:
        actor_id = await scene.worker.begin(None)

        answer = await soon(scene.ask(request(destination=HERE), actor_id=actor_id))

        assert answer == SamePlace()
        assert scene.database.kinds == {}


@virtual_time
async def test_nothing_is_asked_far_away_before_the_request_is_stored(distance: str) -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        actor_id = await scene.worker.begin(None)
        append = scene.journal.hold("append")
        requested = scene.ask(request(), actor_id=actor_id)
        await append.reached()

        assert (scene.worker.office.sent == 0) is (distance == "far")
        append.release()
        await soon(requested)
        assert (await decided(scene, actor_id)).status == "done"


@virtual_time
async def test_what_a_lost_request_would_have_asked_is_not_done(distance: str) -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        actor_id = await scene.worker.begin(None)
        scene.journal.break_next("append", Fault.NOT_DONE)

        with pytest.raises(OutcomeUnknownError):
            await soon(scene.ask(request(), actor_id=actor_id))
        await scene.serving_again()

        assert (scene.worker.office.sent == 0) is (distance == "far")
        assert await units(scene) == (STOCK, 0)


@virtual_time
async def test_a_repeat_with_its_key_reaches_the_process_that_there_is() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        first, again = [await scene.worker.begin("move:shop/k1") for _ in range(2)]
        scene.journal.break_next("append", Fault.DONE)

        with pytest.raises(OutcomeUnknownError):
            await soon(scene.ask_once(once(first, request())))
        await scene.serving_again()
        outcome = succeeded(await soon(scene.ask_once(once(again, request()))))

        assert outcome.actor_id == first
        assert (await decided(scene, first)).status == "done"
        assert await units(scene) == (STOCK - 3, 3)


@virtual_time
async def test_a_process_begins_under_a_key_at_a_worker_that_did_not_take_its_number() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        stranger = (1 << 30) << SHARD_BITS | HERE & SHARD_MASK  # of a number that another one took

        outcome = succeeded(await soon(scene.ask_once(once(stranger, request()))))

        assert outcome.actor_id == stranger
        assert (await decided(scene, stranger)).status == "done"


def once(actor_id: int, command: Command) -> KeyedRequest:
    return KeyedRequest(
        actor_id=actor_id, command=command, principal="shop", key="k1", request_digest=b"1" * 16
    )


@virtual_time
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("number", range(len(ROWS)))
async def test_a_move_comes_to_its_end_whichever_append_fails(number: int, fault: Fault) -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        actor_id = await scene.worker.begin(None)
        requested = scene.ask(request(), actor_id=actor_id)
        before = 1 + number  # the stock's, and those of the rows before
        while len(rows_of(scene)) < before:  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        scene.journal.break_next("append", fault)
        await asyncio.wait([requested])
        requested.exception()
        await asyncio.sleep(5)

        if scene.kinds(actor_id=actor_id):
            assert (await decided(scene, actor_id)).status == "done"
            await ended(scene, actor_id)
            assert await units(scene) == (STOCK - 3, 3)
        else:
            assert await units(scene) == (STOCK, 0)


def rows_of(scene: Scene) -> list[str]:
    return [kind for actor_id in scene.database.rows for kind in scene.kinds(actor_id=actor_id)]


@virtual_time
@pytest.mark.parametrize("number", range(1, len(ROWS)))
async def test_whoever_takes_over_finishes_what_the_dead_had_begun(number: int) -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as dying:
        await dying.stock(STOCK, actor_id=HERE)
        actor_id = await dying.worker.begin(None)
        dying.tell(request(), actor_id=actor_id)
        while len(rows_of(dying)) < 1 + number:  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        await dying.crash()
    await asyncio.sleep(DEAD_AFTER_MS / 1000 + 1)

    async with serving(database) as heir:
        await heir.serving_again()
        await ended(heir, actor_id)

        assert (await decided(heir, actor_id)).status == "done"
        assert await units(heir) == (STOCK - 3, 3)


@virtual_time
async def test_moves_and_orders_share_what_there_is() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        orders = [scene.ask(PlaceOrder(quantity=1), actor_id=HERE) for _ in range(STOCK)]
        moves = [await begun(scene, 1) for _ in range(STOCK)]
        await asyncio.gather(*orders)
        statuses = [(await decided(scene, each)).status for each in moves]

        here, there = await units(scene)
        assert (here, there) == (0, statuses.count("done"))
        for each in moves:
            await ended(scene, each)


@virtual_time
async def test_whoever_waits_for_a_move_hears_when_its_worker_loses_it() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        actor_id = await begun(scene)
        append = scene.journal.hold("append")
        waiting = asyncio.ensure_future(scene.worker.look(actor_id, MoveQuery(decided=True)))
        await append.reached()
        scene.journal.break_next("append", Fault.NOT_DONE)
        append.release()

        with pytest.raises(AllocatorError):
            await soon(waiting)
        await scene.serving_again()
        assert (await decided(scene, actor_id)).status == "done"


@virtual_time
async def test_without_the_database_no_actor_comes_into_being() -> None:
    async with serving() as scene:
        scene.journal.break_next("numbers")

        with pytest.raises(UnavailableError):
            await soon(scene.worker.begin(None))

        assert await soon(scene.worker.begin(None))


@virtual_time
async def test_ids_are_of_the_shard_that_their_scope_says_and_never_twice_the_same() -> None:
    async with serving() as scene:
        ids = [await scene.worker.begin("move:shop/k1") for _ in range(2_500)]

        assert len({each & 255 for each in ids}) == 1
        assert len(set(ids)) == len(ids)


@virtual_time
async def test_what_anybody_may_have_is_spread_over_the_shards_that_are_ours() -> None:
    async with serving() as scene:
        everywhere = [await scene.worker.begin(None) & SHARD_MASK for _ in range(SHARDS)]
        scene.worker.shards = frozenset({3, 5})
        ours = [await scene.worker.begin(None) & SHARD_MASK for _ in range(10)]

        assert sorted(everywhere) == list(range(SHARDS))
        assert (ours.count(3), ours.count(5)) == (5, 5)


@virtual_time
async def test_an_id_whose_shard_was_elsewhere_meanwhile_is_looked_up() -> None:
    """Whoever had the shard may have used it: it must not begin again from nothing."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database, server="one", address="a") as first:
        actor_id = await first.worker.begin(None)
        await first.worker.give(frozenset({actor_id & SHARD_MASK}))
        async with serving(database, server="one", address="b") as other:
            await other.worker.claim()
            opened = OpenTicketOption(name="Gig", desc="", allocation=5)
            succeeded(await soon(other.ask(opened, actor_id=actor_id)))
            await other.crash()
        await asyncio.sleep(DEAD_AFTER_MS / 1000 + 1)
        await first.worker.claim()

        balance = (await soon(first.worker.look(actor_id, BalanceQuery()))).balance

        assert balance is not None
        assert (balance.version, balance.available) == (1, 5)


@virtual_time
async def test_an_outage_of_any_length_does_not_end_the_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        office = scene.worker.office
        asker, office.asker = office.asker, Deaf()
        monkeypatch.setattr(Near, "is_near", lambda _self, _actor_id: False)
        actor_id = await begun(scene)
        await asyncio.sleep(3 * 3600)
        office.asker = asker

        assert (await decided(scene, actor_id)).status == "done"


class Deaf:
    """Takes no ask."""

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        raise UnavailableError(reason=f"{actor_id} {command} {principal}")


@virtual_time
async def test_a_crowd_that_waits_for_a_stuck_move_gives_up_and_leaves_nothing_behind() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        nowhere = HERE + 1_024
        scene.worker.directory.quarantined[nowhere] = QuarantinedError(actor_id=nowhere, why="test")
        actor_id = await scene.worker.begin(None)
        succeeded(await soon(scene.ask(request(destination=nowhere), actor_id=actor_id)))
        query = MoveQuery(decided=True)
        crowd = [asyncio.ensure_future(scene.worker.look(actor_id, query)) for _ in range(50)]
        await asyncio.sleep(PATIENCE_S / 2)
        assert scene.worker.writer.unanswered >= len(crowd)
        crowd[0].cancel()

        told = await asyncio.gather(*crowd, return_exceptions=True)

        assert {type(each) for each in told[1:]} == {UnavailableError}
        await asyncio.sleep(1)
        assert scene.worker.writer.unanswered == 0
