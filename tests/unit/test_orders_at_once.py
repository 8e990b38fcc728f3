"""Orders of several lines whose pools are at hand: decided at once, and stored together or not."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.actors.limits import Limits
from allocator.domain import at_once, kinds
from allocator.domain.laws import unlawful
from allocator.domain.laws_of_orders import unlawful_of_order
from allocator.domain.messages import PlaceOrder, ReceiveStock
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    Held,
    Order,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
    Shortage,
)
from allocator.domain.pool import Pool
from allocator.errors import OutcomeUnknownError
from tests.builders import NOW_MS, pool_of
from tests.memory_journal import Fault
from tests.property.places import World
from tests.scene import Scene, serving, soon, succeeded
from tests.unit.tea_and_pots import POT, STOCK, TEA, decided, lines, numbers, request
from tests.virtual_time import now_ms, virtual_time

SOON_MS = 10
AT_ONCE = {TEA: ["hold_confirmed"], POT: ["hold_confirmed"]}
NOTHING: dict[int, list[str]] = {TEA: [], POT: []}


async def stocked(scene: Scene) -> None:
    """Five of each, and both pools in memory."""
    for pool in (TEA, POT):
        await scene.stock(STOCK, actor_id=pool)


def nobody(_: OrderRequested) -> None:
    """Have no pool at hand."""


def rows(scene: Scene) -> dict[int, list[str]]:
    """What the pools have journaled since they had stock."""
    return {pool: scene.kinds(actor_id=pool)[1:] for pool in (TEA, POT)}


@virtual_time
async def test_an_order_whose_pools_are_at_hand_is_one_row_of_each() -> None:
    """N1: and one append."""
    async with serving() as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)
        appends = len(scene.journal.appends())

        outcome = succeeded(await soon(scene.ask(request(tea=2, pot=3), actor_id=actor_id)))

        assert isinstance(outcome.event, OrderAccepted)
        assert scene.journal.appends()[appends:] == [3]
        assert scene.kinds(actor_id=actor_id) == ["order_accepted"]
        assert rows(scene) == AT_ONCE
        assert await numbers(scene) == [(3, 2, 0), (2, 3, 0)]
        assert scene.database.kinds == {actor_id: "order"}
        for pool in (TEA, POT):  # of an order that never asked, there is nothing to remember
            state = scene.worker.directory.get(pool).state
            assert isinstance(state, Pool)
            assert state.processes is None


@virtual_time
async def test_an_order_that_is_declined_at_once_names_every_line_and_asks_nobody() -> None:
    """N1, C9."""
    async with serving() as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)

        outcome = succeeded(await soon(scene.ask(request(tea=6, pot=7), actor_id=actor_id)))

        assert outcome.event == OrderDeclined(
            shortages=(
                Shortage(line=0, requested=6, available=5),
                Shortage(line=1, requested=7, available=5),
            ),
            lines=lines(tea=6, pot=7),
            customer="ada",
        )
        assert rows(scene) == NOTHING
        assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]
        assert scene.worker.directory.get(actor_id).is_at_rest


@virtual_time
@pytest.mark.parametrize("fault", Fault)
async def test_an_append_that_fails_has_stored_all_of_an_order_or_nothing(fault: Fault) -> None:
    """N16, Q7."""
    async with serving() as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)
        scene.journal.break_next("append", fault)

        with pytest.raises(OutcomeUnknownError):
            await soon(scene.ask(request(tea=2, pot=3), actor_id=actor_id))
        await scene.serving_again()

        if scene.kinds(actor_id=actor_id):
            assert (await decided(scene, actor_id)).status == "new"
            assert rows(scene) == AT_ONCE
            assert await numbers(scene) == [(3, 2, 0), (2, 3, 0)]
        else:
            assert rows(scene) == NOTHING
            assert await numbers(scene) == [(5, 0, 0), (5, 0, 0)]


@virtual_time
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("beside", range(6))
async def test_an_order_is_never_spread_over_two_appends(beside: int, fault: Fault) -> None:
    """Whatever else the turn has when it comes: a turn has four rows."""
    async with serving(limits=Limits(batch_max=4)) as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)
        others = [scene.ask(PlaceOrder(quantity=1), actor_id=TEA) for _ in range(beside // 2)]
        others += [scene.ask(PlaceOrder(quantity=1), actor_id=POT) for _ in range(beside // 2)]
        others += [scene.ask(PlaceOrder(quantity=1), actor_id=TEA) for _ in range(beside % 2)]
        asked = scene.ask(request(tea=1, pot=1), actor_id=actor_id)
        for number in range(2):
            if number:
                scene.journal.break_next("append", fault)
            await asyncio.sleep(0)
        await asyncio.wait([asked, *others])
        _ = [each.exception() for each in (asked, *others)]
        await scene.serving_again()

        stored = Counter(kind for kinds in rows(scene).values() for kind in kinds)
        assert stored["hold_confirmed"] in {0, 2}
        assert len(scene.kinds(actor_id=actor_id)) == stored["hold_confirmed"] // 2


@virtual_time
async def test_pools_that_do_not_fit_into_one_append_are_asked() -> None:
    async with serving(limits=Limits(batch_max=2)) as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)

        outcome = succeeded(await soon(scene.ask(request(tea=2, pot=3), actor_id=actor_id)))

        assert isinstance(outcome.event, OrderRequested)
        assert (await decided(scene, actor_id)).status == "new"


@virtual_time
async def test_a_pool_that_has_to_be_recovered_is_asked() -> None:
    async with serving() as scene:
        await stocked(scene)
        await scene.outage()  # it drops the first one
        actor_id = await scene.worker.begin(None)

        outcome = succeeded(await soon(scene.ask(request(tea=2, pot=3), actor_id=actor_id)))

        assert isinstance(outcome.event, OrderRequested)
        assert (await decided(scene, actor_id)).status == "new"
        await asyncio.sleep(1)
        assert await numbers(scene) == [(3, 2, 0), (2, 3, 0)]


@virtual_time
async def test_a_lot_that_is_past_its_date_is_not_sold_at_once() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=TEA, expires_at_ms=now_ms() + SOON_MS)
        await scene.stock(STOCK, actor_id=POT)
        actor_id = await scene.worker.begin(None)
        await asyncio.sleep(SOON_MS / 1000)

        outcome = succeeded(await soon(scene.ask(request(tea=1, pot=1), actor_id=actor_id)))

        assert isinstance(outcome.event, OrderDeclined)
        assert rows(scene) == {TEA: ["lot_expired"], POT: []}


@virtual_time
async def test_a_crowd_of_whom_some_ask_one_after_the_other_is_served_as_far_as_there_is() -> None:
    """Q1, Q5."""
    async with serving() as scene:
        await stocked(scene)
        office = scene.worker.office
        find, orders = office.at_hand, []
        for number in range(30):
            office.at_hand = find if number % 3 else nobody  # type: ignore[assignment,method-assign]
            orders.append(await scene.worker.begin(None))
            scene.tell(request(tea=1, pot=1), actor_id=orders[-1])
            if number % 4 == 0:
                await asyncio.sleep(0)

        statuses = Counter([(await decided(scene, each)).status for each in orders])

        assert statuses == {"new": STOCK, "declined": 25}
        await asyncio.sleep(1)
        assert await numbers(scene) == [(0, 5, 0), (0, 5, 0)]


@virtual_time
async def test_what_was_ordered_at_once_leaves_in_parts_or_goes_back() -> None:
    async with serving() as scene:
        await stocked(scene)
        leaving, returning = [await scene.worker.begin(None) for _ in range(2)]
        for each in (leaving, returning):
            await scene.outcome(request(tea=2, pot=1), actor_id=each)

        await scene.outcome(DispatchLines(parts=((0, 1),)), actor_id=leaving)
        await scene.outcome(CancelLines(), actor_id=returning)
        await asyncio.sleep(1)

        assert await numbers(scene) == [(3, 1, 0), (4, 1, 0)]


@virtual_time
async def test_an_order_that_waits_for_its_dispatch_leaves_memory_and_comes_back() -> None:
    """There are as many of them as customers."""
    async with serving() as scene:
        await stocked(scene)
        actor_id = await scene.worker.begin(None)
        await scene.outcome(request(tea=2, pot=3), actor_id=actor_id)

        await scene.worker.directory.sweep(now_ms=now_ms() + 2_000, idle_ms=600_000, actors_max=99)

        assert len(scene.worker.directory) == 2
        assert (await decided(scene, actor_id)).status == "new"


@given(
    stock=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)),
    wanted=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_what_is_decided_at_once_is_what_pools_would_answer_one_after_the_other(
    stock: tuple[int, int, int], wanted: tuple[int, int]
) -> None:
    """And it is lawful; of several lots, too."""
    world = World.of(pools=2, singles=0)
    for place, quantity in ((1, stock[0]), (1, stock[1]), (2, stock[2])):
        if quantity:
            world.ask(place, ReceiveStock(quantity=quantity))
    asked = OrderRequested(
        lines=tuple(world.line_of(place, units=wanted[place - 1]) for place in (1, 2))
    )
    pools = [pool_of(*(each for each in stock[:2] if each)), pool_of(stock[2])]
    order = Order()

    decision, parts = at_once.decide(asked, pools, process=2000)

    assert unlawful_of_order(order, decision) == ""
    kinds.evolve(order, decision, at_ms=NOW_MS)
    for pool, part in zip(pools, parts, strict=bool(parts)):
        assert unlawful(pool, part) == ""
        kinds.evolve(pool, part, at_ms=NOW_MS)
    led = world.begin_order((1, wanted[0]), (2, wanted[1]))
    world.calm()
    expected = world.order(led)
    assert (order.status, order.shortages, order.left) == (
        expected.status,
        expected.shortages,
        expected.left,
    )
    assert [each.picks for each in order.held] == [each.picks for each in expected.held]
    assert not order.outstanding
    for place, pool in zip((1, 2), pools, strict=True):
        balance, other = pool.balance(), world.pool(place).balance()
        assert (balance.available, balance.ordered, balance.held) == (
            other.available,
            other.ordered,
            other.held,
        )


LINES = lines(tea=1, pot=1)
HELD = (Held(order=2, picks=((1, 1),)), Held(order=2, picks=((1, 1),)))


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (OrderAccepted(held=HELD), "an order that is not requested is not accepted next"),
        (
            OrderAccepted(held=HELD, lines=LINES[::-1]),
            "its pools are not in order, or one stands twice",
        ),
        (
            OrderAccepted(held=HELD[:1], lines=LINES),
            "[1, 1] units are wanted of its lines, and [1] held",
        ),
        (OrderDeclined(shortages=(), lines=LINES), "it is short of lines that it has not"),
    ],
)
def test_what_cannot_be_decided_at_once_is_told(event: OrderAccepted, why: str) -> None:
    assert unlawful_of_order(Order(), event) == why


def test_an_order_is_decided_once() -> None:
    order = Order()
    accepted = OrderAccepted(held=HELD, lines=LINES)
    kinds.evolve(order, accepted, at_ms=NOW_MS)

    assert unlawful_of_order(order, accepted) == "an order that is new is not accepted next"
