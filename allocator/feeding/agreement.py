"""Whose numbers a warehouse system (WMS) knows: ours, or others that mean other things.

A push is known by its number. A database that was imported, restored or set back would give
numbers that the WMS knows to other pushes; the WMS would take them for repetitions, and we would
take them for told. So who begins asks first how far it has everything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from allocator.feeding.ports import Standing, Store
from allocator.wms.interface import Wms, WmsError, WmsLimitedError

_AGAIN_MIN_S: Final = 1.0
_AGAIN_MAX_S: Final = 60.0


async def agreed(
    standing: Standing,
    wms: Wms,
    store: Store,
    *,
    era: int,
    excuse: Callable[[str, float], Awaitable[None]],
) -> bool:
    """Have it settled which numbers the WMS knows, before it is told or heard of anything.

    It is asked where they might be others than ours: if it has just begun, or if the database has
    moved since anything was told. That takes as long as it does not answer.

    Args:
        standing: Of the feed.
        wms: Behind its limit.
        store: Where it is noted.
        era: Of the journal.
        excuse: Told why the WMS could not be asked, and in how many seconds it is asked again.

    Returns:
        False if they are others, in the middle of a feed: it has lost them then.
    """
    is_new = standing.numbers == "new"
    if not is_new and standing.position.era >= era:
        return True
    through = await _acknowledged(wms, excuse=excuse)
    if is_new:
        await store.agree(standing.actor_id, through)
    elif through > standing.numbered:
        await store.lose(standing.actor_id)
        return False
    return True


async def _acknowledged(wms: Wms, *, excuse: Callable[[str, float], Awaitable[None]]) -> int:
    pause_s = _AGAIN_MIN_S
    while True:
        try:
            return await wms.push(())
        except WmsLimitedError as error:
            failure, wait_s = str(error), max(error.retry_after_s, pause_s)
        except WmsError as error:
            failure, wait_s = str(error), pause_s
        await excuse(failure, wait_s)
        await asyncio.sleep(wait_s)
        pause_s = min(2 * pause_s, _AGAIN_MAX_S)
