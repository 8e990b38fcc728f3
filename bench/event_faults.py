"""What is done to a server during an event: planned from a seed, then inflicted."""

import asyncio
import enum
import random
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bench.chaos_server import Victim

_KILLS_EVERY_S: Final = 6.0
_KILLS_MIN: Final = 2
_KILL_FROM, _KILL_TO = 0.1, 0.95
_ROLL_FROM, _ROLL_TO = 0.2, 0.4
_END_FROM, _END_TO = 0.55, 0.75
_FIND_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.05


class Blow(enum.Enum):
    """A thing that happens to the server."""

    KILL_WORKER = "a worker killed"
    ROLL = "the workers exchanged, one by one"
    KILL_EVERYTHING = "the server and all its workers killed"


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A blow to come, so many seconds after the beginning."""

    at_s: float
    blow: Blow


def plan(*, seed: str, seconds: float) -> list[Planned]:
    """Draw what happens and when: one exchange, one death of everything, and some of workers."""
    dice = random.Random(seed)
    kills = max(_KILLS_MIN, int(seconds / _KILLS_EVERY_S))
    drawn = [
        (dice.uniform(_ROLL_FROM, _ROLL_TO), Blow.ROLL),
        (dice.uniform(_END_FROM, _END_TO), Blow.KILL_EVERYTHING),
        *((dice.uniform(_KILL_FROM, _KILL_TO), Blow.KILL_WORKER) for _ in range(kills)),
    ]
    planned = [Planned(at_s=part * seconds, blow=blow) for part, blow in drawn]
    return sorted(planned, key=lambda each: each.at_s)


class Blows:
    """Inflicts a plan on a server.

    Args:
        say: Hears one line a blow.

    Attributes:
        struck: What happened, and how often.
    """

    def __init__(self, victim: Victim, *, seed: str, say: Callable[[str], None]) -> None:
        self.struck: Counter[Blow] = Counter()
        self._victim = victim
        self._dice = random.Random(seed)
        self._say = say

    async def run(self, planned: Sequence[Planned]) -> bool:
        """Let everything happen at its time, or as soon as there is somebody to suffer it.

        Returns:
            Whether all of it did; else there was nobody for too long.
        """
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for each in planned:
            await asyncio.sleep(begun_s + each.at_s - loop.time())
            try:
                async with asyncio.timeout(_FIND_WITHIN_S):
                    await self._strike_somebody(each.blow)
            except TimeoutError:
                return False
            self.struck[each.blow] += 1
        return True

    async def _strike_somebody(self, blow: Blow) -> None:
        while True:
            if self._strike(blow):
                return
            await asyncio.sleep(_POLL_S)

    def _strike(self, blow: Blow) -> bool:
        """Inflict a blow; return whether there was anybody."""
        victim = self._victim
        workers = victim.workers()
        if victim.child.poll() is not None or not workers:
            return False
        match blow:
            case Blow.KILL_WORKER:
                worker = self._dice.choice(workers)
                self._say(f"{blow.value}: process {worker.pid}")
                worker.signal(signal.SIGKILL)
            case Blow.ROLL:
                self._say(f"{blow.value}: process {victim.child.pid}")
                victim.child.send_signal(signal.SIGHUP)
            case Blow.KILL_EVERYTHING:
                self._say(f"{blow.value}: process {victim.child.pid}")
                victim.kill_everything()
        return True
