"""Workers that leave hear first what the payment provider says, as long as there is time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from allocator.crew import Crew
from allocator.domain.carts import OpenCart, SetLine
from allocator.domain.checkouts import BeginCheckout, Charge
from allocator.domain.ids import SHARD_MASK
from allocator.domain.queries import CartQuery
from allocator.payments.calls import Bounds, Calls
from allocator.payments.provider import Verdict
from allocator.till import Till
from tests.builders import ACTOR
from tests.memory_journal import Hold
from tests.neighbours import Neighbour, town_of
from tests.scene import Scene, serving, soon
from tests.shopping import CAP_MS, TTL_MS, line
from tests.virtual_time import now_ms, settle, virtual_time

TIMEOUT_MS = 60_000
DRAIN_S = 30.0
TAKES_S = 5.0
SOON_S = 0.5


class Provider:
    """Takes the money, and its time."""

    def __init__(self, takes_s: float) -> None:
        self.asked = 0
        self._takes_s = takes_s

    async def charge(self, charge: Charge, *, within_s: float) -> Verdict:  # noqa: ARG002
        self.asked += 1
        await asyncio.sleep(self._takes_s)
        return Verdict(outcome="paid", detail="", reference="r-1")


class Shop:
    """A worker whose only customer is about to pay."""

    def __init__(self, crew: Crew, scene: Scene, *, takes_s: float) -> None:
        self.provider = Provider(takes_s)
        self.crew = crew
        self._scene = scene
        bounds = Bounds(calls_max=9, waiting_max=9, timeout_ms=TIMEOUT_MS)
        self.calls = Calls(self.provider, bounds=bounds, clock=now_ms)
        scene.worker.office.cashier = Till(self.calls, asker=crew.asker)

    async def fill_cart(self) -> None:
        """Have three units of one of our pools in a cart of ours."""
        scene, worker = self._scene, self._scene.worker
        pool = ACTOR & ~SHARD_MASK | min(worker.shards)
        await scene.stock(10, actor_id=pool)
        self.cart = await worker.begin(None)
        opening = OpenCart(customer="7", ttl_ms=TTL_MS, cap_ms=CAP_MS)
        await scene.outcome(opening, actor_id=self.cart)
        edit = await scene.outcome(SetLine(line=line(pool, 3)), actor_id=self.cart)
        seen = (await soon(worker.look(self.cart, CartQuery(edit=edit.seq)))).cart
        assert seen is not None
        self._paying = BeginCheckout(
            seen=seen.version,
            prices=((pool, 250),),
            currency="EUR",
            client_id=7,
            timeout_ms=TIMEOUT_MS,
        )

    async def pay(self) -> None:
        """Have the provider asked."""
        await self._scene.outcome(self._paying, actor_id=self.cart)

    async def begin_to_pay(self) -> Hold:
        """Have the checkout stored when the test says so; the provider is asked then."""
        append = self._scene.journal.hold("append")
        self._scene.tell(self._paying, actor_id=self.cart)
        await append.reached()
        return append

    def leave(self) -> "asyncio.Task[None]":
        """Begin to leave, when the whole server stops."""
        by_s = asyncio.get_running_loop().time() + DRAIN_S
        return asyncio.create_task(self.crew.leave(self.calls, by_s=by_s))

    @property
    def is_paid(self) -> bool:
        """Whether what the provider said is stored."""
        return "checkout_paid" in self._scene.kinds(actor_id=self.cart)


@asynccontextmanager
async def lone_shop(*, takes_s: float = TAKES_S) -> AsyncIterator[Shop]:
    """A worker without peers."""
    async with serving() as scene:
        shop = Shop(Crew(worker=scene.worker), scene, takes_s=takes_s)
        await shop.fill_cart()
        yield shop
        await shop.calls.stop()


@asynccontextmanager
async def street(directory: Path, *, takes_s: float = TAKES_S) -> AsyncIterator[list[Shop]]:
    """Three workers of one server; the first has a cart."""
    async with town_of(3, directory) as town:
        await asyncio.sleep(2)
        shops = [_shop_of(each, takes_s=takes_s) for each in town.neighbours]
        await shops[0].fill_cart()
        yield shops
        for each in town.neighbours:
            each.scene.worker.tasks = []


def _shop_of(neighbour: Neighbour, *, takes_s: float) -> Shop:
    scene = neighbour.scene
    crew = Crew(worker=scene.worker, peering=neighbour, cluster=neighbour.cluster)
    return Shop(crew, scene, takes_s=takes_s)


@virtual_time
async def test_a_charge_whose_checkout_is_being_stored_is_heard_out() -> None:
    """O10, Q7: it has not left yet, and would be cut short if nobody waited for it."""
    async with lone_shop() as shop:
        append = await shop.begin_to_pay()
        by_s = asyncio.get_running_loop().time() + DRAIN_S
        hearing = asyncio.create_task(shop.crew.hear_out(shop.calls, by_s=by_s))
        await asyncio.sleep(1)
        assert not hearing.done()
        append.release()
        await hearing

        assert shop.provider.asked == 1
        assert shop.is_paid


@virtual_time
async def test_what_takes_too_long_is_not_heard_out() -> None:
    async with lone_shop(takes_s=50) as shop:
        await shop.pay()
        began_s = asyncio.get_running_loop().time()
        await shop.crew.hear_out(shop.calls, by_s=began_s + DRAIN_S)

        assert DRAIN_S <= asyncio.get_running_loop().time() - began_s < DRAIN_S + SOON_S
        assert not shop.is_paid


@virtual_time
async def test_nothing_to_hear_takes_no_time() -> None:
    async with lone_shop() as shop:
        began_s = asyncio.get_running_loop().time()
        await shop.crew.hear_out(shop.calls, by_s=began_s + DRAIN_S)

        assert asyncio.get_running_loop().time() == began_s


@virtual_time
async def test_workers_that_leave_together_hear_out_a_charge_that_has_yet_to_begin(
    tmp_path: Path,
) -> None:
    """O10, Q7: whoever stores it keeps its shards until it is decided."""
    async with street(tmp_path) as shops:
        append = await shops[0].begin_to_pay()
        leaving = [shop.leave() for shop in shops]
        await asyncio.sleep(1)
        append.release()
        await soon(asyncio.gather(*leaving))

        assert shops[0].provider.asked == 1
        assert shops[0].is_paid


@virtual_time
async def test_those_that_leave_stay_for_one_that_has_left_its_place_and_lingers(
    tmp_path: Path,
) -> None:
    """O10, Q7: somebody has to write down what it hears."""
    async with street(tmp_path) as shops:
        await shops[0].pay()
        lingering = asyncio.create_task(shops[0].crew.leave(shops[0].calls))
        await asyncio.sleep(1)
        assert shops[0].crew.worker.retired
        leaving = [shop.leave() for shop in shops[1:]]
        began_s = asyncio.get_running_loop().time()
        await soon(asyncio.gather(lingering, *leaving))

        assert shops[0].is_paid
        assert asyncio.get_running_loop().time() < began_s + TAKES_S + SOON_S


@virtual_time
async def test_one_that_lingers_is_waited_for_as_long_as_there_is_time(tmp_path: Path) -> None:
    async with street(tmp_path, takes_s=50) as shops:
        await shops[0].pay()
        lingering = asyncio.create_task(shops[0].crew.leave(shops[0].calls))
        await asyncio.sleep(1)
        leaving = [shop.leave() for shop in shops[1:]]
        began_s = asyncio.get_running_loop().time()
        await soon(asyncio.gather(lingering, *leaving))

        took_s = asyncio.get_running_loop().time() - began_s
        assert DRAIN_S <= took_s < DRAIN_S + SOON_S
        assert not shops[0].is_paid


@virtual_time
async def test_one_that_lingered_and_died_is_not_waited_for(tmp_path: Path) -> None:
    async with street(tmp_path, takes_s=50) as shops:
        await shops[0].pay()
        lingering = asyncio.create_task(shops[0].crew.leave(shops[0].calls))
        await asyncio.sleep(1)
        lingering.cancel()
        await settle()
        began_s = asyncio.get_running_loop().time()
        await soon(asyncio.gather(*(shop.leave() for shop in shops[1:])))

        assert asyncio.get_running_loop().time() < began_s + 2 + SOON_S
