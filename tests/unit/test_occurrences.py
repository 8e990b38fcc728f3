"""Where something happened and to what, for those who are told of it."""

from typing import get_args, get_type_hints

import pytest

from allocator.domain.codec import KINDS
from allocator.domain.holds import HoldRefused, UnitsHeld
from allocator.domain.interests import NOWHERE, Interest, Site
from allocator.domain.messages import Event, OrderPlaced, StockReceived, TicketOptionOpened
from allocator.domain.moves import MoveDone, MoveRequested
from allocator.domain.occurrences import TOLD_KINDS, Occurrence, Thing, site_of, thing_of
from allocator.domain.positions import START
from allocator.domain.transfers import ProcessLetGo, ProductExpected, UnitsSent
from allocator.http.shapes import Happening
from allocator.http.webhook_shapes import Told
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


REQUESTED = MoveRequested(
    product="tea",
    source=1,
    destination=2,
    from_code="a",
    to_code="b",
    quantity=3,
    expects=True,
)


def test_what_a_move_does_happens_to_it_and_at_no_place() -> None:
    site = Site.of(f"move:{ACTOR}")
    assert site == NOWHERE

    for record in records_of([(NOW_MS, REQUESTED), (NOW_MS, MoveDone())]):
        assert thing_of(Occurrence(START, site, record)) == ("move", (ACTOR, 1))


@pytest.mark.parametrize(
    "event",
    [
        ProductExpected(process=77, step=1, product="tea"),
        UnitsSent(process=77, step=2, quantity=3, lots=(), product="tea"),
        ProcessLetGo(process=77, step=4),
    ],
)
def test_what_a_process_asks_of_a_place_happens_to_the_move_that_it_is(event: Event) -> None:
    [record] = records_of([(NOW_MS, event)])

    assert thing_of(Occurrence(START, Site("bin", "tea"), record)) == ("move", (77, 1))


@pytest.mark.parametrize(
    ("event", "thing"),
    [
        (ProcessLetGo(process=77, step=4, of_cart=True), "cart"),
        (ProcessLetGo(process=77, step=9, quantity=1, picks=((1, 1),), of_cart=True), "cart"),
        (ProcessLetGo(process=77, step=2), "order"),
        (UnitsHeld(process=77, step=1, order=8, quantity=1, added=((1, 1),)), "order"),
        (UnitsHeld(process=77, step=2, order=8, quantity=1, added=((1, 1),)), "cart"),
        (HoldRefused(process=77, step=2, requested=2, available=1), "cart"),
    ],
)
def test_what_holds_units_is_an_order_or_a_cart(event: Event, thing: Thing) -> None:
    [record] = records_of([(NOW_MS, event)])

    assert thing_of(Occurrence(START, Site("main", "tea"), record)) == (thing, (77, 1))


def test_a_row_says_the_product_where_its_actor_does_not() -> None:
    site = Site.of("pool:bin/")
    assert site == Site("bin", None)
    named, unnamed = records_of(
        [(NOW_MS, StockReceived(quantity=5, product="tea")), (NOW_MS, PLACED)]
    )
    [requested] = records_of([(NOW_MS, REQUESTED)])

    assert site_of(site, named) == Site("bin", "tea")
    assert site_of(site, unnamed) == site
    assert site_of(NOWHERE, requested) == Site(None, "tea")
    assert site_of(Site("main", "mug"), named) == Site("main", "mug")


def test_what_is_told_has_a_name_in_the_api() -> None:
    assert get_args(Told) == TOLD_KINDS
    assert set(KINDS.values()) < set(TOLD_KINDS)
    assert get_args(Thing) == get_args(
        get_args(get_args(get_type_hints(Happening, include_extras=True)["thing"])[0])[0]
    )
