"""Prometheus metrics, read from counters that the parts keep anyway when somebody scrapes."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from allocator.actors.worker import Worker
from allocator.domain.rows import Lag
from allocator.http.statistics import HttpStatistics

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"


def metrics_text(
    worker: Worker, statistics: HttpStatistics, *, lag: Lag | None, versions: dict[str, str]
) -> bytes:
    """Return all metrics; those of the read models only if their lag is known."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(_all(worker, statistics, lag, versions)))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _all(
    worker: Worker, statistics: HttpStatistics, lag: Lag | None, versions: dict[str, str]
) -> Iterable[Metric]:
    yield InfoMetricFamily("allocator", "What runs", value=versions)
    yield from _of_requests(statistics)
    yield from _of_worker(worker)
    if lag is not None:
        yield from _of_read_models(lag)


def _of_requests(statistics: HttpStatistics) -> Iterable[Metric]:
    requests = CounterMetricFamily(
        "allocator_requests", "Answers by HTTP status", labels=["status"]
    )
    for status, count in sorted(statistics.by_status.items()):
        requests.add_metric([str(status)], count)
    yield requests
    buckets, total = [], 0
    for number, count in enumerate(statistics.by_bucket):
        total += count
        last = number == len(statistics.by_bucket) - 1
        buckets.append(("+Inf" if last else repr(2**number / 1_000_000), float(total)))
    yield HistogramMetricFamily(
        "allocator_request_seconds",
        "Time from a request's head to its answer",
        buckets=buckets,
        sum_value=statistics.seconds,
    )


def _of_worker(worker: Worker) -> Iterable[Metric]:
    writer, directory = worker.writer.statistics, worker.directory.statistics
    counters = {
        "appends": ("Commits of rows", writer.appends),
        "append_seconds": ("Time that commits took together", writer.durations.seconds),
        "appended_rows": ("Rows committed", writer.rows),
        "confirms": ("Turns without rows, confirmed by a lock", writer.confirms),
        "append_failures": ("Appends and confirms of unknown outcome", writer.failures),
        "repairs": ("Times that the incarnation was replaced", worker.repairs),
        "recoveries": ("Actors recovered from snapshot and journal", directory.recoveries),
        "replayed_events": ("Events replayed in recoveries", directory.replayed),
        "passivations": ("Actors dropped because they were idle", directory.passivations),
        "key_lookups": ("Idempotency keys looked up in the journal", worker.keys.lookups),
        "key_repeats": ("Requests answered again by their key", worker.keys.repeats),
    }
    for name, (meaning, value) in counters.items():
        yield CounterMetricFamily(f"allocator_{name}", meaning, value=value)
    gauges = {
        "unanswered_messages": ("Messages accepted and not answered", worker.writer.unanswered),
        "actors": ("Actors in memory", len(worker.directory)),
        "quarantined_actors": ("Actors that cannot be replayed", len(worker.directory.quarantined)),
        "shards": ("Shards that this worker serves", len(worker.shards)),
        "append_rows_max": ("Rows of the largest append so far", writer.rows_max),
    }
    for name, (meaning, value) in gauges.items():
        yield GaugeMetricFamily(f"allocator_{name}", meaning, value=value)


def _of_read_models(lag: Lag) -> Iterable[Metric]:
    gauges = {
        "projection_lag_events": ("Rows of the journal not in the read models", lag.events),
        "projection_held_back_events": (
            "Of these, rows behind a transaction that is still running",
            lag.held_back,
        ),
        "quarantined_projections": ("Actors whose read models stand still", lag.quarantined),
    }
    for name, (meaning, value) in gauges.items():
        yield GaugeMetricFamily(f"allocator_{name}", meaning, value=value)
