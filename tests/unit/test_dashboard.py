"""The dashboard: Grafana loads it, and every query of it has something to show."""

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from allocator.actors.statistics import Figures
from allocator.domain.rows import Lag
from allocator.http.metrics import metrics_text

DASHBOARD: Final = Path(__file__).parents[2] / "docs" / "grafana" / "allocator.json"

_NAME: Final = re.compile(r"\ballocator_\w+")


class Target(msgspec.Struct):
    """A query of a panel."""

    expr: str
    legendFormat: str = ""  # noqa: N815 (Grafana's spelling)


class Panel(msgspec.Struct):
    """A panel, or the head of a row."""

    id: int
    type: str
    title: str
    gridPos: dict[str, int]  # noqa: N815
    targets: list[Target] = []
    description: str = ""


class Variable(msgspec.Struct):
    """A choice at the top of a dashboard."""

    name: str
    type: str
    query: str | dict[str, object]


class Templating(msgspec.Struct):
    """All choices."""

    list: list[Variable]


class Dashboard(msgspec.Struct):
    """As far as Grafana must agree with us."""

    title: str
    uid: str
    schemaVersion: int  # noqa: N815
    panels: list[Panel]
    templating: Templating


def sample_names() -> set[str]:
    """What queries can name."""
    text = metrics_text(
        {
            "0": Figures(
                requests={"200": 1},
                feed_pushes={"main": 0},
                feed_lags_ms={"main": 0},
                feed_ages_ms={"main": 0},
                feed_events={"main": 0},
                feed_event_lags_ms={"main": 0},
                feed_shortfalls={"main": 0},
                feed_requests={"answered main": 1},
            )
        },
        lag=Lag(events=0, held_back=0, quarantined=0),
        versions={"version": "1.2.3"},
    )
    families = text_string_to_metric_families(text.decode())
    return {sample.name for family in families for sample in family.samples}


@pytest.fixture
def dashboard() -> Dashboard:
    """The one that is delivered."""
    return msgspec.json.decode(DASHBOARD.read_bytes(), type=Dashboard)


def test_the_dashboard_asks_only_for_metrics_that_are_served(dashboard: Dashboard) -> None:
    known = sample_names()
    asked = [target.expr for panel in dashboard.panels for target in panel.targets]

    assert asked
    for expression in asked:
        names = _NAME.findall(expression)
        assert names, expression
        assert set(names) <= known, expression


def test_every_query_of_the_dashboard_is_about_the_chosen_server(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        for target in panel.targets:
            chosen = target.expr.count('{job=~"$job",instance=~"$instance"')
            assert chosen == len(_NAME.findall(target.expr)), target.expr


def test_the_dashboard_is_one_that_grafana_10_loads(dashboard: Dashboard) -> None:
    variables = {variable.name: variable for variable in dashboard.templating.list}

    assert dashboard.schemaVersion >= 38
    assert {name: variable.type for name, variable in variables.items()} == {
        "datasource": "datasource",
        "job": "query",
        "instance": "query",
    }
    assert variables["datasource"].query == "prometheus"
    assert len({panel.id for panel in dashboard.panels}) == len(dashboard.panels)
    assert [panel.title for panel in dashboard.panels if panel.type == "row"] == [
        "Orders",
        "Latency",
        "Journal",
        "Workers and shards",
        "Read models",
        "Moves",
        "Warehouse systems",
    ]


def test_no_two_panels_of_the_dashboard_lie_on_each_other(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard.panels:
        at = panel.gridPos
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not taken & cells, panel.title
        taken |= cells


def test_every_panel_of_the_dashboard_says_what_it_shows(dashboard: Dashboard) -> None:
    for panel in dashboard.panels:
        if panel.type != "row":
            assert panel.description, panel.title
            assert panel.targets, panel.title
