"""The benchmarks' histogram, against a sorted list."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from bench.latency import Histogram


@given(
    st.lists(st.integers(min_value=0, max_value=10**12), min_size=1),
    st.sampled_from([0.5, 0.99, 0.999, 1.0]),
)
def test_a_percentile_is_at_most_one_percent_above_the_exact_one(
    durations: list[int], share: float
) -> None:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)

    exact = sorted(durations)[ceil(share * len(durations)) - 1]

    assert exact <= histogram.percentile_ns(share) <= exact * 1.01


def test_an_empty_histogram_has_zeros() -> None:
    assert Histogram().percentiles().p99_ms == 0


def test_the_longest_is_kept_exactly() -> None:
    histogram = Histogram()
    histogram.record(123_456_789)

    assert histogram.percentiles().max_ms == 123.457
