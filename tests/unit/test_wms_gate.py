"""A gate lets requests through in their order, as often as the limit says, and heeds a refusal."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from allocator.wms.bucket import Limit
from allocator.wms.gate import Gate, LimitedWms
from allocator.wms.interface import (
    InventoryPage,
    Push,
    WmsBrokenError,
    WmsError,
    WmsLimitedError,
    WmsUnavailableError,
)
from allocator.wms.retry_after import LONGEST_S, UNTOLD_S, date_of, retry_after_s
from tests.virtual_time import virtual_time

URL = "http://wms"
NOW = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
EMPTY = InventoryPage(as_of=1, applied_through=0, items=(), next_cursor=None)


def clock_us() -> int:
    return int(asyncio.get_running_loop().time() * 1_000_000)


class Asked:
    """A WMS that answers after a time, or as it is told to."""

    def __init__(self, *answers: WmsError, takes_s: float = 0) -> None:
        self.at_s: list[float] = []
        self._answers = list(answers)
        self._takes_s = takes_s

    async def page(self, cursor: str | None) -> InventoryPage:
        assert cursor is None
        self.at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._takes_s)
        if self._answers:
            raise self._answers.pop(0)
        return EMPTY

    async def push(self, pushes: Sequence[Push]) -> int:
        raise NotImplementedError(pushes)


def limited(asked: Asked, *, per_s: float = 1, burst: int = 1) -> LimitedWms:
    return LimitedWms(asked, Gate(Limit(per_s=per_s, burst=burst), clock=clock_us))


@virtual_time
async def test_many_at_once_leave_one_after_the_other() -> None:
    asked = Asked()
    wms = limited(asked, burst=2)
    await asyncio.sleep(10)
    await asyncio.gather(*(wms.page(None) for _ in range(5)))

    assert asked.at_s == pytest.approx([10, 10, 11, 12, 13], abs=0.01)


@virtual_time
async def test_the_first_request_of_a_new_life_waits_its_turn() -> None:
    asked = Asked()
    await limited(asked, per_s=0.5, burst=10).page(None)

    assert asked.at_s == pytest.approx([2], abs=0.01)


@virtual_time
async def test_a_request_under_way_keeps_its_token() -> None:
    asked = Asked(takes_s=30)
    wms = limited(asked, burst=2)
    await asyncio.sleep(10)
    await asyncio.gather(*(wms.page(None) for _ in range(3)))

    assert asked.at_s == pytest.approx([10, 10, 41], abs=0.1)


@virtual_time
async def test_nobody_asks_while_the_wms_wants_to_be_left_alone() -> None:
    asked = Asked(WmsLimitedError(url=URL, retry_after_s=20))
    wms = limited(asked)
    with pytest.raises(WmsLimitedError):
        await wms.page(None)
    await wms.page(None)

    assert asked.at_s == pytest.approx([1, 21], abs=0.01)


@pytest.mark.parametrize(
    ("error", "next_s"),
    [
        (WmsBrokenError(url=URL, why="it answered 404"), 2),
        (WmsUnavailableError(url=URL, why="it answered 500", may_come=False), 2),
        (WmsUnavailableError(url=URL, why="no answer in time"), 12),
    ],
)
def test_a_request_that_may_still_come_counts_until_it_cannot(
    error: WmsError, next_s: float
) -> None:
    @virtual_time
    async def scenario() -> None:
        asked = Asked(error)
        wms = limited(asked)
        with pytest.raises(type(error)):
            await wms.page(None)
        await wms.page(None)

        assert asked.at_s == pytest.approx([1, next_s], abs=0.02)

    scenario()


@virtual_time
async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    asked = Asked()
    wms = limited(asked)
    impatient = asyncio.create_task(wms.page(None))
    await asyncio.sleep(0.5)
    impatient.cancel()
    await wms.page(None)

    assert asked.at_s == pytest.approx([1], abs=0.01)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("Sun, 22 Nov 2026 01:02:33 GMT", 30),
        ("Sun, 22 Nov 2026 01:02:33 -0000", 30),
        ("Sun, 22 Nov 2026 01:00:00 GMT", 0),
        ("999999999999", LONGEST_S),
        ("Mon, 22 Nov 2027 01:02:33 GMT", LONGEST_S),
        (None, UNTOLD_S),
        ("", UNTOLD_S),
        ("soon", UNTOLD_S),
        ("-1", UNTOLD_S),
        ("1.5", UNTOLD_S),
        ("\u0667", UNTOLD_S),
    ],
)
def test_how_long_somebody_wants_to_be_left_alone(text: str | None, seconds: float) -> None:
    assert retry_after_s(text, now=NOW) == seconds


def test_the_clock_of_whoever_answers_counts_if_he_has_one() -> None:
    assert date_of("Sun, 22 Nov 2026 01:02:33 GMT", otherwise=NOW) == NOW.replace(second=33)
    assert date_of("yesterday", otherwise=NOW) == NOW
    assert date_of(None, otherwise=NOW) == NOW


@virtual_time
async def test_a_refusal_is_heeded_though_the_limit_is_another_one_meanwhile() -> None:
    asked = Asked(WmsLimitedError(url=URL, retry_after_s=60))
    gate = Gate(Limit(per_s=1), clock=clock_us)
    await asyncio.sleep(10)
    with pytest.raises(WmsLimitedError):
        await LimitedWms(asked, gate).page(None)

    await LimitedWms(asked, gate.heir(Limit(per_s=5, burst=3))).page(None)

    assert asked.at_s[1] >= asked.at_s[0] + 60


@virtual_time
async def test_a_request_that_may_yet_come_counts_though_the_limit_is_another_one() -> None:
    asked = Asked(takes_s=30)
    gate = Gate(Limit(per_s=1), clock=clock_us)
    await asyncio.sleep(10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(LimitedWms(asked, gate).page(None), timeout=1)

    await LimitedWms(asked, gate.heir(Limit(per_s=2))).page(None)

    assert asked.at_s[1] >= asked.at_s[0] + 10
