"""What workers may expect of a journal about each other: who owns which shards, and who lives.

As in `test_journal_contract`, every test runs against PostgreSQL and against the memory.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from allocator.actors.ports import Journal
from allocator.domain.ids import SHARDS
from allocator.domain.shares import fair_share, surplus, wants
from allocator.errors import JournalError
from tests.integration.journals import HOUR_MS, Journals, MemoryJournals, in_postgres

ALL = frozenset(range(SHARDS))
NONE: frozenset[int] = frozenset()
HALF = SHARDS // 2


@pytest_asyncio.fixture(params=["memory", "postgres"])
async def journals(request: pytest.FixtureRequest) -> AsyncIterator[Journals]:
    """Of workers that live until they are silenced."""
    dead_after_ms = HOUR_MS // 2
    if request.param == "memory":
        yield MemoryJournals(dead_after_ms=dead_after_ms)
        return
    url = request.getfixturevalue("database_url")
    async with in_postgres(url, dead_after_ms=dead_after_ms) as opened:
        yield opened


async def pair(journals: Journals) -> tuple[Journal, Journal]:
    """Two peers that own half of the shards each."""
    first, second = [await journals.open(server="ours", address=each) for each in ("1", "2")]
    assert len(await first.claim()) == len(await second.claim()) == HALF
    return first, second


async def incarnation_of(journal: Journal, *, address: str) -> str:
    """The present incarnation of a peer."""
    [found] = [
        peer.incarnation for peer in (await journal.survey()).peers if peer.address == address
    ]
    return found


async def test_peers_share_the_shards(journals: Journals) -> None:
    peers = [await journals.open(server="ours") for _ in range(3)]
    shares = [await peer.claim() for peer in peers]

    assert [len(share) for share in shares] == [86, 86, 84]
    assert frozenset().union(*shares) == ALL
    assert [await peer.claim() for peer in peers] == shares


async def test_a_survey_tells_peers_oldest_first_and_who_owns_what(journals: Journals) -> None:
    first, second = await pair(journals)
    stranger = await journals.open()
    mine = await first.claim()
    survey = await first.survey()

    assert [peer.address for peer in survey.peers] == ["1", "2"]
    assert all(peer.name for peer in survey.peers)
    older, younger = [peer.incarnation for peer in survey.peers]
    assert survey.owners == tuple(older if shard in mine else younger for shard in range(SHARDS))
    assert not survey.foreign
    assert await second.survey() == survey

    survey = await stranger.survey()

    assert [peer.address for peer in survey.peers] == [""]
    assert survey.owners == ("",) * SHARDS
    assert survey.foreign


async def test_whoever_renews_is_the_youngest_and_keeps_its_address(journals: Journals) -> None:
    first, _ = await pair(journals)
    former = await incarnation_of(first, address="1")
    await first.renew()

    assert [peer.address for peer in (await first.survey()).peers] == ["2", "1"]
    assert await incarnation_of(first, address="1") != former


async def test_a_worker_that_joins_gets_what_the_others_give_away(journals: Journals) -> None:
    first = await journals.open(server="ours")
    assert await first.claim() == ALL
    second = await journals.open(server="ours")
    assert not wants(await second.survey(), NONE)
    assert await second.claim() == NONE

    given = surplus(await first.survey(), ALL)
    assert len(given) == HALF
    assert await first.renew(ALL - given) == ALL - given
    assert await first.claim() == ALL - given
    assert wants(await second.survey(), NONE)

    assert await second.claim() == given
    assert surplus(await second.survey(), given) == NONE


async def test_only_own_shards_move_along(journals: Journals) -> None:
    first, second = await pair(journals)
    mine, theirs = await first.claim(), await second.claim()

    assert await first.renew(ALL) == mine
    assert await second.claim() == theirs


async def test_what_is_not_kept_is_free(journals: Journals) -> None:
    first, _ = await pair(journals)
    mine = await first.claim()

    assert await first.renew(NONE) == NONE
    assert (await first.survey()).owners.count("") == HALF
    assert await first.claim() == mine
    assert await first.beat()


async def test_whoever_resigns_leaves_its_share_to_its_peers(journals: Journals) -> None:
    first, second = await pair(journals)
    mine = await first.claim()
    await second.resign()
    survey = await first.survey()

    assert len(survey.peers) == 1
    assert wants(survey, mine)
    assert await first.claim() == ALL


async def test_a_peer_whose_process_has_ended_is_not_waited_for(journals: Journals) -> None:
    """Its heartbeat is as fresh as can be: whoever started it knows better."""
    first, second = await pair(journals)
    ended = await incarnation_of(first, address="2")

    assert await first.claim(dead=[ended]) == ALL
    assert not await second.beat()
    with pytest.raises(JournalError):
        await second.confirm()
    assert await second.renew() == NONE


async def test_the_dead_may_be_named_again_and_a_worker_may_name_itself(
    journals: Journals,
) -> None:
    first, second = await pair(journals)
    own = await incarnation_of(first, address="1")
    ended = await incarnation_of(first, address="2")
    await second.resign()

    assert await first.claim(dead=[own, ended]) == ALL
    assert await first.claim(dead=[own, ended]) == ALL
    assert await first.beat()


async def test_a_peer_without_a_heartbeat_is_nobodys_peer_and_taken_from(
    journals: Journals,
) -> None:
    first, second = await pair(journals)
    mine = await first.claim()
    await journals.silence(second)
    survey = await first.survey()

    assert [peer.address for peer in survey.peers] == ["1"]
    assert {shard for shard, owner in enumerate(survey.owners) if not owner} == ALL - mine
    assert wants(survey, mine)
    assert await first.claim() == ALL
    assert not await second.beat()


async def test_a_worker_lives_in_its_own_eyes_however_late_its_heartbeat(
    journals: Journals,
) -> None:
    first, _ = await pair(journals)
    mine = await first.claim()
    await journals.silence(first)

    assert len((await first.survey()).peers) == 2
    assert await first.claim() == mine


async def test_a_heartbeat_that_comes_back_in_time_is_enough(journals: Journals) -> None:
    first, second = await pair(journals)
    await journals.silence(second)
    await second.beat()

    assert len((await first.survey()).peers) == 2
    assert len(await first.claim()) == HALF


async def test_a_worker_that_was_fenced_claims_nothing_and_fences_nobody(
    journals: Journals,
) -> None:
    first, second = await pair(journals)
    heir = await incarnation_of(first, address="1")
    await first.claim(dead=[await incarnation_of(first, address="2")])
    await journals.silence(first)

    assert await second.claim(dead=[heir]) == NONE
    assert await first.beat()
    assert await first.claim() == ALL
    assert [peer.address for peer in (await second.survey()).peers] == ["1"]


async def test_another_server_takes_nothing_while_one_worker_that_owns_lives(
    journals: Journals,
) -> None:
    """Not even what is free: nobody could be sent from one server to the other."""
    first, second = await pair(journals)
    stranger = await journals.open(server="theirs")
    await journals.silence(first)

    assert await stranger.claim() == NONE
    assert not await first.beat()
    assert (await second.survey()).owners.count("") == HALF
    assert await stranger.claim() == NONE

    await journals.silence(second)
    assert await stranger.claim() == ALL
    assert not await second.beat()
    assert not (await stranger.survey()).foreign


async def test_a_server_that_owns_nothing_keeps_nobody_waiting(journals: Journals) -> None:
    await journals.open(server="theirs")
    first, _ = await pair(journals)

    assert not (await first.survey()).foreign


async def test_a_worker_that_wakes_up_takes_nothing_along_that_is_not_taken_yet(
    journals: Journals,
) -> None:
    """Or two servers would each own a part, and each wait for the other for ever."""
    asleep = await journals.open(server="ours")
    await asleep.claim()
    heirs = [await journals.open(server="theirs") for _ in range(2)]
    await journals.silence(asleep)
    assert len(await heirs[0].claim()) == HALF

    assert await asleep.renew() == NONE
    assert await asleep.claim() == NONE
    assert len(await heirs[1].claim()) == HALF


@pytest.mark.parametrize("workers", [2, 5])
async def test_workers_that_give_and_claim_come_to_rest(journals: Journals, workers: int) -> None:
    peers = [await journals.open(server="ours")]
    owned = {peers[0]: await peers[0].claim()}
    for _ in range(workers - 1):
        peers.append(await journals.open(server="ours"))
        for peer in (*peers, *peers):
            survey = await peer.survey()
            mine = owned.get(peer, NONE)
            if given := surplus(survey, mine):
                mine = await peer.renew(mine - given)
            if wants(survey, mine):
                mine = await peer.claim()
            owned[peer] = mine
    survey = await peers[0].survey()

    assert "" not in survey.owners
    assert sum(map(len, owned.values())) == SHARDS
    assert max(map(len, owned.values())) <= fair_share(workers)
    assert not any(surplus(survey, mine) or wants(survey, mine) for mine in owned.values())
