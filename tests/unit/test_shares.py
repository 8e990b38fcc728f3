"""How workers share the shards: fairly, completely, and without moving any for nothing."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from allocator.domain.ids import SHARDS
from allocator.domain.shares import Peer, Survey, fair_share, room, surplus, wants

WORKERS_MAX = 20
LOST = ""
"""Owner of a shard that nobody alive owns."""

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""The machine may be shared, and a slow example proves nothing."""


def survey_of(owners: Sequence[str], *, workers: int, foreign: bool = False) -> Survey:
    """What so many workers, named by their numbers, see of each other."""
    peers = tuple(
        Peer(incarnation=str(number), name="worker", address="") for number in range(workers)
    )
    return Survey(peers=peers, owners=tuple(owners), foreign=foreign)


def shards_of(owners: Sequence[str], worker: str) -> frozenset[int]:
    return frozenset(shard for shard, owner in enumerate(owners) if owner == worker)


def give(owners: list[str], worker: str, survey: Survey) -> None:
    """Give away what is too much, going by a survey that may be out of date."""
    for shard in surplus(survey, shards_of(owners, worker)):
        owners[shard] = LOST


def claim(owners: list[str], worker: str, workers: int) -> None:
    """Take what is free, as the database does: one after the other, on what is true now."""
    survey, mine = survey_of(owners, workers=workers), shards_of(owners, worker)
    if wants(survey, mine):
        free = sorted(shards_of(owners, LOST))
        for shard in free[: room(survey, mine)]:
            owners[shard] = worker


def everyone(workers: int) -> st.SearchStrategy[list[str]]:
    """The order in which the workers have their turns."""
    return st.permutations([str(number) for number in range(workers)])


@unhurried
@given(st.integers(1, 2 * SHARDS))
def test_fair_shares_are_enough_for_all_shards_and_no_larger_than_that(workers: int) -> None:
    assert fair_share(workers) * workers >= SHARDS > (fair_share(workers) - 1) * workers


@unhurried
@given(st.data(), st.integers(1, WORKERS_MAX))
def test_from_any_ownership_all_shards_are_soon_shared_and_stay_where_they_are(
    data: st.DataObject, workers: int
) -> None:
    """Each gives on what it saw at the start of the round; then each claims."""
    anybody = st.sampled_from([LOST, *(str(number) for number in range(workers))])
    owners = data.draw(st.lists(anybody, min_size=SHARDS, max_size=SHARDS))
    for _ in range(2):
        seen = survey_of(owners, workers=workers)
        for worker in data.draw(everyone(workers)):
            give(owners, worker, seen)
            claim(owners, worker, workers)

    shares = Counter(owners)
    assert LOST not in shares
    assert max(shares.values()) <= fair_share(workers)

    settled = list(owners)
    for worker in data.draw(everyone(workers)):
        give(owners, worker, survey_of(owners, workers=workers))
        claim(owners, worker, workers)

    assert owners == settled


@unhurried
@given(st.data(), st.integers(1, WORKERS_MAX), st.integers(1, WORKERS_MAX))
@example(data=None, before=1, after=2)
@example(data=None, before=3, after=2)
def test_when_workers_join_or_leave_no_shard_moves_that_could_have_stayed(
    data: st.DataObject | None, before: int, after: int
) -> None:
    """Those who stay keep what they have, up to the new share."""
    owners = [
        str(shard % before) if int(shard % before) < after else LOST for shard in range(SHARDS)
    ]
    former = list(owners)
    for _ in range(2):
        order = [str(each) for each in range(after)] if data is None else data.draw(everyone(after))
        for worker in order:
            give(owners, worker, survey_of(owners, workers=after))
            claim(owners, worker, after)

    for worker in map(str, range(min(before, after))):
        kept = shards_of(owners, worker) & shards_of(former, worker)
        assert len(kept) == min(len(shards_of(former, worker)), fair_share(after))


def test_nobody_gives_or_wants_while_another_server_owns_shards() -> None:
    owners = ["0"] * 200 + [LOST] * 56
    survey = survey_of(owners, workers=2, foreign=True)

    assert surplus(survey, shards_of(owners, "0")) == frozenset()
    assert room(survey, frozenset()) == 0
    assert not wants(survey, frozenset())


def test_a_worker_wants_shards_only_while_one_is_free_and_it_may_have_more() -> None:
    taken, free = ["0"] * SHARDS, ["0"] * 128 + [LOST] * 128

    assert not wants(survey_of(taken, workers=2), frozenset())
    assert wants(survey_of(free, workers=2), frozenset())
    assert not wants(survey_of(free, workers=2), shards_of(free, "0"))


def test_a_worker_that_is_alone_keeps_everything() -> None:
    everything = frozenset(range(SHARDS))

    assert fair_share(1) == SHARDS
    assert surplus(survey_of(["0"] * SHARDS, workers=1), everything) == frozenset()


def test_a_worker_that_was_fenced_gives_nothing() -> None:
    """Nothing is its own any more; it finds that out elsewhere."""
    survey = survey_of([LOST] * SHARDS, workers=0)

    assert surplus(survey, frozenset(range(SHARDS))) == frozenset()
