"""Stories of orders of several lines, carts and checkouts; some were in the middle of it all."""

from allocator.domain.carts import CloseCart, OpenCart, SetLine
from allocator.domain.checkouts import (
    BeginCheckout,
    Outcome,
    PaymentHeard,
    ResolveCheckout,
)
from allocator.domain.messages import CancelOrder, DispatchPart, PlaceOrder, ReceiveStock
from allocator.domain.money import AMOUNT_MAX
from allocator.domain.orders import CancelLines, DispatchLines, Line, RequestOrder
from tests.corpus.author import HOUR_MS, TEXTS, Author

MINUTE_MS = 60_000
CART = OpenCart(customer="7", ttl_ms=15 * MINUTE_MS, cap_ms=2 * HOUR_MS)


class Shop:
    """Three pools: in the warehouse, at the window, and of a location for one product at a time."""

    def __init__(self, author: Author) -> None:
        self.author = author
        self.main = self.window = self.rack = 0

    async def open(self) -> "Shop":
        self.main = await self.author.pool("bought")
        self.window = await self.author.pool("bought", warehouse="window")
        self.rack = await self.author.pool("bought", warehouse="rack")
        return self

    async def stocked(self, quantity: int) -> None:
        """Have two lots of so many units arrive at each of them."""
        soon = self.author.now_ms + HOUR_MS * 24
        for pool in (self.main, self.window, self.rack):
            told = "bought" if pool == self.rack else None
            lot = ReceiveStock(quantity=quantity, lot="L-1", expires_at_ms=soon, product=told)
            await self.author.ask(pool, lot)
            await self.author.ask(pool, ReceiveStock(quantity=quantity, product=told))

    def line(self, pool: int, quantity: int) -> Line:
        names = {self.main: "main", self.window: "window", self.rack: "rack"}
        told = "bought" if pool == self.rack else None
        warehouse = names[pool]
        return Line(pool=pool, warehouse=warehouse, product="bought", quantity=quantity, told=told)

    def order(
        self, main: int, window: int, rack: int = 0, *, customer: str | None = None
    ) -> RequestOrder:
        wanted = ((self.main, main), (self.window, window), (self.rack, rack))
        lines = [self.line(pool, quantity) for pool, quantity in wanted if quantity]
        return RequestOrder(
            lines=tuple(sorted(lines, key=lambda line: line.pool)), customer=customer
        )

    async def filled(self, main: int, window: int, *, opening: OpenCart = CART) -> int:
        """Open a cart, and put this into it."""
        cart = await self.author.begin(opening)
        await self.author.lead(cart, SetLine(line=self.line(self.main, main)))
        await self.author.lead(cart, SetLine(line=self.line(self.window, window)))
        return cart

    async def pay(self, cart: int, seen: int, *, price: int = 250, key: str | None = None) -> int:
        """Begin to pay for a cart, which was seen at a version; return the attempt."""
        prices = tuple((pool, price) for pool in (self.main, self.window, self.rack))
        begin = BeginCheckout(
            seen=seen,
            prices=prices,
            currency="EUR",
            client_id=7,
            timeout_ms=10 * MINUTE_MS,
        )
        return await self.author.lead(cart, begin, principal="shop" if key else "", key=key)


def heard(attempt: int, outcome: Outcome, *, more: bool = False) -> PaymentHeard:
    """What is heard of an attempt, with all that may be known of it or nothing."""
    reference, detail = (TEXTS[0], TEXTS[1]) if more else (None, None)
    return PaymentHeard(attempt=attempt, outcome=outcome, reference=reference, detail=detail)


async def orders(author: Author) -> None:
    """Orders of several lines: declined, kept, dispatched in parts and whole, cancelled."""
    shop = await Shop(author).open()
    await shop.stocked(15)
    await author.begin(shop.order(3, 2, 1), principal="shop", key="led-1")
    await author.begin(shop.order(99, 1, 99, customer="ada"))
    await author.begin(shop.order(1, 99))
    parted = await author.begin(shop.order(12, 2, customer="ada"))
    await author.lead(parted, DispatchLines(parts=((0, 1), (1, 1))), principal="depot", key="led-2")
    author.now_ms += 1_000
    gone = await author.begin(shop.order(2, 2, customer=TEXTS[0]))
    await author.lead(gone, DispatchLines(parts=((0, 1),)))
    await author.lead(gone, DispatchLines())
    await author.refused(gone, CancelLines())
    cancelled = await author.begin(shop.order(1, 1, 1))
    await author.lead(cancelled, CancelLines())


async def at_once(author: Author) -> None:
    """The same of orders that were decided at once."""
    shop = await Shop(author).open()
    await author.begin(shop.order(1, 1, 1), principal="shop", key="once-1", at_once=True)
    await author.begin(shop.order(99, 1, 99, customer="ada"), at_once=True)
    await author.begin(shop.order(1, 99), at_once=True)
    gone = await author.begin(shop.order(1, 2, customer=TEXTS[0]), at_once=True)
    await author.lead(gone, DispatchLines(parts=((1, 1),)))
    await author.lead(gone, DispatchLines())
    cancelled = await author.begin(shop.order(1, 1, 1), at_once=True)
    await author.lead(cancelled, CancelLines(), principal="depot", key="once-2")


async def parts(author: Author) -> None:
    """Orders of one line leave in parts."""
    shop = await Shop(author).open()
    for pool, told in ((shop.main, None), (shop.rack, "bought")):
        order = await author.ask(pool, PlaceOrder(quantity=3, product=told))
        part = DispatchPart(order=order, quantity=1)
        await author.ask(pool, part)
        await author.ask(pool, part, principal="depot", key=f"part-{pool}")
        await author.refused(pool, CancelOrder(order=order + 1_000))
    order = await author.ask(shop.main, PlaceOrder(quantity=2))
    for _ in range(2):
        await author.ask(shop.main, DispatchPart(order=order, quantity=1))


async def carts(author: Author) -> None:
    """Carts that are filled, changed, refused something, closed, and that expire."""
    shop = await Shop(author).open()
    await shop.stocked(20)
    edited = await shop.filled(3, 2)
    for pool, quantity in ((shop.main, 25), (shop.main, 1), (shop.window, 0), (shop.rack, 1)):
        author.now_ms += MINUTE_MS
        await author.lead(edited, SetLine(line=shop.line(pool, quantity)))
    await author.lead(edited, SetLine(line=shop.line(shop.main, 1_000)))
    await author.lead(edited, SetLine(line=shop.line(shop.rack, 1_000)))
    closed = await shop.filled(2, 1)
    await author.lead(closed, SetLine(line=shop.line(shop.rack, 2)))
    await author.lead(closed, CloseCart(), principal="shop", key="cart-1")
    await author.refused(closed, SetLine(line=shop.line(shop.main, 1)))
    nobody = OpenCart(ttl_ms=MINUTE_MS, cap_ms=MINUTE_MS)
    await author.lead(await author.begin(nobody), CloseCart())
    for each in (await shop.filled(1, 1, opening=nobody), await author.begin(nobody)):
        author.now_ms += 2 * MINUTE_MS
        await author.wake(each)


async def checkouts(author: Author) -> None:
    """Attempts to pay: paid, failed, unknown, resolved, and owed back; what was paid for leaves."""
    shop = await Shop(author).open()
    paid = await shop.filled(2, 1)
    attempt = await shop.pay(paid, 5, key="pay-1")
    await author.refused(paid, SetLine(line=shop.line(shop.main, 1)))
    await author.lead(paid, heard(attempt, "paid", more=True))
    await author.late(paid, heard(attempt, "failed"))
    await author.lead(paid, DispatchLines(parts=((0, 1),)))
    await author.lead(paid, DispatchLines())
    tried = await shop.filled(1, 1)
    await author.lead(tried, heard(await shop.pay(tried, 5), "failed"))
    attempt = await shop.pay(tried, 7, price=AMOUNT_MAX // 2)
    await author.lead(tried, heard(attempt, "failed", more=True))
    attempt = await shop.pay(tried, 9)
    author.now_ms += 10 * MINUTE_MS
    await author.wake(tried)  # nobody has answered
    resolved = ResolveCheckout(attempt=attempt, outcome="failed", reference="bank-1")
    await author.lead(tried, resolved, principal="owner", key="resolve-1")
    await author.lead(tried, heard(attempt, "paid", more=True))
    owed = await shop.filled(1, 1)
    attempt = await shop.pay(owed, 5, price=0)
    await author.lead(owed, heard(attempt, "failed"))
    await author.lead(owed, CloseCart())
    await author.lead(owed, heard(attempt, "paid"))
    found = await shop.filled(1, 1)
    attempt = await shop.pay(found, 5)
    await author.lead(found, heard(attempt, "unknown"))
    await author.lead(found, ResolveCheckout(attempt=attempt, outcome="paid"))
    heard_late = await shop.filled(1, 1)
    attempt = await shop.pay(heard_late, 5)
    await author.lead(heard_late, heard(attempt, "unknown", more=True))
    await author.lead(heard_late, heard(attempt, "paid"))


async def in_the_middle(author: Author) -> None:
    """Orders, carts and checkouts that were not over when the rows were taken."""
    shop = await Shop(author).open()
    await author.begin(shop.order(1, 1), heard=0)  # nobody has heard of it
    await author.begin(shop.order(1, 1), heard=1)  # held, and no order yet
    await author.begin(shop.order(1, 10_000), heard=1)  # declined, and still held
    leaving = await author.begin(shop.order(2, 2))
    await author.lead(leaving, DispatchLines(parts=((0, 1),)), heard=3)
    going_back = await author.begin(shop.order(1, 1))
    await author.lead(going_back, CancelLines(), heard=3)
    cart = await shop.filled(1, 1)
    for quantity in (2, 3):
        await author.lead(cart, SetLine(line=shop.line(shop.main, quantity)), heard=5)
    closed = await shop.filled(1, 1)
    await author.lead(closed, CloseCart(), heard=5)
    await shop.pay(await shop.filled(1, 1), 5)  # capturing
    unknown = await shop.filled(1, 1)
    await author.lead(unknown, heard(await shop.pay(unknown, 5), "unknown"))
    bought = await shop.filled(1, 1)
    await author.lead(bought, heard(await shop.pay(bought, 5), "paid"), heard=5)
