"""What the HTTP side counts, cheaply enough for every request."""

from typing import Final

BUCKETS: Final = 26
"""Bucket n counts answers that took less than 2**n microseconds; the last, all that took longer."""


class HttpStatistics:
    """Counters that only grow, for metrics.

    Attributes:
        by_status: Answers by status code.
        by_bucket: Answers by time taken, see `BUCKETS`.
        seconds: Time taken by all answers.
    """

    __slots__ = ("by_bucket", "by_status", "seconds")

    def __init__(self) -> None:
        self.by_status: dict[int, int] = {}
        self.by_bucket = [0] * BUCKETS
        self.seconds = 0.0

    def count(self, status: int, took_s: float) -> None:
        """Count one answer."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.by_bucket[min(int(took_s * 1_000_000).bit_length(), BUCKETS - 1)] += 1
        self.seconds += took_s
