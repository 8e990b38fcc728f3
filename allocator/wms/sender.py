"""Pushes go to a warehouse system in order, in bulk, at least once, however long that takes.

What is under a number never changes, and the next numbers are sent only when the former are
acknowledged. So a repetition does nothing there, and nothing overtakes anything, even if two
senders work for a moment because a worker did not know that it had been replaced.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Final, Protocol

import structlog
from msgspec import Struct

from allocator.wms.interface import (
    PUSHES_MAX,
    Push,
    Wms,
    WmsBrokenError,
    WmsError,
    WmsLimitedError,
    within_bounds,
)

log = structlog.get_logger()

_DOUBLINGS_MAX: Final = 30
_COMPLAIN_EVERY_MS: Final = 60_000


class Outbox(Protocol):
    """Where numbered pushes wait, durably."""

    async def pending(self, *, after: int, limit: int) -> Sequence[Push]:
        """Return the first pushes with numbers above `after`, in order, at most so many."""
        ...

    async def newest(self) -> int:
        """Return the highest number there is; 0 if there is none."""
        ...

    async def acknowledged(self, through: int) -> None:
        """Have it durable that everything up to a number has come; it never goes back."""
        ...


class Patience(Struct, frozen=True, kw_only=True):
    """How a sender waits.

    Attributes:
        first_pause_ms: After the first failure in a row; each pause is twice as long.
        longest_pause_ms: Where that ends.
        look_every_ms: How often it looks whether there is anything to send, unless it is told.
    """

    first_pause_ms: int = 500
    longest_pause_ms: int = 60_000
    look_every_ms: int = 1_000


class Progress(Struct, kw_only=True):
    """How far a sender has come.

    Attributes:
        acknowledged_through: The WMS has everything up to this number.
        pushes: How many were acknowledged.
        requests: How many requests that took, those in vain included.
        failures: How many in a row were in vain, those not counted that it limited.
        waiting_since_ms: When the oldest push was numbered that is not acknowledged; None if all
            are.
        error: Why the last request was in vain; None if it was not.
    """

    acknowledged_through: int
    pushes: int = 0
    requests: int = 0
    failures: int = 0
    waiting_since_ms: int | None = None
    error: str | None = None

    def lag_ms(self, *, now_ms: int) -> int:
        """Return for how long the oldest push has waited."""
        return 0 if self.waiting_since_ms is None else max(now_ms - self.waiting_since_ms, 0)


class Sender:
    """Sends the pushes of one feed.

    Args:
        wms: Who is told; behind a gate, if there is a limit.
        outbox: What there is to tell.
        name: What errors call the WMS: its address.
        after: Up to which number everything is acknowledged.
        patience: How it waits.
        clock: Milliseconds of Unix time.
        chance: Spreads attempts.

    Attributes:
        progress: How far it has come.
    """

    def __init__(  # noqa: PLR0913 (what it needs)
        self,
        wms: Wms,
        outbox: Outbox,
        *,
        name: str,
        after: int,
        patience: Patience,
        clock: Callable[[], int],
        chance: Random,
    ) -> None:
        self.progress = Progress(acknowledged_through=after)
        self._wms = wms
        self._outbox = outbox
        self._name = name
        self._patience = patience
        self._clock = clock
        self._chance = chance
        self._news = asyncio.Event()
        self._complained_at_ms: int | None = None

    def wake(self) -> None:
        """Have it look at once whether there is anything to send."""
        self._news.set()

    async def run(self) -> None:
        """Send for ever; cancel to stop. What the outbox raises ends it."""
        while True:
            self._news.clear()
            pushes = await self._outbox.pending(
                after=self.progress.acknowledged_through, limit=PUSHES_MAX
            )
            if pushes:
                await self._send(within_bounds(pushes))
            else:
                self.progress.waiting_since_ms = None
                await self._idle()

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.look_every_ms / 1000):
                await self._news.wait()

    async def _send(self, pushes: Sequence[Push]) -> None:
        progress = self.progress
        progress.waiting_since_ms = pushes[0].at_ms
        progress.requests += 1
        try:
            through = await self._wms.push(pushes)
            await self._heed(through, pushes)
        except WmsLimitedError as error:
            progress.error = str(error)
            await asyncio.sleep(max(error.retry_after_s, self._patience.first_pause_ms / 1000))
        except WmsError as error:
            progress.failures += 1
            progress.error = str(error)
            self._complain()
            await asyncio.sleep(self._pause_s())

    async def _heed(self, through: int, pushes: Sequence[Push]) -> None:
        """Note an acknowledgement.

        Raises:
            WmsBrokenError: It makes no sense, or nothing of what was sent is in it.
        """
        if through > pushes[-1].number and through > (newest := await self._outbox.newest()):
            raise WmsBrokenError(
                url=self._name,
                why=f"it acknowledges push {through}, and the newest there is has number {newest}; "
                "has the database been set back, or is it another shop's?",
            )
        if through < pushes[0].number:
            self._go_back(through)
            raise WmsBrokenError(
                url=self._name,
                why=f"it was told of pushes {pushes[0].number} to {pushes[-1].number}, and "
                f"acknowledges {through}",
            )
        await self._outbox.acknowledged(through)
        progress = self.progress
        progress.pushes += sum(push.number <= through for push in pushes)
        progress.acknowledged_through = through
        if progress.failures:
            log.info(
                "wms.available",
                url=self._name,
                acknowledged_through=through,
                failures=progress.failures,
            )
        progress.failures, progress.error, self._complained_at_ms = 0, None, None

    def _go_back(self, through: int) -> None:
        """Tell it again of what it has forgotten, as far as it is still known here."""
        self.progress.acknowledged_through = min(self.progress.acknowledged_through, through)

    def _pause_s(self) -> float:
        doublings = min(self.progress.failures - 1, _DOUBLINGS_MAX)
        pause_ms = min(self._patience.first_pause_ms << doublings, self._patience.longest_pause_ms)
        return pause_ms * (0.5 + self._chance.random() / 2) / 1000

    def _complain(self) -> None:
        now_ms, last_ms = self._clock(), self._complained_at_ms
        if last_ms is None or now_ms >= last_ms + _COMPLAIN_EVERY_MS:
            self._complained_at_ms = now_ms
            log.warning(
                "wms.unavailable",
                url=self._name,
                error=self.progress.error,
                failures=self.progress.failures,
                waiting_ms=self.progress.lag_ms(now_ms=now_ms),
            )
