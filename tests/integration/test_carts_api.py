"""Carts as clients see them."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.api_shapes import Cart, CartLine, CartPrice
from tests.integration.carts import PRICE, Till, paying
from tests.integration.shop import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TTL_MS, CAP_MS = 2_000, 3_000
LATE_S = 10.0
"""How soon it is done is told by virtual time (`test_carts_hosted.py`), which no machine delays."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def till(module_database_url: str) -> AsyncIterator[Till]:
    """A shop whose carts live for long."""
    async with paying(module_database_url, carts_max=3) as till:
        yield till


async def test_what_is_in_a_cart_cannot_be_bought_by_anybody_else(till: Till) -> None:
    """O8."""
    shop = await till.stocked(5)
    cart = await shop.filled(3)

    balance = await shop.balance()
    assert (balance.held, balance.available) == (3, 2)
    assert (await shop.order(quantity=3)).status == 409
    assert cart.lines == [
        CartLine(
            product=shop.product,
            warehouse=shop.warehouse,
            quantity=3,
            price=CartPrice(amount=PRICE, currency="EUR"),
        )
    ]
    assert await shop.seen(cart) == cart
    assert cart.expires_at is not None


async def test_a_line_is_set_and_not_added_to(till: Till) -> None:
    shop = await till.stocked(5)
    cart = await shop.filled(3)

    for quantity in (4, 4, 1, 0, 0):
        cart = (await shop.fill(cart, quantity)).read(Cart)
        assert sum(line.quantity for line in cart.lines) == quantity
        assert (await shop.balance()).held == quantity


async def test_a_line_that_there_is_not_enough_for_stays_as_it_was(till: Till) -> None:
    shop = await till.stocked(5)
    cart = await shop.filled(3)
    problem = (await shop.fill(cart, 6)).problem(409)

    assert (problem.type, problem.requested, problem.available) == (
        "/problems/insufficient-stock",
        6,
        5,
    )
    assert [line.quantity for line in (await shop.seen(cart)).lines] == [3]


async def test_a_crowd_fills_carts_with_no_more_than_there_is(till: Till) -> None:
    """O8, Q2."""
    shop = await till.stocked(7)
    carts = await asyncio.gather(*(shop.cart() for _ in range(12)))
    answers = await asyncio.gather(*(shop.fill(cart, 1) for cart in carts))

    assert sorted(answer.status for answer in answers) == [200] * 7 + [409] * 5


async def test_a_cart_that_is_given_up_gives_everything_back(till: Till) -> None:
    shop = await till.stocked(5)
    cart = await shop.filled(3)
    for _ in range(2):
        assert (await shop.send("DELETE", f"/carts/{cart.id}")).status == 204

    async def is_free() -> bool:
        return (await shop.balance()).available == 5

    await until(is_free)
    closed = await shop.seen(cart)
    assert (closed.status, closed.lines, closed.expires_at) == ("closed", [], None)
    assert (await shop.fill(cart, 1)).problem(409).type == "/problems/cart-not-open"


async def test_a_customer_has_only_so_many_carts(till: Till) -> None:
    customer = str(secrets.randbits(50))
    body = {"customer": customer}
    answers = await asyncio.gather(
        *(till.post("/carts", body, key=f"{customer}-{n}") for n in range(6))
    )

    opened = {n: answer for n, answer in enumerate(answers) if answer.status == 201}
    assert len(opened) == 3
    assert (await till.post("/carts", body)).problem(409).type == "/problems/too-many-carts"
    for n, answer in opened.items():  # repeats are no more carts
        again = await till.post("/carts", body, key=f"{customer}-{n}")
        assert again.read(Cart, status=201).id == answer.read(Cart, status=201).id
    first = next(iter(opened.values())).read(Cart, status=201)
    assert (await till.send("DELETE", f"/carts/{first.id}")).status == 204

    async def has_room() -> bool:
        return (await till.post("/carts", body)).status == 201

    await until(has_room)


@pytest.mark.parametrize("customer", ["c-42", "", "042", "-1", 42, None, "9" * 19])
async def test_a_customer_who_is_no_number_gets_no_cart(till: Till, customer: object) -> None:
    """O11: before anything is held."""
    refused = (await till.post("/carts", {"customer": customer})).problem(422)

    assert "number of up to 18 digits" in refused.detail or not isinstance(customer, str)


async def test_ids_of_other_things_are_no_carts(till: Till) -> None:
    shop = await till.stocked(5)
    order = await shop.placed()
    for path in (f"/carts/{order.id}", "/carts/x", f"/checkouts/{order.id}"):
        assert (await shop.get(path)).status == 404
    cart = await shop.cart()
    path = f"/carts/{cart.id}/lines/{shop.warehouse}/nothing-{secrets.token_hex(4)}"
    assert (await shop.put(path, {"quantity": 1})).status == 404


async def test_an_expired_cart_gives_everything_back_in_time(database_url: str) -> None:
    """O9."""
    async with paying(database_url, cart_ttl_ms=TTL_MS, cart_cap_ms=CAP_MS) as till:
        shop = await till.stocked(5)
        cart = await shop.filled(3)
        assert cart.expires_at is not None

        async def is_free() -> bool:
            return (await shop.balance()).available == 5

        await until(is_free)

        late_s = time.time() - cart.expires_at.timestamp()
        assert 0 <= late_s < LATE_S
        assert (await shop.seen(cart)).status == "expired"
        assert (await shop.fill(cart, 1)).problem(409).type == "/problems/cart-not-open"
