"""Numbers for actors that are about to come into being, taken from the database in blocks.

An actor that begins with a message has no row until that message's event is stored, and needs
none: its id is nobody else's from the moment its number is taken.
"""

import asyncio
from collections import deque
from typing import Final

import structlog

from allocator.actors.ports import Journal
from allocator.errors import JournalError, UnavailableError

log = structlog.get_logger()

_BLOCK: Final = 1_000
_LOW: Final = 200
"""With so few left, the next block is asked for."""
_UNUSED_MAX: Final = 200_000
"""Those who took an id and were refused before they used it leave it behind; and many pools may be
made before the first of them is asked anything."""


class Numbers:
    """What one worker may give away."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._left: deque[int] = deque()
        self._unused: set[int] = set()
        self._refill: asyncio.Task[None] | None = None

    async def take(self) -> int:
        """Return a number for a new actor.

        Raises:
            UnavailableError: There are none left, and the database does not answer.
        """
        if len(self._left) < _LOW and self._refill is None:
            self._refill = asyncio.create_task(self._fill())
        while not self._left:
            if self._refill is None:
                raise UnavailableError(reason="the journal is unavailable")
            await asyncio.wait({self._refill})
        return self._left.popleft()

    def note_unused(self, actor_id: int) -> None:
        """Remember that there can be nothing of this actor, and that only we know its id."""
        if len(self._unused) >= _UNUSED_MAX:
            self._unused.clear()  # they are looked up, then
        self._unused.add(actor_id)

    def use(self, actor_id: int) -> bool:
        """Say whether there can be nothing of this actor; from now on there may be."""
        if actor_id not in self._unused:
            return False
        self._unused.remove(actor_id)
        return True

    def forget_unused(self) -> None:
        """Look up everything from now on: while a shard was elsewhere, others may have used it."""
        self._unused.clear()

    def close(self) -> None:
        """Stop asking for more."""
        if self._refill is not None:
            self._refill.cancel()

    async def _fill(self) -> None:
        try:
            self._left.extend(await self._journal.numbers(_BLOCK))
        except JournalError as error:
            log.warning("worker.no_numbers", error=str(error))
        finally:
            self._refill = None
