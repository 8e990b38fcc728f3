"""A token bucket that a server on the other side of a network has no reason to complain of.

A server counts a request when it comes, which is at some time between our sending it and our having
its answer. So a request takes its token when it is sent, and counts as of when it was answered: our
bucket never has more tokens than the server's, however long anything takes on its way
(`docs/wms.md`). A bucket is empty at first, since nobody knows what was sent before a restart.
"""

import math
from collections import deque
from typing import Final

from msgspec import Struct

_SECOND_US: Final = 1_000_000
_SLOWER: Final = 1.001
"""No two clocks agree: a quartz is wrong by 100 in a million, and one that is being set by 500."""


class Limit(Struct, frozen=True, kw_only=True):
    """How often somebody may be asked.

    Attributes:
        per_s: So many requests a second in the long run; above 0.
        burst: So many at once after a quiet time; at least 1. In any time of t seconds there are
            `burst + per_s * t` at most.
    """

    per_s: float
    burst: int = 1

    @property
    def interval_us(self) -> int:
        """Microseconds for a token: rather too many than too few."""
        return max(math.ceil(_SECOND_US * _SLOWER / self.per_s), 1)


class Bucket:
    """Says when a request may be sent. It reads no clock: times come in, microseconds of any.

    A token is `limit.interval_us` of time; whole numbers all the way.

    Args:
        limit: What is kept to.
        now_us: When it begins, empty.
    """

    def __init__(self, limit: Limit, *, now_us: int) -> None:
        assert limit.per_s > 0
        assert limit.burst >= 1
        self._interval_us = limit.interval_us
        self._full_us = limit.burst * self._interval_us
        self._level_us = 0
        self._at_us = now_us
        self._quiet_until_us = now_us
        self._under_way = 0
        self._doubtful: deque[int] = deque()

    @property
    def under_way(self) -> int:
        """How many requests may yet be counted by the server."""
        return self._under_way

    def heir(self, limit: Limit, *, now_us: int) -> "Bucket":
        """Return one of another limit for the same server, empty, that knows what this one does.

        To be used once nobody waits for an answer of those that this one has let through.
        """
        self._advance(now_us)
        heir = Bucket(limit, now_us=now_us)
        heir._level_us = min(self._level_us, 0)
        heir._quiet_until_us = self._quiet_until_us
        heir._doubtful = deque(self._doubtful)
        heir._under_way = len(heir._doubtful)
        return heir

    def take(self, *, now_us: int) -> int | None:
        """Take a token for a request that is sent at once.

        Returns:
            0 if there was one. Else for how long to wait before asking again, microseconds; None
            if only the end of a request under way can help.
        """
        self._advance(now_us)
        if now_us < self._quiet_until_us:
            return self._quiet_until_us - now_us
        wanted_us = (self._under_way + 1) * self._interval_us
        if wanted_us <= self._level_us:
            self._under_way += 1
            return 0
        if wanted_us <= self._full_us:
            return wanted_us - self._level_us
        return self._doubtful[0] - now_us if self._doubtful else None

    def answered(self, *, now_us: int) -> None:
        """Know that a request under way has come to its end."""
        self._advance(now_us)
        self._count()

    def given_up(self, *, now_us: int, until_us: int) -> None:
        """Know that nobody waits for an answer any more, and that it may come until some time."""
        self._advance(now_us)
        self._doubtful.append(max(until_us, self._doubtful[-1] if self._doubtful else until_us))

    def refused(self, *, now_us: int, until_us: int) -> None:
        """Heed a server that wants to be left alone: it has no tokens for us now."""
        self.answered(now_us=now_us)
        self._level_us = min(self._level_us, 0)
        self._quiet_until_us = max(self._quiet_until_us, until_us)

    def _advance(self, now_us: int) -> None:
        while self._doubtful and self._doubtful[0] <= now_us:
            self._fill(self._doubtful.popleft())
            self._count()
        self._fill(now_us)

    def _fill(self, now_us: int) -> None:
        passed_us = max(now_us - self._at_us, 0)
        self._level_us = min(self._level_us + passed_us, self._full_us)
        self._at_us += passed_us

    def _count(self) -> None:
        self._under_way -= 1
        self._level_us -= self._interval_us
