"""Open orders, packed: as a dictionary of picks would be, but small."""

from allocator.domain.open_orders import OpenOrders
from allocator.domain.values import Picks

SPAN: Picks = ((1, 2), (4, 5))


def open_orders(*seqs: int) -> OpenOrders:
    orders = OpenOrders()
    for seq in seqs:
        orders.add(seq, ((1, seq),), seq)
    return orders


def test_an_order_is_found_under_its_seq_and_under_no_other() -> None:
    orders = open_orders(17)

    assert orders.get(17) == ((1, 17),)
    assert [orders.get(seq) for seq in (1, 16, 18, 33)] == [None] * 4
    assert len(orders) == 1


def test_an_order_that_spans_lots_keeps_all_its_picks() -> None:
    orders = open_orders(16)
    orders.add(17, SPAN, 7)

    assert orders.get(17) == SPAN
    assert list(orders) == [(16, ((1, 16),)), (17, SPAN)]


def test_a_closed_order_is_not_found_any_more() -> None:
    orders = open_orders(3, 4)
    orders.add(5, SPAN, 7)
    orders.remove(3)
    orders.remove(5)

    assert [orders.get(seq) for seq in (3, 4, 5)] == [None, ((1, 4),), None]
    assert len(orders) == 1


def test_orders_come_in_the_order_of_their_seqs_however_they_were_added() -> None:
    orders = open_orders(40, 2, 17, 3)

    assert [seq for seq, _ in orders] == [2, 3, 17, 40]


def test_the_largest_numbers_fit() -> None:
    orders = OpenOrders()
    seq, lot, units = (1 << 36) - 1, (1 << 36) - 2, 1_000_000_000
    orders.add(seq, ((lot, units),), units)

    assert orders.get(seq) == ((lot, units),)


def test_what_was_dumped_loads_the_same() -> None:
    orders = open_orders(1, 16, 17, 300)
    orders.add(5, SPAN, 7)
    orders.remove(16)
    loaded = OpenOrders.load(*orders.dump())

    assert list(loaded) == list(orders)
    assert len(loaded) == len(orders) == 4


def test_a_dump_does_not_change_with_what_happens_afterwards() -> None:
    orders = open_orders(1)
    orders.add(2, SPAN, 7)
    pages, spans = orders.dump()
    orders.remove(1)
    orders.remove(2)

    assert list(OpenOrders.load(pages, spans)) == [(1, ((1, 1),)), (2, SPAN)]


def test_a_page_without_orders_is_given_back() -> None:
    orders = open_orders(*range(1, 100))
    orders.add(100, SPAN, 7)
    for seq in range(1, 101):
        orders.remove(seq)

    assert orders.dump() == ([], {})
    assert list(orders) == []


def test_an_order_costs_sixteen_bytes_beside_its_page() -> None:
    pages, _ = open_orders(*range(16, 1616)).dump()

    assert sum(len(page) for _, page in pages) == 1600 * 16
