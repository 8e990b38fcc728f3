"""How feeds reach actors, whoever owns them: with patience, and not for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeAlias, TypeVar

from allocator.actors.errands import Asker
from allocator.actors.messages import Answer
from allocator.domain.queries import Query, View
from allocator.domain.transfers import Stale
from allocator.errors import AllocatorError

TRIES: Final = 6
PAUSE_S: Final = 0.2

_BEGUN_IN_ONE_GO: Final = 8
"""Each has a pool decide, at once; then orders have their turn."""

_S = TypeVar("_S")
_T = TypeVar("_T")

Work: TypeAlias = Callable[[], Coroutine[None, None, None]]


class Reach(Asker, Protocol):
    """Reaches any actor, to have it decide or to look at it."""

    async def look(self, actor_id: int, query: Query) -> View:
        """Answer a query about an actor's state."""
        ...


class GivenUpError(AllocatorError):
    """A run cannot be complete; the message says why.

    Attributes:
        for_good: Whether it could not either if it were begun again.
    """

    def __init__(self, why: str, *, retry_after_ms: int = 0, for_good: bool = False) -> None:
        super().__init__(why)
        self.retry_after_ms = retry_after_ms
        self.for_good = for_good


async def persistently(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Return an answer that is neither late nor lost.

    Raises:
        GivenUpError: There is none in time.
        AllocatorError: It would be no use to ask again.
    """
    for attempt in range(TRIES):
        try:
            answer = await ask()
            if not isinstance(answer, Stale):
                return answer
        except AllocatorError as error:
            if not error.retryable:
                raise
        await asyncio.sleep(PAUSE_S * 2**attempt)
    raise GivenUpError("a pool or the feed did not answer in time")


async def all_of(asks: Sequence[Coroutine[None, None, _T]]) -> list[_T]:
    """Return all results; if one fails, none goes on."""
    tasks = [asyncio.create_task(each) for each in asks]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def one_by_one(
    ask: Callable[[_S], Coroutine[None, None, _T]], things: Sequence[_S], *, at_once: int
) -> list[_T]:
    """Return what comes of each, in order, with no more than some of them under way.

    Raises:
        Exception: What any of them raises, when all of them have ended or were begun.
    """
    room = asyncio.Semaphore(at_once)
    tasks: list[asyncio.Task[_T]] = []
    try:
        for place, thing in enumerate(things):
            if place % _BEGUN_IN_ONE_GO == 0:
                await asyncio.sleep(0)
            await room.acquire()
            task = asyncio.create_task(ask(thing))
            task.add_done_callback(lambda _: room.release())
            tasks.append(task)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def one_behind() -> AsyncIterator[Callable[[Work], Awaitable[None]]]:
    """Have work be done beside what is done inside, in order: each waits for the one before.

    All of it is done when the context is left; if that is by an error, what is under way ends.
    """
    task: asyncio.Task[None] | None = None

    async def begin(work: Work) -> None:
        nonlocal task
        if task is not None:
            await task
        task = asyncio.create_task(work())

    try:
        yield begin
        if task is not None:
            await task
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
