"""Pools that a warehouse's own system feeds: slow, stale, badly connected, with a mind of its own.

Whatever arrives late, twice, in another order or not at all: no unit is promised that never was,
each decrease counts once, and when everything has been heard both sides agree (rows N2, N4 to N8,
N10 to N12).
"""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from allocator.domain import kinds
from allocator.domain.adjustments import Adjust
from allocator.domain.fed import Code
from allocator.domain.messages import (
    CancelOrder,
    DispatchOrder,
    DispatchPart,
    PlaceOrder,
    ReceiveStock,
)
from allocator.domain.reconciling import STATEMENT_STALE_MS
from tests.property.desk import Asked, Desk
from tests.property.feed_laws import (
    both_sides_agree,
    each_decrease_is_told_once,
    no_batch_is_short_of_units_past_their_date,
    nobody_waits_for_units_that_are_there,
    nothing_is_for_sale_that_is_not_there,
    nothing_is_promised_that_never_was,
    pools_keep_their_laws,
    rows_are_lawful,
    rows_say_what_became_available,
)
from tests.property.places import World
from tests.property.pool_laws import replay_is_live
from tests.property.wms import Page, Wms

EXAMPLES = int(os.environ.get("ALLOCATOR_TEST_FEEDS", "60"))
FED = (1, 2)
ELSEWHERE = 3
PLACES = st.sampled_from(FED)
CODES: st.SearchStrategy[Code] = st.sampled_from(["A", "B", "C"])
UNITS = st.integers(1, 4)
SOMETHING = st.integers(0, 1 << 16)
MINUTE_MS = 60_000
ELAPSES_MS = [1, STATEMENT_STALE_MS, STATEMENT_STALE_MS + 1, MINUTE_MS, 3 * MINUTE_MS]
AGING: Code = "C"
"""Expires in a while."""


class FeedsMachine(RuleBasedStateMachine):
    """Two fed pools of tea, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.of(pools=3, singles=0)
        self.wms = Wms()
        self.desk = Desk(self.world, self.wms, FED, excludes=("damaged",))
        self.pages: list[Page] = []
        self.events: list[Page] = []

    @initialize(
        units=st.lists(st.integers(0, 5), min_size=4, max_size=4),
        aging=st.lists(st.tuples(PLACES, UNITS, st.booleans()), max_size=3),
        fed=st.booleans(),
        knows_dates=st.booleans(),
    )
    def begin(
        self,
        units: list[int],
        aging: list[tuple[int, int, bool]],
        fed: bool,  # noqa: FBT001
        knows_dates: bool,  # noqa: FBT001
    ) -> None:
        """Stock was there before, in both sides' books; perhaps it is fed for a while already."""
        self.desk.excludes = ("damaged", "expired") if knows_dates else ("damaged",)
        expires_at_ms = self.wms.expiries[AGING] = self.world.now_ms + 3 * MINUTE_MS
        for place, quantity, is_dated in aging:
            stock = ReceiveStock(
                quantity=quantity, lot=AGING, expires_at_ms=expires_at_ms if is_dated else None
            )
            self.world.ask(place, stock)
            self.wms.receive((place, AGING), quantity)
        for number, quantity in enumerate(units):
            if quantity:
                place = FED[number % 2]
                self.world.ask(place, ReceiveStock(quantity=quantity))
                self.wms.receive((place, "AB"[number // 2]), quantity)
        if fed:
            self.quiet_day()

    # Clients.

    @rule(place=PLACES, quantity=UNITS)
    def order(self, place: int, quantity: int) -> None:
        """Somebody buys."""
        self.world.ask(place, PlaceOrder(quantity=quantity))

    @rule(first=UNITS, second=UNITS)
    def order_lines(self, first: int, second: int) -> None:
        """Somebody buys of both; that is held, then confirmed."""
        if len(self.world.orders) < 5:
            self.world.begin_order((FED[0], first), (FED[1], second))

    @rule(place=PLACES, which=SOMETHING)
    def cancel(self, place: int, which: int) -> None:
        """Somebody does not want it any more."""
        order = self.some_order(place, which)
        if order:
            self.world.ask(place, CancelOrder(order=order))

    @rule(place=PLACES, which=SOMETHING, part=st.booleans())
    def dispatch(self, place: int, which: int, part: bool) -> None:  # noqa: FBT001
        """An order leaves, or a unit of it; while nobody tells the WMS, nothing does."""
        order = self.some_order(place, which)
        if order and self.world.pool(place).is_fed:
            command = DispatchPart(order=order, quantity=1) if part else DispatchOrder(order=order)
            self.world.ask(place, command)

    @rule(place=PLACES, quantity=UNITS, states=st.permutations(["available", "damaged", "lost"]))
    def set_aside(self, place: int, quantity: int, states: list[str]) -> None:
        """Somebody says that units cannot be sold, or that they can; rows N7 and N9."""
        source, target = states[:2]
        self.world.ask(
            place, Adjust(source=source, target=target, quantity=quantity, reason="seen")
        )

    @rule(quantity=UNITS)
    def move_away(self, quantity: int) -> None:
        """Units are moved to another warehouse."""
        if self.world.pool(FED[0]).is_fed and len(self.world.moves) < 5:
            self.world.begin(product="tea", source=FED[0], destination=ELSEWHERE, quantity=quantity)
            self.world.deliver_all()

    # The warehouse.

    @rule(place=PLACES, code=CODES, units=UNITS)
    def units_arrive(self, place: int, code: Code, units: int) -> None:
        """Row N12."""
        self.wms.receive((place, code), units)

    @rule(place=PLACES, code=CODES, units=UNITS)
    def units_are_lost(self, place: int, code: Code, units: int) -> None:
        """Promised ones, perhaps."""
        self.wms.lose((place, code), units)

    @rule(place=PLACES, units=UNITS)
    def units_past_their_date_are_thrown_away(self, place: int, units: int) -> None:
        """Those that nobody was promised."""
        left = max(0, self.wms.orderable((place, AGING)))
        if self.world.now_ms > self.wms.expiries[AGING]:
            self.wms.lose((place, AGING), min(units, left))

    @rule(place=PLACES, first=CODES, second=CODES, units=UNITS)
    def units_are_of_another_batch(self, place: int, first: Code, second: Code, units: int) -> None:
        """Somebody has read the label again."""
        self.wms.relabel((place, first), (place, second), units)

    @rule(place=PLACES, first=CODES, second=CODES, units=UNITS)
    def others_are_picked(self, place: int, first: Code, second: Code, units: int) -> None:
        """The WMS promises units of another batch than we did."""
        self.wms.pick_another((place, first), (place, second), units)

    @rule(at_most=st.integers(1, 5))
    def the_batch_comes(self, at_most: int) -> None:
        """Every fifteen minutes the WMS does some of what it was told."""
        self.wms.work(at_most=at_most)

    # What is told, and what is said.

    @rule(place=PLACES, rows_max=st.none() | st.integers(1, 3))
    def tell(self, place: int, rows_max: int | None) -> None:
        """What has happened becomes a push."""
        self.desk.tell(place, rows_max=rows_max)

    @precondition(lambda self: self.desk.pushes)
    @rule(which=SOMETHING, again=st.booleans())
    def a_push_arrives(self, which: int, again: bool) -> None:  # noqa: FBT001
        """The next one, or any again."""
        pushes = len(self.desk.pushes)
        number = 1 + which % pushes if again else min(pushes, len(self.wms.received) + 1)
        self.desk.send(number)

    @rule()
    def the_wms_says_everything(self) -> None:
        """As it is now; heard at once, or later."""
        self.pages.append(self.wms.page())

    @rule(place=PLACES, code=CODES)
    def the_wms_says_something(self, place: int, code: Code) -> None:
        """Of one batch."""
        self.events.append(self.wms.event((place, code)))

    @precondition(lambda self: self.pages)
    @rule(which=SOMETHING, cut=st.none() | st.integers(0, 1))
    def a_run_is_heard(self, which: int, cut: int | None) -> None:
        """Any, perhaps again, perhaps not to its end; most often the last one."""
        page = self.pages[-1] if which % 2 else self.pages[which // 2 % len(self.pages)]
        self.desk.hear_run(page, cut=cut)

    @precondition(lambda self: self.events)
    @rule(which=SOMETHING)
    def an_event_is_heard(self, which: int) -> None:
        """Any, perhaps again."""
        self.desk.hear_event(self.events[which % len(self.events)])

    @rule()
    def quiet_day(self) -> None:
        """Everything is told, done, said and heard."""
        self.time_passes(STATEMENT_STALE_MS + 1)
        self.all_is_told()
        self.wms.work(at_most=len(self.wms.received))
        self.wms.as_of += 1
        self.desk.hear_run(self.wms.page())
        self.all_asks_arrive()

    @rule()
    def the_wms_does_what_it_was_told(self) -> None:
        """All of it."""
        self.all_is_told()
        self.wms.work(at_most=len(self.wms.received))

    @rule(place=PLACES, first=CODES, second=CODES, units=UNITS)
    def others_are_picked_and_one_is_said(
        self, place: int, first: Code, second: Code, units: int
    ) -> None:
        """Of the batch that has more now, and before anything is said of the other."""
        self.quiet_day()
        self.wms.pick_another((place, first), (place, second), units)
        self.desk.hear_event(self.wms.event((place, first)))
        self.all_asks_arrive()

    @rule(place=PLACES, first=CODES, units=UNITS)
    def units_are_found_and_lost_again(self, place: int, first: Code, units: int) -> None:
        """And what is said of that overtakes each other."""
        self.time_passes(STATEMENT_STALE_MS + 1)
        for change in (self.wms.receive, self.wms.lose):
            change((place, first), units)
            self.desk.hear_run(self.wms.page())
        while self.desk.asks:
            self.desk.deliver(-1, keep=False, heard=True)

    @rule(place=PLACES)
    def detach(self, place: int) -> None:
        """The pool is fed no longer, for a while."""
        self.desk.detach(place)

    @rule(place=PLACES, is_told=st.booleans())
    def detach_and_attach(self, place: int, is_told: bool) -> None:  # noqa: FBT001
        """At once; perhaps before the WMS is told of either."""
        self.time_passes(STATEMENT_STALE_MS + 1)
        self.desk.detach(place)
        self.all_asks_arrive()
        if is_told:
            self.desk.tell(place)
        self.pages.append(self.wms.page())
        self.desk.hear_run(self.pages[-1])
        self.all_asks_arrive()

    # The network.

    @precondition(lambda self: self.desk.asks)
    @rule(which=SOMETHING, keep=st.booleans(), heard=st.booleans())
    def an_ask_arrives(self, which: int, keep: bool, heard: bool) -> None:  # noqa: FBT001
        """Any of those under way, perhaps twice; the answer may be lost."""
        self.desk.deliver(which % len(self.desk.asks), keep=keep, heard=heard)

    @precondition(lambda self: self.desk.asks)
    @rule(which=SOMETHING, rows=st.integers(0, 2))
    def a_pool_crashes_over_an_ask(self, which: int, rows: int) -> None:
        """What came of it is stored in part, or not at all."""
        self.desk.deliver(which % len(self.desk.asks), keep=False, heard=False, rows_max=rows)

    @precondition(lambda self: self.desk.asks)
    @rule(which=SOMETHING)
    def an_ask_is_lost(self, which: int) -> None:
        """And nobody knows."""
        self.desk.asks.pop(which % len(self.desk.asks))

    @rule()
    def the_rest_of_the_network_works(self) -> None:
        """Between places and processes."""
        self.world.deliver_all()

    # Time and trouble.

    @rule(elapsed_ms=st.sampled_from(ELAPSES_MS))
    def time_passes(self, elapsed_ms: int) -> None:
        """Asks become stale."""
        self.world.now_ms += elapsed_ms

    @rule(place=PLACES, from_snapshot=st.booleans())
    def a_pool_crashes(self, place: int, from_snapshot: bool) -> None:  # noqa: FBT001
        """It is recovered, as it was."""
        replay_is_live(self.world)
        self.world.lives[place].crash(from_snapshot=from_snapshot)

    @rule()
    def the_feed_crashes(self) -> None:
        """Somebody else leads it from now on."""
        self.desk.crash()

    @rule(place=PLACES)
    def take_snapshot(self, place: int) -> None:
        """Of a pool."""
        life = self.world.lives[place]
        life.snapshot = (life.state.version, kinds.dump(life.state))

    # Laws.

    @invariant()
    def laws_hold(self) -> None:
        """At every instant."""
        pools_keep_their_laws(self.desk)
        nothing_is_promised_that_never_was(self.desk)
        nothing_is_for_sale_that_is_not_there(self.desk)
        each_decrease_is_told_once(self.desk)
        rows_say_what_became_available(self.desk)

    def teardown(self) -> None:
        """When everything has been heard both sides agree; then nothing old changes anything."""
        self.world.calm()
        late = list(self.desk.asks)
        for _ in range(
            3
        ):  # the first attaches, the second knows of that, the third is as any other
            self.quiet_day()
        self.laws_hold()
        replay_is_live(self.world)
        both_sides_agree(self.desk)
        nobody_waits_for_units_that_are_there(self.desk)
        no_batch_is_short_of_units_past_their_date(self.desk)
        for place in self.world.places:
            rows_are_lawful(self.desk, place)
        self.nothing_old_changes_anything(late)

    def nothing_old_changes_anything(self, late: list[Asked]) -> None:
        """Whatever was ever said comes once more."""
        rows = [len(self.world.lives[place].rows) for place in FED]
        for page in self.pages:
            self.desk.hear_run(page)
            self.all_asks_arrive()
        for page in self.events:
            self.desk.hear_event(page)
            self.all_asks_arrive()
        self.desk.asks = late
        self.all_asks_arrive()
        for number in range(len(self.desk.pushes)):
            self.desk.send(number + 1)

        assert [len(self.world.lives[place].rows) for place in FED] == rows
        assert len(self.wms.received) == len(self.desk.pushes)

    def all_is_told(self) -> None:
        """And all of it arrives, some of it twice."""
        for place in FED:
            self.desk.tell(place)
        for number in range(len(self.desk.pushes)):
            self.desk.send(number + 1)

    def all_asks_arrive(self) -> None:
        """And are answered."""
        while self.desk.asks:
            self.desk.deliver(0, keep=False, heard=True)

    def some_order(self, place: int, which: int) -> int:
        """Return an open order that no process leads; 0 if there is none."""
        orders = self.world.pool(place).orders
        free = [seq for seq, _ in orders if not orders.is_led(seq)]
        return free[which % len(free)] if free else 0


TestFeedsMachine = FeedsMachine.TestCase
TestFeedsMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=50)
