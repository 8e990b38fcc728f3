"""What a scraper reads: totals of all workers, and per worker what tells them apart."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from allocator.actors.statistics import REASONS, ROWS_BUCKETS, SECONDS_BUCKETS, Figures
from allocator.domain.codec import STOCK_KINDS
from allocator.domain.messages import (
    AlreadyExpired,
    InsufficientStock,
    OrderNotOpen,
    Refusal,
)
from allocator.domain.rows import Lag
from allocator.domain.transfers import Occupied
from allocator.http.metrics import FORMER, metrics_text

DOCS: Final = Path(__file__).parents[2] / "docs"
LAG: Final = Lag(events=30, held_back=20, quarantined=1)
QUIET: Final = Lag(events=0, held_back=0, quarantined=0)

_TABLE_ROW: Final = re.compile(r"^\| `(allocator_\w+)`", re.MULTILINE)
_NAME: Final = re.compile(r"\ballocator_\w+")


def families(
    figures: Mapping[str, Figures | None] | None = None, *, lag: Lag | None = QUIET
) -> dict[str, Metric]:
    text = metrics_text(
        {"0": Figures()} if figures is None else figures, lag=lag, versions={"version": "1.2.3"}
    )
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """Every sample by the values of its labels; only of families with one sample name."""
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_figures_of_all_workers_are_one_number() -> None:
    shown = families(
        {
            "0": Figures(requests={"201": 5, "409": 1}, shards=100, append_rows_max=7),
            "1": Figures(requests={"201": 2}, shards=156, append_rows_max=9),
        }
    )

    assert values(shown["allocator_requests"]) == {("201",): 7, ("409",): 1}
    assert values(shown["allocator_shards"]) == {(): 256}
    assert values(shown["allocator_unowned_shards"]) == {(): 0}
    assert values(shown["allocator_append_rows_max"]) == {(): 9}


def test_whoever_waits_longest_is_told_in_seconds() -> None:
    shown = families(
        {
            "0": Figures(oldest_ask_ms=61_500, wake_up_lag_ms=2_000, outstanding_asks=3),
            "1": Figures(oldest_ask_ms=500, wake_up_lag_ms=70_250, outstanding_asks=4),
        }
    )

    assert values(shown["allocator_oldest_ask_seconds"]) == {(): 61.5}
    assert values(shown["allocator_wake_up_lag_seconds"]) == {(): 70.25}
    assert values(shown["allocator_outstanding_asks"]) == {(): 7}


def test_what_tells_workers_apart_has_their_label() -> None:
    shown = families(
        {
            "0": Figures(shards=100, unanswered_messages=3, repairs=1),
            "1": Figures(shards=120, unanswered_messages=4, repairs=2),
        }
    )

    assert values(shown["allocator_worker_up"]) == {("0",): 1, ("1",): 1}
    assert values(shown["allocator_worker_shards"]) == {("0",): 100, ("1",): 120}
    assert values(shown["allocator_worker_unanswered_messages"]) == {("0",): 3, ("1",): 4}
    assert values(shown["allocator_worker_repairs"]) == {("0",): 1, ("1",): 2}
    assert values(shown["allocator_unowned_shards"]) == {(): 36}


def test_a_worker_that_does_not_answer_is_down_and_its_shards_count_as_nobodys() -> None:
    shown = families({"0": Figures(shards=128), "1": None})

    assert values(shown["allocator_worker_up"]) == {("0",): 1, ("1",): 0}
    assert values(shown["allocator_worker_shards"]) == {("0",): 128}
    assert values(shown["allocator_unowned_shards"]) == {(): 128}


def test_what_former_workers_have_counted_is_in_the_totals_and_no_worker() -> None:
    shown = families({"0": Figures(appends=5, repairs=1), FORMER: Figures(appends=7, repairs=2)})

    assert values(shown["allocator_appends"]) == {(): 12}
    assert values(shown["allocator_worker_up"]) == {("0",): 1}
    assert values(shown["allocator_worker_repairs"]) == {("0",): 1}


def test_a_server_of_one_worker_shows_the_same_names_as_one_of_several() -> None:
    assert families().keys() == families({"0": Figures(), "1": Figures(), "2": None}).keys()


def test_every_metric_is_there_before_anything_has_happened() -> None:
    """A rate can be taken of the first event only if there was a zero before."""
    empty = [name for name, family in families().items() if not family.samples]

    # Their labels are whatever clients get to see, and what webhooks and warehouses are called.
    assert empty == [
        "allocator_requests",
        "allocator_webhook_lag_seconds",
        "allocator_feed_waiting_pushes",
        "allocator_feed_lag_seconds",
        "allocator_feed_age_seconds",
        "allocator_feed_waiting_events",
        "allocator_feed_event_lag_seconds",
        "allocator_feed_shortfall_units",
        "allocator_feed_requests",
    ]


def test_what_became_of_requests_to_warehouse_systems_is_told_by_warehouse() -> None:
    one = Figures(feed_requests={"answered main": 5, "limited main": 1})
    other = Figures(feed_requests={"answered main": 2, "failed north": 3})
    shown = families({"0": one, "1": other})

    assert values(shown["allocator_feed_requests"]) == {
        ("answered", "main"): 7,
        ("limited", "main"): 1,
        ("failed", "north"): 3,
    }


def test_what_became_of_orders_of_several_lines_is_told_with_the_reason() -> None:
    events = {
        "order_requested": 9,
        "order_accepted": 5,
        "order_declined": 4,
        "lines_dispatched": 3,
        "lines_cancelled": 2,
    }
    refusals = {"not_open": 7, "too_much": 6, "insufficient_stock": 1}
    shown = families({"0": Figures(events=events, refusals=refusals)})

    assert values(shown["allocator_orders_of_lines"]) == {
        ("placed", ""): 5,
        ("dispatched", ""): 3,
        ("cancelled", ""): 2,
        ("refused", "insufficient_stock"): 4,
        ("refused", "not_open"): 7,
        ("refused", "too_much"): 6,
    }


def test_what_became_of_orders_stocks_and_moves_is_told_with_the_reason() -> None:
    shown = families(
        {
            "0": Figures(
                events={
                    "order_placed": 9,
                    "order_dispatched": 5,
                    "order_cancelled": 3,
                    "stock_received": 2,
                    "lot_expired": 1,
                    "move_requested": 8,
                    "move_done": 4,
                    "move_refused": 2,
                    "move_ended": 6,
                },
                refusals={
                    "insufficient_stock": 40,
                    "order_not_open": 30,
                    "already_expired": 20,
                    "occupied": 50,
                    "key_reused": 10,
                },
            )
        }
    )

    assert values(shown["allocator_orders"]) == {
        ("placed", ""): 9,
        ("dispatched", ""): 5,
        ("cancelled", ""): 3,
        ("refused", "insufficient_stock"): 40,
        ("refused", "order_not_open"): 30,
    }
    assert values(shown["allocator_stocks"]) == {
        ("received", ""): 2,
        ("expired", ""): 1,
        ("opened", ""): 0,
        ("refused", "already_expired"): 20,
        ("refused", "occupied"): 50,
    }
    assert values(shown["allocator_moves"]) == {
        ("requested",): 8,
        ("done",): 4,
        ("refused",): 2,
        ("ended",): 6,
    }
    assert values(shown["allocator_key_conflicts"]) == {(): 10}


@pytest.mark.parametrize("kind", STOCK_KINDS.values())
def test_every_event_is_told(kind: str) -> None:
    assert families({"0": Figures(events={kind: 1})}) != families()


@pytest.mark.parametrize("refusal", [InsufficientStock, OrderNotOpen, AlreadyExpired, Occupied])
def test_every_refusal_is_told(refusal: type[Refusal]) -> None:
    assert families({"0": Figures(refusals={REASONS[refusal]: 1})}) != families()


@pytest.mark.parametrize("name", [name for name in Figures.__struct_fields__ if name != "life"])
def test_every_figure_is_told(name: str) -> None:
    some = {
        "requests": {"200": 1},
        "webhook_lags_ms": {"shop": 1},
        "feed_pushes": {"main": 1},
        "feed_lags_ms": {"main": 1},
        "feed_ages_ms": {"main": 1},
        "feed_events": {"main": 1},
        "feed_event_lags_ms": {"main": 1},
        "feed_shortfalls": {"main": 1},
        "feed_requests": {"answered main": 1},
        "events": {"order_placed": 1},
        "refusals": {"key_reused": 1},
        "requests_by_time": [1],
        "appends_by_time": [1],
        "appends_by_rows": [1],
    }
    figures = msgspec.convert({name: some.get(name, 1)}, Figures)

    assert families({"0": figures}) != families()


@pytest.mark.parametrize(
    ("family", "field", "buckets", "unit"),
    [
        ("allocator_request_seconds", "requests_by_time", SECONDS_BUCKETS, 1e-6),
        ("allocator_commit_seconds", "appends_by_time", SECONDS_BUCKETS, 1e-6),
        ("allocator_commit_rows", "appends_by_rows", ROWS_BUCKETS, 1),
    ],
)
def test_a_histogram_counts_what_is_at_most_its_bound(
    family: str, field: str, buckets: int, unit: float
) -> None:
    figures = msgspec.convert({field: list(range(buckets))}, Figures)
    bounds = {
        float(sample.labels["le"]): sample.value
        for sample in families({"0": figures})[family].samples
        if sample.name.endswith("_bucket")
    }

    assert len(bounds) == buckets
    for number, (bound, count) in enumerate(bounds.items()):
        last = number == buckets - 1
        assert bound == (float("inf") if last else pytest.approx(2**number * unit))
        assert count == sum(range(number + 1))


def test_what_is_not_known_of_the_read_models_is_not_told() -> None:
    known, unknown = families(lag=LAG), families(lag=None)

    assert known.keys() - unknown.keys() == {
        "allocator_projection_lag_events",
        "allocator_projection_held_back_events",
        "allocator_quarantined_projections",
        "allocator_unknown_checkouts",
        "allocator_refunds_due",
    }
    assert values(known["allocator_projection_lag_events"]) == {(): 30}
    assert values(known["allocator_projection_held_back_events"]) == {(): 20}
    assert values(known["allocator_quarantined_projections"]) == {(): 1}


def test_every_metric_says_what_it_means() -> None:
    assert [name for name, family in families().items() if not family.documentation] == []


def test_the_handbook_explains_every_metric_and_no_other() -> None:
    handbook = (DOCS / "operations.md").read_text("utf-8")
    table = handbook.partition("\n## Every metric\n")[2].partition("\n## ")[0]
    shown = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families().values()
    }

    assert sorted(_TABLE_ROW.findall(table)) == sorted(shown)


def test_the_handbook_names_no_metric_that_is_not_served() -> None:
    handbook = (DOCS / "operations.md").read_text("utf-8")
    seen = Figures(requests={"200": 1}, feed_requests={"answered main": 1})
    some = families({"0": seen}).values()
    known = {family.name for family in some} | {one.name for each in some for one in each.samples}

    assert set(_NAME.findall(handbook)) - known == set()
