"""Connections for those who read what happened long ago: few, to leave room for others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from allocator.errors import JournalError, UsageError
from allocator.persistence.tail import Tail, begin_tail

_READERS: Final = 2
_WAIT_S: Final = 10.0


class LateReaders:
    """A few tails, each lent to one reader at a time; opened when they are needed.

    Args:
        url: Of the database.
        name: Of their sessions, for people who look at them.
    """

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._free = asyncio.Semaphore(_READERS)
        self._idle: list[Tail] = []

    @asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Tail]:
        """Have one of them, as long as the context is open.

        Raises:
            JournalError: All are lent out for long, or the database does not answer.
        """
        await self._acquire()
        try:
            tail = self._idle.pop() if self._idle else await self._open()
            try:
                yield tail
            except BaseException:  # nobody knows what its connection is in the middle of
                tail.terminate()
                raise
            self._idle.append(tail)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close those that nobody uses."""
        while self._idle:
            self._idle.pop().terminate()

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._free.acquire()
        except TimeoutError as error:
            raise JournalError("too many read what happened long ago") from error

    async def _open(self) -> Tail:
        try:
            return await begin_tail(self._url, name=self._name)
        except UsageError as error:
            raise JournalError(str(error)) from error
