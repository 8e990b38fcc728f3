"""Stories of tickets, of locations, and of units that move; some had not arrived at the end."""

from allocator.domain.messages import (
    QUANTITY_MAX,
    CancelOrder,
    DispatchOrder,
    OpenTicketOption,
    PlaceOrder,
    ReceiveStock,
)
from allocator.domain.move_rules import EXPECT, SEND_OUT, TAKE_IN
from allocator.domain.moves import RequestMove
from allocator.domain.transfers import LOTS_MAX
from tests.corpus.author import HOUR_MS, TEXTS, Author

ADA = "406c1725-0ae2-45ab-8c8e-b2e5ea5e9b9c"
GRACE = "00000000-0000-4000-8000-000000000000"


def move(
    product: str,
    quantity: int,
    *,
    places: tuple[int, int],
    codes: tuple[str, str] = ("main", "window"),
    expects: bool = False,
) -> RequestMove:
    """Return what begins a move; places and their codes are those that it leads from and to."""
    return RequestMove(
        product=product,
        source=places[0],
        destination=places[1],
        from_code=codes[0],
        to_code=codes[1],
        quantity=quantity,
        expects=expects,
    )


async def tickets(author: Author) -> None:
    """Ticket options that are sold in part, to the last one, and that never had any."""
    option = await author.begin(OpenTicketOption(name="Tasting", desc="Tea, cake", allocation=5))
    await author.ask(option, PlaceOrder(quantity=2, customer=ADA))
    await author.refused(option, PlaceOrder(quantity=4, customer=GRACE))
    await author.ask(option, PlaceOrder(quantity=3, customer=GRACE), principal="shop", key="t-1")
    opened = OpenTicketOption(name=TEXTS[0], desc=TEXTS[1], allocation=QUANTITY_MAX)
    largest = await author.begin(opened, principal="shop", key="t-2")
    await author.ask(largest, PlaceOrder(quantity=1, customer=ADA))
    sold_out = await author.begin(OpenTicketOption(name="Sold out", desc="", allocation=0))
    await author.refused(sold_out, PlaceOrder(quantity=1, customer=ADA))


async def moves(author: Author) -> None:
    """Units move between ordinary pools: whole lots and parts of lots, there and back."""
    here, there = await author.pool("moved"), await author.pool("moved", warehouse="window")
    soon = author.now_ms + HOUR_MS
    await author.ask(here, ReceiveStock(quantity=4))
    await author.ask(here, ReceiveStock(quantity=4, lot="L-2", reference="PO-1"))
    await author.ask(here, ReceiveStock(quantity=4, lot=TEXTS[0], expires_at_ms=soon))
    author.now_ms += 1_000
    await author.ask(here, PlaceOrder(quantity=1))
    out = move("moved", 6, places=(here, there))
    await author.begin(out, principal="shop", key="m-1")
    author.now_ms += 1_000
    await author.begin(move("moved", 4, places=(there, here), codes=("window", "main")))
    await author.ask(there, PlaceOrder(quantity=1, customer="ada"))
    await author.begin(move("moved", 1_000, places=(here, there)))  # more than there are


async def crumbs(author: Author) -> None:
    """More lots than can move at once, and a few of them that can."""
    places = await author.pool("crumbs"), await author.pool("crumbs", warehouse="window")
    for _ in range(LOTS_MAX + 1):
        await author.ask(places[0], ReceiveStock(quantity=1))
    await author.begin(move("crumbs", LOTS_MAX + 1, places=places))
    await author.begin(move("crumbs", 3, places=places))


async def locations(author: Author) -> None:
    """Locations that hold one product at a time: occupied, left, and taken by another product."""
    main, shelf = await author.pool("moved"), await author.pool("tea", warehouse="shelf")
    bin_ = await author.pool("tea", warehouse="bin")
    for text in (None, "L-9"):
        delivery = ReceiveStock(quantity=3, lot=text, reference=text, product="tea")
        await author.ask(shelf, delivery)
    await author.refused(shelf, ReceiveStock(quantity=1, product="moved"))
    into_shelf = move("moved", 1, places=(main, shelf), codes=("main", "shelf"), expects=True)
    await author.begin(into_shelf)  # it is occupied
    orders = [
        await author.ask(shelf, PlaceOrder(quantity=2, customer=each, product="tea"))
        for each in (None, "ada")
    ]
    await author.refused(shelf, PlaceOrder(quantity=1, product="moved"))
    await author.ask(shelf, DispatchOrder(order=orders[0]))
    await author.ask(shelf, CancelOrder(order=orders[1]))
    to_bin = ("shelf", "bin")
    await author.begin(move("tea", 9, places=(shelf, bin_), codes=to_bin, expects=True))
    await author.begin(move("tea", 4, places=(shelf, bin_), codes=to_bin, expects=True))
    author.now_ms += 1_000
    await author.begin(into_shelf)  # it is free
    soon = author.now_ms + HOUR_MS
    await author.ask(bin_, ReceiveStock(quantity=2, expires_at_ms=soon, product="tea"))
    author.now_ms = soon
    await author.wake(bin_)


async def under_way(author: Author) -> None:
    """Moves whose asks were not answered any more when the rows were taken."""
    here, there = await author.pool("moved"), await author.pool("moved", warehouse="window")
    dock = await author.pool("moved", warehouse="dock")
    for quantity, heard in ((1, 0), (1, SEND_OUT), (2, TAKE_IN), (1_000, SEND_OUT)):
        await author.begin(move("moved", quantity, places=(here, there)), heard=heard)
    into_dock = move("moved", 1, places=(here, dock), codes=("main", "dock"), expects=True)
    for heard in (0, EXPECT, SEND_OUT):
        await author.begin(into_dock, heard=heard)
