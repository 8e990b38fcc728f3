"""Charges in a worker: each leaves once its event is stored, and in no other life."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from allocator.domain.carts import OpenCart, SetLine
from allocator.domain.checkouts import BeginCheckout, Charge, PaymentHeard
from allocator.domain.queries import CartQuery, CheckoutQuery
from allocator.errors import OutcomeUnknownError
from allocator.payments.calls import Bounds, Calls
from allocator.payments.provider import Verdict
from allocator.persistence.memory.database import MemoryDatabase
from allocator.till import Till
from tests.builders import ACTOR
from tests.memory_journal import Fault
from tests.scene import Scene, serving, soon
from tests.shopping import CAP_MS, TTL_MS, line
from tests.virtual_time import now_ms, settle, virtual_time

TIMEOUT_MS = 60_000


class Recorder:
    """A cashier who only writes down."""

    def __init__(self) -> None:
        self.charges: list[tuple[int, Charge]] = []

    def charge(self, actor_id: int, charge: Charge) -> None:
        self.charges.append((actor_id, charge))


@asynccontextmanager
async def counter(database: MemoryDatabase | None = None) -> AsyncIterator[tuple[Scene, Recorder]]:
    """A worker whose charges are written down."""
    async with serving(database) as scene:
        recorder = scene.worker.office.cashier = Recorder()
        yield scene, recorder


async def filled(scene: Scene) -> int:
    """Have a cart with three units, and return its actor."""
    await scene.stock(10)
    cart = await scene.worker.begin(None)
    await scene.outcome(OpenCart(customer="7", ttl_ms=TTL_MS, cap_ms=CAP_MS), actor_id=cart)
    edit = (await scene.outcome(SetLine(line=line(ACTOR, 3)), actor_id=cart)).seq
    await soon(scene.worker.look(cart, CartQuery(edit=edit)))
    return cart


async def paying(scene: Scene, cart: int) -> BeginCheckout:
    """Return the command that pays for what is in a cart."""
    seen = (await soon(scene.worker.look(cart, CartQuery()))).cart
    assert seen is not None
    return BeginCheckout(
        seen=seen.version,
        prices=((ACTOR, 250),),
        currency="EUR",
        client_id=7,
        timeout_ms=TIMEOUT_MS,
    )


async def status(scene: Scene, cart: int, attempt: int) -> str:
    checkout = (await soon(scene.worker.look(cart, CheckoutQuery(attempt)))).checkout
    assert checkout is not None
    return checkout.status


@virtual_time
async def test_a_charge_leaves_when_its_event_is_stored_and_not_before() -> None:
    async with counter() as (scene, recorder):
        cart = await filled(scene)
        command = await paying(scene, cart)
        append = scene.journal.hold("append", done=True)
        reply = scene.ask(command, actor_id=cart)
        await append.reached()
        await settle()

        assert recorder.charges == []

        append.release()
        attempt = (await soon(reply)).seq  # type: ignore[union-attr]  # it succeeds
        [(actor_id, charge)] = recorder.charges
        assert (actor_id, charge.attempt, charge.amount) == (cart, attempt, 750)


@pytest.mark.parametrize("fault", Fault)
@virtual_time
async def test_a_charge_never_leaves_if_its_append_is_in_doubt(fault: Fault) -> None:
    """O10: not even if the event turns out to be stored: then it becomes unknown."""
    async with counter() as (scene, recorder):
        cart = await filled(scene)
        command = await paying(scene, cart)
        scene.journal.break_next("append", fault)
        with pytest.raises(OutcomeUnknownError):
            await soon(scene.ask(command, actor_id=cart))
        await scene.serving_again()
        seen = (await soon(scene.worker.look(cart, CartQuery()))).cart
        assert seen is not None
        if fault is Fault.NOT_DONE:
            assert seen.checkouts == ()
        else:
            [checkout] = seen.checkouts
            await asyncio.sleep(2 * TIMEOUT_MS / 1000)
            assert await status(scene, cart, checkout.attempt) == "unknown"

        assert recorder.charges == []


@virtual_time
async def test_whoever_is_recovered_never_asks_for_the_money() -> None:
    """O10."""
    database = MemoryDatabase(clock=now_ms)
    async with counter(database) as (scene, recorder):
        cart = await filled(scene)
        attempt = (await scene.outcome(await paying(scene, cart), actor_id=cart)).seq
        assert len(recorder.charges) == 1
        await scene.crash()

    async with counter(database) as (scene, recorder):
        await scene.serving_again()
        assert await status(scene, cart, attempt) == "capturing"
        await asyncio.sleep(2 * TIMEOUT_MS / 1000)

        assert await status(scene, cart, attempt) == "unknown"
        assert recorder.charges == []


@virtual_time
async def test_what_is_heard_of_the_money_is_told_until_it_is_stored() -> None:
    class Provider:
        async def charge(self, charge: Charge, *, within_s: float) -> Verdict:  # noqa: ARG002
            scene.journal.break_next("append")
            return Verdict(outcome="paid", detail="", reference="r-1")

    async with counter() as (scene, _):
        bounds = Bounds(calls_max=1, waiting_max=1, timeout_ms=TIMEOUT_MS)
        calls = Calls(Provider(), bounds=bounds, clock=now_ms)
        scene.worker.office.cashier = Till(calls, asker=scene.worker)
        cart = await filled(scene)
        attempt = (await scene.outcome(await paying(scene, cart), actor_id=cart)).seq
        await soon(calls.linger())
        await scene.serving_again()

        assert await status(scene, cart, attempt) == "paid"
        again = PaymentHeard(attempt=attempt, outcome="paid", reference="r-1")
        await soon(scene.ask(again, actor_id=cart))
        assert scene.kinds(actor_id=cart).count("checkout_paid") == 1
