"""Workers of one server find each other, share the shards, and tell the dead from the slow."""

import asyncio
from pathlib import Path

import pytest

from allocator.actors.wire import Heard, Measure, Notice, Response
from allocator.domain.ids import SHARDS
from allocator.domain.queries import BalanceQuery
from tests.memory_journal import Fault
from tests.neighbours import HEARTBEAT_MS, Neighbour, Town, town_of
from tests.scene import soon
from tests.virtual_time import settle, virtual_time

PROMPT_S = 0.2
"""Far less than a heartbeat."""

SETTLED_S = 4 * HEARTBEAT_MS / 1000
THEIRS = 7 << 8 | 200
"""Of the second of two."""


def counts(town: Town) -> list[int]:
    """Return how many shards each worker has."""
    return [len(each.scene.worker.shards) for each in town.neighbours]


def check_owners(town: Town) -> None:
    """Every shard has one owner, and every living worker knows a line to it."""
    living = [each for each in town.neighbours if each.scene.worker.tasks]
    shards = [shard for each in living for shard in each.scene.worker.shards]
    assert sorted(shards) == list(range(SHARDS))
    for each in living:
        assert each.complete
        assert each.cluster.ready
        without_line = {shard for shard in range(SHARDS) if each.owner_of(shard) is None}
        assert without_line == each.scene.worker.shards


def seconds() -> float:
    """Return the time of the scenario."""
    return asyncio.get_running_loop().time()


# Sharing.


@virtual_time
async def test_a_server_is_not_ready_while_an_owner_cannot_be_asked(tmp_path: Path) -> None:
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        [line] = town.lines[town.second.address]
        line.out_of_reach = True

        assert not town.first.cluster.ready
        assert town.second.cluster.ready

        del line.calls[:]
        await asyncio.sleep(SETTLED_S)

        assert line.calls, "nobody tried again"


@virtual_time
async def test_one_that_joins_is_given_a_fair_share(tmp_path: Path) -> None:
    async with town_of(1, tmp_path) as town:
        assert counts(town) == [SHARDS]

        await town.move_in()
        await asyncio.sleep(SETTLED_S)

        assert counts(town) == [128, 128]
        check_owners(town)

        await town.move_in()
        await asyncio.sleep(SETTLED_S)

        assert sorted(counts(town)) == [84, 86, 86]
        check_owners(town)


@virtual_time
async def test_one_that_leaves_is_followed_at_once(tmp_path: Path) -> None:
    async with town_of(3, tmp_path) as town:
        await asyncio.sleep(SETTLED_S + 0.1)  # so that no heartbeat helps
        began_s = seconds()
        await soon(town.second.leave())
        town.second.scene.worker.tasks = []
        await asyncio.sleep(PROMPT_S)

        assert sorted(counts(town)) == [0, 128, 128]
        assert seconds() <= began_s + PROMPT_S + 0.1
        assert town.first.cluster.ready
        assert not town.second.cluster.ready


@virtual_time
async def test_nobody_gives_or_takes_while_all_is_even(tmp_path: Path) -> None:
    async with town_of(3, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        renewals = [each.scene.journal.count("renew") for each in town.neighbours]
        await asyncio.sleep(60)

        assert [each.scene.journal.count("renew") for each in town.neighbours] == renewals


# The dead.


@virtual_time
async def test_a_dead_workers_shards_are_taken_at_once(tmp_path: Path) -> None:
    """Its heartbeat would count for an hour here."""
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        await town.second.scene.stock(5, actor_id=THEIRS)
        await town.kill(town.second)
        await asyncio.sleep(PROMPT_S)

        assert town.first.scene.worker.shards == frozenset(range(SHARDS))
        assert (await town.first.scene.balance(actor_id=THEIRS)).available == 5
        check_owners(town)


@pytest.mark.parametrize("ticks", range(12))
def test_one_that_dies_while_another_is_asked_whether_it_lives_is_replaced(
    tmp_path: Path, ticks: int
) -> None:
    """In whatever moment."""

    @virtual_time
    async def scenario() -> None:
        async with town_of(3, tmp_path) as town:
            await asyncio.sleep(SETTLED_S)
            _, second, third = town.neighbours
            await town.kill(third, silently=True)
            town.cut(second)
            for _ in range(ticks):
                await asyncio.sleep(0)
            town.cut(third)
            await asyncio.sleep(PROMPT_S)

            assert counts(town)[:2] == [128, 128]

            await asyncio.sleep(SETTLED_S)
            check_owners(town)

    scenario()


@virtual_time
async def test_one_whose_line_broke_is_left_alone_while_it_listens(tmp_path: Path) -> None:
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        town.cut(town.second)

        assert not town.first.complete

        await asyncio.sleep(SETTLED_S)

        assert counts(town) == [128, 128]
        assert town.second.scene.worker.repairs == 0
        check_owners(town)


@virtual_time
async def test_one_that_died_before_anybody_spoke_to_it_is_found_out_by_a_request(
    tmp_path: Path,
) -> None:
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        await town.kill(town.second, silently=True)
        await asyncio.sleep(SETTLED_S)

        assert len(town.first.scene.worker.shards) == 128

        began_s = seconds()
        await soon(town.first.cluster.look(THEIRS, BalanceQuery()))

        assert seconds() < began_s + PROMPT_S
        check_owners(town)


# Lines.


@virtual_time
async def test_lines_go_to_all_who_live_and_to_nobody_else(tmp_path: Path) -> None:
    async with town_of(3, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)

        assert _spoken_to(town.first) == {"1", "2"}

        await town.kill(town.second)
        await asyncio.sleep(PROMPT_S)

        assert _spoken_to(town.first) == {"2"}
        assert town.lines[town.second.address] == []

        await town.move_in()
        await asyncio.sleep(SETTLED_S)

        assert _spoken_to(town.first) == {"2", "3"}


@virtual_time
async def test_a_line_to_who_left_is_kept_until_it_has_answered(tmp_path: Path) -> None:
    """Or what it accepted before it gave its shards away would be unknown for no reason."""
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        [line] = town.lines[town.second.address]
        owed: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        line.calls.append(owed)
        await soon(town.second.leave())
        town.second.scene.worker.tasks = []
        await asyncio.sleep(PROMPT_S)

        assert town.lines[town.second.address] == [line]

        owed.set_result(Heard())
        await asyncio.sleep(PROMPT_S)

        assert town.lines[town.second.address] == []


@virtual_time
async def test_who_hears_of_a_change_looks_at_once(tmp_path: Path) -> None:
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        surveys = town.second.scene.journal.count("survey")
        heard = await soon(town.first.call_all(Notice())["1"])
        await settle()

        assert heard == Heard()
        assert town.second.scene.journal.count("survey") == surveys + 1


@virtual_time
async def test_looking_goes_on_when_the_database_did_not_answer(tmp_path: Path) -> None:
    """And whoever waits for an owner is seen to all the same."""
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        changes: list[float] = []
        town.first.changed = lambda: changes.append(seconds())
        for _ in range(3):
            town.first.scene.journal.break_next("survey", Fault.NOT_DONE)
        await asyncio.sleep(3 * HEARTBEAT_MS / 1000)

        assert len(changes) >= 3

        await town.move_in()
        await asyncio.sleep(SETTLED_S)

        assert sorted(counts(town)) == [84, 86, 86]


@virtual_time
async def test_who_has_closed_makes_no_more_lines(tmp_path: Path) -> None:
    async with town_of(2, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        await soon(town.first.close())
        await asyncio.sleep(SETTLED_S)

        assert town.first.call_all(Measure()) == {}
        assert town.lines[town.second.address] == []
        assert not any(town.first.owner_of(shard) for shard in range(SHARDS))


def _spoken_to(neighbour: Neighbour) -> set[str]:
    return set(neighbour.call_all(Notice()))


@virtual_time
async def test_looking_in_vain_becomes_rare(tmp_path: Path) -> None:
    async with town_of(1, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        journal = town.first.scene.journal
        before = journal.count("survey")

        for _ in range(1_000):  # for ten seconds somebody asks all the time
            town.first.look_around()
            await asyncio.sleep(0.01)

        assert 40 <= journal.count("survey") - before <= 70


@virtual_time
async def test_after_a_change_looks_are_quick_again(tmp_path: Path) -> None:
    async with town_of(1, tmp_path) as town:
        await asyncio.sleep(SETTLED_S)
        for _ in range(200):
            town.first.look_around()
            await asyncio.sleep(0.01)

        await town.move_in()
        await asyncio.sleep(SETTLED_S)
        before = town.first.scene.journal.count("survey")
        for _ in range(5):
            town.first.look_around()
            await asyncio.sleep(0.01)

        assert town.first.scene.journal.count("survey") - before >= 2
