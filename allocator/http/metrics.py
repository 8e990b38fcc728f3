"""Prometheus metrics of a whole server, rendered from the figures of its workers.

What is of all workers together has no label: a dashboard means the server. A `worker` label is
where the difference says something: who serves how much, who is in trouble.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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

from allocator.actors.statistics import Figures, merged
from allocator.domain.ids import SHARDS
from allocator.domain.rows import Lag

FORMER: Final = ""
"""In place of a worker's: what others have counted that are no more, or do not answer."""

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"

_COUNTERS: Final = {
    "appends": "Commits of rows",
    "append_seconds": "Time that commits took together",
    "appended_rows": "Rows committed",
    "confirms": "Turns without rows, confirmed by a lock",
    "append_failures": "Appends and confirms of unknown outcome",
    "fenced_appends": "Of these, refused since another process took the worker's place",
    "repairs": "Times that an incarnation was replaced",
    "recoveries": "Actors recovered from snapshot and journal",
    "recovery_seconds": "Time that recoveries took together",
    "replayed_events": "Events replayed in recoveries",
    "passivations": "Actors dropped because they were idle",
    "key_lookups": "Idempotency keys looked up in the journal",
    "key_repeats": "Requests answered again by their key",
    "forwards_sent": "Requests that one worker asked another",
    "forwards_received": "Requests that one worker had from another",
    "forwards_failed": "Requests to another worker that were not answered",
    "forwards_retried": "Times that such a request waited for a new owner of its shard",
    "asks_sent": "What processes asked of other actors, each attempt",
    "asks_repeated": "Of these, what had been asked before",
    "shards_given": "Shards that a worker gave away",
    "shards_taken": "Shards that a worker took",
    "connections_refused": "Connections turned away because there were too many",
    "connections_cut_off": "Connections ended because their client held them up",
    "told_events": "Events sent to clients that listen, each as often as it was",
    "webhook_deliveries": "Messages that receivers of webhooks took",
    "webhook_failures": "Attempts to deliver one that were in vain",
    "webhook_dead_letters": "Messages that were given up after many attempts",
    "subscribers_cut_off": "Clients that listened and did not take what they were sent",
}
"""Figures that are shown under their own name."""

_GAUGES: Final = {
    "unanswered_messages": "Messages accepted and not answered",
    "mailbox_messages_max": "Of these, those of the fullest mailbox",
    "actors": "Actors in memory",
    "quarantined_actors": "Actors that cannot be replayed",
    "processes": "Of these, carts, moves and orders of several lines",
    "outstanding_asks": "What processes asked of other actors and have no answer to",
    "shards": "Shards that are served",
    "append_rows_max": "Rows of the largest append so far",
    "connections": "Connections of clients",
    "subscribers": "Clients that listen to events",
    "payments_waiting": "Charges that wait until the payment provider can be asked",
    "payments_under_way": "Charges for which the payment provider has been asked",
    "payments_reporting": "Charges that were decided, which is not stored yet",
}

_ORDER_EVENTS: Final = {
    "placed": "order_placed",
    "dispatched": "order_dispatched",
    "cancelled": "order_cancelled",
}
_ORDER_REFUSALS: Final = ("insufficient_stock", "order_not_open")
_LINES_EVENTS: Final = {
    "placed": "order_accepted",
    "dispatched": "lines_dispatched",
    "cancelled": "lines_cancelled",
}
_LINES_REFUSALS: Final = ("not_open", "too_much")
_STOCK_EVENTS: Final = {
    "received": "stock_received",
    "expired": "lot_expired",
    "opened": "ticket_option_opened",
}
_STOCK_REFUSALS: Final = ("already_expired", "occupied")
_CART_EVENTS: Final = {
    "opened": "cart_opened",
    "closed": "cart_closed",
    "expired": "cart_expired",
    "paid": "checkout_paid",
}
_CHECKOUT_EVENTS: Final = {
    "begun": "checkout_begun",
    "paid": "checkout_paid",
    "failed": "checkout_failed",
    "unknown": "checkout_unknown",
    "refund_due": "refund_due",
}
_PAYMENT_OUTCOMES: Final = ("paid", "failed", "unknown", "never_sent")
_MOVE_EVENTS: Final = {
    "requested": "move_requested",
    "done": "move_done",
    "refused": "move_refused",
    "ended": "move_ended",
}


def metrics_text(
    figures_by_worker: Mapping[str, Figures | None],
    *,
    lag: Lag | None,
    versions: dict[str, str],
) -> bytes:
    """Return all metrics of a server.

    Args:
        figures_by_worker: By the worker's place; None for one that did not answer. And `FORMER`.
        lag: Of the read models; None, and without its metrics, if it is not known.
        versions: Of what runs, by name.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(_all(figures_by_worker, lag, versions)))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _all(
    figures_by_worker: Mapping[str, Figures | None], lag: Lag | None, versions: dict[str, str]
) -> Iterator[Metric]:
    server = merged([each for each in figures_by_worker.values() if each is not None])
    yield InfoMetricFamily("allocator", "What runs", value=versions)
    yield from _of_requests(server)
    yield from _of_outcomes(server)
    yield from _of_commits(server)
    for name, meaning in _COUNTERS.items():
        yield CounterMetricFamily(f"allocator_{name}", meaning, value=getattr(server, name))
    for name, meaning in _GAUGES.items():
        yield GaugeMetricFamily(f"allocator_{name}", meaning, value=getattr(server, name))
    yield GaugeMetricFamily(
        "allocator_unowned_shards",
        "Shards that no worker of this server serves",
        value=SHARDS - server.shards,
    )
    lags = GaugeMetricFamily(
        "allocator_webhook_lag_seconds",
        "How long what a receiver is to be told next has been waiting",
        labels=["webhook"],
    )
    for name, lag_ms in sorted(server.webhook_lags_ms.items()):
        lags.add_metric([name], lag_ms / 1000)
    yield lags
    yield from _of_feeds(server)
    yield from _of_waiting(server)
    yield from _of_workers(figures_by_worker)
    if lag is not None:
        yield from _of_read_models(lag)


def _of_requests(server: Figures) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "allocator_requests", "Answers by HTTP status", labels=["status"]
    )
    for status, count in sorted(server.requests.items()):
        requests.add_metric([status], count)
    yield requests
    yield HistogramMetricFamily(
        "allocator_request_seconds",
        "Time from a request's head to its answer",
        buckets=_buckets(server.requests_by_time, unit=1_000_000),
        sum_value=server.request_seconds,
    )


def _of_outcomes(server: Figures) -> Iterator[Metric]:
    orders = CounterMetricFamily(
        "allocator_orders",
        "What became of orders; a refusal has a reason",
        labels=["outcome", "reason"],
    )
    _add_outcomes(orders, server, events=_ORDER_EVENTS, refusals=_ORDER_REFUSALS)
    yield orders
    of_lines = CounterMetricFamily(
        "allocator_orders_of_lines",
        "What became of orders of several lines; a refusal has a reason",
        labels=["outcome", "reason"],
    )
    _add_outcomes(of_lines, server, events=_LINES_EVENTS, refusals=_LINES_REFUSALS)
    of_lines.add_metric(["refused", "insufficient_stock"], server.events.get("order_declined", 0))
    yield of_lines
    stocks = CounterMetricFamily(
        "allocator_stocks",
        "What became of stocks; a refusal has a reason",
        labels=["outcome", "reason"],
    )
    _add_outcomes(stocks, server, events=_STOCK_EVENTS, refusals=_STOCK_REFUSALS)
    yield stocks
    moves = CounterMetricFamily("allocator_moves", "How far moves have come", labels=["outcome"])
    for outcome, kind in _MOVE_EVENTS.items():
        moves.add_metric([outcome], server.events.get(kind, 0))
    yield moves
    yield from _of_payments(server)
    yield CounterMetricFamily(
        "allocator_key_conflicts",
        "Requests refused because their key belongs to another",
        value=server.refusals.get("key_reused", 0),
    )


def _of_payments(server: Figures) -> Iterator[Metric]:
    carts = CounterMetricFamily("allocator_carts", "What became of carts", labels=["outcome"])
    for outcome, kind in _CART_EVENTS.items():
        carts.add_metric([outcome], server.events.get(kind, 0))
    checkouts = CounterMetricFamily(
        "allocator_checkouts", "How far attempts to pay have come", labels=["outcome"]
    )
    for outcome, kind in _CHECKOUT_EVENTS.items():
        checkouts.add_metric([outcome], server.events.get(kind, 0))
    payments = CounterMetricFamily(
        "allocator_payments",
        "What became of charges; those that were never sent are among those that failed",
        labels=["outcome"],
    )
    for outcome in _PAYMENT_OUTCOMES:
        payments.add_metric([outcome], getattr(server, f"payments_{outcome}"))
    yield from (carts, checkouts, payments)


def _add_outcomes(
    family: CounterMetricFamily,
    server: Figures,
    *,
    events: Mapping[str, str],
    refusals: Sequence[str],
) -> None:
    for outcome, kind in events.items():
        family.add_metric([outcome, ""], server.events.get(kind, 0))
    for reason in refusals:
        family.add_metric(["refused", reason], server.refusals.get(reason, 0))


def _of_commits(server: Figures) -> Iterator[Metric]:
    yield HistogramMetricFamily(
        "allocator_commit_seconds",
        "Time from sending an append until its commit is known",
        buckets=_buckets(server.appends_by_time, unit=1_000_000),
        sum_value=server.append_seconds,
    )
    yield HistogramMetricFamily(
        "allocator_commit_rows",
        "Rows that one commit carries",
        buckets=_buckets(server.appends_by_rows, unit=1),
        sum_value=server.appended_rows,
    )


def _of_feeds(server: Figures) -> Iterator[Metric]:
    """Yield how warehouses are fed; every metric is there without any, too."""
    for name, meaning, by_warehouse, unit in (
        ("feed_waiting_pushes", "Pushes that its system does not have", server.feed_pushes, 1),
        (
            "feed_lag_seconds",
            "How long the oldest push has waited that its system does not have",
            server.feed_lags_ms,
            1000,
        ),
        (
            "feed_age_seconds",
            "How long ago its system was heard to the end; 0 if it never was",
            server.feed_ages_ms,
            1000,
        ),
        (
            "feed_waiting_events",
            "What its system told by itself and no pool has followed",
            server.feed_events,
            1,
        ),
        (
            "feed_event_lag_seconds",
            "How long that of it has waited which is next",
            server.feed_event_lags_ms,
            1000,
        ),
        ("feed_shortfall_units", "Promised units that are missing", server.feed_shortfalls, 1),
    ):
        gauge = GaugeMetricFamily(f"allocator_{name}", meaning, labels=["warehouse"])
        for warehouse, value in sorted(by_warehouse.items()):
            gauge.add_metric([warehouse], value / unit)
        yield gauge
    requests = CounterMetricFamily(
        "allocator_feed_requests",
        "What became of requests to its system",
        labels=["warehouse", "outcome"],
    )
    for name, count in sorted(server.feed_requests.items()):
        outcome, _, warehouse = name.partition(" ")
        requests.add_metric([warehouse, outcome], count)
    yield requests


def _of_waiting(server: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "allocator_oldest_ask_seconds",
        "How long a process has waited for the oldest answer that is outstanding",
        value=server.oldest_ask_ms / 1000,
    )
    yield GaugeMetricFamily(
        "allocator_wake_up_lag_seconds",
        "How long the actor that has been due for longest has been so",
        value=server.wake_up_lag_ms / 1000,
    )


def _of_workers(figures_by_worker: Mapping[str, Figures | None]) -> Iterator[Metric]:
    up = GaugeMetricFamily("allocator_worker_up", "Whether it answers", labels=["worker"])
    shards = GaugeMetricFamily("allocator_worker_shards", "Shards it serves", labels=["worker"])
    unanswered = GaugeMetricFamily(
        "allocator_worker_unanswered_messages",
        "Messages it accepted and has not answered",
        labels=["worker"],
    )
    repairs = CounterMetricFamily(
        "allocator_worker_repairs", "Times that it replaced its incarnation", labels=["worker"]
    )
    for worker in sorted(figures_by_worker.keys() - {FORMER}):
        figures = figures_by_worker[worker]
        up.add_metric([worker], 0 if figures is None else 1)
        if figures is not None:
            shards.add_metric([worker], figures.shards)
            unanswered.add_metric([worker], figures.unanswered_messages)
            repairs.add_metric([worker], figures.repairs)
    yield from (up, shards, unanswered, repairs)


def _of_read_models(lag: Lag) -> Iterator[Metric]:
    gauges = {
        "projection_lag_events": ("Rows of the journal not in the read models", lag.events),
        "projection_held_back_events": (
            "Of these, rows behind a transaction that is still running",
            lag.held_back,
        ),
        "quarantined_projections": ("Actors whose read models stand still", lag.quarantined),
        "unknown_checkouts": (
            "Attempts to pay of which nobody knows what became",
            lag.unknown_checkouts,
        ),
        "refunds_due": ("Attempts to pay for which money is to be given back", lag.refunds_due),
    }
    for name, (meaning, value) in gauges.items():
        yield GaugeMetricFamily(f"allocator_{name}", meaning, value=value)


def _buckets(counts: Sequence[int], *, unit: int) -> list[tuple[str, float]]:
    """Return what is at most each power of two of so many to one, and at last all there is."""
    buckets, total = [], 0
    for number, count in enumerate(counts):
        total += count
        last = number == len(counts) - 1
        buckets.append(("+Inf" if last else repr(2**number / unit), float(total)))
    return buckets or [("+Inf", 0.0)]
