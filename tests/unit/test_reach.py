"""What a run does beside asking pools is done in order, and not at all once that has failed."""

import asyncio
from functools import partial

import pytest

from allocator.feeding.reach import one_behind


class Desk:
    """Work that is done when it is told to be.

    Attributes:
        seen: What began, and what ended, in order.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.may_end = asyncio.Event()

    async def work(self, name: str) -> None:
        self.seen.append(f"{name} begins")
        await self.may_end.wait()
        self.seen.append(f"{name} ends")

    async def fail(self) -> None:
        raise LookupError("it fell over")


async def test_work_is_done_beside_what_follows_and_waits_for_the_work_before() -> None:
    desk = Desk()
    async with one_behind() as beside:
        await beside(partial(desk.work, "first"))
        await asyncio.sleep(0)
        desk.seen.append("asked")
        desk.may_end.set()
        await beside(partial(desk.work, "second"))

    assert desk.seen == ["first begins", "asked", "first ends", "second begins", "second ends"]


async def test_work_that_fails_is_heard_of_before_the_next_begins() -> None:
    desk = Desk()
    desk.may_end.set()

    async def work() -> None:
        async with one_behind() as beside:
            await beside(desk.fail)
            await beside(partial(desk.work, "second"))

    with pytest.raises(LookupError):
        await work()

    assert desk.seen == []


async def test_the_last_work_is_heard_of_when_it_fails() -> None:
    with pytest.raises(LookupError):
        async with one_behind() as beside:
            await beside(Desk().fail)


async def test_nothing_is_under_way_after_what_is_done_beside_it_failed() -> None:
    desk = Desk()

    async def work() -> None:
        async with one_behind() as beside:
            await beside(partial(desk.work, "first"))
            await asyncio.sleep(0)
            raise KeyError

    with pytest.raises(KeyError):
        await work()

    assert desk.seen == ["first begins"]
    assert asyncio.all_tasks() == {asyncio.current_task()}
