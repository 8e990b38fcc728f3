"""Actors of one worker ask each other without waiting for the journal, and fall together."""

import asyncio
from collections.abc import Callable

import pytest

from allocator.actors.messages import Answer
from allocator.actors.near import Near
from allocator.domain.ids import SHARD_MASK
from allocator.domain.kinds import Command
from allocator.domain.moves import RequestMove
from allocator.domain.queries import BalanceQuery, MoveQuery
from allocator.errors import OutcomeUnknownError, UnavailableError
from tests.builders import ACTOR
from tests.memory_journal import Fault
from tests.scene import Scene, serving, soon, succeeded
from tests.virtual_time import virtual_time

HERE, THERE = ACTOR, ACTOR + 257
STOCK = 10


def request() -> RequestMove:
    return RequestMove(
        product="tea",
        source=HERE,
        destination=THERE,
        from_code="here",
        to_code="there",
        quantity=3,
        expects=False,
    )


async def available(scene: Scene, place: int) -> int:
    balance = (await soon(scene.worker.look(place, BalanceQuery()))).balance
    assert balance is not None
    return balance.available


@virtual_time
async def test_what_neighbours_do_for_each_other_is_stored_together() -> None:
    """The request in one append at most; all that came of it while that was under way, in one."""
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        await available(scene, THERE)
        before = scene.worker.writer.statistics.appends
        move = await scene.worker.begin(None)
        succeeded(await soon(scene.ask(request(), actor_id=move)))
        await soon(scene.worker.look(move, MoveQuery(decided=True)))
        await scene.worker.writer.flush()

        assert scene.kinds(actor_id=move)[-1] == "move_ended"
        assert scene.worker.writer.statistics.appends - before <= 2


@virtual_time
async def test_nothing_that_neighbours_did_outlives_what_they_did_it_for() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        await available(scene, THERE)
        move = await scene.worker.begin(None)
        append = scene.journal.hold("append")
        requested = scene.ask(request(), actor_id=move)
        await append.reached()
        assert scene.worker.office.sent > 0
        scene.journal.break_next("append", Fault.NOT_DONE)
        append.release()

        with pytest.raises(OutcomeUnknownError):
            await soon(requested)
        await scene.serving_again()

        assert scene.kinds(actor_id=move) == []
        assert scene.kinds(actor_id=HERE) == ["stock_received"]
        assert (await available(scene, HERE), await available(scene, THERE)) == (STOCK, 0)


@virtual_time
async def test_a_neighbour_who_is_being_recovered_is_heard_when_he_is_there() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        recovering = scene.journal.hold("origin")
        move = await scene.worker.begin(None)
        succeeded(await soon(scene.ask(request(), actor_id=move)))
        await recovering.reached()
        recovering.release()

        await soon(scene.worker.look(move, MoveQuery(decided=True)))
        assert await available(scene, THERE) == 3


@virtual_time
async def test_a_neighbour_who_moves_away_is_asked_where_he_is() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        move = await scene.worker.begin(None)
        asking = scene.ask(request(), actor_id=move)
        scene.worker.shards -= {THERE & SHARD_MASK}
        await soon(asking)
        while "units_sent" not in scene.kinds(actor_id=HERE):  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        assert scene.kinds(actor_id=THERE) == []
        await asyncio.sleep(5)  # the shard has been claimed again

        assert "move_done" in scene.kinds(actor_id=move)
        assert await available(scene, THERE) == 3


@virtual_time
async def test_who_has_heard_something_has_something_to_lose() -> None:
    """Else he would go on believing it when the row behind it turned out not to be stored."""
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        append = scene.journal.hold("append")
        scene.tell(request(), actor_id=HERE + 512)
        await append.reached()
        process = scene.worker.directory.get(HERE + 512)
        before = process.unanswered
        process.lean()

        assert process.unanswered == before + 1
        scene.journal.break_next("append", Fault.NOT_DONE)
        append.release()
        await scene.serving_again()
        assert not scene.worker.directory.hosts(process)


class Distant:
    """Reaches one place only when it is told to; all others as ever."""

    def __init__(self, scene: Scene, place: int) -> None:
        self._asker = scene.worker.office.asker
        self._place = place
        self.reaches = True

    def ask(
        self, actor_id: int, command: Command, *, principal: str = ""
    ) -> asyncio.Future[Answer]:
        if actor_id == self._place and not self.reaches:
            raise UnavailableError(reason="it is far away")
        return self._asker.ask(actor_id, command, principal=principal)


@virtual_time
async def test_a_word_that_was_never_stored_is_forgotten_by_whoever_took_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One place is recovered and lets go, the other is far away; the row of the first is lost."""
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        monkeypatch.setattr(Near, "is_near", lambda _self, actor_id: actor_id == HERE)
        distant = scene.worker.office.asker = Distant(scene, THERE)
        move = await scene.worker.begin(None)
        succeeded(await soon(scene.ask(request(), actor_id=move)))
        while "units_taken" not in scene.kinds(actor_id=THERE):  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        distant.reaches = False
        directory = scene.worker.directory
        directory.drop([directory.get(HERE)], because=OutcomeUnknownError())
        recovering = scene.journal.hold("origin")
        await recovering.reached()  # whom the move asks to let go, as soon as it is done
        while "move_done" not in scene.kinds(actor_id=move):  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        await scene.worker.writer.flush()
        scene.journal.break_next("append", Fault.NOT_DONE)
        recovering.release()
        await scene.serving_again()
        distant.reaches = True
        await asyncio.sleep(5)

        assert scene.kinds(actor_id=move)[-1] == "move_ended"
        assert scene.kinds(actor_id=HERE)[-1] == "process_let_go"


@virtual_time
@pytest.mark.parametrize("is_near", [True, False])
async def test_a_process_decides_nothing_while_its_shard_is_given_away(
    monkeypatch: pytest.MonkeyPatch, *, is_near: bool
) -> None:
    """The row would be stored when another worker has the shard, and has recovered it without."""
    monkeypatch.setattr(Near, "is_near", lambda _self, _actor_id: is_near)
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        move = await scene.worker.begin(None)
        asking = scene.ask(request(), actor_id=move)
        scene.worker.shards -= {move & SHARD_MASK}
        await soon(asking)
        await asyncio.sleep(0.2)

        assert scene.kinds(actor_id=move) == ["move_requested"]
        await asyncio.sleep(5)  # the shard has been claimed again
        assert scene.kinds(actor_id=move)[-1] == "move_ended"


@virtual_time
async def test_a_word_on_its_way_is_void_once_whoever_gave_it_was_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else units would arrive that have never left."""
    said: list[Callable[[], None]] = []
    soon_as_ever = Near.soon

    def slowly(self: Near, step: Callable[[], None]) -> None:
        is_word = getattr(getattr(step, "func", None), "__name__", "") == "_tell_near"
        said.append(step) if is_word and not said else soon_as_ever(self, step)

    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        directory = scene.worker.directory
        directory.drop([directory.get(HERE)], because=OutcomeUnknownError())
        recovering = scene.journal.hold("origin")
        monkeypatch.setattr(Near, "soon", slowly)
        move = await scene.worker.begin(None)
        succeeded(await soon(scene.ask(request(), actor_id=move)))
        await recovering.reached()
        await scene.worker.writer.flush()
        scene.journal.break_next("append", Fault.NOT_DONE)
        recovering.release()
        while not said:  # noqa: ASYNC110 (virtual time)
            await asyncio.sleep(0)
        await scene.serving_again()
        assert "units_sent" not in scene.kinds(actor_id=HERE)
        said[0]()
        await asyncio.sleep(5)

        assert scene.kinds(actor_id=move)[-1] == "move_ended"
        assert await available(scene, HERE) + await available(scene, THERE) == STOCK
