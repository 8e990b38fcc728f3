"""N9: whatever is adjusted, ordered, held and lost: units are in one place, and orders whole.

The laws, which know nothing of the rules, judge each event before it happens and each state after.
"""

from collections.abc import Sequence

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from allocator.domain.adjustments import (
    Adjust,
    FlaggedUnits,
    OrderRepicked,
    SetState,
    UnitsAdjusted,
)
from allocator.domain.holds import Confirm, Hold, HoldConfirmed
from allocator.domain.laws import unbalanced, unlawful
from allocator.domain.messages import (
    CancelOrder,
    Command,
    DispatchOrder,
    DispatchPart,
    Event,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
    PlaceOrder,
    Refusal,
    StockReceived,
    Wake,
)
from allocator.domain.pool import Pool
from allocator.domain.recall_rules import is_due, is_flagged
from allocator.domain.replay import replay
from allocator.domain.rules import decide, evolve
from allocator.domain.snapshots import dump_pool, load_pool
from allocator.domain.transfers import LetGo
from allocator.domain.values import units_of
from tests.builders import NOW_MS, receive, records_of

QUANTITIES = st.integers(1, 6)
STATES = st.sampled_from(["available", "damaged", "quarantined"])
LOTS = st.none() | st.integers(0, 5)
PROCESSES = st.sampled_from([11 << 8, 12 << 8])


class AdjustmentsMachine(RuleBasedStateMachine):
    """Orders, holds, adjustments, dates and crashes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool()
        self.now_ms = NOW_MS
        self.journal: list[tuple[int, Event]] = []
        self.came = self.gone = 0
        self.open: dict[int, int] = {}
        self.step = 0

    def send(self, command: Command) -> Sequence[Event] | Refusal:
        """Do what is due, then decide and journal, as actors do."""
        self.apply(decide(self.pool, Wake(), now_ms=self.now_ms))
        decision = decide(self.pool, command, now_ms=self.now_ms)
        if isinstance(decision, tuple):
            self.apply(decision)
        return decision

    def apply(self, decision: Sequence[Event] | Refusal) -> None:
        """Journal lawful events, and count what they say."""
        assert isinstance(decision, tuple)
        for event in decision:
            assert unlawful(self.pool, event) == ""

            evolve(self.pool, event, at_ms=self.now_ms)
            self.journal.append((self.now_ms, event))
            self.count(event)

            assert unbalanced(self.pool) == ""

    def count(self, event: Event) -> None:
        """Keep the books: what came and went, and what each order was promised."""
        match event:
            case StockReceived(quantity=quantity):
                self.came += quantity
            case UnitsAdjusted(changes=changes):
                self.came += sum(units for _, source, _, units in changes if source is None)
                self.gone += sum(units for _, _, target, units in changes if target is None)
            case OrderPlaced(quantity=quantity):
                self.open[self.pool.version] = quantity
            case HoldConfirmed(order=order, quantity=quantity):
                self.open[order] = quantity
            case OrderPartlyDispatched(order=order, quantity=quantity, left=left):
                self.open[order] = left
                self.gone += quantity
            case OrderDispatched(order=order, quantity=quantity):
                del self.open[order]
                self.gone += quantity
            case OrderCancelled(order=order):
                del self.open[order]
            case _:
                pass

    @rule(quantity=QUANTITIES, ttl_ms=st.none() | st.integers(1, 5))
    def receive(self, quantity: int, ttl_ms: int | None) -> None:
        """A lot arrives."""
        self.send(receive(quantity, expires_at_ms=None if ttl_ms is None else self.now_ms + ttl_ms))

    @rule(quantity=QUANTITIES)
    def place(self, quantity: int) -> None:
        """An order comes."""
        self.send(PlaceOrder(quantity=quantity))

    @rule(process=PROCESSES, quantity=st.integers(0, 6))
    def hold(self, process: int, quantity: int) -> None:
        """A cart changes."""
        self.send(self.stamped(Hold(process=process, step=0, quantity=quantity)))

    @rule(process=PROCESSES, is_paid=st.booleans())
    def finish(self, process: int, *, is_paid: bool) -> None:
        """A cart is paid for, or given up."""
        end = Confirm if is_paid else LetGo
        self.send(self.stamped(end(process=process, step=0)))
        if self.pool.processes is not None:  # so that the few that there are come again
            self.now_ms += 600_001
            self.send(Wake())

    def stamped(self, command: Hold | Confirm | LetGo) -> Command:
        """Return an ask of a step that is new, sent just now."""
        self.step += 1
        return msgspec.structs.replace(command, step=self.step, sent_at_ms=self.now_ms)

    @rule(which=st.integers(0, 5), how=st.sampled_from(["all", "part", "cancel"]))
    def close(self, which: int, how: str) -> None:
        """An order leaves, in part perhaps, or is cancelled; no flagged unit of a client's does."""
        self.send(Wake())
        orders = sorted(self.open)
        if not orders:
            return
        order = orders[which % len(orders)]
        commands: dict[str, Command] = {
            "all": DispatchOrder(order=order),
            "part": DispatchPart(order=order, quantity=1),
            "cancel": CancelOrder(order=order),
        }
        flagged = is_flagged(self.pool, self.pool.orders.get(order) or ())
        is_led = self.pool.orders.is_led(order)
        has_bad_units = any(
            units > lot.ordered + lot.held + lot.available - units_of(lot.recalled)
            for seq, units in self.pool.orders.get(order) or ()
            if (lot := self.pool.lots[seq]).recalled
        )
        answer = self.send(commands[how])

        assert isinstance(answer, tuple) or (flagged and not is_led and how != "cancel"), answer
        assert isinstance(answer, tuple | FlaggedUnits)
        if how == "all" and not is_led:
            assert isinstance(answer, FlaggedUnits) == has_bad_units

    @rule(
        leaves=st.none() | STATES,
        comes=st.none() | STATES,
        quantity=QUANTITIES | st.none(),
        which=LOTS,
    )
    def adjust(
        self, leaves: str | None, comes: str | None, quantity: int | None, which: int | None
    ) -> None:
        """Somebody counts, finds, breaks, loses or releases units."""
        lots = sorted(self.pool.lots)
        lot = lots[which % len(lots)] if which is not None and lots else None
        if leaves == comes or (quantity is None and (lot is None or leaves is None)):
            return
        kept = {seq: units_of(picks) for seq, picks in self.pool.orders}
        self.send(Adjust(source=leaves, target=comes, quantity=quantity, lot=lot, reason="count"))

        assert {seq: units_of(picks) for seq, picks in self.pool.orders} == kept

    @rule(which=st.integers(0, 5), state=st.sampled_from(["damaged", "quarantined"]))
    def recall(self, which: int, state: str) -> None:
        """All of a lot is bad."""
        if lots := sorted(self.pool.lots):
            lot = lots[which % len(lots)]
            reason = "batch recall"
            self.send(
                Adjust(source="available", target=state, quantity=None, lot=lot, reason=reason)
            )

    @rule(state=STATES, quantity=st.integers(0, 8))
    def set_state(self, state: str, quantity: int) -> None:
        """Somebody counts one state."""
        self.send(Wake())
        version = self.pool.version
        answer = self.send(
            SetState(state=state, quantity=quantity, version=version, reason="count")
        )
        if isinstance(answer, tuple):
            shown = self.pool.balance()
            there = {"available": shown.available, **shown.unallocatable}

            assert there.get(state, 0) == quantity

    @rule(elapsed_ms=st.integers(1, 4))
    def time_passes(self, elapsed_ms: int) -> None:
        """Nobody comes."""
        self.now_ms += elapsed_ms

    @rule()
    def settle(self) -> None:
        """All that is due is done in the end; then nobody waits for what is there."""
        for _ in range(50):
            if not self.send(Wake()) and not is_due(self.pool):
                break

        assert not is_due(self.pool)

        waiting = [seq for seq in self.pool.recalls if self.pool.lots[seq].ordered]

        assert not waiting or not self.pool.available

    @rule(with_snapshot=st.booleans())
    def crash_and_recover(self, *, with_snapshot: bool) -> None:
        """Memory is lost."""
        half = len(self.journal) // 2
        recovered = Pool()
        records = records_of(self.journal)
        if with_snapshot:
            replay(recovered, records[:half])
            recovered = load_pool(dump_pool(recovered))
            records = records[half:]
        replay(recovered, records)

        assert dump_pool(recovered) == dump_pool(self.pool)
        assert recovered.recalls == self.pool.recalls

        self.pool = recovered

    @invariant()
    def every_unit_is_in_exactly_one_place(self) -> None:
        """And none is negative, which `unbalanced` has seen."""
        assert self.pool.balance().on_hand == self.came - self.gone

    @invariant()
    def every_order_has_what_it_was_promised(self) -> None:
        """Q1: whatever is recalled."""
        assert {seq: units_of(picks) for seq, picks in self.pool.orders} == self.open

    @invariant()
    def a_repick_changes_lots_and_not_quantities(self) -> None:
        """The last one, which all others were once."""
        last = self.journal[-1][1] if self.journal else None
        if isinstance(last, OrderRepicked):
            assert units_of(last.added) == units_of(last.returned) > 0


TestAdjustmentsMachine = AdjustmentsMachine.TestCase
TestAdjustmentsMachine.settings = settings(max_examples=100, stateful_step_count=40)
