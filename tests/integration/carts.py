"""Requests about carts and checkouts, by clients of a shop with a provider of its own."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from allocator.payments.simulator import Nature, Simulator, serving
from tests.integration.api_shapes import Answer, Cart, Checkout
from tests.integration.shop import Shop, opened

PRICE = 250
WILLING = Nature(mean_s=0.002, fail_rate=0.0, hang_rate=0.0, seed=1)
FICKLE = msgspec.structs.replace(WILLING, fail_rate=0.4, seed=5)
SILENT = msgspec.structs.replace(WILLING, hang_rate=1.0)


class Till(Shop):
    """A shop whose product has a price, and whose customers pay at a simulated provider.

    Attributes:
        provider: Where they do.
    """

    provider: Simulator

    async def stocked(self, quantity: int, *, price: int | None = PRICE) -> "Till":
        """Another product of this shop, of which there are so many units."""
        other = Till(self.server, self.client)
        other.provider = self.provider
        await other.open()
        await other.priced(price)
        await other.received(quantity=quantity)
        return other

    async def priced(self, amount: int | None, currency: str = "EUR") -> None:
        """Have the product cost so much."""
        body: dict[str, object] = {"name": "Name"}
        if amount is not None:
            body["price"] = {"amount": amount, "currency": currency}
        assert (await self.put(f"/products/{self.product}", body)).status in {200, 201}

    async def cart(self, customer: str | None = None) -> Cart:
        """Open a cart, of a customer that nobody else is."""
        customer = customer or str(secrets.randbits(50))
        return (await self.post("/carts", {"customer": customer})).read(Cart, status=201)

    async def fill(self, cart: Cart, quantity: int) -> Answer:
        """Try to have so many units in a cart."""
        path = f"/carts/{cart.id}/lines/{self.warehouse}/{self.product}"
        return await self.put(path, {"quantity": quantity})

    async def filled(self, quantity: int, *, customer: str | None = None) -> Cart:
        """Open a cart with so many units."""
        cart = await self.cart(customer)
        return (await self.fill(cart, quantity)).read(Cart)

    async def seen(self, cart: Cart) -> Cart:
        """Read a cart."""
        return (await self.get(f"/carts/{cart.id}")).read(Cart)

    async def pay(self, cart: Cart, *, key: str | None = None) -> Checkout:
        """Begin to pay for a cart."""
        answer = await self.post(f"/carts/{cart.id}/checkout", key=key)
        checkout = answer.read(Checkout, status=202)
        assert answer.headers["Location"] == f"/checkouts/{checkout.id}"
        return checkout

    async def decided(self, checkout: Checkout, *, wait: int = 20) -> Checkout:
        """Wait for what becomes of a checkout."""
        return (await self.get(f"/checkouts/{checkout.id}?wait={wait}")).read(Checkout)

    async def resolve(self, checkout: Checkout, outcome: str) -> Answer:
        """Try to settle a checkout."""
        return await self.post(f"/checkouts/{checkout.id}/resolve", {"outcome": outcome})


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def paying(
    database_url: str, nature: Nature = WILLING, **settings: object
) -> AsyncIterator[Till]:
    """Serve in this process, with a provider."""
    simulator = Simulator(nature, clock=now_ms)
    async with serving(simulator) as url, opened(database_url, payment_url=url, **settings) as shop:
        till = Till(shop.server, shop.client)
        till.provider = simulator
        yield till
