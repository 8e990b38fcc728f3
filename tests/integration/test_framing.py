"""Byte by byte: each answer ends where it says, and the connection goes on as was asked."""

import asyncio

import msgspec
import pytest

from tests.integration.api_shapes import PROBLEM_JSON
from tests.integration.shop import Shop
from tests.integration.wire import connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/orders",
    "/stocks",
    "/stock-balances",
    "/warehouses",
    "/products",
    "/orders/{order}",
    "/stocks/{stock}",
    "/stock-balances/{warehouse}/{product}",
    "/warehouses/{warehouse}",
    "/products/{product}",
    "/journal?warehouse={warehouse}&product={product}",
]


@pytest.mark.parametrize("path", ROUTES)
async def test_head_is_get_without_the_body(shop: Shop, path: str) -> None:
    stock = await shop.received()
    order = await shop.placed()
    names = {"warehouse": shop.warehouse, "product": shop.product}
    target = path.format(order=order.id, stock=stock.id, **names)
    async with connected(shop.url) as wire:
        await wire.send(request("GET", target), request("HEAD", target), request("GET", "/healthz"))
        got = await wire.answer()
        headed = await wire.answer(bodiless=True)
        following = await wire.answer()

    assert headed.status_line == got.status_line == "HTTP/1.1 200 OK"
    assert headed.field("Content-Type") == got.field("Content-Type")
    if path not in {"/metrics", "/orders", "/stocks", "/stock-balances"}:  # these move meanwhile
        assert headed.field("Content-Length") == got.field("Content-Length")
    assert headed.has("ETag") == got.has("ETag")
    assert following.body == b'{"status":"alive"}'


@pytest.mark.parametrize(
    "target", ["/nope", "/orders/x", "/warehouses/a?x=1", "/orders/x/dispatch"]
)
async def test_head_of_what_is_refused_has_no_body_either(shop: Shop, target: str) -> None:
    async with connected(shop.url) as wire:
        await wire.send(request("HEAD", target), request("GET", "/healthz"))
        headed = await wire.answer(bodiless=True)
        following = await wire.answer()

    assert headed.status in {404, 405, 422}
    assert headed.field("Content-Type") == PROBLEM_JSON
    assert int(headed.field("Content-Length")) > 50
    assert following.body == b'{"status":"alive"}'


@pytest.mark.parametrize(
    ("version", "fields", "stays"),
    [
        ("1.1", [], True),
        ("1.1", ["Connection: keep-alive"], True),
        ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: Close"], False),
        ("1.0", [], False),
        ("1.0", ["Connection: keep-alive"], True),
        ("1.0", ["Connection: close"], False),
    ],
)
@pytest.mark.parametrize("status", [201, 409, 422])
async def test_the_connection_stays_or_closes_as_the_client_asked(
    shop: Shop, status: int, version: str, fields: list[str], *, stays: bool
) -> None:
    await shop.received(quantity=9)
    quantity = {201: 1, 409: 10, 422: 0}[status]
    body = msgspec.json.encode(shop.wanted(quantity=quantity))
    asked = request("POST", "/orders", body, *fields, version=version)
    async with connected(shop.url) as wire:
        await wire.send(asked)
        answer = await wire.answer()
        if stays:
            await wire.send(asked)
            assert (await wire.answer()).status == status
        else:
            assert await wire.rest() == b""

    assert answer.status_line.split(" ")[:2] == [f"HTTP/{version}", str(status)]
    assert answer.field("Server") == "allocator"
    assert answer.has("Date")
    assert answer.has("Location") == (status == 201)


async def test_pipelined_requests_are_answered_in_order(shop: Shop) -> None:
    """Q6: on one connection, too, the first comes first."""
    await shop.received(quantity=3)
    bodies = [msgspec.json.encode(shop.wanted(customer=str(n))) for n in range(5)]
    async with connected(shop.url) as wire:
        asks = [request("POST", "/orders", body) for body in bodies]
        await wire.send(b"".join([*asks[:3], request("GET", "/orders/x"), *asks[3:]]))
        answers = [await wire.answer() for _ in range(6)]

    assert [answer.status for answer in answers] == [201, 201, 201, 404, 409, 409]
    customers = [event.body.get("customer") for event in (await shop.journal())[1:]]
    assert customers == ["0", "1", "2"]


async def test_a_client_may_wait_for_leave_to_send_its_body(shop: Shop) -> None:
    await shop.received()
    body = msgspec.json.encode(shop.wanted())
    head = request("POST", "/orders", body, "Expect: 100-continue")[: -len(body)]
    async with connected(shop.url) as wire:
        await wire.send(head)
        leave = await wire.answer()
        await wire.send(body)
        answer = await wire.answer()
        await wire.send(request("GET", "/healthz"))

        assert leave.status_line == "HTTP/1.1 100 Continue"
        assert answer.status == 201
        assert (await wire.answer()).status == 200


async def test_a_body_where_none_is_wanted_is_skipped(shop: Shop) -> None:
    async with connected(shop.url) as wire:
        await wire.send(request("GET", "/healthz", b"POST /orders HTTP/1.1\r\n\r\n"))
        await wire.send(request("GET", "/readyz"))

        assert (await wire.answer()).body == b'{"status":"alive"}'
        assert (await wire.answer()).body == b'{"status":"ready"}'


async def test_a_refused_body_is_skipped_and_the_connection_goes_on(shop: Shop) -> None:
    body = b"x" * 3_000_000
    async with connected(shop.url) as wire:
        sending = asyncio.create_task(wire.send(request("POST", "/orders", body)))
        refused = await wire.answer()
        await sending
        await wire.send(request("GET", "/healthz"))

        assert (refused.status, refused.field("Content-Type")) == (413, PROBLEM_JSON)
        assert (await wire.answer()).body == b'{"status":"alive"}'


async def test_a_client_that_leaves_before_its_answer_has_ordered_all_the_same(shop: Shop) -> None:
    """C13: its request was whole, so it is decided; a repeat with its key would tell."""
    await shop.received(quantity=40)
    body = msgspec.json.encode(shop.wanted())
    for n in range(20):
        async with connected(shop.url) as wire:
            await wire.send(request("POST", "/orders", body, f"Idempotency-Key: left {n}"))
            wire.vanish()
    orders = [await shop.placed(key=f"left {n}") for n in range(20)]

    assert len({order.id for order in orders}) == 20
    assert (await shop.balance()).numbers == (20, 20, 0, 40)
