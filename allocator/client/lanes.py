"""Many clients at once, and still everything of one product in order."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from allocator.errors import AllocatorError


class Numbered(Protocol):
    """Something to do for a line of the file."""

    @property
    def line(self) -> int:
        """Its number; the file was written in this order."""


_Task = TypeVar("_Task", bound=Numbered)


async def work_lanes(
    lanes: Iterable[Sequence[_Task]], *, clients: int, act: Callable[[_Task], Awaitable[None]]
) -> None:
    """Do every task, up to `clients` at a time and never two of one lane.

    A lane's tasks are done in its order, each after the one before it has ended. Whoever is free
    takes, of the tasks whose turn it may be, the one with the lowest line; so the whole stays as
    close to the order of the file as that allows.

    Args:
        lanes: Each in the order of its lines; may be empty.
        clients: At least 1.
        act: Does one task.

    Raises:
        AllocatorError: The first that `act` raised; all other tasks are cancelled.
    """
    queues = [lane for lane in lanes if lane]
    waiting = [(lane[0].line, number, 0) for number, lane in enumerate(queues)]
    heapq.heapify(waiting)

    async def work() -> None:
        # Who finds nothing waiting may go: each lane still open is in the hands of somebody
        # who puts its next task back and looks again.
        while waiting:
            _, number, position = heapq.heappop(waiting)
            lane = queues[number]
            await act(lane[position])
            if position + 1 < len(lane):
                heapq.heappush(waiting, (lane[position + 1].line, number, position + 1))

    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(clients, len(queues))):
                group.create_task(work())
    except* AllocatorError as errors:
        failure = errors.exceptions[0]
    if failure is not None:
        raise failure
