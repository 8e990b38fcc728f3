"""Who may do what when: lanes in order, clients at once."""

import asyncio

import pytest

from allocator.client.lanes import work_lanes
from allocator.errors import AllocatorError, UsageError
from allocator.replay.plan import Receiving


def task(line: int, sku: str = "A") -> Receiving:
    return Receiving(line=line, sku=sku, quantity=1, reference="")


class Watch:
    """Does tasks, each only when the clients have had every chance to start another."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.at_work: list[str] = []
        self.most_at_once = 0

    async def act(self, step: Receiving) -> None:
        assert step.sku not in self.at_work
        self.at_work.append(step.sku)
        for _ in range(10):
            await asyncio.sleep(0)
        self.most_at_once = max(self.most_at_once, len(self.at_work))
        self.at_work.remove(step.sku)
        self.done.append(step.line)


async def test_one_client_works_in_the_order_of_the_file() -> None:
    watch = Watch()

    await work_lanes(
        [[task(1, "A"), task(4, "A")], [task(2, "B"), task(3, "B")]], clients=1, act=watch.act
    )

    assert watch.done == [1, 2, 3, 4]


async def test_a_lane_is_worked_off_one_by_one_however_many_clients_there_are() -> None:
    watch = Watch()

    await work_lanes([[task(line) for line in range(20)]], clients=8, act=watch.act)

    assert watch.done == list(range(20))
    assert watch.most_at_once == 1


async def test_lanes_are_worked_on_at_once_by_no_more_than_the_clients() -> None:
    watch = Watch()
    lanes = [[task(line, sku) for line in range(5)] for sku in "ABCDEFG"]

    await work_lanes(lanes, clients=3, act=watch.act)

    assert watch.most_at_once == 3
    assert len(watch.done) == 35


async def test_nothing_to_do_is_done_at_once() -> None:
    watch = Watch()

    await work_lanes([[], []], clients=3, act=watch.act)

    assert watch.done == []


async def test_the_first_error_ends_the_work_and_is_raised_as_it_is() -> None:
    begun: list[int] = []

    async def act(step: Receiving) -> None:
        begun.append(step.line)
        if step.line == 2:
            raise UsageError("enough")
        await asyncio.Event().wait()

    lanes = [[task(line, "A") for line in (1, 3, 5)], [task(2, "B")]]
    with pytest.raises(AllocatorError, match=r"^enough$"):
        await work_lanes(lanes, clients=2, act=act)

    assert begun == [1, 2]
