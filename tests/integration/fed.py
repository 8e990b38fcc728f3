"""A server whose warehouse is fed by a simulated warehouse system, and what both sides say."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from random import Random

import aiohttp
import msgspec

from allocator.http.feed_shapes import ShownFeed
from allocator.wms.simulator import Simulator
from allocator.wms.simulator_entrance import Admission
from allocator.wms.simulator_nature import Nature
from tests.integration.serving import Answer, Server, order_of, until
from tests.integration.wms import simulated

_AGREE_S = 90.0
_AGAIN_S = 0.05


class Fed:
    """A warehouse `main` with some products, the server that sells them, and the WMS behind it.

    Attributes:
        polls: How its feed is put, but for the URL.
        promised: Units that were promised and not taken back, by product.
        shipped: Those of them that were dispatched.
    """

    def __init__(self, server: Server, wms: Simulator, url: str, skus: Sequence[str]) -> None:
        self.server = server
        self.wms = wms
        self.url = url
        self.skus = skus
        self.polls: dict[str, object] = {"poll_s": 0.1, "rate_per_s": 40.0, "burst": 10}
        self.promised: Counter[str] = Counter()
        self.shipped: Counter[str] = Counter()
        self._numbers = count()

    async def begin(self, units: int) -> None:
        """Have so many units of each product, in two batches, and be fed."""
        await self.server.open_shop(**dict.fromkeys(self.skus, 0))
        for sku in self.skus:
            self.wms.truth.receive((sku, "L1"), units // 2)
            self.wms.truth.receive((sku, "L2"), units - units // 2)
        await self.put()

        async def is_there() -> bool:
            found = [(await self.server.balance(sku)).available for sku in self.skus]
            return found == [units] * len(self.skus)

        await until(is_there)

    async def put(self) -> None:
        """Have it be fed."""
        await self.server.ok("PUT", "/wms/feeds/main", {"url": self.url} | self.polls)

    async def shown(self) -> ShownFeed:
        """Look the feed up."""
        answer = await self.server.ok("GET", "/wms/feeds/main")
        return msgspec.json.decode(answer.body, type=ShownFeed)

    # What clients do

    async def insist(self, path: str, body: object, *, key: str) -> Answer:
        """Repeat a request until somebody says what became of it."""
        while True:
            try:
                answer = await self.server.ask("POST", path, body, key=key)
            except (aiohttp.ClientError, OSError):
                pass
            else:
                if not answer.is_unavailable:
                    return answer
            await asyncio.sleep(_AGAIN_S)

    async def buy(self, *skus: str, quantity: int, key: str) -> str | None:
        """Order so many of each product; return the order, or None if there are not so many."""
        lines = [{"product": sku, "warehouse": "main", "quantity": quantity} for sku in skus]
        body = lines[0] if len(lines) == 1 else {"lines": lines}
        answer = await self.insist("/orders", body, key=key)
        assert answer.status in {201, 409}, answer
        if answer.status == 409:
            return None
        for sku in skus:
            self.promise(sku, quantity)
        return order_of(answer).id

    def promise(self, sku: str, quantity: int) -> None:
        """Note that units were promised, which must have come before."""
        self.promised[sku] += quantity
        assert self.promised[sku] <= self.arrived(sku), "more is promised than ever came"

    async def end(self, order: str, what: str, *skus: str, quantity: int) -> None:
        """Have an order be dispatched or cancelled."""
        for sku in skus:
            if what == "cancel":
                self.promised[sku] -= quantity  # whoever is faster may have them already
            else:
                self.shipped[sku] += quantity
        answer = await self.insist(f"/orders/{order}/{what}", {}, key=f"{what} {order}")
        assert answer.status == 200, answer

    async def trade(self, dice: Random, called_off: asyncio.Event) -> int:
        """Order, cancel and dispatch until called off; return how many orders there were."""
        own, orders = list[tuple[str, list[str], int]](), 0
        while not called_off.is_set():
            skus, quantity = dice.sample(self.skus, dice.choice((1, 1, 2))), dice.randint(1, 3)
            order = await self.buy(*skus, quantity=quantity, key=f"order {next(self._numbers)}")
            if order is not None:
                orders += 1
                own.append((order, skus, quantity))
            if own and dice.random() < 0.6:
                order, skus, quantity = own.pop(dice.randrange(len(own)))
                what = dice.choice(("dispatch", "cancel"))
                await self.end(order, what, *skus, quantity=quantity)
        return orders

    # What happens in the warehouse, and webhooks tell of

    def receive(self, sku: str, batch: str, units: int) -> None:
        """Have units arrive."""
        self.wms.receive(self.wms.truth.batch((sku, batch)), units)

    def lose(self, sku: str, batch: str, units: int) -> None:
        """Have units become useless, if there are so many."""
        self.wms.damage((sku, batch), units)

    # What is so

    def arrived(self, sku: str) -> int:
        """Return how many units of a product ever came."""
        return sum(each.received for each in self.wms.truth.batches() if each.sku == sku)

    def theirs(self, sku: str) -> tuple[int, int, int]:
        """Return what the WMS says: orderable, allocated and shipped units of a product."""
        found = [each for each in self.wms.truth.batches() if each.sku == sku]
        return (
            sum(each.orderable for each in found),
            sum(each.allocated for each in found),
            sum(each.shipped for each in found),
        )

    @property
    def limited(self) -> int:
        """How often the WMS had to say that it is asked too often."""
        return self.wms.entrance.counts[Admission.LIMITED]

    async def agreed(self) -> None:
        """Have batches run until everything is applied and both sides say the same.

        Then nothing was told that cannot be, no number was left out, and what has left there is
        what was dispatched here.
        """

        async def is_settled() -> bool:
            self.wms.run_batch()
            pushes = (await self.shown()).pushes
            through = self.wms.truth.applied_through
            return pushes.numbered == through == pushes.applied and through > 0

        async def is_agreed() -> bool:
            return await is_settled() and all([await self._agrees(sku) for sku in self.skus])

        try:
            await until(is_agreed, within_s=_AGREE_S)
        except AssertionError as error:
            raise AssertionError(await self._differences()) from error
        assert self.wms.truth.mistakes == []
        assert self.wms.truth.gaps == 0
        for sku in self.skus:
            _, allocated, shipped = self.theirs(sku)
            assert shipped == self.shipped[sku]
            assert allocated + shipped == self.promised[sku]

    async def _differences(self) -> str:
        sides = {sku: (await self.server.balance(sku), self.theirs(sku)) for sku in self.skus}
        told = self.wms.truth.received_through, self.wms.truth.applied_through
        return f"never agreed: {sides}; told and applied there {told}; {await self.shown()}"

    async def _agrees(self, sku: str) -> bool:
        ours = await self.server.balance(sku)
        orderable, allocated, _ = self.theirs(sku)
        return (ours.available, ours.ordered) == (max(0, orderable), allocated)


@asynccontextmanager
async def feeding(
    server: Server, nature: Nature, *, skus: Sequence[str], units: int, **polls: object
) -> AsyncIterator[Fed]:
    """A ready server's warehouse, fed by polls and webhooks, with so many units of each product."""
    webhook_url = f"{server.url}/wms/feeds/main/events"
    nature = msgspec.structs.replace(nature, webhook_url=webhook_url)
    async with simulated(nature) as (wms, url):
        fed = Fed(server, wms, url, skus)
        fed.polls |= polls
        await fed.begin(units)
        yield fed
