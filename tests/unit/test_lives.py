"""What was shown once is never missed again, whoever dies and whoever is asked."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from allocator.actors.lives import Lives
from allocator.actors.statistics import Figures, merged


def test_the_dead_are_remembered_by_what_they_had_counted_and_not_by_how_they_were(
    tmp_path: Path,
) -> None:
    Lives(tmp_path, life="0-10").keep(
        Figures(
            appends=5,
            append_rows_max=9,
            events={"order_placed": 3},
            appends_by_rows=[2, 3],
            shards=128,
            actors=4,
            unanswered_messages=3,
            mailbox_messages_max=2,
            quarantined_actors=1,
            processes=2,
            outstanding_asks=3,
            oldest_ask_ms=4,
            wake_up_lag_ms=5,
        )
    )
    former = Lives(tmp_path, life="1-11").former([])

    assert former == Figures(
        appends=5, append_rows_max=9, events={"order_placed": 3}, appends_by_rows=[2, 3]
    )


def test_who_was_heard_is_not_counted_twice(tmp_path: Path) -> None:
    heard = Lives(tmp_path, life="0-10").keep(Figures(appends=5))
    Lives(tmp_path, life="1-11").keep(Figures(appends=7))

    assert Lives(tmp_path, life="0-10").former([heard]).appends == 7


def test_two_lives_in_one_place_are_two(tmp_path: Path) -> None:
    """While workers are exchanged, and after one was."""
    Lives(tmp_path, life="0-10").keep(Figures(appends=5))
    successor = Lives(tmp_path, life="0-12")
    heard = successor.keep(Figures(appends=1))

    assert successor.former([heard]).appends == 5


def test_a_file_that_cannot_be_written_or_read_costs_only_itself(tmp_path: Path) -> None:
    Lives(tmp_path, life="0-10").keep(Figures(appends=5))
    (tmp_path / "1-11.figures").write_bytes(b"\xc1")
    with capture_logs() as logs:
        shown = Lives(tmp_path / "gone", life="2-12").keep(Figures(appends=2))
        former = Lives(tmp_path, life="2-12").former([shown])

    assert (shown.appends, former.appends) == (2, 5)
    assert [line["event"] for line in logs] == ["metrics.not_kept"] * 2


def test_what_a_worker_was_about_to_write_when_it_died_is_not_read(tmp_path: Path) -> None:
    Lives(tmp_path, life="0-10").keep(Figures(appends=5))
    (tmp_path / "0-10.tmp").write_bytes(b"half of")

    assert Lives(tmp_path, life="1-11").former([]).appends == 5


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["count", "die", "scrape", "scrape"])),
        max_size=60,
    ),
    st.lists(st.booleans()),
)
def test_no_total_ever_falls(steps: Sequence[tuple[int, str]], silent: Sequence[bool]) -> None:
    """Whichever workers die or do not answer, and whichever is scraped."""
    answers = iter(silent)
    with TemporaryDirectory() as directory:
        births = iter(range(1000))
        workers = [(Lives(Path(directory), life=f"{n}-{next(births)}"), [0]) for n in range(4)]
        shown = 0
        for number, what in steps:
            lives, counter = workers[number]
            if what == "count":
                counter[0] += number + 1
            elif what == "die":
                workers[number] = (Lives(Path(directory), life=f"{number}-{next(births)}"), [0])
            else:
                heard = [
                    peer.keep(Figures(appends=counted[0]))
                    for peer, counted in workers
                    if peer is lives or next(answers, True)
                ]
                total = merged([*heard, lives.former(heard)]).appends
                assert total >= shown
                shown = total


def test_a_life_travels_with_its_figures(tmp_path: Path) -> None:
    kept = Lives(tmp_path, life="0-10").keep(Figures(appends=5))
    there = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Figures)

    assert Lives(tmp_path, life="1-11").former([there]) == Figures()
