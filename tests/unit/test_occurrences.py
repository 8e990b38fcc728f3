"""Where something happened and to what, for those who are told of it."""

import pytest

from allocator.domain.interests import NOWHERE, Interest, Site
from allocator.domain.messages import Event, OrderPlaced, StockReceived, TicketOptionOpened
from allocator.domain.occurrences import Occurrence, thing_of
from allocator.domain.positions import START
from tests.builders import ACTOR, NOW_MS, records_of

OPENED = TicketOptionOpened(name="Gig", desc="", allocation=5)
PLACED = OrderPlaced(quantity=1, picks=((1, 1),))


@pytest.mark.parametrize("event", [OPENED, PLACED])
def test_what_happens_to_tickets_happens_to_their_option(event: Event) -> None:
    site = Site.of(f"pool:{ACTOR}")
    assert site == NOWHERE

    for record in records_of([(NOW_MS, OPENED), (NOW_MS, event)]):
        assert thing_of(Occurrence(START, site, record)) == ("ticket_option", (ACTOR, 1))


def test_what_happens_to_stock_happens_to_what_its_own_row_made() -> None:
    site = Site("main", "tea")
    received, placed = records_of([(NOW_MS, StockReceived(quantity=5)), (NOW_MS, PLACED)])

    assert thing_of(Occurrence(START, site, received)) == ("stock", (ACTOR, 1))
    assert thing_of(Occurrence(START, site, placed)) == ("order", (ACTOR, 2))


def test_who_asks_for_a_place_is_not_told_of_tickets() -> None:
    assert not Interest(warehouse="main").covers(NOWHERE, "order_placed")
    assert not Interest(product="tea").covers(NOWHERE, "order_placed")
    assert Interest().covers(NOWHERE, "order_placed")
