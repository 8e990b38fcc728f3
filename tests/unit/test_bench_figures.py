"""How the benchmarks turn what they measured into figures and verdicts."""

import pytest

from bench.load import NS_PER_S, Load
from bench.ratios import Rounds, round_figures
from bench.report import aligned
from bench.targets import HOT_TO_FLOOR, HOT_TO_ROWLOCK, RESTART_S, TARGETS, significant
from bench.turns import Turn, WrongStateError, agreed


def load(created: int, *, failed: int = 0, unread_max: int = 0) -> Load:
    return Load(
        client="test",
        created=created,
        failed=failed,
        unread_max=unread_max,
        elapsed_ns=NS_PER_S,
    )


def turn(
    contender: str, number: int, created: int, *, failed: int = 0, catch_up_s: float = 0
) -> Turn:
    return Turn(
        contender=contender,
        round=number,
        load=load(created, failed=failed),
        seen=created,
        catch_up_s=catch_up_s,
    )


def figures_of(*turns: Turn) -> dict[str, tuple[float, str]]:
    figures = round_figures(Rounds(list(turns)))
    return {figure.name: (figure.value, figure.spoiled) for figure in figures}


def test_a_ratio_is_taken_within_each_round() -> None:
    # The machine was four times as fast in the second round, for both.
    figures = figures_of(
        turn("floor", 0, 100),
        turn("hot", 0, 50),
        turn("floor", 1, 400),
        turn("hot", 1, 240),
    )

    assert figures[HOT_TO_FLOOR] == (0.55, "")


def test_the_stronger_row_lock_handler_is_the_one_to_beat() -> None:
    figures = figures_of(
        turn("rowlock_update", 0, 20), turn("rowlock_for_update", 0, 10), turn("hot", 0, 200)
    )

    assert figures[HOT_TO_ROWLOCK] == (10, "")


def test_what_was_not_measured_has_no_figure() -> None:
    assert figures_of(turn("hot", 0, 100)) == {}


@pytest.mark.parametrize(
    ("hot", "reason"),
    [
        (turn("hot", 0, 90, failed=2), "2 requests failed"),
        (turn("hot", 0, 90, catch_up_s=5.5), "read models caught up after 5.5 s"),
    ],
)
def test_failures_and_late_read_models_spoil_a_figure(hot: Turn, reason: str) -> None:
    assert figures_of(turn("floor", 0, 100), hot)[HOT_TO_FLOOR] == (0.9, reason)


def test_clients_and_database_agree_on_what_was_sold() -> None:
    assert agreed({"journal": 7, "orders": 7}, loads=[load(3), load(4)]) == 7
    assert agreed({"journal": 8}, loads=[load(7, unread_max=1)]) == 8


@pytest.mark.parametrize(
    "counts", [{"journal": 6}, {"journal": 9}, {"journal": 7, "orders": 8}, {"journal": 0}]
)
def test_an_order_lost_invented_or_counted_twice_stops_the_run(counts: dict[str, int]) -> None:
    with pytest.raises(WrongStateError):
        agreed(counts, loads=[load(7, unread_max=1)])


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        (HOT_TO_FLOOR, 0.70, "aim"),
        (HOT_TO_FLOOR, 0.65, "aim"),
        (HOT_TO_FLOOR, 0.50, "at least"),
        (HOT_TO_FLOOR, 0.49, "MISSED"),
        (HOT_TO_FLOOR, None, "not measured"),
        (RESTART_S, 1.9, "aim"),
        (RESTART_S, 5.0, "at least"),
        (RESTART_S, 5.1, "MISSED"),
    ],
)
def test_a_verdict_says_how_far_a_value_got(name: str, value: float | None, verdict: str) -> None:
    target = next(target for target in TARGETS if target.name == name)

    assert target.verdict(value) == verdict


def test_a_spoiled_value_has_missed_however_good_it_looks() -> None:
    target = next(target for target in TARGETS if target.name == HOT_TO_FLOOR)

    assert target.verdict(0.9, spoiled="2 requests failed") == "MISSED: 2 requests failed"


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    table = aligned([("name", "per s"), ("a longer name", "1"), ("b", "10,000")])

    assert table == "name            per s\na longer name       1\nb              10,000"


@pytest.mark.parametrize(
    ("value", "rounded"), [(19754.3, 19750), (0.123456, 0.1235), (0, 0), (3, 3)]
)
def test_a_noisy_number_keeps_four_digits(value: float, rounded: float) -> None:
    assert significant(value) == rounded
