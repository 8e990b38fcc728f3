"""Whichever worker takes a request, the owner decides; what may be asked again is, no more."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from allocator.actors.forwarding import PATIENCE_S
from allocator.actors.messages import KeyReused, Outcome
from allocator.actors.wire import Ask, Failed, Heard, Look, Measured, Moved, Response, Retire
from allocator.domain.ids import SHARD_MASK
from allocator.domain.messages import DispatchOrder, InsufficientStock
from allocator.domain.queries import BalanceQuery
from allocator.errors import (
    AllocatorError,
    OutcomeUnknownError,
    OverloadedError,
    UnavailableError,
)
from allocator.peers.errors import (
    PeerLostError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
)
from allocator.persistence.memory.journal import MemoryJournal
from tests.builders import keyed, place, receive
from tests.neighbours import Town, Trouble, town_of
from tests.scene import soon, succeeded
from tests.virtual_time import settle, virtual_time

OURS = 7 << 8 | 42
THEIRS = 7 << 8 | 200
"""Of the second worker, once the two share evenly."""

UNREACHABLE = PeerUnreachableError(peer="1", why="its socket is away")
LOST = PeerLostError(peer="1", why="it broke")
LATE = PeerTimeoutError(peer="1", timeout_s=3)

Test = Callable[[Town], Awaitable[None]]


def in_town(test: Test) -> Callable[[Path], None]:
    """Make a test: two workers share the shards, and there is stock at the second."""

    @virtual_time
    async def run(tmp_path: Path) -> None:
        async with town_of(2, tmp_path) as town:
            await asyncio.sleep(2)
            await town.second.scene.stock(10, actor_id=THEIRS)
            await test(town)

    def run_test(tmp_path: Path) -> None:
        run(tmp_path)

    run_test.__name__, run_test.__doc__ = getattr(test, "__name__", ""), test.__doc__
    return run_test


def seconds() -> float:
    """Return the time of the scenario."""
    return asyncio.get_running_loop().time()


async def unanswered(asked: Awaitable[object], kind: type[AllocatorError]) -> float:
    """Have a request fail so, and return how long that took, seconds."""
    began_s = seconds()
    with pytest.raises(kind) as raised:
        await soon(asked)
    assert type(raised.value) is kind or kind is OutcomeUnknownError
    return seconds() - began_s


async def lose_to_a_stranger(town: Town) -> None:
    """Have a worker of another server own a shard, so that nobody of ours can take it."""
    shard = THEIRS & SHARD_MASK
    stranger = MemoryJournal(town.database, server="two")
    await stranger.renew()
    await town.second.scene.worker.give(frozenset({shard}))
    assert stranger.incarnation is not None
    town.database.assign([shard], town.database.workers[stranger.incarnation])


# What comes back.


@in_town
async def test_a_request_is_decided_by_the_owner_and_comes_back_as_it_is(town: Town) -> None:
    order = succeeded(await soon(town.first.cluster.ask(THEIRS, place(2))))
    dispatched = await soon(town.first.cluster.ask(THEIRS, DispatchOrder(order=order.seq)))

    assert town.second.scene.kinds(actor_id=THEIRS) == [
        "stock_received",
        "order_placed",
        "order_dispatched",
    ]
    assert isinstance(dispatched, Outcome)
    assert await soon(town.first.cluster.ask(THEIRS, place(9))) == InsufficientStock(
        requested=9, available=8
    )
    assert len(town.sent) == 3
    assert (town.first.statistics.sent, town.second.statistics.received) == (3, 3)


@in_town
async def test_what_is_our_own_is_not_sent_anywhere(town: Town) -> None:
    await soon(town.first.cluster.ask(OURS, receive(5)))
    await soon(town.first.cluster.ask_once(keyed("k", place(1), actor_id=OURS)))
    view = await soon(town.first.cluster.look(OURS, BalanceQuery()))

    assert view == await soon(town.first.scene.worker.look(OURS, BalanceQuery()))
    assert town.sent == []


@in_town
async def test_a_look_at_another_workers_actor_shows_what_is_durable(town: Town) -> None:
    view = await soon(town.first.cluster.look(THEIRS, BalanceQuery()))

    assert view == await soon(town.second.scene.worker.look(THEIRS, BalanceQuery()))


@in_town
async def test_a_key_is_the_same_whichever_worker_is_asked(town: Town) -> None:
    request = keyed("k", place(2), actor_id=THEIRS)
    answer = await soon(town.first.cluster.ask_once(request))

    assert await soon(town.second.cluster.ask_once(request)) == answer
    elsewhere = keyed("k", receive(1), actor_id=OURS)
    assert await soon(town.second.cluster.ask_once(elsewhere)) == KeyReused(key="k")
    assert await soon(town.first.cluster.ask_once(elsewhere)) == KeyReused(key="k")


@in_town
async def test_errors_of_another_worker_are_those_of_our_own(town: Town) -> None:
    said: list[tuple[Response, type[AllocatorError]]] = [
        (Failed("overloaded", "server", 7), OverloadedError),
        (Failed("unavailable", "the journal is unavailable"), UnavailableError),
        (Failed("unknown"), OutcomeUnknownError),
        (Measured(b""), AllocatorError),
    ]
    for response, error in said:
        town.trouble(Trouble(response=response))

        assert await unanswered(town.first.cluster.ask(THEIRS, place(1)), error) == 0


# What is asked again.


@pytest.mark.parametrize("error", [UNREACHABLE, None])
def test_what_was_not_done_is_asked_again_without_a_key(
    tmp_path: Path, error: AllocatorError | None
) -> None:
    """Nobody took it, or whoever did says that the actor has moved."""

    @in_town
    async def scenario(town: Town) -> None:
        town.trouble(*[Trouble(error=error, response=Moved())] * 3)
        await soon(town.first.cluster.ask(THEIRS, place(2)))

        assert town.second.scene.kinds(actor_id=THEIRS) == ["stock_received", "order_placed"]
        assert (len(town.sent), town.first.statistics.retried) == (4, 3)

    scenario(tmp_path)


@pytest.mark.parametrize("error", [LOST, LATE])
@pytest.mark.parametrize("carried_out", [True, False])
def test_what_may_have_been_done_is_unknown_without_a_key(
    tmp_path: Path, error: AllocatorError, *, carried_out: bool
) -> None:
    @in_town
    async def scenario(town: Town) -> None:
        town.trouble(Trouble(error=error, carried_out=carried_out))
        await unanswered(town.first.cluster.ask(THEIRS, place(2)), OutcomeUnknownError)
        await asyncio.sleep(PATIENCE_S)

        placed = ["order_placed"] * carried_out
        assert town.second.scene.kinds(actor_id=THEIRS) == ["stock_received", *placed]
        assert len(town.sent) == 1
        assert town.first.statistics.failed == 1

    scenario(tmp_path)


@pytest.mark.parametrize("error", [LOST, LATE, UNREACHABLE])
def test_what_has_a_key_is_asked_again_and_done_once(tmp_path: Path, error: AllocatorError) -> None:
    """N16."""

    @in_town
    async def scenario(town: Town) -> None:
        town.trouble(*[Trouble(error=error, carried_out=error is not UNREACHABLE)] * 3)
        request = keyed("k", place(2), actor_id=THEIRS)
        answer = succeeded(await soon(town.first.cluster.ask_once(request)))

        assert answer.seq == 2
        assert town.second.scene.kinds(actor_id=THEIRS) == ["stock_received", "order_placed"]

    scenario(tmp_path)


@pytest.mark.parametrize("error", [LOST, LATE, UNREACHABLE])
def test_a_look_is_asked_again(tmp_path: Path, error: AllocatorError) -> None:
    @in_town
    async def scenario(town: Town) -> None:
        town.trouble(Trouble(error=error))
        await soon(town.first.cluster.look(THEIRS, BalanceQuery()))

        assert len(town.sent) == 2

    scenario(tmp_path)


@in_town
async def test_what_was_refused_for_good_is_not_asked_again(town: Town) -> None:
    town.trouble(Trouble(error=PeerRefusedError(peer="1", reason="nonsense")))
    await unanswered(
        town.first.cluster.ask_once(keyed("k", place(1), actor_id=THEIRS)), PeerRefusedError
    )

    assert len(town.sent) == 1


@in_town
async def test_a_no_is_not_passed_on_while_somebody_may_yet_do_it(town: Town) -> None:
    """The lost attempt may still lie before a worker, and come after whatever made it impossible.

    A success is: the key sees to it that it stays the only one.
    """
    town.trouble(Trouble(error=LOST))
    await unanswered(
        town.first.cluster.ask_once(keyed("k", place(11), actor_id=THEIRS)), OutcomeUnknownError
    )

    town.trouble(Trouble(error=LATE))
    succeeded(await soon(town.first.cluster.ask_once(keyed("l", place(10), actor_id=THEIRS))))
    town.trouble(Trouble(error=LOST))
    reused = town.first.cluster.ask_once(keyed("l", place(1), actor_id=THEIRS))

    assert await soon(reused) == KeyReused(key="l")


@in_town
async def test_a_no_is_passed_on_when_whoever_else_was_asked_is_dead(town: Town) -> None:
    town.trouble(Trouble(error=LOST))
    asked = town.first.cluster.ask_once(keyed("k", place(11), actor_id=THEIRS))
    await town.kill(town.second)

    assert await soon(asked) == InsufficientStock(requested=11, available=10)
    assert len(town.sent) == 1


# Going where another worker says.


@in_town
async def test_who_is_asked_in_vain_says_who_has_the_actor(town: Town) -> None:
    heard: list[Response] = []
    for request in (Ask(OURS, place(1)), Look(OURS, BalanceQuery())):
        town.second.cluster.handle(request, heard.append)
    await settle()

    assert heard == [Moved(town.first.address)] * 2

    await lose_to_a_stranger(town)
    for neighbour in (town.first, town.second):
        neighbour.cluster.handle(Ask(THEIRS, place(1)), heard.append)

    assert heard[2:] == [Moved(town.second.address), Moved()], "as far as they know"

    await asyncio.sleep(2)
    town.first.cluster.handle(Ask(THEIRS, place(1)), heard.append)

    assert heard[4:] == [Moved()]


@in_town
async def test_whoever_is_named_is_asked_at_once(town: Town) -> None:
    third = await town.move_in()
    await asyncio.sleep(2)
    shard = next(iter(third.scene.worker.shards))
    actor_id = 7 << 8 | shard
    await third.scene.stock(1, actor_id=actor_id)
    looking = town.first.scene.journal.hold("survey")
    town.first.look_around()
    await looking.reached()
    town.trouble(Trouble(response=Moved(third.address)))
    await soon(town.first.cluster.ask(actor_id, place(1)))

    assert third.scene.kinds(actor_id=actor_id) == ["stock_received", "order_placed"]
    assert (len(town.sent), town.first.statistics.retried) == (2, 0)

    looking.release()


@pytest.mark.parametrize("owner", ["the second", "nobody we know"])
def test_workers_that_are_all_wrong_do_not_send_a_request_round_for_ever(
    tmp_path: Path, owner: str
) -> None:
    """A name is followed once between two looks at who owns what."""

    @in_town
    async def scenario(town: Town) -> None:
        named = town.second.address if owner == "the second" else owner
        town.trouble(*[Trouble(response=Moved(named))] * 6)
        await soon(town.first.cluster.ask(THEIRS, place(2)))

        assert len(town.sent) == 7
        assert town.first.statistics.retried == (3 if owner == "the second" else 6)

    scenario(tmp_path)


# Waiting for an owner.


@in_town
async def test_a_request_waits_for_an_owner_and_no_longer_than_it_may(town: Town) -> None:
    """Nothing was done then, and it says so."""
    await lose_to_a_stranger(town)
    waited_s = await unanswered(town.first.cluster.ask(THEIRS, place(1)), UnavailableError)
    looked_s = await unanswered(town.first.cluster.look(THEIRS, BalanceQuery()), UnavailableError)

    assert PATIENCE_S <= waited_s < PATIENCE_S + 1
    assert PATIENCE_S <= looked_s < PATIENCE_S + 1
    assert town.second.scene.kinds(actor_id=THEIRS) == ["stock_received"]


@in_town
async def test_a_request_whose_shard_comes_to_us_is_decided_here(town: Town) -> None:
    """It waited for the heir of a dead worker, and that is us."""
    await town.kill(town.second)
    asked = [
        town.first.cluster.ask(THEIRS, place(1)),
        town.first.cluster.ask_once(keyed("k", place(2), actor_id=THEIRS)),
    ]
    looking = asyncio.ensure_future(town.first.cluster.look(THEIRS, BalanceQuery()))
    began_s = seconds()
    answers = await soon(asyncio.gather(*asked))
    await soon(looking)

    assert all(isinstance(answer, Outcome) for answer in answers)
    assert town.first.scene.kinds(actor_id=THEIRS) == ["stock_received"] + ["order_placed"] * 2
    assert seconds() < began_s + 0.2
    assert town.first.cluster.ready


@in_town
async def test_a_request_waits_no_longer_though_nobody_can_look_for_an_owner(
    town: Town,
) -> None:
    claiming = town.first.scene.journal.hold("claim")
    await town.kill(town.second)
    asked = town.first.cluster.ask(THEIRS, place(1))
    await claiming.reached()

    assert PATIENCE_S - 1 <= await unanswered(asked, UnavailableError) < PATIENCE_S + 1

    claiming.release()
    await soon(town.first.cluster.ask(THEIRS, place(1)))


@pytest.mark.parametrize(
    "later",
    [Trouble(error=UNREACHABLE), Trouble(response=Failed("unavailable", "the journal is away"))],
)
def test_that_nothing_was_done_is_not_said_of_what_may_have_been(
    tmp_path: Path, later: Trouble
) -> None:
    """Its first attempt was lost; that the others came to nothing says nothing of that one."""

    @in_town
    async def scenario(town: Town) -> None:
        town.trouble(Trouble(error=LOST, carried_out=True), *[later] * 1_000)
        asked = town.first.cluster.ask_once(keyed("k", place(2), actor_id=THEIRS))
        await unanswered(asked, OutcomeUnknownError)

        assert town.second.scene.kinds(actor_id=THEIRS) == ["stock_received", "order_placed"]

    scenario(tmp_path)


@in_town
async def test_who_closes_keeps_nobody_waiting(town: Town) -> None:
    await lose_to_a_stranger(town)
    asked = town.first.cluster.ask(THEIRS, place(1))
    await settle()
    closing = asyncio.ensure_future(town.first.close())

    assert await unanswered(asked, UnavailableError) == 0

    await soon(closing)


# What workers ask each other.


@in_town
async def test_figures_are_those_of_all_and_nobody_waits_long_for_a_silent_one(town: Town) -> None:
    assert await soon(town.first.cluster.figures()) == {"0": b"figures of 0", "1": b"figures of 1"}

    for silent in (Trouble(), Trouble(error=LOST), Trouble(response=Heard())):
        town.trouble(silent)
        began_s = seconds()

        assert await soon(town.first.cluster.figures()) == {"0": b"figures of 0", "1": None}
        assert seconds() <= began_s + 1.1


@in_town
async def test_only_who_is_not_looked_after_retires(town: Town) -> None:
    heard: list[Response] = []
    town.first.cluster.handle(Retire(), heard.append)
    town.first.supervised = False
    town.first.cluster.handle(Retire(), heard.append)

    assert heard == [Failed("supervised"), Heard()]
