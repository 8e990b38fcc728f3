"""Orders of several lines over a network that delays, repeats and reorders, through crashes.

Whatever happens, each order is accepted or declined, and what its pools did for it is what it says.
"""

import os
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from allocator.domain import kinds
from allocator.domain.messages import PlaceOrder, ReceiveStock
from allocator.domain.orders import CancelLines, DispatchLines
from allocator.domain.transit import NO_TRACE
from tests.property.network import SOMETHING, NetworkMachine
from tests.property.places import World
from tests.property.pool_laws import (
    lots_hold_what_processes_hold,
    no_late_ask_does_anything,
    no_unit_is_made_or_lost,
    replay_is_live,
)

EXAMPLES = int(os.environ.get("ALLOCATOR_TEST_ORDERS", "150"))
POOLS = 3
PLACES = st.integers(1, POOLS)
ORDERS_MAX = 6
MINUTE_MS = 60_000


class OrdersMachine(NetworkMachine):
    """Three pools of tea; what is not on hand there was dispatched."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.of(pools=POOLS, singles=0)

    @initialize(units=st.lists(st.integers(0, 3), min_size=6, max_size=6))
    def stock_arrives(self, units: list[int]) -> None:
        """In several lots."""
        for number, quantity in enumerate(units):
            if quantity:
                self.receive(place=1 + number % POOLS, quantity=quantity, ttl_ms=None)

    # Clients.

    @rule(place=PLACES, quantity=st.integers(1, 3), ttl_ms=st.none() | st.just(3 * MINUTE_MS))
    def receive(self, place: int, quantity: int, ttl_ms: int | None) -> None:
        """A lot arrives."""
        now_ms = max(self.world.now_ms, self.world.pool(place).last_at_ms)
        expires_at_ms = None if ttl_ms is None else now_ms + ttl_ms
        self.world.ask(place, ReceiveStock(quantity=quantity, expires_at_ms=expires_at_ms))
        self.world.received += quantity

    @rule(place=PLACES, quantity=st.integers(1, 3))
    def order_here(self, place: int, quantity: int) -> None:
        """Somebody orders of one pool, as ever."""
        self.world.ask(place, PlaceOrder(quantity=quantity))

    @precondition(lambda self: len(self.world.orders) < ORDERS_MAX)
    @rule(units=st.dictionaries(PLACES, st.integers(1, 4), min_size=1, max_size=POOLS))
    def begin(self, units: dict[int, int]) -> None:
        """Somebody orders of several."""
        self.world.begin_order(*units.items())

    @precondition(lambda self: self.world.orders)
    @rule(which=SOMETHING, part=st.none() | st.integers(1, 2))
    def dispatch(self, which: int, part: int | None) -> None:
        """All of an order leaves, or a part."""
        order = self.some_order(which)
        parts = () if part is None else ((which % len(self.world.order(order).lines), part),)
        self.world.ask(order, DispatchLines(parts=parts))
        self.world.send(order)

    @precondition(lambda self: self.world.orders)
    @rule(which=SOMETHING)
    def cancel(self, which: int) -> None:
        """An order is cancelled, if none of it has left."""
        order = self.some_order(which)
        self.world.ask(order, CancelLines())
        self.world.send(order)

    @precondition(lambda self: self.world.orders)
    @rule(which=SOMETHING)
    def an_order_asks_again(self, which: int) -> None:
        """It has waited for long enough."""
        self.world.send(self.some_order(which), again=True)

    # Troubles.

    @rule(elapsed_ms=st.sampled_from([1, 1000, 2 * MINUTE_MS, 6 * MINUTE_MS, 11 * MINUTE_MS]))
    def time_passes(self, elapsed_ms: int) -> None:
        """Lots expire; asks become stale; releases are forgotten."""
        self.world.now_ms += elapsed_ms

    @precondition(lambda self: self.world.orders)
    @rule(which=SOMETHING)
    def an_order_crashes(self, which: int) -> None:
        """It is recovered, and asks again what it does not know."""
        order = self.some_order(which)
        self.world.lives[order].crash(from_snapshot=False)
        self.world.send(order, again=True)

    @rule(place=PLACES, from_snapshot=st.booleans())
    def a_place_crashes(self, place: int, from_snapshot: bool) -> None:  # noqa: FBT001
        """It is recovered."""
        self.world.lives[place].crash(from_snapshot=from_snapshot)

    @rule(which=SOMETHING)
    def take_snapshot(self, which: int) -> None:
        """Of any actor."""
        lives = list(self.world.lives.values())
        life = lives[which % len(lives)]
        life.snapshot = (life.state.version, kinds.dump(life.state))

    # Laws.

    @invariant()
    def places_keep_their_laws(self) -> None:
        """Whatever is asked of them."""
        no_unit_is_made_or_lost(self.world)
        lots_hold_what_processes_hold(self.world)
        replay_is_live(self.world)

    @invariant()
    def an_accepted_order_has_its_units(self) -> None:
        """From the moment in which somebody may be told so."""
        for each in self.world.orders:
            order = self.world.order(each)
            if order.status != "new":
                continue
            for line, held in zip(order.lines, order.held, strict=True):
                pool = self.world.pool(line.pool)
                traces = {} if pool.processes is None else pool.processes.traces
                has = traces.get(each, NO_TRACE).held or pool.orders.get(held.order)
                assert has == held.picks

    def teardown(self) -> None:
        """When the network calms down, every order is settled, and no late ask does anything."""
        self.world.calm()
        no_unit_is_made_or_lost(self.world)
        for each in self.world.orders:
            self.check_order(each)
        for place in self.world.places:
            processes = self.world.pool(place).processes
            assert processes is None or not processes.traces
        no_late_ask_does_anything(self.world)

    def check_order(self, each: int) -> None:
        """What its pools hold open is what is left of it."""
        order = self.world.order(each)
        assert order.status in {"declined", "new", "partly_dispatched", "dispatched", "cancelled"}
        for place, held in enumerate(order.held):
            picks = self.world.pool(order.lines[place].pool).orders.get(held.order) or ()
            assert sum(units for _, units in picks) == order.left[place]

    def some_order(self, which: int) -> int:
        """Return one of the orders."""
        return self.world.orders[which % len(self.world.orders)]


TestOrdersMachine = OrdersMachine.TestCase
TestOrdersMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=50)


@given(
    dice=st.randoms(use_true_random=False),
    swapped=st.lists(st.booleans(), min_size=30, max_size=30),
)
@settings(max_examples=20)
def test_of_a_crowd_that_wants_both_of_two_pools_as_many_are_served_as_there_is_for(
    dice: random.Random, swapped: list[bool]
) -> None:
    """Row Q1: thirty orders of one unit of each of two pools of five, whoever comes first: five."""
    world = World.of(pools=2, singles=0)
    for place in (1, 2):
        world.ask(place, ReceiveStock(quantity=5))
    for swap in swapped:
        world.begin_order(*([(2, 1), (1, 1)] if swap else [(1, 1), (2, 1)]))

    while world.asks or world.answers:
        if world.asks and (not world.answers or dice.random() < 1 / 2):
            world.deliver_ask(dice.randrange(len(world.asks)))
        else:
            world.deliver_answer(dice.randrange(len(world.answers)), keep=False)

    statuses = Counter(world.order(order).status for order in world.orders)
    assert statuses == {"new": 5, "declined": 25}
