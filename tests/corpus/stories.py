"""What happens in the corpus: every kind, each optional field there and absent, and the odd cases.

A story is told through an `Author`; the same stories give the same rows, to the byte.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from allocator.domain.api_keys import Role
from allocator.domain.messages import (
    QUANTITY_MAX,
    CancelOrder,
    Command,
    DispatchOrder,
    PlaceOrder,
    ReceiveStock,
)

HOUR_MS: Final = 3_600_000
END_OF_TIME_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""

TEXTS: Final = (
    "Žofie Ω 東京 \U0001f375 e\u0301",
    '"quoted" \\back\\ /slash/ \t tab \n line',
    "\u2028\u2029\u200f\ufeff\x7f\x01",
    " ",
    "",
    "x" * 300,
)


class Author(Protocol):
    """Has the code of today write what a story tells.

    Attributes:
        now_ms: The clock; stories move it.
    """

    now_ms: int

    async def warehouse(self, code: str, *, name: str, principal: str = "") -> None:
        """Create a warehouse, or change it."""

    async def product(
        self, sku: str, *, name: str, price: tuple[int, str] | None = None, principal: str = ""
    ) -> None:
        """Create a product, or change it; a price is minor units and a currency."""

    async def api_key(self, name: str, *, role: Role, principal: str = "") -> None:
        """Let a key in."""

    async def revoked(self, name: str, *, principal: str = "") -> None:
        """Shut a key out."""

    async def webhook(  # noqa: PLR0913 (what one consists of)
        self,
        name: str,
        *,
        url: str,
        warehouse: str | None = None,
        product: str | None = None,
        kinds: tuple[str, ...] | None = None,
        principal: str = "",
    ) -> None:
        """Set a webhook up, or change it."""

    async def rotated(self, name: str, *, principal: str = "") -> None:
        """Give a webhook a new secret."""

    async def unhooked(self, name: str, *, principal: str = "") -> None:
        """Delete a webhook."""

    async def pool(self, sku: str, *, warehouse: str = "main") -> int:
        """Return the actor of a pool."""

    async def last_pool(self, sku: str) -> int:
        """Return the actor of a pool that has the greatest id there can be."""

    async def ask(
        self, actor_id: int, command: Command, *, principal: str = "", key: str | None = None
    ) -> int:
        """Have a pool do something; return the seq of the event that came of it."""

    async def wake(self, actor_id: int) -> None:
        """Have a pool do what has become due."""

    async def refused(self, actor_id: int, command: Command) -> None:
        """Ask for what a pool refuses, which leaves at most expired lots behind."""


async def catalogue(author: Author) -> None:
    """Names and prices come and go."""
    await author.warehouse("main", name="Main")
    await author.warehouse("main", name="Main, renamed", principal="ada")
    await author.warehouse("N.o_r-th", name=TEXTS[0])
    for sku in ("tea", "lots", "expiry", "large", "texts", "keys", "many", "last"):
        await author.product(sku, name=sku.title())
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
    large,  # ends in the year 9999
    last,  # no actor's number is left after this one
)
