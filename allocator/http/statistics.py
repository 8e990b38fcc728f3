"""What the HTTP side counts, cheaply enough for every request."""

from bisect import bisect_left
from typing import Final

BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class HttpStatistics:
    """Counters that only grow, for metrics.

    Attributes:
        by_status: Answers by status code.
        by_bucket: Answers by time taken; the last bucket is for what exceeds `BUCKETS_S`.
        seconds: Time taken by all answers.
    """

    __slots__ = ("by_bucket", "by_status", "seconds")

    def __init__(self) -> None:
        self.by_status: dict[int, int] = {}
        self.by_bucket = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0

    def count(self, status: int, took_s: float) -> None:
        """Count one answer."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.by_bucket[bisect_left(BUCKETS_S, took_s)] += 1
        self.seconds += took_s
