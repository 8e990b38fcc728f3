"""When a worker that died is started again, and when no more: numbers in, numbers out."""

import pytest

from allocator.supervision.backoff import Backoff, Crashes, after_crash, delay_ms, gives_up

BACKOFF = Backoff()
PATIENT = Backoff(crashes_max=1_000_000)


def crashed(
    *at_ms: int, served_ms: int = 0, before: Crashes | None = None, backoff: Backoff = BACKOFF
) -> Crashes:
    """A place in which workers died at these times."""
    crashes = before or Crashes()
    for each_ms in at_ms:
        crashes = after_crash(crashes, backoff, served_ms=served_ms, now_ms=each_ms)
    return crashes


def test_the_first_restart_is_immediate_and_further_ones_wait_twice_as_long_each() -> None:
    waits_ms = [delay_ms(crashed(*range(count)), BACKOFF) for count in range(1, 10)]

    assert waits_ms == [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]


def test_no_wait_is_longer_than_the_longest_however_many_have_died() -> None:
    crashes = Crashes(in_a_row=1_000_000)

    assert delay_ms(crashes, PATIENT) == PATIENT.longest_ms


@pytest.mark.parametrize(("served_ms", "next_ms"), [(9_999, 800), (10_000, 0), (10_001, 0)])
def test_a_worker_that_served_for_long_enough_ends_the_row(served_ms: int, next_ms: int) -> None:
    crashes = crashed(20_000, served_ms=served_ms, before=crashed(1, 2, 3, 4))

    assert delay_ms(crashes, BACKOFF) == next_ms


def test_after_the_row_has_ended_the_next_one_grows_as_the_first_did() -> None:
    settled = crashed(20_000, served_ms=15_000, before=crashed(1, 2, 3, 4))

    assert delay_ms(crashed(20_001, before=settled), BACKOFF) == 100


def test_eight_deaths_within_the_window_are_borne_and_the_ninth_is_one_too_many() -> None:
    assert not gives_up(crashed(*range(8)), BACKOFF)
    assert gives_up(crashed(*range(9)), BACKOFF)


@pytest.mark.parametrize(("ninth_ms", "expected"), [(59_999, True), (60_000, False)])
def test_a_death_counts_until_the_window_has_passed(ninth_ms: int, *, expected: bool) -> None:
    crashes = crashed(ninth_ms, before=crashed(*range(8)))

    assert gives_up(crashes, BACKOFF) is expected


def test_long_lives_count_as_deaths_all_the_same() -> None:
    """A row that ended is no excuse for a place in which everything dies."""
    hasty = Backoff(settled_ms=10, crashes_max=8)

    assert gives_up(crashed(*range(9), served_ms=20, backoff=hasty), hasty)


def test_one_death_a_minute_is_borne_for_ever_and_remembered_only_briefly() -> None:
    crashes = crashed(*range(0, 600_000_000, 60_000))

    assert crashes.recent_ms == (599_940_000,)
    assert not gives_up(crashes, BACKOFF)


def test_a_place_where_nothing_ever_starts_gives_up_within_the_window() -> None:
    crashes, now_ms, starts_ms = Crashes(), 0, [0]
    while not gives_up(crashes := crashed(now_ms, before=crashes), BACKOFF):
        now_ms += delay_ms(crashes, BACKOFF)
        starts_ms.append(now_ms)

    assert starts_ms == [0, 0, 100, 300, 700, 1_500, 3_100, 6_300, 11_300]
