"""The plan: what is sent, how each request must end, and why no interleaving changes that."""

import random
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from allocator.replay.history import QUANTITY_MAX, HistoryLine, read_history
from allocator.replay.ledger import Balance
from allocator.replay.plan import (
    Cancelling,
    Lane,
    Opening,
    Placing,
    Plan,
    Receiving,
    Step,
    plan_replay,
)

EXAMPLE = Path(__file__).parents[1] / "data" / "shop-history.csv"


def sold(
    quantity: int, *, line: int, product: str = "A", customer: str = "7", invoice: str = "1"
) -> HistoryLine:
    return HistoryLine(
        line=line,
        invoice=invoice,
        product=product,
        description="",
        quantity=quantity,
        customer=customer,
    )


def balance_of(*, available: int, ordered: int) -> Balance:
    return Balance(
        available=available,
        ordered=ordered,
        held=0,
        unallocatable={},
        on_hand=available + ordered,
    )


def only_lane(*history: HistoryLine) -> Lane:
    [lane] = plan_replay(history).lanes
    return lane


@st.composite
def histories(draw: st.DrawFn) -> list[HistoryLine]:
    """Few products, customers and quantities, so that lines meet each other."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["A", "B", "c d", "c/d", "E", ""]),
                st.integers(-3, 3),
                st.sampled_from(["", "7", "8"]),
                st.sampled_from(["1", "C1"]),
            ),
            min_size=1,
            max_size=40,
        )
    )
    return [
        sold(quantity, line=line, product=product, customer=customer, invoice=invoice)
        for line, (product, quantity, customer, invoice) in enumerate(rows, start=2)
    ]


class NaiveShop:
    """Takes steps one by one in whatever order they come; counts orders and stock in lists."""

    def __init__(self) -> None:
        self.stock: list[tuple[str, int]] = []
        self.orders: dict[int, tuple[str, int]] = {}
        self.refused: set[int] = set()

    def open(self, opening: Opening) -> None:
        self.stock.append((opening.sku, opening.quantity))

    def balance(self, sku: str) -> Balance:
        received = sum(units for owner, units in self.stock if owner == sku)
        ordered = sum(units for owner, units in self.orders.values() if owner == sku)
        return balance_of(available=received - ordered, ordered=ordered)

    def take(self, step: Step) -> None:
        match step:
            case Placing(line=line, sku=sku, quantity=quantity):
                if quantity > self.balance(sku).available:
                    self.refused.add(line)
                else:
                    self.orders[line] = (sku, quantity)
            case Cancelling(order_line=order_line):
                del self.orders[order_line]
            case Receiving(sku=sku, quantity=quantity):
                self.stock.append((sku, quantity))


def steps_of(plan: Plan) -> list[Step]:
    return [step for lane in plan.lanes for step in lane.steps]


def test_an_order_of_a_product_with_all_its_demand_in_stock_is_accepted() -> None:
    lane = only_lane(sold(2, line=2), sold(3, line=3))

    assert lane.opening == Opening(line=2, sku="A", name="A", quantity=5)
    assert [step.accepted for step in lane.steps if isinstance(step, Placing)] == [True, True]
    assert lane.balance == balance_of(available=0, ordered=5)


def test_every_fifth_product_runs_out() -> None:
    history = [sold(2, line=2 + n, product=f"P{n % 10}", customer=str(n)) for n in range(20)]

    lanes = plan_replay(history).lanes

    assert [lane.opening.quantity for lane in lanes] == [4, 4, 4, 4, 2, 4, 4, 4, 4, 2]
    assert [step.accepted for step in lanes[4].steps if isinstance(step, Placing)] == [True, False]


def test_a_return_cancels_the_oldest_open_order_of_the_customer_with_that_quantity() -> None:
    lane = only_lane(
        sold(1, line=2),
        sold(2, line=3, customer="8"),
        sold(2, line=4),
        sold(2, line=5),
        sold(-2, line=6, invoice="C1"),
        sold(-2, line=7, invoice="C1"),
    )

    assert lane.steps[4:] == (
        Cancelling(line=6, sku="A", order_line=4),
        Cancelling(line=7, sku="A", order_line=5),
    )
    assert lane.balance == balance_of(available=4, ordered=3)


def test_a_return_without_such_an_order_is_received_as_stock() -> None:
    lane = only_lane(sold(-4, line=2, invoice="C9"))

    assert lane.opening.quantity == 0
    assert lane.steps == (Receiving(line=2, sku="A", quantity=4, reference="return C9"),)
    assert lane.balance == balance_of(available=4, ordered=0)


def test_an_order_that_was_refused_cannot_be_cancelled_by_its_return() -> None:
    others = [sold(1, line=2 + n, product=f"P{n}") for n in range(4)]
    *_, lane = plan_replay([*others, sold(2, line=6), sold(-2, line=7)]).lanes

    assert [type(step) for step in lane.steps] == [Placing, Receiving]


def test_unknown_customers_are_not_the_same_customer() -> None:
    lane = only_lane(sold(2, line=2, customer=""), sold(-2, line=3, customer=""))

    assert [type(step) for step in lane.steps] == [Placing, Receiving]


def test_lines_that_move_nothing_or_name_nothing_are_counted_and_not_sent() -> None:
    plan = plan_replay([sold(0, line=2), sold(3, line=3, product=""), sold(0, line=4, product="")])

    assert (plan.lines, plan.without_quantity, plan.without_product) == (3, 1, 2)
    assert plan.lanes == ()


def test_the_opening_stock_is_never_more_than_one_request_may_bring() -> None:
    lane = only_lane(sold(QUANTITY_MAX, line=2), sold(1, line=3))

    assert lane.opening.quantity == QUANTITY_MAX
    assert [step.accepted for step in lane.steps if isinstance(step, Placing)] == [True, False]


def test_a_product_is_named_by_its_first_description() -> None:
    history = read_history(EXAMPLE.read_bytes())
    names = {lane.sku: lane.opening.name for lane in plan_replay(history).lanes}

    assert names["TEA-1"] == "Assam, loose"
    assert names["BANK_CHARGES"] == "BANK CHARGES"


@given(histories())
def test_every_line_is_sent_once_in_its_lane_or_counted_as_skipped(
    history: list[HistoryLine],
) -> None:
    plan = plan_replay(history)

    lines = [step.line for step in steps_of(plan)]
    assert len(set(lines)) == len(lines)
    assert len(lines) + plan.without_quantity + plan.without_product == len(history)
    for lane in plan.lanes:
        assert [step.line for step in lane.steps] == sorted(step.line for step in lane.steps)
        assert {step.sku for step in lane.steps} == {lane.sku}


@given(histories())
def test_a_cancelled_order_was_placed_before_and_is_cancelled_once(
    history: list[HistoryLine],
) -> None:
    lines = {line.line: line for line in history}
    steps = steps_of(plan_replay(history))
    accepted = {step.line for step in steps if isinstance(step, Placing) and step.accepted}
    cancelled = [step for step in steps if isinstance(step, Cancelling)]

    assert max(Counter(step.order_line for step in cancelled).values(), default=1) == 1
    for step in cancelled:
        back, order = lines[step.line], lines[step.order_line]
        assert order.line in accepted
        assert order.line < back.line
        assert (order.customer, order.product) == (back.customer, back.product)
        assert order.quantity == abs(back.quantity)


@given(histories())
def test_a_return_is_received_only_if_no_open_order_answers_to_it(
    history: list[HistoryLine],
) -> None:
    lines = {line.line: line for line in history}
    plan = plan_replay(history)
    open_orders: Counter[tuple[str, str, int]] = Counter()

    for step in sorted(steps_of(plan), key=lambda step: step.line):
        line = lines[step.line]
        key = (line.customer, line.product, abs(line.quantity))
        match step:
            case Placing(accepted=True) if line.customer:
                open_orders[key] += 1
            case Cancelling():
                open_orders[key] -= 1
            case Receiving():
                assert open_orders[key] == 0
            case _:
                pass


@given(histories(), st.randoms(use_true_random=False))
def test_however_lanes_interleave_the_answers_and_balances_are_the_calculated_ones(
    history: list[HistoryLine], chance: random.Random
) -> None:
    plan = plan_replay(history)
    shop = NaiveShop()
    for lane in plan.lanes:
        shop.open(lane.opening)

    lanes = [list(lane.steps) for lane in plan.lanes]
    while lanes := [lane for lane in lanes if lane]:
        shop.take(chance.choice(lanes).pop(0))

    expected = {step.line for step in steps_of(plan) if isinstance(step, Placing)} - {
        step.line for step in steps_of(plan) if isinstance(step, Placing) and step.accepted
    }
    assert shop.refused == expected
    assert {lane.sku: shop.balance(lane.sku) for lane in plan.lanes} == {
        lane.sku: lane.balance for lane in plan.lanes
    }
    assert all(lane.balance.available >= 0 <= lane.balance.ordered for lane in plan.lanes)
