"""Pushes go in order and in bulk, and are told again until somebody has them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest
import structlog

from allocator.wms.interface import (
    LINES_MAX,
    PUSHES_MAX,
    InventoryItem,
    InventoryPage,
    Push,
    PushLine,
    Wms,
    WmsError,
    WmsLimitedError,
    WmsUnavailableError,
    within_bounds,
)
from allocator.wms.sender import Patience, Progress, Sender
from tests.virtual_time import START_MS, now_ms, virtual_time

URL = "http://wms"
UNAVAILABLE = WmsUnavailableError(url=URL, why="it answered 500")
PATIENCE = Patience(first_pause_ms=100, longest_pause_ms=1_000, look_every_ms=1_000)


def push(number: int, *, lines: int = 1) -> Push:
    return Push(
        number=number,
        sku="tea",
        lines=tuple(PushLine(batch=f"b{n}", decrease=1) for n in range(lines)),
        at_ms=START_MS,
    )


class Box:
    """An outbox in memory."""

    def __init__(self, *numbers: int) -> None:
        self.pushes = [push(number) for number in numbers]
        self.through = 0

    async def pending(self, *, after: int, limit: int) -> Sequence[Push]:
        return [each for each in self.pushes if each.number > after][:limit]

    async def newest(self) -> int:
        return max((each.number for each in self.pushes), default=0)

    async def acknowledged(self, through: int) -> None:
        self.through = max(self.through, through)


class Heard:
    """A WMS that answers as it is told to, and otherwise that it has everything."""

    def __init__(self, *answers: int | WmsError) -> None:
        self.told: list[list[int]] = []
        self.at_s: list[float] = []
        self._answers = list(answers)

    async def page(self, cursor: str | None) -> InventoryPage:
        raise NotImplementedError(cursor)

    async def push(self, pushes: Sequence[Push]) -> int:
        self.told.append([each.number for each in pushes])
        self.at_s.append(asyncio.get_running_loop().time())
        answer = self._answers.pop(0) if self._answers else pushes[-1].number
        if isinstance(answer, WmsError):
            raise answer
        return answer


@asynccontextmanager
async def sending(
    box: Box, wms: Wms, *, after: int = 0, for_s: float = 60
) -> AsyncIterator[Sender]:
    """A sender that has worked for a time."""
    sender = Sender(
        wms, box, name=URL, after=after, patience=PATIENCE, clock=now_ms, chance=Random(1)
    )
    running = asyncio.create_task(sender.run())
    try:
        await asyncio.sleep(for_s)
        yield sender
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@virtual_time
async def test_what_waits_goes_in_one_request() -> None:
    box, wms = Box(1, 2, 3), Heard()
    async with sending(box, wms) as sender:
        assert wms.told == [[1, 2, 3]]
        assert box.through == 3
        assert sender.progress == Progress(acknowledged_through=3, pushes=3, requests=1)


@virtual_time
async def test_what_was_not_heard_is_told_again_with_what_has_come_since() -> None:
    box, wms = Box(1), Heard(UNAVAILABLE)
    async with sending(box, wms, for_s=0.01) as sender:
        assert sender.progress.failures == 1
        assert sender.progress.error == "the WMS at http://wms is not available: it answered 500"
        assert sender.progress.lag_ms(now_ms=START_MS + 70) == 70
        box.pushes.append(push(2))
        await asyncio.sleep(1)

        assert wms.told == [[1], [1, 2]]
        assert not sender.progress.failures
        await asyncio.sleep(1)
        assert sender.progress.lag_ms(now_ms=now_ms()) == 0


@virtual_time
async def test_pauses_grow_while_nobody_answers_and_have_an_end() -> None:
    wms = Heard(*[UNAVAILABLE] * 100)
    async with sending(Box(1), wms, for_s=20):
        pauses = [b - a for a, b in zip(wms.at_s, wms.at_s[1:], strict=False)]

        assert 0.05 <= pauses[0] <= 0.1
        assert all(0.5 <= pause <= 1.0 for pause in pauses[4:])


@virtual_time
async def test_an_outage_is_told_of_once_a_minute_and_when_it_is_over() -> None:
    with structlog.testing.capture_logs() as logs:
        async with sending(Box(1), Heard(*[UNAVAILABLE] * 100), for_s=200):
            pass

    events = [line["event"] for line in logs]
    assert events == ["wms.unavailable", "wms.unavailable", "wms.available"]


@virtual_time
async def test_a_wms_that_wants_to_be_left_alone_is() -> None:
    wms = Heard(WmsLimitedError(url=URL, retry_after_s=30))
    async with sending(Box(1), wms) as sender:
        assert wms.at_s == [0, 30]
        assert sender.progress.failures == 0


@virtual_time
async def test_who_wants_to_be_left_alone_for_no_time_is_not_asked_in_haste() -> None:
    wms = Heard(*[WmsLimitedError(url=URL, retry_after_s=0)] * 1_000)
    async with sending(Box(1), wms, for_s=1):
        assert len(wms.told) <= 11


@virtual_time
async def test_a_part_that_was_acknowledged_is_not_told_again() -> None:
    box, wms = Box(1, 2, 3), Heard(2)
    async with sending(box, wms):
        assert wms.told == [[1, 2, 3], [3]]


@virtual_time
async def test_who_acknowledges_nothing_is_not_asked_in_haste() -> None:
    box, wms = Box(4, 5), Heard(*[3] * 100)
    async with sending(box, wms, after=3, for_s=10) as sender:
        assert len(wms.told) < 20
        assert sender.progress.error is not None
        assert "pushes 4 to 5, and acknowledges 3" in sender.progress.error


@virtual_time
async def test_a_wms_that_was_set_back_is_told_again_of_what_is_known() -> None:
    box, wms = Box(1, 2, 3, 4, 5), Heard(2)
    async with sending(box, wms, after=4) as sender:
        assert wms.told == [[5], [3, 4, 5]]
        assert sender.progress.acknowledged_through == 5


@virtual_time
async def test_a_former_life_may_have_told_more_than_this_one_knows() -> None:
    box, wms = Box(*range(1, PUSHES_MAX + 3)), Heard(PUSHES_MAX + 1)
    async with sending(box, wms):
        assert [told[0] for told in wms.told] == [1, PUSHES_MAX + 2]


@virtual_time
async def test_who_acknowledges_what_nobody_has_said_gets_nothing_done() -> None:
    """Ours was set back, perhaps: what comes under numbers that it knows would be lost there."""
    box, wms = Box(1, 2), Heard(*[7] * 1_000)
    async with sending(box, wms) as sender:
        assert box.through == 0
        assert sender.progress.error is not None
        assert "acknowledges push 7, and the newest there is has number 2" in sender.progress.error


@virtual_time
async def test_who_is_woken_looks_at_once() -> None:
    box, wms = Box(), Heard()
    async with sending(box, wms, for_s=0.1) as sender:
        box.pushes.append(push(1))
        sender.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert wms.at_s == [pytest.approx(0.1)]


def test_a_request_has_a_bound_and_never_nothing_in_it() -> None:
    many = [push(n) for n in range(1, PUSHES_MAX + 10)]
    wide = [push(1, lines=LINES_MAX - 1), push(2), push(3)]

    assert within_bounds(many) == many[:PUSHES_MAX]
    assert within_bounds(wide) == wide[:2]
    assert within_bounds([push(1, lines=LINES_MAX + 1), push(2)]) == [push(1, lines=LINES_MAX + 1)]


class OnHandWms:
    """Another kind of WMS: it numbers nothing, and says what is on hand and what was shipped."""

    def __init__(self) -> None:
        self.on_hand = 10
        self.shipped = 0
        self.known_through = 0

    async def page(self, cursor: str | None) -> InventoryPage:
        assert cursor is None
        item = InventoryItem(sku="tea", batch="b0", orderable=self.on_hand + self.shipped)
        return InventoryPage(as_of=1, applied_through=0, items=(item,), next_cursor=None)

    async def push(self, pushes: Sequence[Push]) -> int:
        for each in pushes:
            if each.number > self.known_through:
                self.known_through = each.number
                leaving = sum(line.shipped for line in each.lines)
                self.on_hand -= leaving
                self.shipped += leaving
        return self.known_through


@virtual_time
async def test_another_adapter_is_a_class_with_two_methods() -> None:
    """N15: the WMS interface can be swapped; two brands have two kinds of WMS here."""
    sold = Push(number=1, sku="tea", lines=(PushLine(batch="b0", decrease=4, shipped=3),), at_ms=0)
    brands: dict[Box, Wms] = {Box(): OnHandWms(), Box(): Heard()}
    for box, wms in brands.items():
        box.pushes.append(sold)
        async with sending(box, wms):
            assert box.through == 1

    other = next(iter(brands.values()))
    [item] = (await other.page(None)).items
    assert item.orderable == 10, "what is promised and what has left is for us to subtract"
