"""When answers leave: with the turn that they joined, and never before it."""

import asyncio

import pytest

from allocator.actors.actor import Actor
from allocator.actors.errands import Office
from allocator.actors.messages import Answer, Envelope, Noted, Outcome, Read, Reply
from allocator.actors.near import Near
from allocator.actors.writer import JournalWriter
from allocator.domain.messages import Command, InsufficientStock
from allocator.domain.pool import Pool
from allocator.errors import JournalError, OutcomeUnknownError
from allocator.persistence.memory.database import MemoryDatabase
from tests.builders import ACTOR, HOUR_MS, place, receive
from tests.memory_journal import Fault, MemoryJournal
from tests.scene import soon
from tests.virtual_time import START_MS, now_ms, settle, virtual_time

OTHER = ACTOR + 256


class Nobody:
    """Whom these actors ask, who ask nothing."""

    def ask(self, actor_id: int, command: object, *, principal: str = "") -> asyncio.Future[Answer]:
        raise AssertionError((actor_id, command, principal))

    def is_ours(self, actor_id: int) -> bool:
        raise AssertionError(actor_id)

    def active(self, actor_id: int) -> Actor | None:
        raise AssertionError(actor_id)

    def tell(self, actor_id: int, command: object, reply: Reply) -> None:
        raise AssertionError((actor_id, command, reply))


def actor_of(writer: JournalWriter, actor_id: int) -> Actor:
    near = Near(Nobody(), clock=now_ms)
    office = Office(asker=Nobody(), proven_ms=now_ms, is_hosted=lambda _: True, near=near)
    return Actor(actor_id, writer=writer, office=office, clock=now_ms, mailbox_max=1000)


class Desk:
    """A writer with two actors and no worker: a repair only notes what it was told."""

    def __init__(self, *, batch_max: int = 1000) -> None:
        self.database = MemoryDatabase(clock=now_ms)
        self.journal = MemoryJournal(self.database)
        self.writer = JournalWriter(
            self.journal, clock=now_ms, batch_max=batch_max, repair=self._repair
        )
        self.actors = {actor_id: self._actor(actor_id) for actor_id in (ACTOR, OTHER)}
        self.repaired: list[tuple[str, set[Actor]]] = []
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> "Desk":
        """Begin to write."""
        await self.journal.renew()
        self._task = asyncio.create_task(self.writer.run())
        for actor in self.actors.values():
            actor.activate(Pool(), digest=b"", snapshot_seq=0, wake_at_ms=None)
        return self

    def ask(self, command: Command | Read, *, actor_id: int = ACTOR) -> asyncio.Future[Answer]:
        """Send a message."""
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.actors[actor_id].tell(Envelope(command, reply))
        return reply

    def tell(self, command: Command, *, actor_id: int = ACTOR) -> None:
        """Send a message to whose answer nobody listens."""
        self.actors[actor_id].tell(Envelope(command))

    def repeat(self, answer: Answer) -> asyncio.Future[Answer]:
        """Have an answer confirmed that no actor thinks about."""
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.writer.repeat(reply, answer)
        return reply

    @property
    def unanswered(self) -> int:
        """Messages counted and not counted down, everywhere."""
        return self.writer.unanswered + sum(each.unanswered for each in self.actors.values())

    def _actor(self, actor_id: int) -> Actor:
        return actor_of(self.writer, actor_id)

    async def _repair(self, error: JournalError, unreleased: list[Actor]) -> None:
        self.repaired.append((str(error), set(unreleased)))
        await self.journal.renew()


def look() -> Read:
    return Read(lambda _: None)


@virtual_time
async def test_no_answer_leaves_before_its_append_has_committed() -> None:
    """Q7, N16: what was answered is durable."""
    desk = await Desk().open()
    sending = desk.journal.hold("append")
    answer = desk.ask(receive(5))
    await sending.reached()

    assert not answer.done()
    assert desk.database.journal_of(ACTOR) == []

    sending.release()

    assert isinstance(await soon(answer), Outcome)
    assert [record.seq for record in desk.database.journal_of(ACTOR)] == [1]


@virtual_time
async def test_no_answer_leaves_before_the_commit_is_known() -> None:
    desk = await Desk().open()
    returning = desk.journal.hold("append", done=True)
    answer = desk.ask(receive(5))
    await returning.reached()

    assert not answer.done()

    returning.release()

    assert isinstance(await soon(answer), Outcome)


@virtual_time
async def test_a_refusal_waits_for_something_sent_after_its_decision() -> None:
    """A deposed writer's "out of stock" writes nothing, so only a later proof can vouch for it."""
    desk = await Desk().open()
    appending, confirming = desk.journal.hold("append"), desk.journal.hold("confirm")
    order = desk.ask(receive(5))
    await appending.reached()
    refused = desk.ask(place(6))
    appending.release()
    await soon(order)
    await confirming.reached()

    assert not refused.done()

    confirming.release()

    assert await soon(refused) == InsufficientStock(requested=6, available=5)


@virtual_time
async def test_a_refusal_leaves_with_the_next_append_if_there_is_one() -> None:
    desk = await Desk().open()
    first, second = desk.journal.hold("append"), desk.journal.hold("append")
    desk.tell(receive(5))
    await first.reached()
    refused, stock = desk.ask(place(6)), desk.ask(receive(1), actor_id=OTHER)
    first.release()
    await second.reached()

    assert not refused.done()

    second.release()
    await soon(asyncio.gather(refused, stock))

    assert desk.journal.count("confirm") == 0


@virtual_time
async def test_a_read_waits_for_the_events_that_it_saw() -> None:
    desk = await Desk().open()
    seen: list[int] = []
    appending = desk.journal.hold("append")
    desk.tell(receive(5))
    read = desk.ask(Read(lambda pool: seen.append(pool.version)))
    await appending.reached()

    assert seen == [1]
    assert not read.done()

    appending.release()

    assert await soon(read) == Noted()


@virtual_time
async def test_all_that_is_decided_during_an_append_travels_in_the_next() -> None:
    """Group commit: one round trip for everybody who came meanwhile."""
    desk = await Desk().open()
    appending = desk.journal.hold("append")
    desk.tell(receive(500))
    await appending.reached()
    orders = [desk.ask(place(1)) for _ in range(200)]
    appending.release()
    await soon(asyncio.gather(*orders))

    assert [
        rows for name, what, rows in desk.journal.log if (name, what) == ("append", "sent")
    ] == [
        1,
        200,
    ]


@pytest.mark.parametrize("batch_max", [1, 3, 4])
def test_no_append_is_larger_than_allowed_and_their_order_is_that_of_the_decisions(
    batch_max: int,
) -> None:
    """Q6: first in, first out, and the sequence numbers prove it."""

    @virtual_time
    async def scenario() -> None:
        desk = await Desk(batch_max=batch_max).open()
        appending = desk.journal.hold("append")
        desk.tell(receive(100))
        await appending.reached()
        asked = [desk.ask(place(n + 1), actor_id=ACTOR) for n in range(9)]
        asked += [desk.ask(place(1), actor_id=OTHER)]  # a refusal rides along
        appending.release()
        answers = await soon(asyncio.gather(*asked))
        sizes = desk.journal.appends()

        assert max(sizes) <= batch_max
        assert sum(sizes) == 10
        assert [each.seq for each in answers if isinstance(each, Outcome)] == list(range(2, 11))
        assert desk.journal.violations == []
        assert desk.unanswered == 0

    scenario()


@virtual_time
async def test_one_append_is_in_flight_at_a_time() -> None:
    """The primary key alone would accept seq 3 after the append with seq 2 failed."""
    desk = await Desk(batch_max=1).open()
    desk.journal.latency_s = lambda _: 0.001
    answers = [desk.ask(receive(1), actor_id=each) for each in (ACTOR, OTHER) * 10]
    await soon(asyncio.gather(*answers))

    assert desk.journal.violations == []


@pytest.mark.parametrize("fault", list(Fault))
def test_after_an_unknown_append_everything_unreleased_is_unknown(fault: Fault) -> None:
    """Events, refusals, reads and repeats, whichever turn they waited for."""

    @virtual_time
    async def scenario() -> None:
        desk = await Desk(batch_max=2).open()
        await soon(desk.ask(receive(5)))
        appending = desk.journal.hold("append")
        desk.journal.break_next("append", fault)
        first = desk.ask(place(1))
        await appending.reached()
        waiting = [
            first,
            *(desk.ask(place(1)) for _ in range(3)),
            desk.ask(place(9)),
            desk.ask(look()),
            desk.ask(receive(1), actor_id=OTHER),
            desk.repeat(Noted()),
        ]
        appending.release()
        results = await soon(asyncio.gather(*waiting, return_exceptions=True))

        assert [type(each) for each in results] == [OutcomeUnknownError] * len(waiting)
        assert desk.writer.unanswered == 0
        [(error, unreleased)] = desk.repaired

        assert error.startswith("append: ")
        assert unreleased == set(desk.actors.values())

    scenario()


@virtual_time
async def test_an_actor_with_nothing_unreleased_is_not_given_up() -> None:
    desk = await Desk().open()
    await soon(desk.ask(receive(5), actor_id=OTHER))
    desk.journal.break_next("append")
    answer = desk.ask(receive(5))
    with pytest.raises(OutcomeUnknownError):
        await soon(answer)

    assert desk.repaired == [("append: PostgreSQL did not do it", {desk.actors[ACTOR]})]


@virtual_time
async def test_a_confirm_that_fails_gives_up_like_an_append() -> None:
    desk = await Desk().open()
    desk.journal.break_next("confirm")
    refused = desk.ask(place(1))
    with pytest.raises(OutcomeUnknownError):
        await soon(refused)

    assert desk.repaired == [("confirm: PostgreSQL did not do it", {desk.actors[ACTOR]})]


@virtual_time
async def test_nothing_is_sent_before_the_repair_is_done() -> None:
    desk = await Desk().open()
    desk.journal.break_next("append")
    renewing = desk.journal.hold("renew")
    desk.ask(receive(5)).add_done_callback(lambda lost: lost.exception())
    await renewing.reached()
    later = desk.ask(look(), actor_id=OTHER)
    await settle()

    assert (desk.journal.count("append"), desk.journal.count("confirm")) == (1, 0)

    renewing.release()

    assert await soon(later) == Noted()


@virtual_time
async def test_doubt_ends_what_was_decided_after_the_last_commit() -> None:
    desk = await Desk().open()
    desk.writer.doubt(JournalError("the heartbeat says so"))
    refused = desk.ask(place(1))
    with pytest.raises(OutcomeUnknownError):
        await soon(refused)

    assert [error for error, _ in desk.repaired] == ["the heartbeat says so"]


@virtual_time
async def test_doubt_without_any_message_has_the_incarnation_replaced() -> None:
    desk = await Desk().open()
    desk.writer.doubt(JournalError("the heartbeat says so"))
    await settle()

    assert desk.repaired == [("the heartbeat says so", set())]


@virtual_time
async def test_one_failure_has_one_repair_however_often_it_is_noticed() -> None:
    """A heartbeat that finds out as well must not give up what the new incarnation decides."""
    desk = await Desk().open()
    appending, renewing = desk.journal.hold("append"), desk.journal.hold("renew")
    desk.journal.break_next("append")
    lost = desk.ask(receive(5))
    await appending.reached()
    desk.writer.doubt(JournalError("noticed before"))
    appending.release()
    await renewing.reached()
    desk.writer.doubt(JournalError("noticed during the repair"))
    renewing.release()
    with pytest.raises(OutcomeUnknownError):
        await soon(lost)

    assert await soon(desk.ask(look(), actor_id=OTHER)) == Noted()
    assert len(desk.repaired) == 1


@virtual_time
async def test_a_caller_who_left_costs_the_others_nothing() -> None:
    desk = await Desk().open()
    appending = desk.journal.hold("append")
    gone, stays = desk.ask(receive(5)), desk.ask(place(1))
    await appending.reached()
    gone.cancel()
    appending.release()

    assert isinstance(await soon(stays), Outcome)
    assert [record.seq for record in desk.database.journal_of(ACTOR)] == [1, 2]
    assert desk.unanswered == 0


@virtual_time
async def test_a_caller_who_left_before_a_failure_is_counted_down_too() -> None:
    desk = await Desk().open()
    desk.journal.break_next("append")
    desk.ask(receive(5)).cancel()
    await settle()

    assert desk.writer.unanswered == 0
    assert len(desk.repaired) == 1


@virtual_time
async def test_a_flush_returns_when_everything_is_answered_and_not_before() -> None:
    desk = await Desk().open()
    appending = desk.journal.hold("append")
    answer = desk.ask(receive(5))
    flush = asyncio.ensure_future(desk.writer.flush())
    await appending.reached()
    refused = desk.ask(place(6))
    await settle()

    assert not flush.done()

    appending.release()
    await soon(flush)

    assert (answer.done(), refused.done()) == (True, True)


@virtual_time
async def test_a_flush_of_nothing_returns_at_once() -> None:
    desk = await Desk().open()
    await soon(desk.writer.flush())

    assert desk.journal.count("confirm") == 0


@virtual_time
async def test_a_wake_up_time_is_stored_with_the_row_that_sets_it() -> None:
    desk = await Desk().open()
    soon_ms = START_MS + HOUR_MS
    await soon(desk.ask(receive(5, expires_at_ms=soon_ms)))

    assert desk.database.wakes == {ACTOR: soon_ms}

    await soon(desk.ask(place(5)))

    assert desk.database.wakes == {}


@virtual_time
async def test_a_wake_up_time_is_right_after_each_append_of_a_split_decision() -> None:
    """Were it stored with the last rows only, a failure in between would leave the old one."""
    desk = await Desk(batch_max=1).open()
    times_ms = [START_MS + hours * HOUR_MS for hours in (3, 2, 1)]
    actor = desk.actors[ACTOR] = actor_of(desk.writer, ACTOR)
    for at_ms in times_ms:
        desk.tell(receive(1, expires_at_ms=at_ms))
    returning = [desk.journal.hold("append", done=True) for _ in times_ms]
    actor.activate(Pool(), digest=b"", snapshot_seq=0, wake_at_ms=None)
    stored: list[int] = []
    for each in returning:
        await each.reached()
        stored.append(desk.database.wakes[ACTOR])
        each.release()
    await settle()

    assert stored == times_ms


@virtual_time
async def test_the_statistics_count_what_was_sent() -> None:
    desk = await Desk().open()
    await soon(desk.ask(receive(5)))
    await soon(asyncio.gather(*(desk.ask(place(1)) for _ in range(5))))
    await soon(desk.ask(look()))
    desk.journal.break_next("confirm")
    with pytest.raises(OutcomeUnknownError):
        await soon(desk.ask(look()))
    statistics = desk.writer.statistics

    assert (statistics.appends, statistics.rows, statistics.rows_max) == (2, 6, 5)
    assert (statistics.confirms, statistics.failures) == (1, 1)
