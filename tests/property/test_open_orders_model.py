"""Packed open orders are a dictionary of picks."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from allocator.domain.open_orders import OpenOrders
from allocator.domain.values import Picks

SEQS = st.integers(1, 70) | st.integers(1, (1 << 36) - 1)
LOTS = st.integers(1, (1 << 36) - 1)
UNITS = st.integers(1, 1_000_000_000)


class OpenOrdersMachine(RuleBasedStateMachine):
    """Model: a dict."""

    seqs: Bundle[int] = Bundle("seqs")

    def __init__(self) -> None:
        super().__init__()
        self.orders = OpenOrders()
        self.model: dict[int, Picks] = {}

    @rule(
        target=seqs, seq=SEQS, lots=st.lists(LOTS, min_size=1, max_size=3, unique=True), units=UNITS
    )
    def add(self, seq: int, lots: list[int], units: int) -> int:
        picks = tuple((lot, units) for lot in lots)
        if seq not in self.model:
            self.orders.add(seq, picks, units * len(lots))
            self.model[seq] = picks
        return seq

    @rule(seq=consumes(seqs))
    def remove(self, seq: int) -> None:
        if seq in self.model:
            self.orders.remove(seq)
            del self.model[seq]

    @rule(seq=SEQS)
    def look_for_any(self, seq: int) -> None:
        assert self.orders.get(seq) == self.model.get(seq)

    @rule()
    def dump_and_load(self) -> None:
        self.orders = OpenOrders.load(*self.orders.dump())

    @invariant()
    def it_holds_what_the_model_holds_in_order(self) -> None:
        assert list(self.orders) == sorted(self.model.items())
        assert len(self.orders) == len(self.model)

    @invariant()
    def it_finds_each(self) -> None:
        assert all(self.orders.get(seq) == picks for seq, picks in self.model.items())

    @invariant()
    def it_keeps_no_page_for_nothing(self) -> None:
        assert {number for number, _ in self.orders.dump()[0]} == {seq >> 4 for seq in self.model}


TestOpenOrders = OpenOrdersMachine.TestCase
TestOpenOrders.settings = settings(max_examples=100, stateful_step_count=30)
