"""Moves between places, through crashes and a network that delays, repeats and reorders.

Conservation: on hand + in transit = received - dispatched, at every instant.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from allocator.domain import kinds
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    OrderDispatched,
    OrderPlaced,
    PlaceOrder,
    ReceiveStock,
    StockReceived,
    Wake,
)
from allocator.domain.transfers import (
    ProductExpected,
    SendRefused,
    UnitsSent,
    UnitsTaken,
)
from tests.property.network import SOMETHING, NetworkMachine
from tests.property.places import PRODUCTS, World

T = TypeVar("T", UnitsSent, UnitsTaken)

EXAMPLES = int(os.environ.get("ALLOCATOR_TEST_MOVES", "150"))
POOLS, SINGLES = 2, 2
PLACES = st.integers(1, POOLS + SINGLES)
MOVES_MAX = 6
MINUTE_MS = 60_000
OF_PROCESSES = (UnitsSent, SendRefused, UnitsTaken, ProductExpected)


class MovesMachine(NetworkMachine):
    """Two pools of tea, and two locations that hold one product at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.of(pools=POOLS, singles=SINGLES)

    @initialize(units=st.lists(st.integers(0, 3), min_size=6, max_size=6))
    def stock_arrives(self, units: list[int]) -> None:
        """There is something to move, in several lots."""
        for number, quantity in enumerate(units):
            if quantity:
                place = 1 + number % (POOLS + 1)
                self.receive(place=place, product="tea", quantity=quantity, ttl_ms=None)

    # Clients.

    @rule(
        place=PLACES,
        product=st.sampled_from(PRODUCTS),
        quantity=st.integers(1, 3),
        ttl_ms=st.none() | st.just(3 * MINUTE_MS),
    )
    def receive(self, place: int, product: str, quantity: int, ttl_ms: int | None) -> None:
        """A lot arrives from outside."""
        command = ReceiveStock(
            quantity=quantity,
            expires_at_ms=None if ttl_ms is None else self.now_of(place) + ttl_ms,
            product=self.world.product_for(place, product),
        )
        answer = self.world.ask(place, command)
        if isinstance(answer, tuple):
            self.world.received += quantity

    @rule(place=PLACES, product=st.sampled_from(PRODUCTS), quantity=st.integers(1, 3))
    def order(self, place: int, product: str, quantity: int) -> None:
        """Units are promised; never those of another product."""
        pool = self.world.pool(place)
        told = self.world.product_for(place, product)
        answer = self.world.ask(place, PlaceOrder(quantity=quantity, product=told))
        if isinstance(answer, tuple) and told is not None:
            assert pool.product == told

    @rule(place=PLACES, dispatch=st.booleans(), which=SOMETHING)
    def close(self, place: int, dispatch: bool, which: int) -> None:  # noqa: FBT001
        """An order leaves, or its units go back."""
        orders = [seq for seq, _ in self.world.pool(place).orders]
        if not orders:
            return
        order = orders[which % len(orders)]
        command = DispatchOrder(order=order) if dispatch else CancelOrder(order=order)
        [event] = self.events(self.world.ask(place, command))
        if isinstance(event, OrderDispatched):
            self.world.dispatched += event.quantity

    @precondition(lambda self: len(self.world.moves) < MOVES_MAX)
    @rule(
        source=PLACES,
        distance=st.integers(1, POOLS + SINGLES - 1),
        product=st.sampled_from(PRODUCTS),
        quantity=st.integers(1, 5),
    )
    def begin(self, source: int, distance: int, product: str, quantity: int) -> None:
        """Somebody wants units moved."""
        destination = (source - 1 + distance) % (POOLS + SINGLES) + 1
        if source not in self.world.singles or destination not in self.world.singles:
            product = "tea"
        self.world.begin(product=product, source=source, destination=destination, quantity=quantity)

    @precondition(lambda self: self.world.moves)
    @rule(which=SOMETHING)
    def a_move_asks_again(self, which: int) -> None:
        """It has not heard for a while."""
        self.world.send(self.some_move(which), again=True)

    # Time and trouble.

    @rule(elapsed_ms=st.sampled_from([1, 4 * MINUTE_MS, 11 * MINUTE_MS]))
    def time_passes(self, elapsed_ms: int) -> None:
        """Nobody comes."""
        self.world.now_ms += elapsed_ms

    @rule(place=PLACES)
    def wake(self, place: int) -> None:
        """A pool is woken."""
        self.world.ask(place, Wake())

    @precondition(lambda self: self.world.moves)
    @rule(which=SOMETHING)
    def a_move_crashes(self, which: int) -> None:
        """And asks all it does not know to be answered."""
        move = self.some_move(which)
        self.world.lives[move].crash(from_snapshot=which % 2 == 1)
        self.world.send(move)

    @rule(place=PLACES, from_snapshot=st.booleans())
    def a_place_crashes(self, place: int, from_snapshot: bool) -> None:  # noqa: FBT001
        """What was answered is stored, and nothing else matters."""
        self.world.lives[place].crash(from_snapshot=from_snapshot)

    @precondition(lambda self: self.world.asks)
    @rule(which=SOMETHING, rows=st.integers(0, 2))
    def a_place_crashes_over_an_ask(self, which: int, rows: int) -> None:
        """Some of the rows that came of it are stored, and nobody is answered."""
        self.world.deliver_ask(which % len(self.world.asks), rows_max=rows)

    @rule(which=SOMETHING)
    def take_snapshot(self, which: int) -> None:
        """A snapshot of some actor is stored."""
        lives = list(self.world.lives.values())
        life = lives[which % len(lives)]
        life.snapshot = (life.state.version, kinds.dump(life.state))

    # Laws.

    @invariant()
    def no_unit_is_made_or_lost(self) -> None:
        """O2: moves conserve."""
        world = self.world

        assert world.on_hand() + world.in_transit() == world.received - world.dispatched

    @invariant()
    def what_a_move_says_is_so(self) -> None:
        """Only what it sent is in transit, and arrives once."""
        for move in self.world.moves:
            self.check_move(move)

    @invariant()
    def nothing_is_left_of_a_lot_that_has_gone(self) -> None:
        """A location would be occupied by it."""
        for place in self.world.places:
            lots = self.world.pool(place).lots.values()

            assert all(lot.on_hand > 0 <= min(lot.available, lot.ordered) for lot in lots)
            assert sum(lot.available for lot in lots) == self.world.pool(place).available

    @invariant()
    def replay_is_live(self) -> None:
        """And so is a snapshot with the rows above it."""
        for life in self.world.lives.values():
            live = kinds.dump(life.state)

            assert kinds.dump(life.recovered(from_snapshot=False)) == live
            assert kinds.dump(life.recovered(from_snapshot=True)) == live
            assert kinds.dump(kinds.load(life.kind, live)) == live

    @invariant()
    def a_location_holds_one_product(self) -> None:
        """O4: told by its rows alone."""
        for place in self.world.singles:
            on_hand = dict.fromkeys(PRODUCTS, 0)
            for _, event in self.world.lives[place].rows:
                if isinstance(event, StockReceived):
                    on_hand[str(event.product)] += event.quantity
                elif isinstance(event, UnitsTaken):
                    on_hand[str(event.product)] += event.lot.quantity
                elif isinstance(event, UnitsSent | OrderDispatched):
                    on_hand[str(event.product)] -= event.quantity
                elif isinstance(event, ProductExpected | OrderPlaced):
                    others = [on_hand[each] for each in PRODUCTS if each != event.product]

                    assert not any(others)

                assert min(on_hand.values()) >= 0 in on_hand.values()

    def teardown(self) -> None:
        """When the network calms down, each move has ended, and no ask is executed after it.

        But to let go of it once more, long after, which does no harm.
        """
        self.world.calm()
        late = list(self.world.sent)
        self.no_unit_is_made_or_lost()

        assert self.world.in_transit() == 0

        rows = {place: len(self.world.lives[place].rows) for place in self.world.places}
        for minutes in (0, 4, 11, 60):
            self.world.now_ms += minutes * MINUTE_MS
            self.world.asks = list(late)
            while self.world.asks:
                self.world.deliver_ask(0)
        for place, count in rows.items():
            after = [event for _, event in self.world.lives[place].rows[count:]]
            assert not any(isinstance(event, OF_PROCESSES) for event in after)
            assert self.world.pool(place).processes is None or not (
                self.world.pool(place).processes.traces  # type: ignore[union-attr]
            )
        for move in self.world.moves:
            self.check_move(move)

    def check_move(self, move: int) -> None:
        """What its places did for it is what it says."""
        state, request = self.world.move(move), self.world.move(move).request
        assert request is not None
        sent = self.events_for(move, request.source, UnitsSent)
        taken = self.events_for(move, request.destination, UnitsTaken)
        moved = [lot for event in sent for lot in event.lots]

        assert len(sent) <= 1
        assert [event.lot for event in taken] == moved[: len(taken)]

        match state.stage:
            case "done":
                assert [event.lot for event in taken] == moved
                assert sum(lot.quantity for lot in moved) == request.quantity
            case "refused":
                assert not sent
                assert not taken
            case "sent":
                assert list(state.lots) == moved
            case _:
                assert not taken

    def events_for(self, move: int, place: int, kind: type[T]) -> list[T]:
        """Return what a place did for a move."""
        return [
            event
            for _, event in self.world.lives[place].rows
            if isinstance(event, kind) and event.process == move
        ]

    def some_move(self, which: int) -> int:
        """Return one of the moves."""
        return self.world.moves[which % len(self.world.moves)]

    def now_of(self, place: int) -> int:
        return max(self.world.now_ms, self.world.pool(place).last_at_ms)

    def events(self, answer: object) -> Sequence[kinds.Event]:
        """Return an answer, which is no refusal."""
        assert isinstance(answer, tuple), answer
        return answer


TestMovesMachine = MovesMachine.TestCase
TestMovesMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=50)
