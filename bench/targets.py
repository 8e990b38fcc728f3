"""What the figures must reach, and which of them did."""

import math
from typing import Self

import msgspec


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its bounds; `decimals` is how many of its digits mean anything."""

    name: str
    title: str
    at_least: float
    aim: float
    unit: str = ""
    decimals: int = 2

    @property
    def is_ceiling(self) -> bool:
        """Whether less is better; of what may not be at all, too."""
        return self.aim < self.at_least or not self.at_least

    def verdict(self, value: float | None, *, spoiled: str = "") -> str:
        """Say in one word how far a value got, or why it does not count."""
        if value is None:
            return "not measured"
        if spoiled:
            return f"MISSED: {spoiled}"
        if self._reaches(value, self.aim):
            return "aim"
        return "at least" if self._reaches(value, self.at_least) else "MISSED"

    def _reaches(self, value: float, bound: float) -> bool:
        return value <= bound if self.is_ceiling else value >= bound


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value for the target of the same name.

    Attributes:
        spoiled: Why the value does not count, though it may look good; empty if it does.
        failure: What was heard of one failed request; empty if none failed.
    """

    name: str
    value: float
    spoiled: str = ""
    failure: str = ""
    details: dict[str, float] = {}

    @property
    def rounded(self) -> Self:
        """The figure without digits that mean nothing; counts stay exact."""
        return msgspec.structs.replace(
            self,
            value=significant(self.value),
            details={name: round(value, 3) for name, value in self.details.items()},
        )


HOT_TO_FLOOR = "hot_to_floor"
HELD_BACK_TO_FLOOR = "held_back_to_floor"
PROJECTION_PER_S = "projection_events_per_s"
HOT_TO_ROWLOCK = "hot_to_rowlock"
KEYED_TO_HOT = "keyed_to_hot"
BEARING_TO_HOT = "bearing_to_hot"
TICKETS_TO_HOT = "tickets_to_hot"
MOVES_PER_S = "moves_per_s"
HOT_MOVES_PER_S = "hot_moves_per_s"
LINES_PER_S = "orders_of_lines_per_s"
HOT_LINES_PER_S = "hot_orders_of_lines_per_s"
BATCH_PER_S = "batch_orders_per_s"
PACED_P99_MS = "paced_p99_ms"
FULL_POOL_P99 = "full_pool_p99_ratio"
OPEN_ORDER_BYTES = "open_order_bytes"
REPLAY_PER_S = "replay_events_per_s"
RESTART_S = "restart_s"
TWO_WORKERS_TO_ONE = "two_workers_to_one"
FORWARDED_EXTRA_MS = "forwarded_extra_p50_ms"
WORKER_DEATH_S = "worker_death_s"
ROLL_LOST = "roll_lost"
VERIFY_PER_S = "verify_events_per_s"
VERIFY_MB = "verify_mb"
EXPORT_PER_S = "export_events_per_s"
IMPORT_PER_S = "import_events_per_s"
MOVING_MB = "moving_mb"
PAYMENTS_MB = "payments_mb"
CHECKOUTS_MB = "checkouts_mb"
ROLL_UNKNOWN = "roll_unknown"
FED_TO_UNFED = "fed_to_unfed"
RECONCILE_S = "reconcile_s"
RECONCILE_P99 = "reconcile_p99_ratio"
WMS_BREACHES = "wms_breaches"

CATCH_UP_MAX_S = 5.0

TARGETS = (
    Target(
        name=HOT_TO_FLOOR,
        title=f"one product ÷ floor, read models caught up within {CATCH_UP_MAX_S:.0f} s",
        at_least=0.50,
        aim=0.65,
    ),
    Target(
        name=HELD_BACK_TO_FLOOR,
        title="one product ÷ floor, projection held back",
        at_least=0.65,
        aim=0.80,
    ),
    Target(
        name=PROJECTION_PER_S,
        title="the projection alone",
        at_least=30_000,
        aim=100_000,
        unit="events/s",
        decimals=0,
    ),
    Target(
        name=HOT_TO_ROWLOCK,
        title="one product ÷ the better row-lock handler",
        at_least=12,
        aim=25,
        decimals=1,
    ),
    Target(
        name=KEYED_TO_HOT,
        title="with an Idempotency-Key ÷ without",
        at_least=0.90,
        aim=0.95,
    ),
    Target(
        name=BEARING_TO_HOT,
        title="with an API key ÷ without",
        at_least=0.95,
        aim=0.99,
    ),
    Target(
        name=TICKETS_TO_HOT,
        title="purchases on one ticket option ÷ orders on one product",
        at_least=0.95,
        aim=1.1,
    ),
    Target(
        name=MOVES_PER_S,
        title="moves between any two of 1,000 locations",
        at_least=2_000,
        aim=6_000,
        unit="moves/s",
        decimals=0,
    ),
    Target(
        name=HOT_MOVES_PER_S,
        title="moves between two locations",
        at_least=500,
        aim=6_000,
        unit="moves/s",
        decimals=0,
    ),
    Target(
        name=LINES_PER_S,
        title="orders of 3 lines, any of 1,000 products",
        at_least=3_000,
        aim=8_000,
        unit="orders/s",
        decimals=0,
    ),
    Target(
        name=HOT_LINES_PER_S,
        title="orders of 3 lines, any of 10 products",
        at_least=2_500,
        aim=8_000,
        unit="orders/s",
        decimals=0,
    ),
    Target(
        name=BATCH_PER_S,
        title="NDJSON batch",
        at_least=80_000,
        aim=150_000,
        unit="orders/s",
        decimals=0,
    ),
    Target(
        name=PACED_P99_MS,
        title="p99 at 1,000 orders/s offered, zero failures",
        at_least=10,
        aim=4,
        unit="ms",
    ),
    Target(
        name=FULL_POOL_P99,
        title="p99 under full load, a million open orders ÷ none",
        at_least=2,
        aim=1.2,
    ),
    Target(
        name=OPEN_ORDER_BYTES,
        title="memory for one open order",
        at_least=400,
        aim=100,
        unit="B",
        decimals=0,
    ),
    Target(
        name=REPLAY_PER_S,
        title="replay into memory",
        at_least=200_000,
        aim=500_000,
        unit="events/s",
        decimals=0,
    ),
    Target(
        name=RESTART_S,
        title="kill -9 to the first durable order, PostgreSQL included",
        at_least=5,
        aim=2,
        unit="s",
    ),
    Target(
        name=TWO_WORKERS_TO_ONE,
        title="two workers, half forwarded ÷ one worker",
        at_least=0.85,
        aim=1.1,
    ),
    Target(
        name=FORWARDED_EXTRA_MS,
        title="extra p50 of a forwarded request at 1,000/s",
        at_least=1,
        aim=0.3,
        unit="ms",
    ),
    Target(
        name=WORKER_DEATH_S,
        title="dead worker's shards answering again after kill -9",
        at_least=2,
        aim=0.5,
        unit="s",
    ),
    Target(
        name=ROLL_LOST,
        title="requests lost or failed in a rolling restart at 1,000/s",
        at_least=0,
        aim=0,
        unit="requests",
        decimals=0,
    ),
    Target(
        name=VERIFY_PER_S,
        title="journal verify, two processes",
        at_least=150_000,
        aim=400_000,
        unit="events/s",
        decimals=0,
    ),
    Target(
        name=VERIFY_MB,
        title="memory of journal verify, all processes",
        at_least=300,
        aim=100,
        unit="MB",
        decimals=0,
    ),
    Target(
        name=EXPORT_PER_S,
        title="journal export, compressed",
        at_least=100_000,
        aim=300_000,
        unit="events/s",
        decimals=0,
    ),
    Target(
        name=IMPORT_PER_S,
        title="journal import, each row checked",
        at_least=60_000,
        aim=150_000,
        unit="events/s",
        decimals=0,
    ),
    Target(
        name=MOVING_MB,
        title="memory of either",
        at_least=300,
        aim=100,
        unit="MB",
        decimals=0,
    ),
    Target(
        name=PAYMENTS_MB,
        title="memory for 10,000 calls that wait for the payment provider",
        at_least=200,
        aim=50,
        unit="MB",
        decimals=0,
    ),
    Target(
        name=CHECKOUTS_MB,
        title="memory of a server for 10,000 checkouts that wait for it",
        at_least=200,
        aim=50,
        unit="MB",
        decimals=0,
    ),
    Target(
        name=ROLL_UNKNOWN,
        title="checkouts of 1,000 that an exchange of all workers leaves unknown",
        at_least=0,
        aim=0,
        decimals=0,
    ),
    Target(
        name=FED_TO_UNFED,
        title="orders at a warehouse that is fed ÷ at one that is not",
        at_least=0.90,
        aim=0.97,
    ),
    Target(
        name=RECONCILE_S,
        title="100,000 batches reconciled while orders come",
        at_least=30,
        aim=10,
        unit="s",
        decimals=1,
    ),
    Target(
        name=RECONCILE_P99,
        title="p99 of orders meanwhile ÷ without",
        at_least=2,
        aim=1.2,
    ),
    Target(
        name=WMS_BREACHES,
        title="requests above the WMS's limit, with 20 times as many orders",
        at_least=0,
        aim=0,
        unit="requests",
        decimals=0,
    ),
)


def significant(value: float, *, digits: int = 4) -> float:
    """Round to as many digits as a noisy measurement has, for the JSON line."""
    if not value:
        return 0.0
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
