"""A histogram of latencies: constant memory, percentiles within one per cent."""

import msgspec

_PRECISION_BITS = 7
"""Values keep their 8 leading bits, so a bucket is at most 1/128 of its value wide."""

_NS_PER_MS = 1_000_000


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """What half, 99 %, 99.9 % and all of the answers took at most, in milliseconds."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class Histogram:
    """Counts of durations in buckets that grow with the duration.

    Attributes:
        count: How many were recorded.
        max_ns: The longest, exactly.
    """

    def __init__(self) -> None:
        self.count = 0
        self.max_ns = 0
        self._buckets: dict[int, int] = {}

    def record(self, duration_ns: int) -> None:
        """Count one duration, which must not be negative."""
        shift = max(0, duration_ns.bit_length() - _PRECISION_BITS - 1)
        bucket = (shift << (_PRECISION_BITS + 1)) + (duration_ns >> shift)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        self.max_ns = max(self.max_ns, duration_ns)

    def percentile_ns(self, share: float) -> int:
        """Return what `share` (0 to 1) of the durations took at most, rounded up to a bucket."""
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(_upper_ns(bucket), self.max_ns)
        return self.max_ns

    def percentiles(self) -> Percentiles:
        """Return the figures that are reported."""
        return Percentiles(
            p50_ms=self._ms(0.50),
            p99_ms=self._ms(0.99),
            p999_ms=self._ms(0.999),
            max_ms=round(self.max_ns / _NS_PER_MS, 3),
        )

    def _ms(self, share: float) -> float:
        return round(self.percentile_ns(share) / _NS_PER_MS, 3)


def _upper_ns(bucket: int) -> int:
    shift, leading = bucket >> (_PRECISION_BITS + 1), bucket & ((2 << _PRECISION_BITS) - 1)
    return ((leading + 1) << shift) - 1
