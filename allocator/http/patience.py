"""Looks at processes that wait for what is not there yet, whoever has to be asked meanwhile."""

import asyncio
from typing import Final

from allocator.domain.queries import Query, View
from allocator.errors import AllocatorError
from allocator.http.ports import Asker

PATIENCE_S: Final = 10.0
"""So long a client is kept waiting for what a process decides; it goes on without him."""

_AGAIN_S: Final = 0.05


async def seen_in_time(
    asker: Asker, actor_id: int, query: Query, *, within_s: float = PATIENCE_S
) -> View | None:
    """Answer a query that may have to wait; None if there is nothing to be seen for too long.

    Raises:
        AllocatorError: It makes no sense to ask again.
    """
    try:
        async with asyncio.timeout(within_s):
            return await _seen(asker, actor_id, query)
    except TimeoutError:
        return None


async def _seen(asker: Asker, actor_id: int, query: Query) -> View:
    while True:
        try:
            return await asker.look(actor_id, query)
        except AllocatorError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(_AGAIN_S)
