"""What the HTTP side counts, cheaply enough for every request; and all figures of a worker."""

from allocator.actors.statistics import (
    DeliveryStatistics,
    Durations,
    FeedStatistics,
    Figures,
    ForwardStatistics,
    HandOverStatistics,
)
from allocator.actors.worker import Worker
from allocator.payments.calls import CallStatistics


class ConnectionStatistics:
    """What becomes of connections.

    Attributes:
        open: How many there are.
        refused: How many were turned away, since there were too many.
        cut_off: How many were ended, since their client held them up.
    """

    __slots__ = ("cut_off", "open", "refused")

    def __init__(self) -> None:
        self.open = 0
        self.refused = 0
        self.cut_off = 0


class HttpStatistics:
    """Counters that only grow, for metrics.

    Attributes:
        by_status: Answers by status code.
        durations: From a request's head to its answer.
        calls: To the payment provider; some of their numbers may fall.
        connections: Of clients.
        deliveries: Of webhooks.
        feeds: Of warehouses, by systems of their own.
        subscribers: Clients that listen to events now; the only number that may fall.
        told: Events that were sent to them, each as often as it was.
        cut_off: Those that were disconnected because they did not take what they were sent.
    """

    __slots__ = (
        "by_status",
        "calls",
        "connections",
        "cut_off",
        "deliveries",
        "durations",
        "feeds",
        "subscribers",
        "told",
    )

    def __init__(self) -> None:
        self.by_status: dict[int, int] = {}
        self.durations = Durations()
        self.calls = CallStatistics()
        self.connections = ConnectionStatistics()
        self.deliveries = DeliveryStatistics()
        self.feeds = FeedStatistics()
        self.subscribers = 0
        self.told = 0
        self.cut_off = 0

    def count(self, status: int, took_s: float) -> None:
        """Count one answer."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.durations.count(took_s)


def figures_of(
    worker: Worker,
    statistics: HttpStatistics,
    *,
    now_ms: int = 0,
    forwards: ForwardStatistics | None = None,
    hand_overs: HandOverStatistics | None = None,
) -> Figures:
    """Return what a worker has counted so far, and how it is now.

    Args:
        worker: Whose actors they are.
        statistics: Of the requests that came to this worker.
        now_ms: Milliseconds of Unix time.
        forwards: None in a worker that has no others to ask.
        hand_overs: None in a worker that has nobody to give a shard to.
    """
    forwards = forwards or ForwardStatistics()
    hand_overs = hand_overs or HandOverStatistics()
    writer, directory = worker.writer, worker.directory
    return Figures(
        requests={str(status): count for status, count in statistics.by_status.items()},
        requests_by_time=list(statistics.durations.by_bucket),
        request_seconds=statistics.durations.seconds,
        events=dict(writer.statistics.events),
        refusals=dict(writer.statistics.refusals),
        appends=writer.statistics.appends,
        appends_by_time=list(writer.statistics.durations.by_bucket),
        appends_by_rows=list(writer.statistics.by_rows),
        append_seconds=writer.statistics.durations.seconds,
        appended_rows=writer.statistics.rows,
        append_rows_max=writer.statistics.rows_max,
        append_failures=writer.statistics.failures,
        fenced_appends=writer.statistics.fenced,
        confirms=writer.statistics.confirms,
        repairs=worker.repairs,
        recoveries=directory.statistics.recoveries,
        recovery_seconds=directory.statistics.recovery_seconds,
        replayed_events=directory.statistics.replayed,
        passivations=directory.statistics.passivations,
        key_lookups=worker.keys.lookups,
        key_repeats=worker.keys.repeats,
        forwards_sent=forwards.sent,
        forwards_received=forwards.received,
        forwards_failed=forwards.failed,
        forwards_retried=forwards.retried,
        shards_given=hand_overs.given,
        shards_taken=hand_overs.taken,
        asks_sent=worker.office.sent,
        asks_repeated=worker.office.repeated,
        shards=len(worker.shards),
        unanswered_messages=writer.unanswered,
        mailbox_messages_max=max(writer.fullest_mailbox(), directory.fullest_mailbox()),
        actors=len(directory),
        quarantined_actors=len(directory.quarantined),
        processes=worker.office.processes,
        outstanding_asks=worker.office.outstanding,
        oldest_ask_ms=worker.office.oldest_ms(),
        wake_up_lag_ms=worker.wakes.lag_ms(),
        connections=statistics.connections.open,
        connections_refused=statistics.connections.refused,
        connections_cut_off=statistics.connections.cut_off,
        subscribers=statistics.subscribers,
        told_events=statistics.told,
        subscribers_cut_off=statistics.cut_off,
        webhook_deliveries=statistics.deliveries.delivered,
        webhook_failures=statistics.deliveries.failed,
        webhook_dead_letters=statistics.deliveries.dead,
        webhook_lags_ms=statistics.deliveries.lags_ms(now_ms=now_ms),
        feed_pushes=dict(statistics.feeds.waiting),
        feed_lags_ms=statistics.feeds.lags_ms(now_ms=now_ms),
        feed_ages_ms=statistics.feeds.ages_ms(now_ms=now_ms),
        feed_events=dict(statistics.feeds.events),
        feed_event_lags_ms=statistics.feeds.event_lags_ms(now_ms=now_ms),
        feed_shortfalls=dict(statistics.feeds.shortfalls),
        feed_requests=dict(statistics.feeds.requests),
        payments_waiting=statistics.calls.waiting,
        payments_under_way=statistics.calls.under_way,
        payments_reporting=statistics.calls.reporting,
        payments_paid=statistics.calls.paid,
        payments_failed=statistics.calls.failed,
        payments_unknown=statistics.calls.unknown,
        payments_never_sent=statistics.calls.never_sent,
    )
