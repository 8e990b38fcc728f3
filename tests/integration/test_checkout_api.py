"""Checkouts as clients see them: every charge is one purchase, or visibly none."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
import pytest_asyncio

from allocator.domain.checkouts import PaymentHeard
from tests.integration.api_shapes import CartPrice, Checkout, Order, PaidPurchase
from tests.integration.carts import PRICE, SILENT, WILLING, Till, paying
from tests.integration.listening import Told, listening
from tests.integration.multi_orders import dispatch
from tests.integration.shop import opened, until
from tests.integration.test_feeds_api import NATURE, fed_by

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNWILLING = msgspec.structs.replace(WILLING, fail_rate=1.0)
SLOW = msgspec.structs.replace(WILLING, mean_s=0.5, seed=3)
SOON_MS = 400


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def till(module_database_url: str) -> AsyncIterator[Till]:
    """A shop whose provider takes money."""
    async with paying(module_database_url) as till:
        yield till


async def test_what_was_paid_for_is_an_order_and_a_purchase(till: Till) -> None:
    """O8, O11, O12."""
    shop = await till.stocked(5)
    customer = str(secrets.randbits(50))
    cart = await shop.filled(2, customer=customer)
    checkout = await shop.pay(cart)
    paid = await shop.decided(checkout)

    assert (checkout.status, checkout.amount, checkout.currency) == ("capturing", 500, "EUR")
    assert (paid.status, paid.cart, paid.resolved) == ("paid", cart.id, False)
    [entry] = [each for each in till.provider.ledger if each.client_id == int(customer)]
    assert (entry.amount, entry.id) == (5.0, paid.reference)
    assert paid.order is not None
    order = await shop.shown(paid.order)
    assert (order.status, order.customer) == ("new", customer)
    assert [(line.product, line.quantity) for line in order.lines] == [(shop.product, 2)]
    await shop.priced(PRICE + 1)  # which is for those who come later
    seen = await shop.seen(cart)
    assert (seen.status, seen.order, seen.checkout) == ("paid", paid.order, checkout.id)
    assert [(line.quantity, line.price) for line in seen.lines] == [
        (2, CartPrice(amount=PRICE, currency="EUR"))
    ]

    await shop.projected()
    [purchase] = await shop.all_of(PaidPurchase, "/purchases", customer=customer)
    assert (purchase.checkout, purchase.order, purchase.amount) == (checkout.id, order.id, 500)
    assert purchase.items == paid.items
    assert [(item.quantity, item.price) for item in purchase.items] == [(2, PRICE)]
    assert await shop.all_of(Order, "/orders", customer=customer) == [order]


async def test_what_was_paid_for_leaves_in_parts_and_is_never_cancelled(till: Till) -> None:
    """O12."""
    here = await till.stocked(5)
    there = await till.stocked(5)
    cart = await here.filled(2)
    await there.fill(cart, 3)
    paid = await here.decided(await here.pay(cart))
    assert paid.order is not None
    order = await here.shown(paid.order)
    assert (await here.cancel(order)).problem(409).type == "/problems/order-paid"

    partly = (await dispatch(here, order, (there, 1))).read(Order)
    assert partly.status == "partly_dispatched"
    await here.projected()
    assert await here.all_of(Order, "/orders", customer=order.customer or "") == [partly]
    whole = (await dispatch(here, order)).read(Order)
    assert whole.status == "dispatched"
    await here.projected()
    assert await here.all_of(Order, "/orders", customer=order.customer or "") == [whole]
    assert await here.metric("allocator_quarantined_projections") == 0

    async def gone() -> bool:
        balances = [await shop.balance() for shop in (here, there)]
        return [each.on_hand for each in balances] == [3, 2]

    await until(gone)


async def test_those_who_listen_are_told_what_became_of_a_checkout(till: Till) -> None:
    shop = await till.stocked(5)
    told: list[Told] = []
    async with listening(shop.url) as ear:
        paid = await shop.decided(await shop.pay(await shop.filled(2)))
        while not told or told[-1].kind != "checkout_paid" or told[-1].id != paid.id:
            told.append((await ear.next()).told)

    own = [each for each in told if each.id in {paid.id, paid.cart}]
    assert [(each.thing, each.kind) for each in own if each.warehouse is None] == [
        ("cart", "cart_opened"),
        ("cart", "line_wanted"),
        ("cart", "line_held"),
        ("checkout", "checkout_begun"),
        ("checkout", "checkout_paid"),
    ]
    [held] = [each for each in own if each.warehouse is not None]
    assert (held.thing, held.kind, held.id) == ("cart", "units_held", paid.cart)


async def test_a_repeat_with_its_key_begins_no_second_checkout(till: Till) -> None:
    """O10: whatever has become of the cart."""
    shop = await till.stocked(5)
    cart = await shop.filled(2)
    key = secrets.token_hex(8)
    first, again = await asyncio.gather(shop.pay(cart, key=key), shop.pay(cart, key=key))
    await shop.decided(first)
    late = await shop.pay(cart, key=key)

    assert first.id == again.id == late.id
    assert late.status == "paid"
    assert len([e for e in till.provider.ledger if e.client_id == int(cart.customer or "")]) == 1
    other = await shop.filled(1)
    problem = (await shop.post(f"/carts/{other.id}/checkout", key=key)).problem(422)
    assert problem.type == "/problems/key-reused"


async def test_what_cannot_be_paid_for_is_refused_before_anything_is_journaled(
    till: Till,
) -> None:
    """O11."""
    euros, dollars, unpriced = [await till.stocked(5) for _ in range(3)]
    await dollars.priced(300, "USD")
    await unpriced.priced(None)
    cart = await euros.cart()
    path = f"/carts/{cart.id}/checkout"
    assert (await euros.post(path)).problem(409).type == "/problems/cart-empty"

    await euros.fill(cart, 1)
    await dollars.fill(cart, 1)
    assert "one currency" in (await euros.post(path)).problem(422).detail
    await dollars.fill(cart, 0)
    await unpriced.fill(cart, 1)
    assert (await euros.post(path)).problem(422).product == unpriced.product
    await unpriced.fill(cart, 0)
    assert (await euros.decided(await euros.pay(cart))).status == "paid"


async def test_a_cart_survives_a_charge_that_failed(database_url: str) -> None:
    """O11: and is paid for with another attempt."""
    async with paying(database_url, UNWILLING) as till:
        shop = await till.stocked(5)
        cart = await shop.filled(2)
        failed = await shop.decided(await shop.pay(cart))
        assert failed.status == "failed"
        assert (await shop.seen(cart)).status == "open"
        assert (await shop.resolve(failed, "paid")).problem(409).checkout_status == "failed"
        again = await shop.decided(await shop.pay(cart))

        assert again.id != failed.id
        assert len(till.provider.ledger) == 2
        assert (await shop.balance()).held == 2


async def test_a_provider_that_never_answers_leaves_it_to_an_operator(database_url: str) -> None:
    """O10: nothing changes about the cart meanwhile, and nobody is charged again."""
    async with paying(database_url, SILENT, payment_timeout_ms=SOON_MS) as till:
        shop = await till.stocked(5)
        cart = await shop.filled(2)
        checkout = await shop.pay(cart)
        assert (await shop.fill(cart, 1)).problem(409).type == "/problems/checkout-under-way"
        unknown = await shop.decided(checkout)
        assert unknown.status == "unknown"
        assert (await shop.fill(cart, 1)).problem(409).type == "/problems/checkout-under-way"
        await shop.projected()
        assert await shop.metric("allocator_unknown_checkouts") == 1
        settled = (await shop.resolve(checkout, "paid")).read(Checkout)

        assert (settled.status, settled.resolved) == ("paid", True)
        assert settled.order is not None
        assert (await shop.shown(settled.order)).status == "new"
        assert len(till.provider.ledger) == 1
        await shop.projected()
        assert await shop.metric("allocator_unknown_checkouts") == 0


async def test_money_that_comes_after_an_operator_saw_none_is_owed_back(database_url: str) -> None:
    """O10, O12."""
    async with paying(database_url, SLOW, payment_timeout_ms=60_000) as till:
        shop = await till.stocked(5)
        checkout = await shop.pay(await shop.filled(2))
        # The worker that asked is not the one that lost patience: its answer comes late.
        actor, attempt = till.server.context.ids.unseal(checkout.id) or (0, 0)
        unknown = PaymentHeard(attempt=attempt, outcome="unknown")
        await till.server.context.asker.ask(actor, unknown, principal="")
        assert (await shop.resolve(checkout, "failed")).status == 200

        async def owed() -> bool:
            return (await shop.decided(checkout, wait=0)).status == "refund_due"

        await until(owed)
        assert (await shop.balance()).ordered == 0
        await shop.projected()
        assert await shop.metric("allocator_refunds_due") == 1


async def test_a_server_without_a_provider_begins_nothing(database_url: str) -> None:
    async with opened(database_url) as plain:
        shop = Till(plain.server, plain.client)
        await shop.open()
        await shop.priced(PRICE)
        await shop.received(quantity=5)
        cart = await shop.filled(2)
        answer = await shop.post(f"/carts/{cart.id}/checkout")

        assert answer.status == 503
        assert "--payment-url" in answer.problem(503).detail
        assert (await shop.seen(cart)).checkout is None


async def test_expiry_and_checkout_never_both_win(database_url: str) -> None:
    """O9, Q3."""
    async with paying(database_url, cart_ttl_ms=2_500, cart_cap_ms=2_500) as till:
        shop = await till.stocked(40)

        async def race(later_s: float) -> str:
            cart = await shop.filled(1)
            assert cart.expires_at is not None
            await asyncio.sleep(cart.expires_at.timestamp() + later_s - time.time())
            answer = await shop.post(f"/carts/{cart.id}/checkout")
            if answer.status == 202:
                checkout = answer.read(Checkout, status=202)
                assert (await shop.decided(checkout)).status == "paid"
                assert (await shop.seen(cart)).status == "paid"
                return "paid"
            assert answer.problem(409).cart_status == "expired"
            return (await shop.seen(cart)).status

        ends = await asyncio.gather(*(race(number / 100 - 0.2) for number in range(30)))

        async def at_rest() -> bool:
            balance = await shop.balance()
            return (balance.ordered, balance.held) == (ends.count("paid"), 0)

        assert set(ends) <= {"paid", "expired"}
        assert len(till.provider.ledger) == ends.count("paid")
        await until(at_rest)


async def test_units_are_missing_that_a_cart_held_once_they_are_ordered(till: Till) -> None:
    """Nothing of it comes from the warehouse system, which has said before what it has."""
    shop = Till(till.server, till.client)
    shop.provider = till.provider
    await shop.open()
    await shop.priced(PRICE)
    async with fed_by(shop, NATURE) as fed:
        await fed.begun(5)
        cart = await shop.filled(5)
        fed.wms.damage((shop.product, "L7"), 3)
        await fed.heard()
        assert (await fed.shown()).shortfall == 0
        assert (await shop.decided(await shop.pay(cart))).status == "paid"

        async def is_known() -> bool:
            await fed.heard()
            return (await fed.shown()).shortfall == 3

        await until(is_known)
