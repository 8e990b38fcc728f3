"""What happens in the corpus: every kind, each optional field there and absent, and the odd cases.

A story is told through an `Author`; the same stories give the same rows, to the byte.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from allocator.domain.messages import (
    QUANTITY_MAX,
    CancelOrder,
    DispatchOrder,
    PlaceOrder,
    ReceiveStock,
)
from tests.corpus.author import END_OF_TIME_MS, HOUR_MS, TEXTS, Author
from tests.corpus.buying import at_once, carts, checkouts, in_the_middle, orders, parts
from tests.corpus.feeding import adjustments, feeds, shortfalls
from tests.corpus.moving import crumbs, locations, moves, tickets, under_way


async def catalogue(author: Author) -> None:
    """Names and prices come and go."""
    await author.warehouse("main", name="Main")
    await author.warehouse("main", name="Main, renamed", principal="ada")
    await author.warehouse("N.o_r-th", name=TEXTS[0])
    skus = (
        "tea",
        "lots",
        "expiry",
        "large",
        "texts",
        "keys",
        "many",
        "last",
        "moved",
        "crumbs",
        "bought",
    )
    for sku in skus:
        await author.product(sku, name=sku.title())
    await author.location("shelf", name="Shelf 1")
    await author.location("shelf", name="Shelf 1, left", principal="ada")
    await author.location("bin", name=TEXTS[0])
    await author.location("window", name="Window", warehouse="N.o_r-th", single_product=False)
    await author.location("dock", name="Dock")
    await author.location("rack", name="Rack")
    await author.product("tea", name="Tea", price=(0, "EUR"))
    author.now_ms += 1
    await author.product("tea", name=TEXTS[1], price=(9_007_199_254_740_993, "JPY"))
    await author.product("tea", name="Tea", principal="grace")


async def plain(author: Author) -> None:
    """The least that each event says; a customer or none; a pool that is left empty."""
    tea = await author.pool("tea")
    await author.ask(tea, ReceiveStock(quantity=5))
    author.now_ms += 1
    first = await author.ask(tea, PlaceOrder(quantity=3))
    second = await author.ask(tea, PlaceOrder(quantity=1, customer="ada"))
    author.now_ms -= 60_000  # a clock may be set back; a pool's times never are
    await author.ask(tea, DispatchOrder(order=first))
    await author.ask(tea, CancelOrder(order=second))
    await author.refused(tea, PlaceOrder(quantity=3))
    author.now_ms += 120_000
    await author.ask(tea, DispatchOrder(order=await author.ask(tea, PlaceOrder(quantity=2))))
    elsewhere = await author.pool("tea", warehouse="N.o_r-th")
    await author.ask(elsewhere, ReceiveStock(quantity=1))


async def several_lots(author: Author) -> None:
    """Orders over several lots are cancelled, dispatched and left open; lots are used up."""
    lots = await author.pool("lots")
    soon, later = author.now_ms + HOUR_MS, author.now_ms + 2 * HOUR_MS
    await author.ask(lots, ReceiveStock(quantity=4))
    await author.ask(lots, ReceiveStock(quantity=4, lot="L-2", reference="PO-1"))
    await author.ask(lots, ReceiveStock(quantity=4, lot="L-3", expires_at_ms=later))
    await author.ask(lots, ReceiveStock(quantity=4, expires_at_ms=soon, reference="PO-2"))
    orders = [await author.ask(lots, PlaceOrder(quantity=n)) for n in (5, 6, 1, 3)]
    await author.ask(lots, CancelOrder(order=orders[1]))
    await author.ask(lots, PlaceOrder(quantity=4, customer="grace"))
    await author.ask(lots, DispatchOrder(order=orders[0]))
    await author.ask(lots, DispatchOrder(order=orders[2]))


async def expiry(author: Author) -> None:
    """Lots expire idle, before a command, in part, twice; orders outlive the date of their lot."""
    pool = await author.pool("expiry")
    for hours, quantity in ((1, 5), (1, 2), (2, 10), (3, 1)):
        expires_at_ms = author.now_ms + hours * HOUR_MS
        await author.ask(pool, ReceiveStock(quantity=quantity, expires_at_ms=expires_at_ms))
    dispatched_late = await author.ask(pool, PlaceOrder(quantity=2))
    cancelled_late = await author.ask(pool, PlaceOrder(quantity=4))  # of two lots
    author.now_ms += HOUR_MS
    await author.wake(pool)
    await author.ask(pool, CancelOrder(order=cancelled_late))  # what it gives back expires, too
    await author.ask(pool, DispatchOrder(order=dispatched_late))
    left_open = PlaceOrder(quantity=3, customer="ada")
    await author.ask(pool, left_open)
    author.now_ms += HOUR_MS + 1
    await author.refused(pool, PlaceOrder(quantity=100))  # expires a lot all the same
    await author.ask(pool, ReceiveStock(quantity=1, expires_at_ms=author.now_ms + 1))


async def large(author: Author) -> None:
    """Numbers as large as they come."""
    pool = await author.pool("large")
    for _ in range(4):
        lot = ReceiveStock(quantity=QUANTITY_MAX, expires_at_ms=END_OF_TIME_MS)
        await author.ask(pool, lot)
    await author.ask(pool, PlaceOrder(quantity=QUANTITY_MAX - 1))
    await author.ask(pool, PlaceOrder(quantity=QUANTITY_MAX))
    author.now_ms = END_OF_TIME_MS - HOUR_MS
    await author.ask(pool, PlaceOrder(quantity=2))
    author.now_ms = END_OF_TIME_MS
    await author.wake(pool)


async def texts(author: Author) -> None:
    """Texts of any script, with everything in them that JSON has to escape."""
    pool = await author.pool("texts")
    for text in TEXTS:
        await author.ask(pool, ReceiveStock(quantity=1, lot=text, reference=text[::-1]))
        await author.ask(pool, PlaceOrder(quantity=1, customer=text))


async def keys(author: Author) -> None:
    """Rows with a principal, with a key, with both."""
    pool = await author.pool("keys")
    await author.ask(pool, ReceiveStock(quantity=9), key="delivery-1")
    await author.ask(pool, PlaceOrder(quantity=1), principal="shop")
    order = await author.ask(pool, PlaceOrder(quantity=2), principal="shop", key="k")
    await author.ask(pool, DispatchOrder(order=order), principal="Ω warehouse", key="k" * 255)
    order = await author.ask(pool, PlaceOrder(quantity=2), principal="other", key="k")
    await author.ask(pool, CancelOrder(order=order), key=" ~ key, with printable ASCII {}")


async def doors(author: Author) -> None:
    """Keys of every role, one of them revoked."""
    await author.api_key("owner", role="operator", principal="cli:root")
    await author.api_key("shop", role="client")
    await author.api_key("depot.1", role="stock", principal="owner")
    await author.revoked("shop", principal="owner")


async def hooks(author: Author) -> None:
    """Webhooks with every interest, changed, rotated, deleted, and made anew."""
    await author.webhook("all", url="https://shop.example/")
    await author.webhook("some", url="http://localhost:81/", product="tea", principal="owner")
    kinds = ("order_placed", "order_cancelled")
    await author.webhook("some", url="https://[2606:4700::1]/?a=b&c", warehouse="main", kinds=kinds)
    await author.rotated("some", principal="owner")
    await author.unhooked("all", principal="owner")
    await author.webhook("all", url="https://shop.example/", product="tea", warehouse="main")
    await author.unhooked("all")


async def many(author: Author) -> None:
    """A hundred orders, of which every third is gone: as a pool looks after a sale."""
    pool = await author.pool("many")
    for _ in range(5):
        await author.ask(pool, ReceiveStock(quantity=50))
    orders = [await author.ask(pool, PlaceOrder(quantity=1 + n % 3)) for n in range(100)]
    for position, order in enumerate(orders[::3]):
        ending = DispatchOrder if position % 2 else CancelOrder
        await author.ask(pool, ending(order=order))


async def last(author: Author) -> None:
    """The greatest id that an actor can have."""
    pool = await author.last_pool("last")
    await author.ask(pool, ReceiveStock(quantity=2))
    await author.ask(pool, PlaceOrder(quantity=1))


STORIES: Final[tuple[Callable[[Author], Awaitable[None]], ...]] = (
    catalogue,
    plain,
    several_lots,
    expiry,
    keys,
    doors,
    hooks,
    texts,
    many,
    tickets,
    moves,
    crumbs,
    locations,
    under_way,
    orders,
    at_once,
    parts,
    carts,
    checkouts,
    in_the_middle,
    adjustments,
    feeds,
    shortfalls,
    large,  # ends in the year 9999
    last,  # no actor's number is left after this one
)
