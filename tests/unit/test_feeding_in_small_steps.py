"""Whoever reconciles a hundred thousand batches leaves orders their turn in between."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from itertools import count
from typing import cast

import msgspec
import pytest

from allocator.domain.kinds import Event
from allocator.domain.messages import OrderPlaced
from allocator.domain.positions import START, Position
from allocator.domain.pushes import Account
from allocator.domain.reconciling import Committed, FeedAttached
from allocator.domain.records import Record
from allocator.feeding import pusher as module
from allocator.feeding.ports import Made, Standing, Store, Stretch
from allocator.feeding.pusher import Pusher
from allocator.feeding.reach import one_by_one
from tests.builders import records_of

POOLS = 1_000
LONG_S = 3_600.0
XIDS = count(1)
ATTACHED = FeedAttached(feed=1, excludes=(), lots=(Committed(lot=1, code="A"),))
ORDER = OrderPlaced(quantity=2, picks=((1, 2),))


class _Others:
    """Everybody else who is served by the same loop."""

    def __init__(self) -> None:
        self.turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@contextmanager
def others() -> Iterator[_Others]:
    them = _Others()
    running = asyncio.get_running_loop().create_task(them.run())
    try:
        yield them
    finally:
        running.cancel()


class _Journal:
    """Some stretches, and then nothing."""

    def __init__(self, *stretches: Stretch) -> None:
        self._stretches = list(stretches)
        self.looks = 0

    async def next(self, _after: Position, *, warehouse: str) -> Stretch | None:
        assert warehouse == "main"
        self.looks += 1
        return self._stretches.pop(0) if self._stretches else None

    def close(self) -> None:
        pass


class _Kept:
    """What is made of them; every actor is a pool."""

    def __init__(self) -> None:
        self.made: asyncio.Queue[Made] = asyncio.Queue()
        self._accounts: dict[int, Account] = {}

    async def accounts(
        self, _feed: int, *, warehouse: str, actor_ids: Sequence[int]
    ) -> Mapping[int, tuple[str, Account | None]]:
        assert warehouse == "main"
        return {each: ("tea", deepcopy(self._accounts.get(each))) for each in actor_ids}

    async def make_pushes(
        self, _feed: int, made: Made, *, before: Position, after: Position, at_ms: int
    ) -> bool:
        assert before <= after
        assert at_ms == 0
        self._accounts |= {each.actor_id: deepcopy(each) for each in made.accounts}
        self.made.put_nowait(made)
        return True


def stretch(pools: range, *, is_last: bool) -> Stretch:
    """Return the rows that attached some pools."""
    records: list[Record] = [
        record for pool in pools for record in records_of([(0, ATTACHED)], actor_id=pool)
    ]
    reached = Position(1, next(XIDS), pools[-1], 1)
    return Stretch(records=records, reached=reached, is_last=is_last)


def orders(pool: int, *, first: int, rows: int) -> Stretch:
    """Return the rows of a pool that was attached, from one on; all but the first are orders."""
    events: list[tuple[int, Event]] = [(0, ATTACHED), *[(0, ORDER)] * (first + rows - 2)]
    records = records_of(events, actor_id=pool)[first - 1 :]
    return Stretch(records=records, reached=Position(1, next(XIDS), pool, 1), is_last=True)


def lines_of(made: Made) -> dict[int, list[list[object]]]:
    """Return what is told of each pool; no pool is told of twice."""
    told = {actor_id: msgspec.json.decode(lines) for actor_id, _, lines in made.pushes}
    assert len(told) == len(made.pushes)
    return told


def pusher_of(journal: _Journal, kept: _Kept) -> Pusher:
    standing = Standing(
        actor_id=1,
        warehouse="main",
        position=START,
        numbered=0,
        acknowledged=0,
        applied=0,
        is_on=True,
    )
    return Pusher(standing, cast("Store", kept), journal, made=asyncio.Event().set, clock=lambda: 0)


@pytest.mark.asyncio
async def test_others_have_their_turn_while_many_rows_become_pushes() -> None:
    kept = _Kept()
    pusher = pusher_of(_Journal(stretch(range(1, POOLS + 1), is_last=True)), kept)
    with others() as them:
        running = asyncio.get_running_loop().create_task(pusher.run())
        made = await kept.made.get()
        running.cancel()

    assert len(made.accounts) == POOLS
    assert them.turns >= POOLS // 200


@pytest.mark.asyncio
async def test_what_is_behind_a_stretch_is_looked_for_at_once_and_what_comes_later_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REST_MIN_S", LONG_S)
    monkeypatch.setattr(module, "_REST_MAX_S", LONG_S)
    kept = _Kept()
    journal = _Journal(
        stretch(range(1, 10), is_last=False),
        stretch(range(10, 20), is_last=True),
        stretch(range(20, 30), is_last=True),
    )
    running = asyncio.get_running_loop().create_task(pusher_of(journal, kept).run())
    for pools in (9, 10):
        async with asyncio.timeout(30):
            assert len((await kept.made.get()).accounts) == pools
    for _ in range(100):
        await asyncio.sleep(0)
    running.cancel()

    assert journal.looks == 2


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it gather for hours, and look for more at once."""
    monkeypatch.setattr(module, "_GATHER_MIN_S", LONG_S)
    monkeypatch.setattr(module, "_GATHER_MAX_S", LONG_S)
    monkeypatch.setattr(module, "_REST_MIN_S", 0.0)
    monkeypatch.setattr(module, "_REST_MAX_S", 0.0)


@pytest.mark.asyncio
@pytest.mark.usefixtures("gathering")
async def test_what_happens_to_a_pool_meanwhile_is_one_push_and_no_run_waits_for_that() -> None:
    kept = _Kept()
    journal = _Journal(
        orders(1, first=1, rows=2),
        orders(1, first=3, rows=2),
        orders(1, first=5, rows=3),
        stretch(range(2, 3), is_last=True),
    )
    running = asyncio.get_running_loop().create_task(pusher_of(journal, kept).run())
    async with asyncio.timeout(30):
        first, second = await kept.made.get(), await kept.made.get()
    running.cancel()

    assert lines_of(first) == {1: [["A", 2, 0, 0, 2]]}
    assert lines_of(second) == {1: [["A", 10, 0, 0, 12]]}
    assert [each.actor_id for each in second.accounts] == [1, 2]


@pytest.mark.asyncio
@pytest.mark.usefixtures("gathering")
async def test_no_more_pools_are_gathered_than_are_told_of_in_one_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_POOLS_AT_ONCE", 3)
    monkeypatch.setattr(module, "_ACCOUNTS_MAX", 1)
    kept = _Kept()
    journal = _Journal(
        stretch(range(1, 6), is_last=True),
        *(orders(pool, first=2, rows=1) for pool in (1, 2)),
        orders(1, first=3, rows=1),
        *(orders(pool, first=2, rows=1) for pool in (3, 4, 5)),
    )
    running = asyncio.get_running_loop().create_task(pusher_of(journal, kept).run())
    async with asyncio.timeout(30):
        attached, made = await kept.made.get(), await kept.made.get()
    running.cancel()

    assert len(attached.accounts) == 5
    assert [each.actor_id for each in made.accounts] == [1, 2, 3]
    assert lines_of(made)[1] == [["A", 4, 0, 0, 4]]


@pytest.mark.asyncio
async def test_pools_are_asked_a_few_at_a_time_and_not_too_many_at_once() -> None:
    under_way = most = 0
    begun_at: list[int] = []
    with others() as them:

        async def ask(number: int) -> int:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            begun_at.append(them.turns)
            for _ in range(50):
                await asyncio.sleep(0)
            under_way -= 1
            return 2 * number

        answers = await one_by_one(ask, range(100), at_once=40)

    assert answers == [2 * number for number in range(100)]
    assert most == 40
    assert max(begun_at.count(turn) for turn in begun_at) <= 8


@pytest.mark.asyncio
async def test_what_is_raised_for_one_is_raised() -> None:
    async def ask(number: int) -> int:
        await asyncio.sleep(0)
        return 1 // number

    with pytest.raises(ZeroDivisionError):
        await one_by_one(ask, range(10), at_once=2)
