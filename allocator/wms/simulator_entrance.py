"""The entrance of a simulated warehouse system: a limit, and outages.

The limit is counted here in a way of its own, when a request comes: whoever obeys with the same
code that judges him proves nothing.
"""

from collections import Counter, deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from allocator.wms.simulator_nature import Dice, Nature

TIMES_KEPT_MAX: Final = 100_000

_HAIR_S: Final = 1e-6
"""Sums of fractions are not exact."""


class Admission(Enum):
    """What becomes of a request."""

    LET_IN = "let in"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"
    HUNG_UP = "hung up"
    SILENCE = "silence"


_DURING_OUTAGES: Final = (Admission.UNAVAILABLE, Admission.HUNG_UP, Admission.SILENCE)


class Entrance:
    """Says what becomes of requests.

    Args:
        nature: The limit, and how often there are outages.
        dice: When exactly.
        clock: Seconds of a clock that does not go back.

    Attributes:
        counts: How many requests there were, by what became of them.
        times: When the latest came, seconds.
    """

    def __init__(self, nature: Nature, dice: Dice, *, clock: Callable[[], float]) -> None:
        self.counts: Counter[Admission] = Counter()
        self.times: deque[float] = deque(maxlen=TIMES_KEPT_MAX)
        self._nature = nature
        self._dice = dice
        self._clock = clock
        self._due_s = 0.0
        self._outage_until_s = 0.0
        self._next_outage_s = clock() + self._drawn_outage()

    def admit(self) -> tuple[Admission, float]:
        """Count a request.

        Returns:
            What becomes of it; if it is limited, for how many seconds nobody is let in.
        """
        now_s = self._clock()
        self.times.append(now_s)
        wait_s = self._limited(now_s)
        admission = Admission.LIMITED if wait_s else self._troubled(now_s)
        self.counts[admission] += 1
        return admission, wait_s

    def close(self, seconds: float) -> None:
        """Have an outage that begins now; 0 ends one."""
        self._outage_until_s = self._clock() + seconds

    def _limited(self, now_s: float) -> float:
        """Return how long to wait: when so many came at once that the last of them is not due."""
        each_s = 1 / self._nature.rate_per_s
        due_s = max(self._due_s, now_s)
        early_s = due_s - (self._nature.burst - 1) * each_s - now_s
        if early_s > _HAIR_S:
            return early_s
        self._due_s = due_s + each_s
        return 0.0

    def _troubled(self, now_s: float) -> Admission:
        if now_s >= self._next_outage_s:
            mean_s = self._nature.outage_s
            length_s = self._dice.outages.expovariate(1 / mean_s) if mean_s else 0.0
            self._outage_until_s = max(self._outage_until_s, now_s + length_s)
            self._next_outage_s = self._outage_until_s + self._drawn_outage()
        if now_s < self._outage_until_s:
            return self._dice.outages.choice(_DURING_OUTAGES)
        return Admission.LET_IN

    def _drawn_outage(self) -> float:
        every_s = self._nature.outage_every_s
        return self._dice.outages.expovariate(1 / every_s) if every_s else float("inf")
