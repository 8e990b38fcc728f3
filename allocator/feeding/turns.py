"""Pools are asked one thing at a time, so that nothing old is heard after what is newer.

A pool keeps no trace of a statement that changed nothing. So whoever says something to it must know
that nothing older can reach it any more.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from allocator.domain.reconciling import STATEMENT_STALE_MS
from allocator.errors import AllocatorError, UnavailableError

_DOUBTS_MAX: Final = 10_000
"""In memory, before those are forgotten that are over."""


class Turns:
    """Who says something to the pools of one feed, and which of them may yet hear something old.

    Args:
        is_near: Says whether an actor is of this worker: if it fails, it has let go of the ask.
        clock: Milliseconds of Unix time.

    Attributes:
        lock: To be held by whoever says something to pools.
    """

    def __init__(self, *, is_near: Callable[[int], bool], clock: Callable[[], int]) -> None:
        self.lock = asyncio.Lock()
        self._is_near = is_near
        self._clock = clock
        self._until_ms: dict[int, int] = {}

    def in_doubt(self) -> list[int]:
        """Return the pools that may yet hear what they were asked before."""
        now_ms = self._clock()
        return [each for each, until_ms in self._until_ms.items() if until_ms >= now_ms]

    def is_in_doubt(self, actor_id: int) -> bool:
        """Say whether a pool may yet hear what it was asked before."""
        return self._until_ms.get(actor_id, 0) >= self._clock()

    @contextmanager
    def asking(self, actor_id: int) -> Iterator[None]:
        """Have a pool be asked inside; it is in doubt unless it answers, or never will."""
        if len(self._until_ms) > _DOUBTS_MAX:
            now_ms = self._clock()
            self._until_ms = {one: ms for one, ms in self._until_ms.items() if ms >= now_ms}
        before_ms = self._until_ms.get(actor_id, 0)
        self._until_ms[actor_id] = self._clock() + STATEMENT_STALE_MS
        try:
            yield
        except UnavailableError:  # nothing was done
            self._settle(actor_id, before_ms)
            raise
        except AllocatorError:
            if self._is_near(actor_id):
                self._settle(actor_id, before_ms)
            raise
        self._settle(actor_id, before_ms)

    def _settle(self, actor_id: int, before_ms: int) -> None:
        """Have it be as before: another ask may be under way, still."""
        if before_ms >= self._clock():
            self._until_ms[actor_id] = before_ms
        else:
            self._until_ms.pop(actor_id, None)
