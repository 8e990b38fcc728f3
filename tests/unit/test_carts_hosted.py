"""Carts in a worker: what they hold is released in time, whoever sleeps, waits or dies."""

import asyncio

import pytest

from allocator.actors import wakes
from allocator.actors.limits import Limits
from allocator.domain.carts import Cart, OpenCart, SetLine
from allocator.domain.queries import CartQuery
from allocator.errors import QuarantinedError
from allocator.persistence.memory.database import MemoryDatabase
from tests.builders import ACTOR
from tests.scene import Scene, serving, soon
from tests.shopping import line
from tests.virtual_time import now_ms, virtual_time

HERE, THERE = ACTOR, ACTOR + 256
STOCK = 10
TTL_MS, CAP_MS = 20_000, 60_000


async def opened(scene: Scene) -> int:
    """Have a cart, and return its actor."""
    actor_id = await scene.worker.begin(None)
    await scene.outcome(OpenCart(ttl_ms=TTL_MS, cap_ms=CAP_MS), actor_id=actor_id)
    return actor_id


async def put(scene: Scene, cart: int, pool: int, units: int) -> int:
    """Have a cart want units of a pool; return the edit."""
    outcome = await scene.outcome(SetLine(line=line(pool, units)), actor_id=cart)
    return outcome.seq


async def seen(scene: Scene, cart: int, *, edit: int = 0) -> Cart:
    """Return a cart, when an edit of it is settled."""
    view = await soon(scene.worker.look(cart, CartQuery(edit=edit)))
    assert view.cart is not None
    return view.cart


async def released(scene: Scene, pool: int) -> None:
    """Wait until a pool has let go of a cart, and ask nobody about it."""
    while scene.kinds(actor_id=pool)[-1] != "process_let_go":  # noqa: ASYNC110 (virtual time)
        await asyncio.sleep(0.01)


@virtual_time
async def test_what_is_put_into_a_cart_is_held_when_its_reader_sees_it() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        cart = await opened(scene)
        edit = await put(scene, cart, HERE, 3)

        [held] = (await seen(scene, cart, edit=edit)).filled()
        balance = await scene.balance(actor_id=HERE)
        assert (held.line.quantity, balance.held, balance.available) == (3, 3, STOCK - 3)


@virtual_time
async def test_what_a_cart_held_is_released_within_a_second_of_its_expiry() -> None:
    """O9."""
    async with serving(limits=Limits(idle_ms=1_000)) as scene:
        await scene.stock(STOCK, actor_id=HERE)
        cart = await opened(scene)
        await seen(scene, cart, edit=await put(scene, cart, HERE, 3))
        expires_at_ms = (await seen(scene, cart)).expires_at_ms

        await released(scene, HERE)

        assert expires_at_ms <= now_ms() <= expires_at_ms + 1000


@virtual_time
async def test_what_a_cart_held_is_released_in_time_after_a_restart() -> None:
    database = MemoryDatabase(clock=now_ms)
    async with serving(database) as scene:
        await scene.stock(STOCK, actor_id=HERE)
        cart = await opened(scene)
        await seen(scene, cart, edit=await put(scene, cart, HERE, 3))
        expires_at_ms = (await seen(scene, cart)).expires_at_ms
        await scene.crash()

    async with serving(database) as scene:
        await released(scene, HERE)

        assert expires_at_ms <= now_ms() <= expires_at_ms + 1000


@virtual_time
async def test_a_cart_that_waits_for_a_pool_which_never_answers_expires_all_the_same() -> None:
    async with serving() as scene:
        await scene.stock(STOCK, actor_id=HERE)
        why = QuarantinedError(actor_id=THERE, why="of a test")
        scene.worker.directory.quarantined[THERE] = why
        cart = await opened(scene)
        await seen(scene, cart, edit=await put(scene, cart, HERE, 3))
        await put(scene, cart, THERE, 1)

        async with asyncio.timeout((TTL_MS + 2 * wakes.EVERY_MS) / 1000):
            await released(scene, HERE)
        with pytest.raises(AssertionError, match="CartNotOpen"):
            await put(scene, cart, HERE, 1)
