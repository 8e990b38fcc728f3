"""Calls grow old together: one timer, and nobody waits much longer than the time-out."""

import asyncio

import pytest

from allocator.peers.calls import Calls
from tests.virtual_time import settle, virtual_time

TIMEOUT_S = 3.2
PART_S = TIMEOUT_S / 32


class TooOldError(Exception):
    """What an overdue call gets here."""


class Desk:
    """Calls, numbered as they come, and what was reported of them."""

    def __init__(self) -> None:
        self.calls: Calls[str] = Calls(timeout_s=TIMEOUT_S, expire=self._expire)
        self.expired: list[int] = []
        self._number = 0

    def call(self, *, times: int = 1) -> list[asyncio.Future[str]]:
        """Make calls in one tick."""
        self.calls.mark(self._number + 1)
        answers = []
        for _ in range(times):
            self._number += 1
            answers.append(self.calls.start(self._number))
        return answers

    def _expire(self, through: int) -> None:
        self.expired.append(through)
        self.calls.fail(0, through, TooOldError())


async def time_of_failure(answer: asyncio.Future[str]) -> float:
    await asyncio.wait([answer])
    assert isinstance(answer.exception(), TooOldError)
    return asyncio.get_running_loop().time()


@virtual_time
async def test_a_call_fails_after_its_time_out_and_not_much_later() -> None:
    desk = Desk()
    for pause_s in (0.0, 0.01, PART_S, 1.0, 2.5):
        await asyncio.sleep(pause_s)
        made_s = asyncio.get_running_loop().time()
        [answer] = desk.call()
        waited_s = await time_of_failure(answer) - made_s

        assert TIMEOUT_S <= waited_s <= TIMEOUT_S + PART_S + 1e-6


@virtual_time
async def test_each_of_many_calls_fails_in_its_own_time() -> None:
    desk = Desk()
    made: list[tuple[float, asyncio.Task[float]]] = []
    for _ in range(400):
        [answer] = desk.call()
        now_s = asyncio.get_running_loop().time()
        made.append((now_s, asyncio.ensure_future(time_of_failure(answer))))
        await asyncio.sleep(0.011)
    waits_s = [await failing - made_s for made_s, failing in made]

    assert min(waits_s) >= TIMEOUT_S
    assert max(waits_s) <= TIMEOUT_S + PART_S + 1e-6
    assert len(desk.expired) <= 400 * 0.011 / PART_S + 2
    assert len(desk.calls) == 0


@virtual_time
async def test_answered_calls_keep_no_timer_for_long() -> None:
    desk = Desk()
    for number in range(1, 101):
        [answer] = desk.call()
        desk.calls.answer([(number, "yes")])
        assert await answer == "yes"
        await asyncio.sleep(0.1)
    await asyncio.sleep(TIMEOUT_S + PART_S)

    assert desk.calls.timer is None
    assert desk.expired == []


@virtual_time
async def test_an_old_call_between_answered_ones_is_found() -> None:
    desk = Desk()
    answers = desk.call(times=5)
    desk.calls.answer([(number, "yes") for number in (1, 2, 4, 5)])
    await asyncio.sleep(1.0)
    [later] = desk.call()
    await asyncio.sleep(TIMEOUT_S - 0.9)

    assert isinstance(answers[2].exception(), TooOldError)
    assert not later.done()

    desk.calls.answer([(6, "yes")])


@virtual_time
async def test_a_late_answer_a_second_one_and_one_of_nothing_are_dropped() -> None:
    desk = Desk()
    [answer] = desk.call()
    await time_of_failure(answer)
    [second] = desk.call()
    desk.calls.answer([(1, "late"), (2, "right"), (2, "again"), (99, "of nothing")])

    assert await second == "right"


@virtual_time
async def test_a_cancelled_call_counts_until_the_peer_is_done_with_it() -> None:
    desk = Desk()
    gone, stays = desk.call(times=2)
    gone.cancel()

    assert len(desk.calls) == 2

    desk.calls.answer([(1, "for nobody"), (2, "yes")])

    assert await stays == "yes"
    assert len(desk.calls) == 0


@virtual_time
async def test_a_cancelled_call_can_fail_like_any_other() -> None:
    desk = Desk()
    [gone] = desk.call()
    gone.cancel()
    await asyncio.sleep(TIMEOUT_S + PART_S)

    assert desk.expired == [1]
    assert len(desk.calls) == 0


@virtual_time
async def test_only_the_calls_between_two_numbers_fail() -> None:
    desk = Desk()
    answers = desk.call(times=5)
    desk.calls.fail(2, 4, TooOldError())

    assert [answer.done() for answer in answers] == [False, True, True, True, False]
    assert [type(answer.exception()) for answer in answers[1:4]] == [TooOldError] * 3
    assert desk.calls.any_between(4, 5)
    assert not desk.calls.any_between(2, 4)

    desk.calls.answer([(1, "yes"), (5, "yes")])


@virtual_time
async def test_nothing_expires_after_a_stop() -> None:
    desk = Desk()
    [answer] = desk.call()
    desk.calls.stop()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(answer), TIMEOUT_S * 2)
    await settle()

    assert desk.expired == []
