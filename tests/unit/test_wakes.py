"""Actors are told when their time has come, however many others cannot do what they want."""

import asyncio

import pytest

from allocator.actors import wakes
from allocator.actors.errands import Asker
from allocator.actors.limits import Limits
from allocator.actors.messages import Answer
from allocator.actors.near import Near
from allocator.domain.kinds import Command
from allocator.domain.messages import InsufficientStock
from allocator.domain.moves import RequestMove
from allocator.domain.transfers import TakeIn
from allocator.errors import QuarantinedError
from allocator.persistence.memory.database import MemoryDatabase
from tests.builders import ACTOR
from tests.scene import Scene, serving, soon
from tests.virtual_time import START_MS, now_ms, virtual_time

SOURCE = ACTOR + 256
STUCK_FROM = 1 << 20
LATER_MS = 20_000
PAGE, PAGES_MAX = 10, 3
EVERY_S = wakes.EVERY_MS / 1000
EXPIRED = ["stock_received", "lot_expired"]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crowds of a size that tests can afford."""
    monkeypatch.setattr(wakes, "PAGE", PAGE)
    monkeypatch.setattr(wakes, "PAGES_MAX", PAGES_MAX)
    monkeypatch.setattr(wakes, "WOKEN_MAX", PAGE)


def quarantine(scene: Scene, actor_id: int) -> None:
    """Have an actor that cannot be replayed."""
    error = QuarantinedError(actor_id=actor_id, why="of a test")
    scene.worker.directory.quarantined[actor_id] = error


def never_woken(scene: Scene, count: int, *, shard: int = 0) -> list[int]:
    """Have actors want to be woken, longer than all others, who never can be."""
    stuck = [STUCK_FROM + (number << 8) + shard for number in range(count)]
    for number, actor_id in enumerate(stuck):
        scene.database.wakes[actor_id] = START_MS - count + number
        quarantine(scene, actor_id)
    return stuck


class Silent:
    """Whom to ask in vain."""

    def ask(
        self, _actor_id: int, _command: Command, *, principal: str = ""
    ) -> "asyncio.Future[Answer]":
        """Never answer."""
        assert not principal
        return asyncio.get_running_loop().create_future()


class Confused:
    """Whom to ask, unless it is for room."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> "asyncio.Future[Answer]":
        """Say what is no answer to that."""
        if not isinstance(command, TakeIn):
            return self._asker.ask(actor_id, command, principal=principal)
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        reply.set_result(InsufficientStock(requested=1, available=0))
        return reply


async def begin_moves(scene: Scene, count: int) -> list[int]:
    """Have moves begin from another pool to the usual one."""
    begun = []
    for _ in range(count):
        actor_id = await scene.worker.begin(None)
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
        begun.append(actor_id)
    return begun


async def expired(scene: Scene) -> None:
    """Wait until the lot of the usual pool has expired, and ask nobody about it."""
    while scene.kinds() != EXPIRED:  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.1)


@virtual_time
async def test_those_who_can_never_be_woken_do_not_keep_the_others_asleep() -> None:
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        never_woken(scene, 25 * PAGE)
        await scene.stock(5, expires_at_ms=START_MS + LATER_MS)
        await asyncio.sleep(LATER_MS / 1000)

        async with asyncio.timeout((25 / PAGES_MAX + 2) * EVERY_S):
            await expired(scene)


@virtual_time
async def test_processes_that_wait_for_others_do_not_keep_anybody_asleep() -> None:
    async with serving() as scene:
        quarantine(scene, SOURCE)
        await begin_moves(scene, 5 * PAGE)
        await scene.stock(5, expires_at_ms=START_MS + LATER_MS)
        await asyncio.sleep(LATER_MS / 1000)

        async with asyncio.timeout((5 / PAGES_MAX + 2) * EVERY_S):
            await expired(scene)


@virtual_time
async def test_whoever_could_not_be_woken_is_as_soon_as_that_is_possible() -> None:
    """The crowd is read again and again, from its beginning."""
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        never_woken(scene, 7 * PAGE)
        await scene.stock(5, expires_at_ms=START_MS + 20_000)
        await asyncio.sleep(10)
        quarantine(scene, ACTOR)
        scene.database.wakes[ACTOR] = START_MS - 3 * PAGE
        await asyncio.sleep(60)

        assert scene.kinds() == ["stock_received"]

        del scene.worker.directory.quarantined[ACTOR]
        async with asyncio.timeout((7 / PAGES_MAX + 2) * EVERY_S):
            await expired(scene)


@virtual_time
async def test_who_has_to_be_recovered_comes_in_bounded_numbers() -> None:
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        pools = [ACTOR + (number << 8) for number in range(3 * PAGE)]
        for actor_id in pools:
            await scene.stock(1, actor_id=actor_id, expires_at_ms=START_MS + LATER_MS)
        await asyncio.sleep(LATER_MS / 1000 - 5)
        assert len(scene.worker.directory) == 0
        scene.journal.latency_s = lambda operation: 9.0 if operation == "origin" else 0.0
        await asyncio.sleep(5 + EVERY_S)

        assert len(scene.worker.directory) == PAGE

        scene.journal.heal()
        await asyncio.sleep(20)

        assert [scene.kinds(actor_id=each) for each in pools] == [EXPIRED] * len(pools)


@virtual_time
async def test_an_actor_that_is_being_recovered_is_not_told_again_and_again() -> None:
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        await scene.stock(5, expires_at_ms=START_MS + LATER_MS)
        await asyncio.sleep(LATER_MS / 1000 - 5)
        origin = scene.journal.hold("origin")
        await origin.reached()
        await asyncio.sleep(20 * EVERY_S)

        assert scene.worker.writer.unanswered == 1

        origin.release()
        await expired(scene)


@virtual_time
async def test_a_process_that_began_when_the_clock_was_ahead_goes_on_in_the_next_life() -> None:
    clock_ahead_ms, database = 3_600_000, MemoryDatabase(clock=now_ms)
    async with serving(database, clock=lambda: now_ms() + clock_ahead_ms) as scene:
        quarantine(scene, SOURCE)
        [move] = await begin_moves(scene, 1)
        await scene.crash()
    async with serving(database) as scene:
        async with asyncio.timeout(60):
            await scene.serving_again()
        await asyncio.sleep(2 * EVERY_S)

        assert scene.kinds(actor_id=move)[-1] == "move_ended"


@virtual_time
async def test_how_long_a_process_stands_first_is_known() -> None:
    """Of the others nobody knows since when, nor of those who are due that they came later."""
    async with serving() as scene:
        quarantine(scene, SOURCE)
        await begin_moves(scene, 3 * PAGE)
        await asyncio.sleep(30)
        standing_ms = scene.worker.wakes.lag_ms()
        [due] = never_woken(scene, 1)
        scene.database.wakes[due] = now_ms() - 90_000
        await asyncio.sleep(3 * EVERY_S)
        due_ms = scene.worker.wakes.lag_ms()
        del scene.worker.directory.quarantined[SOURCE]
        scene.database.wakes.clear()
        await asyncio.sleep(2 * EVERY_S)

        assert 29_000 < standing_ms < 31_000
        assert 90_000 < due_ms < 92_000
        assert scene.worker.wakes.lag_ms() == 0


@virtual_time
async def test_a_process_that_waits_for_others_costs_nothing() -> None:
    async with serving() as scene:
        quarantine(scene, SOURCE)
        await begin_moves(scene, 1)
        scene.worker.office.asker = Silent()
        await asyncio.sleep(10)
        turns = scene.journal.count("confirm")
        await asyncio.sleep(60)

        assert scene.journal.count("confirm") == turns


@virtual_time
async def test_a_process_that_an_answer_told_nothing_asks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is a bug to be told such a thing; units that are on their way arrive all the same."""
    monkeypatch.setattr(Near, "is_near", lambda _self, _actor_id: False)
    async with serving() as scene:
        await scene.stock(5, actor_id=SOURCE)
        scene.worker.office.asker = Confused(scene.worker)
        [move] = await begin_moves(scene, 1)
        await asyncio.sleep(60)

        assert scene.kinds(actor_id=move)[-1] == "move_sent"

        scene.worker.office.asker = scene.worker
        await asyncio.sleep(5)

        assert scene.kinds(actor_id=move)[-1] == "move_ended"


@virtual_time
async def test_a_worker_is_told_of_its_own_shards_alone() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with (
        serving(database, server="ours", address="a") as scene,
        serving(database, server="ours", address="b") as other,
    ):
        never_woken(scene, 1, shard=0)
        assert await scene.worker.give(frozenset(range(128)))
        await other.worker.claim()
        await asyncio.sleep(5)

        assert scene.worker.wakes.lag_ms() == 0
        assert other.worker.wakes.lag_ms() > 5_000


@virtual_time
async def test_a_standby_asks_for_no_wake_ups() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database), serving(database) as standby:
        await asyncio.sleep(60)

        assert standby.journal.count("due_wakes") == 0


@virtual_time
async def test_how_long_somebody_has_wanted_to_be_woken_is_known() -> None:
    async with serving() as scene:
        assert scene.worker.wakes.lag_ms() == 0

        never_woken(scene, 2 * PAGES_MAX * PAGE)
        for seconds in range(1, 20):
            await asyncio.sleep(1)
            lag_ms = scene.worker.wakes.lag_ms()
            assert 0 <= lag_ms - 1_000 * seconds - 2 * PAGES_MAX * PAGE <= 1

        scene.database.wakes.clear()
        await asyncio.sleep(2 * EVERY_S)

        assert scene.worker.wakes.lag_ms() == 0
