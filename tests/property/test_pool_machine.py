"""A pool against a model that knows lots and orders as two plain lists, through crashes.

Conservation: available + ordered + held + unallocatable = on hand = received - dispatched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from allocator.domain.messages import (
    AlreadyExpired,
    CancelOrder,
    Command,
    DispatchOrder,
    Event,
    InsufficientStock,
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderNotOpen,
    OrderPlaced,
    PlaceOrder,
    Refusal,
    StockReceived,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.replay import replay
from allocator.domain.rules import decide, evolve, wake_at
from allocator.domain.snapshots import dump_pool, load_pool
from tests.builders import NOW_MS, receive, records_of

QUANTITIES = st.integers(1, 8)
FOREVER_MS = 1 << 60


@dataclass
class ModelLot:
    """What became of the units that arrived together."""

    seq: int
    expires_at_ms: int
    unsold: int
    sold: int = 0
    expired: int = 0


@dataclass
class Model:
    """The specification, with no index and no running sum."""

    lots: list[ModelLot] = field(default_factory=list)
    open_orders: dict[int, dict[int, int]] = field(default_factory=dict)
    received: int = 0
    dispatched: int = 0

    def lot(self, seq: int) -> ModelLot:
        """Return the lot of that seq."""
        [found] = [lot for lot in self.lots if lot.seq == seq]
        return found

    def expire(self, now_ms: int) -> list[tuple[int, int]]:
        """Let lots expire; return (lot, units) in the order of their expiry."""
        due = sorted(
            (lot.expires_at_ms, lot.seq)
            for lot in self.lots
            if lot.unsold and lot.expires_at_ms <= now_ms
        )
        gone = []
        for _, seq in due:
            lot = self.lot(seq)
            gone.append((seq, lot.unsold))
            lot.expired, lot.unsold = lot.expired + lot.unsold, 0
        return gone

    def sell(self, order: int, quantity: int) -> list[tuple[int, int]]:
        """Take units one by one from whichever lot is first; return (lot, units)."""
        picks: dict[int, int] = {}
        for _ in range(quantity):
            lot = min(
                (lot for lot in self.lots if lot.unsold),
                key=lambda lot: (lot.expires_at_ms, lot.seq),
            )
            lot.unsold, lot.sold = lot.unsold - 1, lot.sold + 1
            picks[lot.seq] = picks.get(lot.seq, 0) + 1
        self.open_orders[order] = picks
        return list(picks.items())

    def close(self, order: int, *, dispatch: bool) -> list[tuple[int, int]]:
        """Let an order's units leave, or go back; return (lot, units)."""
        picks = self.open_orders.pop(order)
        for seq, units in picks.items():
            lot = self.lot(seq)
            lot.sold -= units
            if dispatch:
                self.dispatched += units
            else:
                lot.unsold += units
        return list(picks.items())


ENDINGS: list[type[DispatchOrder | CancelOrder]] = [DispatchOrder, CancelOrder]


class PoolMachine(RuleBasedStateMachine):
    """Commands, time and crashes in any order."""

    orders: Bundle[int] = Bundle("orders")
    closed: Bundle[int] = Bundle("closed")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool()
        self.model = Model()
        self.now_ms = NOW_MS
        self.journal: list[tuple[int, Event]] = []
        self.snapshot: tuple[int, bytes] | None = None

    # What an actor does with a message.

    def send(self, command: Command) -> Sequence[Event] | Refusal:
        """Expire what is due, then decide and journal."""
        expired = self.apply(decide(self.pool, Wake(), now_ms=self.now_ms))
        due = self.model.expire(self.now_ms)

        assert list(expired) == [LotExpired(lot=lot, quantity=units) for lot, units in due]

        decision = decide(self.pool, command, now_ms=self.now_ms)
        return self.apply(decision) if isinstance(decision, tuple) else decision

    def apply(self, decision: Sequence[Event] | Refusal) -> Sequence[Event]:
        """Journal the events and let them happen."""
        assert isinstance(decision, tuple)
        for event in decision:
            evolve(self.pool, event, at_ms=self.now_ms)
            self.journal.append((self.now_ms, event))
        return decision

    # Rules.

    @rule(quantity=QUANTITIES, ttl_ms=st.none() | st.integers(1, 5))
    def receive(self, quantity: int, ttl_ms: int | None) -> None:
        """A lot arrives, some with a date that is near."""
        expires_at_ms = None if ttl_ms is None else self.now_ms + ttl_ms
        [event] = self.events(self.send(receive(quantity, expires_at_ms=expires_at_ms)))

        assert event == StockReceived(quantity=quantity, expires_at_ms=expires_at_ms)

        self.model.received += quantity
        self.model.lots.append(
            ModelLot(self.pool.version, expires_at_ms or FOREVER_MS, unsold=quantity)
        )

    @rule(quantity=QUANTITIES, age_ms=st.integers(0, 3))
    def receive_too_late(self, quantity: int, age_ms: int) -> None:
        """A lot arrives that is past its date already."""
        expires_at_ms = self.now_ms - age_ms
        refused = self.send(receive(quantity, expires_at_ms=expires_at_ms))

        assert refused == AlreadyExpired(expires_at_ms=expires_at_ms, now_ms=self.now_ms)

    @rule(target=orders, quantity=QUANTITIES)
    def place(self, quantity: int) -> int | MultipleResults[int]:
        """An order comes; it is refused exactly if there is not enough."""
        answer = self.send(PlaceOrder(quantity=quantity))
        available = sum(lot.unsold for lot in self.model.lots)
        if quantity > available:
            assert answer == InsufficientStock(requested=quantity, available=available)
            return multiple()

        [event] = self.events(answer)
        picks = tuple(self.model.sell(self.pool.version, quantity))

        assert event == OrderPlaced(quantity=quantity, picks=picks)

        return self.pool.version

    @rule(target=closed, order=consumes(orders))
    def dispatch(self, order: int) -> int:
        """An order leaves."""
        answer = self.send(DispatchOrder(order=order))
        picks = tuple(self.model.close(order, dispatch=True))
        quantity = sum(units for _, units in picks)

        assert answer == (OrderDispatched(order=order, quantity=quantity, picks=picks),)

        return order

    @rule(target=closed, order=consumes(orders))
    def cancel(self, order: int) -> int:
        """An order goes back to its lots, even to one that is past its date meanwhile."""
        answer = self.send(CancelOrder(order=order))
        picks = tuple(self.model.close(order, dispatch=False))
        quantity = sum(units for _, units in picks)

        assert answer == (OrderCancelled(order=order, quantity=quantity, picks=picks),)

        return order

    @rule(order=closed, again=st.sampled_from(ENDINGS))
    def close_again(self, order: int, again: type[DispatchOrder | CancelOrder]) -> None:
        """What is closed, or was refused, stays so."""
        assert self.send(again(order=order)) == OrderNotOpen(order=order)

    @rule(elapsed_ms=st.integers(1, 4))
    def time_passes(self, elapsed_ms: int) -> None:
        """Nobody comes, and nobody is woken."""
        self.now_ms += elapsed_ms

    @rule()
    def wake(self) -> None:
        """The pool is woken; nothing but expiry happens."""
        assert self.send(Wake()) == ()

    @rule()
    def take_snapshot(self) -> None:
        """A snapshot is stored."""
        self.snapshot = (self.pool.version, dump_pool(self.pool))

    @rule()
    def crash_and_recover(self) -> None:
        """Memory is lost; the journal's rows, through JSON, bring it back."""
        recovered = Pool()
        replay(recovered, records_of(self.journal))

        assert dump_pool(recovered) == dump_pool(self.pool)

        self.pool = recovered

    @rule()
    def crash_and_recover_from_snapshot(self) -> None:
        """The same from a snapshot and the rows above it."""
        seq, state = self.snapshot or (0, dump_pool(Pool()))
        recovered = load_pool(state)
        replay(recovered, records_of(self.journal)[seq:])

        assert dump_pool(recovered) == dump_pool(self.pool)

        self.pool = recovered

    # Laws.

    @invariant()
    def every_unit_is_somewhere_exactly_once(self) -> None:
        """C8, C10, C12, N10: conservation."""
        balance = self.pool.balance()
        parts = balance.available + balance.ordered + balance.held + balance.expired

        assert parts == balance.on_hand == self.model.received - self.model.dispatched

    @invariant()
    def nothing_is_negative(self) -> None:
        """Q2, F6."""
        balance = self.pool.balance()

        assert min(balance.available, balance.ordered, balance.held, balance.expired) >= 0
        assert all(
            min(lot.available, lot.ordered, lot.expired) >= 0 for lot in self.pool.lots.values()
        )

    @invariant()
    def the_sums_are_those_of_the_lots(self) -> None:
        """Q3: the reported quantity is always right."""
        lots = self.pool.lots.values()
        sums = [sum(lot.available for lot in lots), sum(lot.ordered for lot in lots)]

        assert [self.pool.available, self.pool.ordered] == sums
        assert self.pool.expired == sum(lot.expired for lot in lots)

    @invariant()
    def each_lot_is_as_the_model_says(self) -> None:
        """Lots of which nothing is on hand are gone."""
        left = {lot.seq: lot for lot in self.model.lots if lot.unsold + lot.sold + lot.expired}

        assert set(self.pool.lots) == set(left)
        assert all(
            (lot.available, lot.ordered, lot.expired)
            == (left[seq].unsold, left[seq].sold, left[seq].expired)
            for seq, lot in self.pool.lots.items()
        )

    @invariant()
    def open_orders_are_as_the_model_says(self) -> None:
        """And their units are the ordered ones."""
        assert dict(self.pool.orders) == {
            seq: tuple(picks.items()) for seq, picks in self.model.open_orders.items()
        }
        assert len(self.pool.orders) == len(self.model.open_orders)

    @invariant()
    def the_version_counts_the_events(self) -> None:
        """Q6."""
        assert self.pool.version == len(self.journal)

    @invariant()
    def it_wants_to_be_woken_for_the_first_unsold_lot(self) -> None:
        """Or not at all."""
        dates = [lot.expires_at_ms for lot in self.model.lots if lot.unsold]
        first_ms = min(dates, default=FOREVER_MS)

        assert wake_at(self.pool) == (None if first_ms == FOREVER_MS else first_ms)

    def events(self, answer: Sequence[Event] | Refusal) -> Sequence[Event]:
        """Return an answer, which is no refusal."""
        assert isinstance(answer, tuple), answer
        return answer

    def teardown(self) -> None:
        """No lot was ever sold from after its date, whatever happened."""
        dates: dict[int, int] = {}
        for seq, (at_ms, event) in enumerate(self.journal, start=1):
            if isinstance(event, StockReceived):
                dates[seq] = event.expires_at_ms or FOREVER_MS
            elif isinstance(event, OrderPlaced):
                assert all(dates[lot] > at_ms for lot, _ in event.picks)
                assert sum(units for _, units in event.picks) == event.quantity


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=200, stateful_step_count=40)
