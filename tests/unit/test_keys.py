"""Idempotency keys: a success is answered again and not done again, whatever happens between."""

import asyncio

import msgspec
import pytest

from allocator.actors import keys
from allocator.actors.limits import Limits
from allocator.actors.messages import KeyReused, Outcome
from allocator.domain.codec import UnknownEventError
from allocator.domain.messages import InsufficientStock
from allocator.errors import (
    BrokenRuleError,
    OutcomeUnknownError,
    OverloadedError,
    UnavailableError,
)
from allocator.persistence.memory.database import DEAD_AFTER_MS, MemoryDatabase
from tests.builders import ACTOR, keyed, place, receive
from tests.memory_journal import Fault
from tests.scene import serving, soon, succeeded
from tests.virtual_time import now_ms, settle, virtual_time

OTHER = ACTOR + 256


@virtual_time
async def test_a_repeat_gets_the_first_answer_and_changes_nothing() -> None:
    async with serving() as scene:
        await scene.stock(5)
        answers = [await soon(scene.ask_once(keyed("k", place(2)))) for _ in range(3)]

        assert answers[0] == answers[1] == answers[2]
        assert (await scene.balance()).ordered == 2
        assert scene.worker.keys.repeats == 2


@virtual_time
async def test_a_repeat_in_flight_waits_for_the_same_answer() -> None:
    async with serving() as scene:
        await scene.stock(5)
        appending = scene.journal.hold("append")
        first = scene.ask_once(keyed("k", place(2)))
        await appending.reached()
        repeat = scene.ask_once(keyed("k", place(2)))
        await settle()

        assert not repeat.done()

        appending.release()

        assert await soon(first) == await soon(repeat)
        assert (await scene.balance()).ordered == 2


@virtual_time
async def test_a_repeat_survives_the_first_caller_who_left() -> None:
    async with serving() as scene:
        await scene.stock(5)
        first = scene.ask_once(keyed("k", place(2)))
        repeat = scene.ask_once(keyed("k", place(2)))
        first.cancel()

        assert isinstance(await soon(repeat), Outcome)
        assert (await scene.balance()).ordered == 2


@virtual_time
async def test_a_repeat_waits_for_proof_that_we_may_still_answer() -> None:
    """A remembered answer is a read: a deposed writer must not give it, either."""
    async with serving() as scene:
        await scene.stock(5)
        await soon(scene.ask_once(keyed("k", place(2))))
        confirming = scene.journal.hold("confirm")
        repeat = scene.ask_once(keyed("k", place(2)))
        await confirming.reached()

        assert not repeat.done()

        confirming.release()

        assert isinstance(await soon(repeat), Outcome)


@virtual_time
async def test_a_key_used_for_another_request_is_refused() -> None:
    async with serving() as scene:
        await scene.stock(5)
        await soon(scene.ask_once(keyed("k", place(2))))

        assert await soon(scene.ask_once(keyed("k", place(3)))) == KeyReused(key="k")
        assert await soon(scene.ask_once(keyed("k", place(2), actor_id=OTHER))) == KeyReused(
            key="k"
        )


@virtual_time
async def test_keys_of_two_principals_do_not_meet() -> None:
    async with serving() as scene:
        await scene.stock(5)
        answers = [
            succeeded(await soon(scene.ask_once(keyed("k", place(1), principal=who))))
            for who in ("ada", "bob", "ada")
        ]

        assert [each.seq for each in answers] == [2, 3, 2]


@virtual_time
async def test_a_refused_key_is_free() -> None:
    async with serving() as scene:
        refused = await soon(scene.ask_once(keyed("k", place(2))))
        await scene.stock(5)

        assert refused == InsufficientStock(requested=2, available=0)
        assert isinstance(await soon(scene.ask_once(keyed("k", place(2)))), Outcome)


@virtual_time
async def test_a_refused_key_is_free_for_another_request_too() -> None:
    async with serving() as scene:
        await soon(scene.ask_once(keyed("k", place(9))))
        await scene.stock(5)

        assert isinstance(await soon(scene.ask_once(keyed("k", place(2)))), Outcome)


@virtual_time
async def test_a_key_is_remembered_by_the_journal_alone() -> None:
    """Across restart and passivation."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as before:
        await before.stock(5)
        first = await soon(before.ask_once(keyed("k", place(2))))
        await before.crash()
    await asyncio.sleep(DEAD_AFTER_MS / 1000)
    async with serving(database) as scene:
        assert await soon(scene.ask_once(keyed("k", place(2)))) == first
        assert await soon(scene.ask_once(keyed("k", place(3)))) == KeyReused(key="k")
        assert (await scene.balance()).ordered == 2


@virtual_time
async def test_a_key_that_memory_forgot_is_found_in_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "RECENT_MAX", 3)
    async with serving() as scene:
        await scene.stock(50)
        first = [await soon(scene.ask_once(keyed(f"k{n}", place(1)))) for n in range(10)]
        again = [await soon(scene.ask_once(keyed(f"k{n}", place(1)))) for n in range(10)]

        assert again == first
        assert (await scene.balance()).ordered == 10


@virtual_time
async def test_a_key_in_flight_is_not_forgotten_however_many_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "RECENT_MAX", 3)
    async with serving() as scene:
        await scene.stock(50)
        appending = scene.journal.hold("append")
        first = [scene.ask_once(keyed(f"k{n}", place(1))) for n in range(10)]
        await appending.reached()
        again = [scene.ask_once(keyed(f"k{n}", place(1))) for n in range(10)]
        await settle()
        appending.release()

        assert await soon(asyncio.gather(*again)) == await soon(asyncio.gather(*first))
        assert (await scene.balance()).ordered == 10


@virtual_time
async def test_all_keys_of_a_tick_are_looked_up_together() -> None:
    async with serving() as scene:
        await scene.stock(5000)
        asked = [scene.ask_once(keyed(f"k{n}", place(1))) for n in range(2500)]
        await soon(asyncio.gather(*asked))

        assert scene.journal.count("find_keys") == 2
        assert scene.journal.appends() == [1, 1024, 1024, 452]
        assert scene.worker.keys.lookups == 2500


@virtual_time
async def test_requests_with_keys_keep_their_order() -> None:
    async with serving() as scene:
        await scene.stock(3)
        answers = await soon(
            asyncio.gather(*(scene.ask_once(keyed(f"k{n}", place(1))) for n in range(5)))
        )

        assert [isinstance(each, Outcome) for each in answers] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("fault", list(Fault))
def test_after_an_unknown_outcome_a_repeat_makes_it_happen_once(fault: Fault) -> None:
    """Whether the lost append was stored or not, and whenever."""

    @virtual_time
    async def scenario() -> None:
        async with serving() as scene:
            await scene.stock(5)
            scene.journal.break_next("append", fault)
            with pytest.raises(OutcomeUnknownError):
                await soon(scene.ask_once(keyed("k", place(2))))
            await scene.serving_again()
            await soon(scene.ask_once(keyed("k", place(2))))

            assert (await scene.balance()).ordered == 2

    scenario()


@pytest.mark.parametrize("fault", [Fault.NOT_DONE, Fault.DONE])
def test_a_journal_that_cannot_be_read_is_no_reason_to_order_twice(fault: Fault) -> None:
    """What a turn found is worth nothing if the turn failed."""

    @virtual_time
    async def scenario() -> None:
        async with serving() as scene:
            await scene.stock(5)
            scene.journal.break_next("find_keys", fault)
            with pytest.raises(OutcomeUnknownError):
                await soon(scene.ask_once(keyed("k", place(2))))

            assert scene.kinds() == ["stock_received"]

            await scene.serving_again()
            await soon(scene.ask_once(keyed("k", place(2))))

            assert (await scene.balance()).ordered == 2

    scenario()


@virtual_time
async def test_keys_are_looked_up_with_the_rows_of_others() -> None:
    """Under load a key costs no round trip of its own."""
    async with serving() as scene:
        await scene.stock(5)
        appending = scene.journal.hold("append")
        first = scene.ask(place(1))
        await appending.reached()
        second, third = scene.ask(place(1)), scene.ask_once(keyed("k", place(1)))
        appending.release()
        await soon(asyncio.gather(first, second, third))

        assert scene.journal.appends() == [1, 1, 1, 1]
        assert scene.journal.count("find_keys") == 0


@virtual_time
async def test_a_lookup_that_finds_its_actor_full_is_refused_and_the_key_is_free() -> None:
    async with serving(limits=Limits(mailbox_max=1)) as scene:
        await scene.stock(5)
        looking = scene.journal.hold("find_keys")
        refused = scene.ask_once(keyed("k", place(2)))
        await looking.reached()
        other = scene.ask(place(1))
        looking.release()
        with pytest.raises(OverloadedError):
            await soon(refused)
        await soon(other)

        assert isinstance(await soon(scene.ask_once(keyed("k", place(2)))), Outcome)


@virtual_time
async def test_a_full_actor_refuses_a_key_before_it_is_looked_up() -> None:
    """Looking it up waits for the turn before, which may take as long as the database likes."""
    async with serving(limits=Limits(mailbox_max=1)) as scene:
        await scene.stock(5)
        appending = scene.journal.hold("append")
        other = scene.ask(place(1))
        await appending.reached()
        with pytest.raises(OverloadedError):
            await scene.ask_once(keyed("k", place(2)))
        appending.release()
        await soon(other)

        assert isinstance(await soon(scene.ask_once(keyed("k", place(2)))), Outcome)


@virtual_time
async def test_requests_that_are_looked_up_count_as_unanswered() -> None:
    """A slow database must not let them pile up without a bound."""
    async with serving(limits=Limits(worker_max=3)) as scene:
        await scene.stock(5)
        looking = scene.journal.hold("find_keys")
        asked = [scene.ask_once(keyed(f"k{n}", place(1))) for n in range(3)]
        await looking.reached()
        with pytest.raises(OverloadedError, match="3 messages of this server"):
            await scene.ask_once(keyed("k4", place(1)))
        looking.release()
        await soon(asyncio.gather(*asked))

        assert (await scene.balance()).ordered == 3


@pytest.mark.parametrize("stored", ["{}", None])
def test_a_first_answer_that_cannot_be_read_leaves_nobody_waiting(stored: str | None) -> None:
    """A row of a newer release, or one that was tampered with."""

    @virtual_time
    async def scenario() -> None:
        database = MemoryDatabase(clock=now_ms)
        async with serving(database) as before:
            await before.stock(5)
            await soon(before.ask_once(keyed("k", place(2))))
            await before.crash()
        rows = database.rows[ACTOR]
        rows[2] = (
            msgspec.structs.replace(rows[2], version=99)
            if stored is None
            else msgspec.structs.replace(rows[2], body=stored)
        )
        await asyncio.sleep(DEAD_AFTER_MS / 1000)
        async with serving(database) as scene:
            repeat = scene.ask_once(keyed("k", place(2)))
            other = scene.ask_once(keyed("k2", receive(1), actor_id=OTHER))
            with pytest.raises((UnknownEventError, msgspec.ValidationError)):
                await soon(repeat)

            assert isinstance(await soon(other), Outcome)

            await scene.crash()

    scenario()


@virtual_time
async def test_a_wrong_request_under_a_used_key_does_not_spoil_a_right_one() -> None:
    """Both are looked up at once, the wrong one first."""
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as before:
        await before.stock(5)
        first = await soon(before.ask_once(keyed("k", place(2))))
        await before.crash()
    await asyncio.sleep(DEAD_AFTER_MS / 1000)
    async with serving(database) as scene:
        wrong = scene.ask_once(keyed("k", place(3)))
        right = scene.ask_once(keyed("k", place(2)))

        assert await soon(wrong) == KeyReused(key="k")
        assert await soon(right) == first


@virtual_time
async def test_a_key_is_not_used_before_its_request_has_succeeded() -> None:
    """Another request waits: only a success takes the key, a refusal leaves it free."""
    async with serving() as scene:
        await scene.stock(5)
        looking = scene.journal.hold("find_keys")
        asked = [scene.ask_once(keyed("k", place(units))) for units in (9, 2, 9, 3)]
        await looking.reached()
        looking.release()
        answers = await soon(asyncio.gather(*asked))

        assert answers[0] == answers[2] == InsufficientStock(requested=9, available=5)
        assert succeeded(answers[1]).seq == 2
        assert answers[3] == KeyReused(key="k")
        assert (await scene.balance()).ordered == 2


@virtual_time
async def test_a_request_behind_one_that_failed_fails_with_it() -> None:
    async with serving() as scene:
        asked = [scene.ask_once(keyed("k", place(units))) for units in (0, 2)]
        answers = await soon(asyncio.gather(*asked, return_exceptions=True))

        assert isinstance(answers[0], BrokenRuleError)
        assert isinstance(answers[1], UnavailableError | BrokenRuleError)


@virtual_time
async def test_a_repeat_is_answered_when_its_confirmation_fails() -> None:
    async with serving() as scene:
        await scene.stock(5)
        first = await soon(scene.ask_once(keyed("k", place(2))))
        scene.journal.break_next("confirm")
        with pytest.raises(OutcomeUnknownError):
            await soon(scene.ask_once(keyed("k", place(2))))
        await scene.serving_again()

        assert await soon(scene.ask_once(keyed("k", place(2)))) == first


@virtual_time
async def test_a_key_of_a_shard_that_is_not_ours_is_not_looked_up() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as owner, serving(database) as scene:
        with pytest.raises(UnavailableError, match="another worker"):
            await scene.ask_once(keyed("k", place(2)))

        assert scene.journal.count("find_keys") == 0
        assert owner.worker.ready
