"""The webhooks of a simulated warehouse system: they come twice, late and in disorder, or never."""

import asyncio
from collections import deque
from typing import Final

import aiohttp
import msgspec

from allocator.wms.simulator_nature import Dice, Nature
from allocator.wms.simulator_shapes import EVENTS_MAX, EventBody, EventsBody

WAITING_MAX: Final = 200_000
ATTEMPTS_MAX: Final = 6

_TICK_S: Final = 0.02
_PAUSE_S: Final = 0.1
_TIMEOUT_S: Final = 5.0
_OK: Final = range(200, 300)

_encode: Final = msgspec.json.Encoder().encode


class Webhooks:
    """Tells of events, in groups, each a few times until it is taken.

    Args:
        nature: Whom, and how badly.
        dice: Which of them.

    Attributes:
        told: Of how many events it was told, repetitions included.
        lost: How many were given up.
    """

    def __init__(self, nature: Nature, dice: Dice) -> None:
        self.told = 0
        self.lost = 0
        self._nature = nature
        self._dice = dice.webhooks
        self._waiting: deque[EventBody] = deque()
        self._sending = 0

    @property
    def waiting(self) -> int:
        """How many are yet to be told."""
        return len(self._waiting) + self._sending

    def tell(self, event: EventBody) -> None:
        """Have an event told, some time; if too many wait, it is lost."""
        if self._nature.webhook_url is None:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.lost += 1
            return
        self._waiting.append(event)
        if self._dice.random() < self._nature.duplicate_rate:
            self._waiting.append(event)

    async def run(self) -> None:
        """Tell for ever; cancel to stop."""
        key = self._nature.webhook_key
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            while True:
                if self._waiting:
                    await self._send(self._group(), session)
                else:
                    await asyncio.sleep(_TICK_S)

    def _group(self) -> list[EventBody]:
        """Take the next events, but put some of them back to the end."""
        group: list[EventBody] = []
        for _ in range(min(len(self._waiting), EVENTS_MAX)):
            event = self._waiting.popleft()
            if self._dice.random() < self._nature.disorder_rate:
                self._waiting.append(event)
            else:
                group.append(event)
        self._sending = len(group)
        return group

    async def _send(self, group: list[EventBody], session: aiohttp.ClientSession) -> None:
        if not group:
            await asyncio.sleep(_TICK_S)
            return
        body = _encode(EventsBody(events=tuple(group)))
        for attempt in range(ATTEMPTS_MAX):
            if await self._sent(body, session):
                self.told += len(group)
                break
            await asyncio.sleep(_PAUSE_S * 2**attempt)
        else:
            self.lost += len(group)
        self._sending = 0

    async def _sent(self, body: bytes, session: aiohttp.ClientSession) -> bool:
        url = self._nature.webhook_url
        assert url is not None, "nothing waits where nobody is told"
        try:
            async with session.post(url, data=body, allow_redirects=False) as response:
                return response.status in _OK
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False
