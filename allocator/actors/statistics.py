"""What the parts of a worker count, and all that one worker knows in plain numbers.

Counting is on the path of every order: a counter is an attribute that only grows, and a histogram
a list of counts by powers of two. Whatever costs more waits until somebody asks for metrics.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

import msgspec

from allocator.actors.messages import Answer, KeyReused
from allocator.domain.adjustments import (
    FlaggedUnits,
    InsufficientUnits,
    UnknownLot,
    VersionPassed,
)
from allocator.domain.carts import CartNotOpen, PaidFor, TooManyEdits, TooManyLines
from allocator.domain.checkouts import (
    AmountTooLarge,
    CartChanged,
    CartChanging,
    CartEmpty,
    CheckoutUnderWay,
    NotUnknown,
    TooManyCheckouts,
)
from allocator.domain.codec import STOCK_KINDS
from allocator.domain.feeds import (
    ExcludesFixed,
    FeedNotOn,
    NotUnderWay,
    OlderRun,
    PartsMissing,
    UnknownPush,
)
from allocator.domain.holds import AlreadyHeld
from allocator.domain.messages import (
    AlreadyBegun,
    AlreadyExpired,
    InsufficientStock,
    OrderNotOpen,
)
from allocator.domain.moves import SamePlace
from allocator.domain.orders import NotOpen, TooMuch
from allocator.domain.reconciling import IsFed, NotFed, TurnUnknown
from allocator.domain.records import Batch
from allocator.domain.transfers import AlreadySent, Occupied, Stale, TooManyLots

SECONDS_BUCKETS: Final = 26
"""Bucket n counts what took less than 2**n microseconds; the last, all that took longer."""

ROWS_BUCKETS: Final = 16
"""Bucket n counts appends of at most 2**n rows; the last, all that were larger."""

REASONS: Final[dict[type[Answer], str]] = {
    InsufficientStock: "insufficient_stock",
    OrderNotOpen: "order_not_open",
    AlreadyExpired: "already_expired",
    AlreadyBegun: "already_begun",
    Occupied: "occupied",
    TooManyLots: "too_many_lots",
    AlreadySent: "already_sent",
    AlreadyHeld: "already_held",
    Stale: "stale",
    KeyReused: "key_reused",
    SamePlace: "same_place",
    NotOpen: "not_open",
    TooMuch: "too_much",
    CartNotOpen: "cart_not_open",
    TooManyEdits: "too_many_edits",
    TooManyLines: "too_many_lines",
    PaidFor: "paid_for",
    CartChanged: "cart_changed",
    CartChanging: "cart_changing",
    CartEmpty: "cart_empty",
    CheckoutUnderWay: "checkout_under_way",
    NotUnknown: "not_unknown",
    TooManyCheckouts: "too_many_checkouts",
    AmountTooLarge: "amount_too_large",
    IsFed: "is_fed",
    NotFed: "not_fed",
    TurnUnknown: "turn_unknown",
    FeedNotOn: "feed_not_on",
    ExcludesFixed: "excludes_fixed",
    OlderRun: "older_run",
    UnknownPush: "unknown_push",
    NotUnderWay: "not_under_way",
    PartsMissing: "parts_missing",
    InsufficientUnits: "insufficient_units",
    UnknownLot: "unknown_lot",
    FlaggedUnits: "flagged_units",
    VersionPassed: "version_passed",
}
"""Why something was refused, for people who read metrics; the names of these never change."""


class Durations:
    """How long something took, each time.

    Attributes:
        by_bucket: How often, see `SECONDS_BUCKETS`.
        seconds: All of it together.
    """

    __slots__ = ("by_bucket", "seconds")

    def __init__(self) -> None:
        self.by_bucket = [0] * SECONDS_BUCKETS
        self.seconds = 0.0

    def count(self, took_s: float) -> None:
        """Count one."""
        bits = int(took_s * 1_000_000).bit_length()
        self.by_bucket[bits if bits < SECONDS_BUCKETS else -1] += 1
        self.seconds += took_s


class WriterStatistics:
    """Counters of the journal writer, which only grow.

    Attributes:
        durations: From sending an append until its commit is known.
        by_rows: Appends by size, see `ROWS_BUCKETS`.
        rows_max: Of the largest append.
        failures: Appends and confirms of unknown outcome, and times that it was doubted.
        fenced: Of these, those that were refused: another process took this worker's place.
        events: Committed rows by kind.
        refusals: Answers by reason, see `REASONS`.
    """

    __slots__ = (
        "appends",
        "by_rows",
        "confirms",
        "durations",
        "events",
        "failures",
        "fenced",
        "refusals",
        "rows",
        "rows_max",
    )

    def __init__(self) -> None:
        self.appends = 0
        self.durations = Durations()
        self.by_rows = [0] * ROWS_BUCKETS
        self.rows = 0
        self.rows_max = 0
        self.confirms = 0
        self.failures = 0
        self.fenced = 0
        self.events = Counter(dict.fromkeys(STOCK_KINDS.values(), 0))
        self.refusals = dict.fromkeys(REASONS.values(), 0)

    def count_append(self, batch: Batch, *, took_s: float) -> None:
        """Count rows that have been committed."""
        rows = len(batch)
        self.appends += 1
        self.rows += rows
        self.rows_max = max(self.rows_max, rows)
        self.by_rows[min((rows - 1).bit_length(), ROWS_BUCKETS - 1)] += 1
        self.durations.count(took_s)
        self.events.update(batch.kinds)

    def count_rowless(self, answer: Answer) -> None:
        """Count an answer that is no event, if it says no."""
        reason = REASONS.get(type(answer))
        if reason is not None:
            self.refusals[reason] += 1


class DirectoryStatistics:
    """Counters of the actors in memory, which only grow.

    Attributes:
        recovery_seconds: What recoveries took together, without their wait for each other.
        replayed: Events that were replayed for them.
    """

    __slots__ = ("passivations", "recoveries", "recovery_seconds", "replayed")

    def __init__(self) -> None:
        self.recoveries = 0
        self.recovery_seconds = 0.0
        self.replayed = 0
        self.passivations = 0


class ForwardStatistics:
    """Counters of what workers ask each other, which only grow.

    Attributes:
        sent: Requests that went to another worker, each attempt.
        received: Requests that came from other workers.
        failed: Of those, the ones without an answer: their clients heard 503.
        retried: Times that one waited for another owner: its shard moved, or the worker was gone.
    """

    __slots__ = ("failed", "received", "retried", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.failed = 0
        self.retried = 0


class HandOverStatistics:
    """Counters of shards that changed their worker, which only grow.

    Attributes:
        given: Shards that this worker let others have.
        taken: Shards that it claimed, from whomever.
    """

    __slots__ = ("given", "taken")

    def __init__(self) -> None:
        self.given = 0
        self.taken = 0


class DeliveryStatistics:
    """Counters of webhooks, of the one worker that delivers.

    Attributes:
        delivered: Messages that were taken.
        failed: Attempts that were in vain.
        dead: Messages that were given up.
        waiting_since_ms: By webhook, when that happened which its receiver is now to be told; 0
            if it has been told everything. The only one that is not a counter.
    """

    __slots__ = ("dead", "delivered", "failed", "waiting_since_ms")

    def __init__(self) -> None:
        self.delivered = 0
        self.failed = 0
        self.dead = 0
        self.waiting_since_ms: dict[str, int] = {}

    def lags_ms(self, *, now_ms: int) -> dict[str, int]:
        """Return by webhook how long what comes next has been waiting; 0 if there is nothing."""
        return {
            name: max(now_ms - since_ms, 0) if since_ms else 0
            for name, since_ms in self.waiting_since_ms.items()
        }


class FeedStatistics:
    """How the feeds of one worker are, by warehouse; only `requests` counts.

    Attributes:
        waiting: Pushes that the warehouse system does not have.
        waiting_since_ms: When the oldest of them was numbered; 0 if there is none.
        completed_ms: When the last complete run ended; 0 if there was none.
        events: What the warehouse system told by itself and no pool has followed; 10,000 at most.
        events_since_ms: When that of it was taken which is next; 0 if there is nothing.
        shortfalls: Promised units that are missing.
        requests: What became of requests to the system: `OUTCOME WAREHOUSE`.
    """

    __slots__ = (
        "completed_ms",
        "events",
        "events_since_ms",
        "requests",
        "shortfalls",
        "waiting",
        "waiting_since_ms",
    )

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.waiting_since_ms: dict[str, int] = {}
        self.completed_ms: dict[str, int] = {}
        self.events: dict[str, int] = {}
        self.events_since_ms: dict[str, int] = {}
        self.shortfalls: dict[str, int] = {}
        self.requests: Counter[str] = Counter()

    def count_request(self, warehouse: str, outcome: str) -> None:
        """Note what became of a request to a warehouse's system."""
        self.requests[f"{outcome} {warehouse}"] += 1

    def forget(self, warehouse: str) -> None:
        """Have another worker tell of a warehouse, or nobody."""
        for each in (
            self.waiting,
            self.waiting_since_ms,
            self.completed_ms,
            self.events,
            self.events_since_ms,
            self.shortfalls,
        ):
            each.pop(warehouse, None)

    def lags_ms(self, *, now_ms: int) -> dict[str, int]:
        """Return how long the oldest push has waited; 0 if there is none."""
        return _since(self.waiting_since_ms, now_ms=now_ms)

    def ages_ms(self, *, now_ms: int) -> dict[str, int]:
        """Return how long ago the last complete run ended; 0 if there was none."""
        return _since(self.completed_ms, now_ms=now_ms)

    def event_lags_ms(self, *, now_ms: int) -> dict[str, int]:
        """Return how long the event has waited that is next; 0 if there is none."""
        return _since(self.events_since_ms, now_ms=now_ms)


def _since(times_ms: dict[str, int], *, now_ms: int) -> dict[str, int]:
    return {name: max(now_ms - at_ms, 0) if at_ms else 0 for name, at_ms in times_ms.items()}


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All that one worker knows, or several together, in numbers that can travel.

    Everything has a default: while a server is rolled, workers of two releases ask each other.

    Attributes:
        life: Names the worker's process among all that the server ever has; "" for several.
        requests: Answers by HTTP status.
        feed_requests: To warehouse systems: `OUTCOME WAREHOUSE`.
        requests_by_time: Answers by the time they took, see `SECONDS_BUCKETS`.
        events: Committed rows by kind.
        refusals: Answers by reason, see `REASONS`.
        appends_by_time, appends_by_rows: Commits, see `SECONDS_BUCKETS` and `ROWS_BUCKETS`.
    """

    life: str = ""
    requests: dict[str, int] = {}
    requests_by_time: list[int] = []
    request_seconds: float = 0.0
    events: dict[str, int] = {}
    refusals: dict[str, int] = {}
    appends: int = 0
    appends_by_time: list[int] = []
    appends_by_rows: list[int] = []
    append_seconds: float = 0.0
    appended_rows: int = 0
    append_rows_max: int = 0
    append_failures: int = 0
    fenced_appends: int = 0
    confirms: int = 0
    repairs: int = 0
    recoveries: int = 0
    recovery_seconds: float = 0.0
    replayed_events: int = 0
    passivations: int = 0
    key_lookups: int = 0
    key_repeats: int = 0
    forwards_sent: int = 0
    forwards_received: int = 0
    forwards_failed: int = 0
    forwards_retried: int = 0
    shards_given: int = 0
    shards_taken: int = 0
    asks_sent: int = 0
    asks_repeated: int = 0
    shards: int = 0
    unanswered_messages: int = 0
    mailbox_messages_max: int = 0
    actors: int = 0
    quarantined_actors: int = 0
    processes: int = 0
    outstanding_asks: int = 0
    oldest_ask_ms: int = 0
    wake_up_lag_ms: int = 0
    connections: int = 0
    connections_refused: int = 0
    connections_cut_off: int = 0
    subscribers: int = 0
    told_events: int = 0
    subscribers_cut_off: int = 0
    webhook_deliveries: int = 0
    webhook_failures: int = 0
    webhook_dead_letters: int = 0
    webhook_lags_ms: dict[str, int] = {}
    feed_pushes: dict[str, int] = {}
    feed_lags_ms: dict[str, int] = {}
    feed_ages_ms: dict[str, int] = {}
    feed_events: dict[str, int] = {}
    feed_event_lags_ms: dict[str, int] = {}
    feed_shortfalls: dict[str, int] = {}
    feed_requests: dict[str, int] = {}
    payments_waiting: int = 0
    payments_under_way: int = 0
    payments_reporting: int = 0
    payments_paid: int = 0
    payments_failed: int = 0
    payments_unknown: int = 0
    payments_never_sent: int = 0


_Figure: TypeAlias = float | dict[str, int] | list[int]

_MAXIMA: Final = frozenset(
    {"append_rows_max", "mailbox_messages_max", "oldest_ask_ms", "wake_up_lag_ms"}
)


def merged(figures: Sequence[Figures]) -> Figures:
    """Speak for several workers: sums, and the largest of what is the largest of its worker."""
    together = {
        name: _together(name, [getattr(each, name) for each in figures])
        for name in (Figures.__struct_fields__ if figures else ())
        if name != "life"
    }
    return msgspec.convert(together, Figures)


def _together(name: str, values: Sequence[_Figure]) -> _Figure:
    numbers = [value for value in values if isinstance(value, int | float)]
    if numbers:
        return max(numbers) if name in _MAXIMA else sum(numbers)
    lists = [value for value in values if isinstance(value, list)]
    if lists:
        return [sum(counts) for counts in zip_longest(*lists, fillvalue=0)]
    counted: Counter[str] = Counter()
    for value in values:
        assert isinstance(value, dict)
        counted.update(value)
    return dict(counted)
