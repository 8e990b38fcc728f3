"""An actor decides in order, counts every message down once, and survives its rules' mistakes."""

import asyncio
from collections.abc import Callable

import pytest

from allocator.actors.limits import Limits
from allocator.actors.messages import Answer, Envelope, Noted, Outcome, Read
from allocator.domain.adjustments import Adjust
from allocator.domain.kinds import State
from allocator.domain.messages import (
    CancelOrder,
    InsufficientStock,
    OrderNotOpen,
    OrderPlaced,
    ReceiveStock,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.reconciling import Reconcile, Statement
from allocator.errors import BrokenRuleError, OutcomeUnknownError, OverloadedError
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR, HOUR_MS, place, receive, units
from tests.scene import Scene, serving, soon, succeeded
from tests.virtual_time import START_MS, now_ms, settle, virtual_time

SOON_MS = START_MS + HOUR_MS
OTHER = ACTOR + 256
FEED = 9 << 8 | 1


def available_into(seen: list[int]) -> Callable[[State], None]:
    """A view that notes how much is available."""

    def view(pool: State) -> None:
        assert isinstance(pool, Pool)
        seen.append(pool.available)

    return view


def broken_decision() -> Read:
    """Return a message that raises while it is decided."""

    def view(_: State) -> None:
        raise ZeroDivisionError

    return Read(view)


UNSTORABLE = ReceiveStock(quantity=5, lot="\ud800")
"""A lone surrogate: HTTP refuses it, and no JSON can hold it. Decided, applied, never stored."""


def tell(scene: Scene, message: Read | Wake, *, actor_id: int = ACTOR) -> asyncio.Future[Answer]:
    reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    scene.worker.directory.get(actor_id).tell(Envelope(message, reply))
    return reply


@virtual_time
async def test_messages_that_wait_for_the_recovery_are_decided_in_their_order() -> None:
    """Q6."""
    async with serving() as scene:
        origin = scene.journal.hold("origin")
        asked = [scene.ask(command) for command in (receive(3), place(2), place(2), place(1))]
        await origin.reached()
        await settle()

        assert not any(each.done() for each in asked)

        origin.release()
        answers = await soon(asyncio.gather(*asked))

        assert [each.seq for each in answers if isinstance(each, Outcome)] == [1, 2, 3]
        assert answers[2] == InsufficientStock(requested=2, available=1)


@virtual_time
async def test_decisions_do_not_wait_for_the_commit_of_earlier_ones() -> None:
    """N5: a sold item is gone for every later order at once."""
    async with serving() as scene:
        await scene.stock(1)
        appending = scene.journal.hold("append")
        first = scene.ask(place(1))
        await appending.reached()
        second = scene.ask(place(1))
        appending.release()

        assert isinstance(await soon(first), Outcome)
        assert await soon(second) == InsufficientStock(requested=1, available=0)


@virtual_time
async def test_a_full_mailbox_refuses_at_once_and_nothing_else_is_lost() -> None:
    async with serving(limits=Limits(mailbox_max=3)) as scene:
        await scene.stock(10)
        appending = scene.journal.hold("append")
        accepted = [scene.ask(place(1)) for _ in range(3)]
        await appending.reached()
        with pytest.raises(OverloadedError, match="3 messages of this product and warehouse"):
            scene.tell(place(1))
        other = scene.ask(receive(1), actor_id=OTHER)
        appending.release()
        await soon(asyncio.gather(*accepted, other))

        assert (await scene.balance()).ordered == 3


@virtual_time
async def test_the_bound_counts_what_is_not_answered_yet_not_what_is_queued() -> None:
    """The drain empties the queue at once: a bound on the queue alone would bound nothing."""
    async with serving(limits=Limits(mailbox_max=2)) as scene:
        await scene.stock(10)
        returning = scene.journal.hold("append", done=True)
        accepted = [scene.ask(place(1)), scene.ask(place(1))]
        await returning.reached()
        with pytest.raises(OverloadedError):
            scene.tell(place(1))
        returning.release()
        await soon(asyncio.gather(*accepted))
        await scene.outcome(place(1))


@virtual_time
async def test_a_message_that_fails_to_be_decided_costs_one_answer_and_no_row() -> None:
    async with serving() as scene:
        await scene.stock(5)
        asked = [scene.ask(place(1)), tell(scene, broken_decision()), scene.ask(place(1))]
        answers = await soon(asyncio.gather(*asked, return_exceptions=True))

        assert [type(each) for each in answers] == [Outcome, BrokenRuleError, Outcome]
        assert scene.kinds() == ["stock_received", "order_placed", "order_placed"]


@virtual_time
async def test_a_rule_that_raises_is_a_failure_of_that_message_alone() -> None:
    """No route lets quantity 0 in; here it shows what a bug in a rule costs."""
    async with serving() as scene:
        with pytest.raises(BrokenRuleError, match="a rule failed on actor 1834"):
            await soon(scene.ask(place(0)))
        await scene.stock(5)

        assert units(await scene.balance()) == (5, 0, 0, 5)


@virtual_time
async def test_what_cannot_be_stored_is_not_remembered_either() -> None:
    """Applied and not journaled, an event would leave a hole that the next row stands behind."""
    async with serving() as scene:
        await scene.stock(5)
        with pytest.raises(BrokenRuleError):
            await soon(scene.ask(UNSTORABLE))
        await scene.serving_again()
        await scene.outcome(place(1))

        assert units(await scene.balance()) == (4, 1, 0, 5)
        assert [record.seq for record in scene.database.journal_of(ACTOR)] == [1, 2]


@virtual_time
async def test_no_answer_leaves_that_was_decided_on_what_cannot_be_stored() -> None:
    async with serving() as scene:
        await scene.stock(5)
        broken, order, other = (
            scene.ask(UNSTORABLE),
            scene.ask(place(6)),
            tell(scene, Read(lambda _: None), actor_id=OTHER),
        )
        answers = await soon(asyncio.gather(broken, order, other, return_exceptions=True))

        assert [type(each) for each in answers] == [
            BrokenRuleError,
            OutcomeUnknownError,
            OutcomeUnknownError,
        ]

        await scene.serving_again()

        assert units(await scene.balance()) == (5, 0, 0, 5)


@virtual_time
async def test_an_event_that_cannot_be_stored_right_after_recovery_harms_no_more() -> None:
    """The first messages are decided while the actor is being activated."""
    async with serving() as scene:
        broken, stock = scene.ask(UNSTORABLE), scene.ask(receive(5))
        answers = await soon(asyncio.gather(broken, stock, return_exceptions=True))

        assert [type(each) for each in answers] == [BrokenRuleError, OutcomeUnknownError]

        await scene.serving_again()
        await scene.stock(5)

        assert scene.worker.directory.quarantined == {}
        assert units(await scene.balance()) == (5, 0, 0, 5)


@virtual_time
async def test_a_lot_that_is_due_expires_before_the_next_message_is_decided() -> None:
    async with serving() as scene:
        await scene.stock(5, expires_at_ms=SOON_MS)
        returning = scene.journal.hold("due_wakes")  # nobody wakes it
        await asyncio.sleep(HOUR_MS / 1000)
        refused = await soon(scene.ask(place(1)))
        returning.release()

        assert refused == InsufficientStock(requested=1, available=0)
        assert scene.kinds() == ["stock_received", "lot_expired"]


@virtual_time
async def test_units_given_back_to_a_lot_past_its_date_are_not_sold_again() -> None:
    """Both messages are decided in one go: they waited for the recovery together."""
    async with serving() as scene:
        await scene.stock(5, expires_at_ms=SOON_MS)
        order = await scene.outcome(place(5))
        await asyncio.sleep(HOUR_MS / 1000)
        await scene.outage()
        origin = scene.journal.hold("origin")
        seen: list[int] = []
        cancelled = scene.ask(CancelOrder(order=order.seq))
        ordered = scene.ask(place(5))
        looked = tell(scene, Read(available_into(seen)))
        await origin.reached()
        origin.release()
        answers = await soon(asyncio.gather(cancelled, ordered, looked))

        assert isinstance(answers[0], Outcome)
        assert answers[1] == InsufficientStock(requested=5, available=0)
        assert seen == [0]
        assert scene.kinds()[2:] == ["order_cancelled", "lot_expired"]


@virtual_time
async def test_recalled_units_that_come_back_are_not_sold_to_whoever_asks_next() -> None:
    """N9: though no lot has a date, and nobody has woken the pool yet."""
    async with serving() as scene:
        await scene.stock(5)
        order = (await scene.outcome(place(5))).seq
        await scene.outcome(
            Adjust(source="available", target="quarantined", quantity=None, lot=1, reason="bad")
        )
        cancelled = scene.ask(CancelOrder(order=order))

        answer = await soon(scene.ask(place(1)))

        assert answer == InsufficientStock(requested=1, available=0)
        succeeded(await soon(cancelled))
        assert (await scene.balance()).unallocatable == {"expired": 0, "quarantined": 5}


@virtual_time
async def test_units_that_appear_for_missing_ones_are_not_sold_to_whoever_asks_next() -> None:
    """N5: though no lot has a date, and nobody has woken the pool yet."""
    async with serving() as scene:
        await scene.stock(5)
        await scene.outcome(place(5))
        missing = (Statement(code=None, orderable=0), Statement(code="B", orderable=3))
        reconcile = Reconcile(
            process=FEED, step=1, sent_at_ms=now_ms(), as_of=1, turn=0, lots=missing, complete=True
        )
        reconciled = scene.ask(reconcile)

        answer = await soon(scene.ask(place(1)))

        assert answer == InsufficientStock(requested=1, available=0)
        succeeded(await soon(reconciled))
        assert (await scene.balance()).ordered == 5


@virtual_time
async def test_an_event_is_never_older_than_the_one_before_it() -> None:
    """A clock may be put back; what follows still follows."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database, clock=lambda: now_ms() + HOUR_MS) as ahead:
        await ahead.stock(5)
        await ahead.crash()
    await asyncio.sleep(DEAD_AFTER_MS / 1000)
    async with serving(database) as scene:
        outcome = await scene.outcome(place(1))

        assert outcome.at_ms == START_MS + HOUR_MS


@virtual_time
async def test_several_lots_expire_in_one_go_and_are_counted_down() -> None:
    async with serving() as scene:
        for minutes in (1, 2, 3):
            await scene.stock(minutes, expires_at_ms=START_MS + minutes * 60_000)
        paused = scene.journal.hold("due_wakes")
        await asyncio.sleep(300)
        woken = tell(scene, Wake())
        events = scene.worker.read(ACTOR, Pool.balance)

        assert units(await soon(events)) == (0, 0, 6, 6)
        assert await soon(woken) == Noted()

        paused.release()

        assert scene.kinds()[3:] == ["lot_expired"] * 3
        assert scene.database.wakes == {}


@virtual_time
async def test_an_outcome_says_where_and_when_and_what() -> None:
    async with serving() as scene:
        await scene.stock(5)
        await asyncio.sleep(1)
        outcome = succeeded(await soon(scene.ask(place(2))))

        assert outcome == Outcome(
            actor_id=ACTOR,
            seq=2,
            at_ms=START_MS + 1000,
            event=OrderPlaced(quantity=2, picks=((1, 2),)),
        )


@virtual_time
async def test_a_refused_message_is_not_journaled() -> None:
    async with serving() as scene:
        await scene.stock(5)

        assert await soon(scene.ask(CancelOrder(order=9))) == OrderNotOpen(order=9)
        assert scene.kinds() == ["stock_received"]


@virtual_time
async def test_an_expiry_is_journaled_with_what_was_left() -> None:
    async with serving() as scene:
        await scene.stock(5, expires_at_ms=SOON_MS)
        await scene.outcome(place(2))
        await asyncio.sleep(HOUR_MS / 1000 + 1)
        bodies = [record.body for record in scene.database.journal_of(ACTOR)]

        assert bodies[2] == '{"lot":1,"quantity":3}'
