"""Carts and what is paid for them, over a bad network, with a slow provider, through crashes.

Whatever happens: what a cart says it holds is held, each charge ends as one purchase or can be
seen not to, and nothing stays held for ever.
"""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from allocator.domain import kinds
from allocator.domain.carts import CloseCart, SetLine
from allocator.domain.messages import InsufficientStock, PlaceOrder, ReceiveStock, Wake
from allocator.domain.orders import CancelLines, DispatchLines
from tests.property.bank import TIMEOUT_MS, Bank, Taken
from tests.property.cart_laws import (
    a_cart_comes_to_one_end_in_its_time,
    each_charge_can_be_accounted_for,
    each_charge_has_come_to_one_thing,
    every_cart_has_ended,
    nothing_is_charged_twice,
    what_a_cart_says_it_holds_is_held,
)
from tests.property.network import SOMETHING, NetworkMachine
from tests.property.places import PRODUCTS, World
from tests.property.pool_laws import (
    lots_hold_what_processes_hold,
    no_late_ask_does_anything,
    no_unit_is_made_or_lost,
    replay_is_live,
)

EXAMPLES = int(os.environ.get("ALLOCATOR_TEST_CARTS", "100"))
POOLS, SINGLES = 2, 1
PLACES = st.integers(1, POOLS + SINGLES)
OUTCOMES: st.SearchStrategy[Taken | None] = st.sampled_from([None, "paid", "paid", "failed"])
HOW_OFTEN = st.integers(0, 2)
CARTS_MAX = 4
MINUTE_MS = 60_000
TTL_MS, CAP_MS = 6 * MINUTE_MS, 15 * MINUTE_MS


class CartsMachine(NetworkMachine):
    """Two pools of tea, and a location that holds one product at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World.of(pools=POOLS, singles=SINGLES)
        self.bank = Bank(self.world)
        self.patient = True

    @initialize(
        units=st.lists(st.integers(0, 3), min_size=6, max_size=6),
        wanted=st.lists(st.integers(0, 2), min_size=6, max_size=6),
        patient=st.booleans(),
    )
    def the_shop_opens(
        self,
        units: list[int],
        wanted: list[int],
        patient: bool,  # noqa: FBT001
    ) -> None:
        """Stock has arrived in several lots, and two customers have been there for a while."""
        self.patient = patient
        for number, quantity in enumerate(units):
            if quantity:
                self.receive(place=1 + number % 3, product="tea", quantity=quantity, ttl_ms=None)
        for number in range(2):
            self.open_cart()
            for place in range(1, POOLS + SINGLES + 1):
                line = self.world.line_of(place, units=wanted[number * 3 + place - 1])
                self.world.ask(self.world.carts[number], SetLine(line=line))
            self.world.send(self.world.carts[number])
        self.the_network_works(rounds=3)

    # Clients.

    @rule(
        place=PLACES,
        product=st.sampled_from(PRODUCTS),
        quantity=st.integers(1, 3),
        ttl_ms=st.none() | st.just(3 * MINUTE_MS),
    )
    def receive(self, place: int, product: str, quantity: int, ttl_ms: int | None) -> None:
        """A lot arrives."""
        now_ms = max(self.world.now_ms, self.world.pool(place).last_at_ms)
        command = ReceiveStock(
            quantity=quantity,
            expires_at_ms=None if ttl_ms is None else now_ms + ttl_ms,
            product=self.world.product_for(place, product),
        )
        if isinstance(self.world.ask(place, command), tuple):
            self.world.received += quantity

    @rule(place=PLACES, quantity=st.integers(1, 2))
    def order_here(self, place: int, quantity: int) -> None:
        """Somebody buys without a cart."""
        product = self.world.product_for(place, "tea")
        self.world.ask(place, PlaceOrder(quantity=quantity, product=product))

    @precondition(lambda self: len(self.world.carts) < CARTS_MAX)
    @rule()
    def open_cart(self) -> None:
        """Somebody takes a cart."""
        self.world.open_cart(ttl_ms=TTL_MS, cap_ms=CAP_MS)

    @precondition(lambda self: self.world.carts)
    @rule(
        which=SOMETHING,
        place=PLACES,
        product=st.sampled_from(PRODUCTS),
        units=st.integers(0, 3),
        lost=st.booleans(),
    )
    def set_line(self, which: int, place: int, product: str, units: int, lost: bool) -> None:  # noqa: FBT001
        """Somebody changes a line; perhaps the cart crashes before that is stored."""
        cart, named = self.some_cart(which), product if place in self.world.singles else "tea"
        command = SetLine(line=self.world.line_of(place, units=units, product=named))
        if lost and which % 8 == 0:
            self.world.lives[cart].decide(command, now_ms=self.world.now_ms, rows_max=0)
            self.world.lives[cart].crash(from_snapshot=False)
        else:
            answer = self.world.ask(cart, command)
            assert not isinstance(answer, InsufficientStock) or place in self.world.singles
        self.world.send(cart)

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING, place=PLACES, units=st.permutations([0, 1, 2, 3]), late=st.booleans())
    def cannot_decide(self, which: int, place: int, units: list[int], late: bool) -> None:  # noqa: FBT001
        """Somebody changes a line again and again; answers come twice, perhaps late."""
        cart = self.some_cart(which)
        for quantity in units:
            self.world.ask(cart, SetLine(line=self.world.line_of(place, units=quantity)))
        self.world.send(cart)
        for _ in units:
            while self.world.asks:
                self.world.deliver_ask(0)
            for number in range(len(self.world.answers)):
                self.world.deliver_answer(number if late else -1, keep=True)

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING, place=PLACES, units=st.integers(0, 2), outcome=OUTCOMES, told=HOW_OFTEN)
    def fill_and_pay(
        self, which: int, place: int, units: int, outcome: Taken | None, told: int
    ) -> None:
        """Somebody changes a line, sees what has come of it, and pays; the provider is quick."""
        cart = self.some_cart(which)
        self.world.ask(cart, SetLine(line=self.world.line_of(place, units=units)))
        self.world.send(cart)
        self.the_network_works(rounds=3)
        sent = len(self.bank.sent)
        self.bank.check_out(cart, seen=self.world.cart(cart).version)
        if len(self.bank.sent) > sent and outcome is not None:
            self.bank.decide(sent, outcome)
            for _ in range(told):
                self.bank.tell(sent)

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING)
    def close(self, which: int) -> None:
        """Somebody gives a cart up."""
        cart = self.some_cart(which)
        self.world.ask(cart, CloseCart())
        self.world.send(cart)

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING, ago=st.sampled_from([0, 0, 0, 0, 1]), crash=st.integers(0, 7))
    def check_out(self, which: int, ago: int, crash: int) -> None:
        """Somebody pays, for what they saw; perhaps there is a crash before or after that."""
        cart = self.some_cart(which)
        self.bank.check_out(
            cart,
            seen=self.world.cart(cart).version - ago,
            rows_max=0 if crash == 1 else None,
            hangs_up=crash == 2,
        )

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING, part=st.none() | st.integers(1, 2))
    def dispatch(self, which: int, part: int | None) -> None:
        """What was paid for leaves, or a part of it."""
        cart = self.some_cart(which)
        order = self.world.cart(cart).order
        place = 0 if order is None else which % len(order.lines)
        self.world.ask(cart, DispatchLines(parts=() if part is None else ((place, part),)))
        self.world.send(cart)

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING)
    def cancel(self, which: int) -> None:
        """Nobody can."""
        assert not isinstance(self.world.ask(self.some_cart(which), CancelLines()), tuple)

    # The provider.

    @precondition(lambda self: self.bank.sent)
    @rule(which=SOMETHING, outcome=st.sampled_from(["paid", "failed"]))
    def the_provider_decides(self, which: int, outcome: Taken) -> None:
        """It takes the money, or not."""
        self.bank.decide(which % len(self.bank.sent), outcome)

    @precondition(lambda self: self.bank.sent)
    @rule(which=SOMETHING)
    def an_answer_of_the_provider_arrives(self, which: int) -> None:
        """Any, also those that came before."""
        self.bank.tell(which % len(self.bank.sent))

    @precondition(lambda self: self.bank.sent)
    @rule(which=SOMETHING)
    def a_connection_breaks(self, which: int) -> None:
        """Whoever waited for the answer does not know."""
        self.bank.tell(which % len(self.bank.sent), broken=True)

    @precondition(lambda self: self.bank.sent)
    @rule(which=SOMETHING, outcome=st.sampled_from(["paid", "failed"]))
    def an_operator_resolves(self, which: int, outcome: Taken) -> None:
        """Rightly or wrongly."""
        self.bank.resolve(which % len(self.bank.sent), outcome)

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING)
    def a_cart_asks_again(self, which: int) -> None:
        """It has waited for long enough."""
        self.world.send(self.some_cart(which), again=True)

    # Time and trouble.

    @rule(elapsed_ms=st.sampled_from([1, 1000, MINUTE_MS, TTL_MS - 1, TTL_MS, TIMEOUT_MS]))
    def time_passes(self, elapsed_ms: int) -> None:
        """Carts and lots expire; asks become stale; releases are forgotten."""
        self.world.now_ms += elapsed_ms

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING)
    def wake(self, which: int) -> None:
        """A cart is woken, in time or not."""
        cart = self.some_cart(which)
        due_at_ms, version = kinds.due_at(self.world.cart(cart)), self.world.cart(cart).version
        self.world.ask(cart, Wake())
        self.world.send(cart, again=True)

        is_due = due_at_ms is not None and due_at_ms <= self.world.now_ms
        assert (self.world.cart(cart).version > version) == is_due

    @precondition(lambda self: self.world.carts)
    @rule(which=SOMETHING, from_snapshot=st.booleans())
    def a_cart_crashes(self, which: int, from_snapshot: bool) -> None:  # noqa: FBT001
        """It is recovered, and asks again what it does not know."""
        cart = self.some_cart(which)
        self.world.lives[cart].crash(from_snapshot=from_snapshot)
        self.world.send(cart, again=True)

    @rule(place=PLACES, from_snapshot=st.booleans())
    def a_place_crashes(self, place: int, from_snapshot: bool) -> None:  # noqa: FBT001
        """It is recovered."""
        self.world.lives[place].crash(from_snapshot=from_snapshot)

    @precondition(lambda self: self.world.asks)
    @rule(which=SOMETHING, rows=st.integers(0, 1))
    def a_place_crashes_over_an_ask(self, which: int, rows: int) -> None:
        """What came of it is stored, or is not, and nobody is answered."""
        self.world.deliver_ask(which % len(self.world.asks), rows_max=rows)

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
    def carts_keep_theirs(self) -> None:
        """Rows Q1 to Q4, O9 and O10."""
        what_a_cart_says_it_holds_is_held(self.world)
        a_cart_comes_to_one_end_in_its_time(self.world)
        nothing_is_charged_twice(self.world, self.bank)
        each_charge_has_come_to_one_thing(self.world)

    def teardown(self) -> None:
        """When everything calms down, nothing is held, and each charge can be accounted for.

        Also if operators were quicker than the provider, and thought that no money was taken.
        """
        self.world.calm()
        self.nobody_waits_any_more()
        if self.patient:
            self.all_is_told()
            each_charge_can_be_accounted_for(self.world, self.bank)
        self.all_is_resolved()
        self.carts_keep_theirs()
        self.time_is_over()
        self.all_is_told()
        each_charge_can_be_accounted_for(self.world, self.bank)
        every_cart_has_ended(self.world)
        self.what_was_paid_for_leaves()
        every_cart_has_ended(self.world)
        no_unit_is_made_or_lost(self.world)
        no_late_ask_does_anything(self.world)

    def all_is_told(self) -> None:
        """The provider's answers arrive, all of them twice."""
        for number, sent in enumerate(self.bank.sent):
            for _ in range(2 if sent.outcome else 0):
                self.bank.tell(number)

    def nobody_waits_any_more(self) -> None:
        """For the provider."""
        self.world.now_ms += TIMEOUT_MS
        self.wake_all()

    def all_is_resolved(self) -> None:
        """Operators settle what nobody knows."""
        for each in self.world.carts:
            for checkout in self.world.cart(each).checkouts:
                assert checkout.status != "capturing"
                if checkout.status == "unknown":
                    self.bank.settle(each, checkout.attempt)

    def time_is_over(self) -> None:
        """Of all carts."""
        self.world.now_ms += CAP_MS
        self.wake_all()
        self.world.calm()

    def what_was_paid_for_leaves(self) -> None:
        """All of it."""
        for each in self.world.carts:
            self.world.ask(each, DispatchLines())
            self.world.send(each)
        self.world.calm()
        for each in self.world.carts:
            assert kinds.has_ended(self.world.cart(each))

    def wake_all(self) -> None:
        """What is due is done."""
        for each in self.world.carts:
            self.world.ask(each, Wake())
            self.world.send(each, again=True)

    def some_cart(self, which: int) -> int:
        """Return one of the carts."""
        return self.world.carts[which % len(self.world.carts)]


TestCartsMachine = CartsMachine.TestCase
TestCartsMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=50)
