"""A gate before a server that is asked only so often, and a warehouse system behind one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from allocator.wms.bucket import Bucket, Limit
from allocator.wms.interface import (
    InventoryPage,
    Push,
    Wms,
    WmsBrokenError,
    WmsLimitedError,
    WmsUnavailableError,
)

_SECOND_US: Final = 1_000_000
_DOUBT_US: Final = 10 * _SECOND_US
"""A request of which nobody knows whether it came may still come for so long."""
_REST_MIN_S: Final = 0.001


class Gate:
    """Lets requests through one by one, in the order in which they came, as a limit allows.

    Args:
        limit: What is kept to.
        clock: Microseconds of a clock that does not go back.

    Attributes:
        limited: How often the server has complained.
    """

    def __init__(self, limit: Limit, *, clock: Callable[[], int]) -> None:
        self.limited = 0
        self._clock = clock
        self._bucket = Bucket(limit, now_us=clock())
        self._turns = asyncio.Lock()
        self._changed = asyncio.Event()

    def heir(self, limit: Limit) -> "Gate":
        """Return one with another limit before the same server, when nobody is inside any more."""
        gate = Gate(limit, clock=self._clock)
        gate._bucket = self._bucket.heir(limit, now_us=self._clock())
        return gate

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait until a request may be sent; it is sent, and answered, inside.

        A `WmsLimitedError` that passes by shuts the gate for as long as it says.
        """
        async with self._turns:
            await self._turn()
        try:
            yield
        except WmsLimitedError as error:
            self.limited += 1
            now_us = self._clock()
            until_us = now_us + int(error.retry_after_s * _SECOND_US)
            self._bucket.refused(now_us=now_us, until_us=until_us)
            raise
        except BaseException as error:
            now_us = self._clock()
            if _is_over(error):
                self._bucket.answered(now_us=now_us)
            else:
                self._bucket.given_up(now_us=now_us, until_us=now_us + _DOUBT_US)
            raise
        else:
            self._bucket.answered(now_us=self._clock())
        finally:
            self._changed.set()

    async def _turn(self) -> None:
        while (wait_us := self._bucket.take(now_us=self._clock())) != 0:
            self._changed.clear()
            rest_s = None if wait_us is None else max(wait_us / _SECOND_US, _REST_MIN_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._changed.wait()


def _is_over(error: BaseException) -> bool:
    """Whether a request that failed so has come by now, if it ever does."""
    if isinstance(error, WmsUnavailableError):
        return not error.may_come
    return isinstance(error, WmsBrokenError)  # it is an answer, after all


class LimitedWms:
    """A warehouse system that is asked only as often as it wants to be.

    Args:
        wms: Who is asked.
        gate: Before it; everything that asks the same system shares one.
    """

    def __init__(self, wms: Wms, gate: Gate) -> None:
        self._wms = wms
        self._gate = gate

    async def page(self, cursor: str | None) -> InventoryPage:
        """Return a page of what there is, in its turn; see `Wms`."""
        async with self._gate.one():
            return await self._wms.page(cursor)

    async def push(self, pushes: Sequence[Push]) -> int:
        """Tell of pushes, in its turn; see `Wms`."""
        async with self._gate.one():
            return await self._wms.push(pushes)
