"""Bodies that make no sense: each gets one clear sentence, and nothing happens."""

import gzip
import io
import json
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.integration.api_shapes import Order, Problem
from tests.integration.shop import JSON, Shop
from tests.integration.wire import connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

POSTS = ["/orders", "/stocks", "/warehouses", "/products"]
DEPTH = 10_000
BODY_MAX_BYTES = 1_048_576


def deep(inner: bytes = b"") -> bytes:
    return b"[" * DEPTH + inner + b"]" * DEPTH


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"product":"a","warehouse":"b"',
        b'{"product":"a","warehouse":"b"} more',
        b"product=a&warehouse=b",
        b"<order/>",
        b'{"product":"\xff","warehouse":"b"}',
        b'{"\xff":1}',
        b'{"product":"\xed\xa0\x80","warehouse":"b"}',
        b'{"code":"a","name":"\\ud800"}',
        b'{"sku":"a","name":"\\udc00\\ud800"}',
        b'{"product":"a","warehouse":"b","quantity":NaN}',
        b'{"product":"a","warehouse":"b","quantity":01}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        '{"product":"a"}'.encode("utf-16"),
    ],
)
async def test_what_is_not_json_is_malformed(shop: Shop, path: str, body: bytes) -> None:
    answer = await shop.post(path, body)
    problem = answer.problem(answer.status)

    # What stands before the fault may be refused first: it is not what this route takes.
    assert answer.status in {400, 422}
    assert problem.type in {"/problems/malformed-body", "/problems/invalid-request"}
    assert "\n" not in problem.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"product":"\xff"}',
        b'{"product":"\\ud800"}',
        b'{"product":"a","warehouse":"b"} more',
        b"nope",
    ],
)
async def test_a_malformed_body_is_a_bad_request(shop: Shop, body: bytes) -> None:
    problem = await shop.refused(400, "/orders", body)

    assert problem.type == "/problems/malformed-body"
    assert problem.detail.startswith("the body is not JSON: ")
    assert problem.instance == "/orders"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"null", b"1", b'"text"', b"[]", b"true", b"{}", deep()])
async def test_json_of_another_shape_is_invalid(shop: Shop, path: str, body: bytes) -> None:
    assert (await shop.refused(422, path, body)).type == "/problems/invalid-request"


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/warehouses", {"code": "a b", "name": "A"}, "a code of 1 to 64 of A-Z a-z 0-9 . _ -"),
        ("/products", {"sku": "a", "name": "A\0"}, "text without the character NUL - at `$.name`"),
        (
            "/products",
            {"sku": "a", "name": "A", "price": {"amount": 1, "currency": "euro"}},
            "three capital letters - at `$.price.currency`",
        ),
        (
            "/ticket_options/00000000-0000-8000-8000-000000000000/purchases",
            {"quantity": 1, "user_id": "ada"},
            "a UUID - at `$.user_id`",
        ),
    ],
)
async def test_what_a_text_has_to_look_like_is_said_in_words(
    shop: Shop, path: str, body: dict[str, object], detail: str
) -> None:
    problem = await shop.refused(422, path, body)

    assert problem.detail.startswith(f"Expected {detail}")


@pytest.mark.parametrize("path", ["/orders", "/stocks"])
@pytest.mark.parametrize(
    "quantity",
    [
        b"0",
        b"-0",
        b"-1",
        b"0.0",
        b"1.5",
        b"1.00000000000000000000001",
        b"1e10",
        b"1e400",
        b"1e99999999999999999999999",
        b"-1e400",
        b"1e-400",
        b"1000000001",
        b"9223372036854775808",
        b"18446744073709551616",
        b"1" * 400,
        b"-" + b"9" * 5_000,
        b"true",
        b"false",
        b"null",
        b'"1"',
        b'""',
        b"[]",
        b"[1]",
        b"{}",
        b'{"a":1}',
        deep(b"1"),
        b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    ],
    ids=lambda quantity: quantity[:24].decode(),
)
async def test_a_quantity_is_a_whole_number_from_1_to_a_thousand_million(
    shop: Shop, path: str, quantity: bytes
) -> None:
    """C13: whatever else stands there, nothing happens."""
    body = b'{"product":"%b","warehouse":"%b","quantity":%b}' % (
        shop.product.encode(),
        shop.warehouse.encode(),
        quantity,
    )
    problem = await shop.refused(422, path, body)

    assert "quantity" in problem.detail
    assert (await shop.balance()).version == 0


@pytest.mark.parametrize("quantity", [b"20", b"20.0", b"2e1", b"2.0E+1", b"0.2e2"])
async def test_a_whole_number_may_be_spelled_like_a_fraction(shop: Shop, quantity: bytes) -> None:
    """JSON has one kind of number, and many languages write 20.0 for it."""
    body = b'{"product":"%b","warehouse":"%b","quantity":%b}' % (
        shop.product.encode(),
        shop.warehouse.encode(),
        quantity,
    )
    assert (await shop.post("/stocks", body)).status == 201

    assert (await shop.balance()).available == 20


async def test_what_follows_such_a_number_is_read_with_the_same_care(shop: Shop) -> None:
    unread = b'{"quantity":1.0,"x":%b' % deep(b"1")

    await shop.refused(422, "/orders", unread + b"}")
    await shop.refused(400, "/orders", b'{"quantity":1.0,"x":')


@pytest.mark.parametrize("quantity", [1, 1_000_000_000])
async def test_the_bounds_of_a_quantity_are_quantities(shop: Shop, quantity: int) -> None:
    await shop.received(quantity=quantity)

    assert (await shop.placed(quantity=quantity)).lines[0].quantity == quantity


async def test_sums_far_above_a_single_quantity_are_right(shop: Shop) -> None:
    await shop.received(quantity=1_000_000_000)
    await shop.received(quantity=1_000_000_000)
    await shop.received(quantity=1_000_000_000)
    await shop.placed(quantity=1_000_000_000)
    await shop.projected()
    listed = await shop.get(f"/stock-balances?warehouse={shop.warehouse}")

    assert (await shop.balance()).numbers == (2 * 10**9, 10**9, 0, 3 * 10**9)
    assert msgspec.json.decode(listed.body)["items"][0]["available"] == 2 * 10**9


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/orders", "customer"),
        ("/stocks", "lot"),
        ("/stocks", "reference"),
    ],
)
@pytest.mark.parametrize("text", ["", "a\0b", "\0", "x" * 201, 1, True, [], {}, "é" * 201])
async def test_a_text_is_1_to_200_characters_and_no_nul(
    shop: Shop, path: str, member: str, text: object
) -> None:
    problem = await shop.refused(422, path, shop.wanted(**{member: text}))

    assert member in problem.detail
    assert (await shop.balance()).version == 0


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200,
        "😀" * 200,
        " ",
        "\n\t\r\x01\x7f",
        "'; DROP TABLE journal; --",
        "\u202e",
        "\\u0000",
    ],
)
async def test_any_other_text_is_kept_as_it_is(shop: Shop, text: str) -> None:
    stock = await shop.received(quantity=2, lot=text, reference=text)
    order = await shop.placed(customer=text)
    dispatched = (await shop.dispatch(await shop.placed(customer=text))).read(Order)
    await shop.projected()
    listed = await shop.all_of(Order, "/orders", warehouse=shop.warehouse)

    assert (stock.lot, stock.reference, order.customer) == (text, text, text)
    assert (await shop.stock(stock)).lot == text
    assert await shop.shown(order) == order
    assert listed == [order, dispatched]


@pytest.mark.parametrize("path", ["/orders", "/stocks"])
@pytest.mark.parametrize("member", ["product", "warehouse"])
@pytest.mark.parametrize(
    "name", ["", " ", "a b", "é", "a/b", "..", "\0", "\n", "x" * 65, "x" * 500_000, "%41", "😀"]
)
async def test_a_name_that_no_thing_can_have_is_refused_briefly(
    shop: Shop, path: str, member: str, name: str
) -> None:
    answer = await shop.post(path, shop.wanted(**{member: name}))
    problem = answer.problem(422)

    assert member in problem.detail
    assert len(answer.body) < 1_000


@pytest.mark.parametrize("path", ["/orders", "/stocks"])
@pytest.mark.parametrize("member", ["product", "warehouse"])
async def test_a_body_without_a_name_is_refused(shop: Shop, path: str, member: str) -> None:
    problem = await shop.refused(422, path, shop.wanted(**{member: None}))

    assert f"`{member}`" in problem.detail


@pytest.mark.parametrize("path", POSTS)
async def test_a_member_that_is_not_known_is_named(shop: Shop, path: str) -> None:
    body = {"code": "a", "name": "a"} if path == "/warehouses" else {"sku": "a", "name": "a"}
    if path in {"/orders", "/stocks"}:
        body = {"product": shop.product, "warehouse": shop.warehouse}
    problem = await shop.refused(422, path, body | {"qty": "1"})

    assert "`qty`" in problem.detail


async def test_of_a_member_that_stands_twice_the_last_counts_as_it_does_everywhere(
    shop: Shop,
) -> None:
    await shop.received(quantity=9)
    body = b'{"product":"%b","warehouse":"%b","quantity":1,"quantity":5}' % (
        shop.product.encode(),
        shop.warehouse.encode(),
    )
    order = (await shop.post("/orders", body)).read(Order, status=201)

    assert order.lines[0].quantity == json.loads(body)["quantity"] == 5
    await shop.refused(422, "/orders", body.replace(b'"quantity":5', b'"quantity":0'))
    await shop.refused(422, "/orders", body.replace(b'"quantity":1', b'"quantity":0'))


@pytest.mark.parametrize(
    "expires_at",
    [
        "tomorrow",
        "2100-01-01",
        "2100-01-01T00:00:00",
        "2100-02-30T00:00:00Z",
        "2100-01-01T24:00:00Z",
        "2100-01-01T00:00:60Z",
        "2100-01-01T00:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "",
        4_102_444_800,
        True,
    ],
)
async def test_an_expiry_is_a_time_with_its_zone(shop: Shop, expires_at: object) -> None:
    problem = await shop.refused(422, "/stocks", shop.wanted(expires_at=expires_at))

    assert "expires_at" in problem.detail
    assert (await shop.balance()).version == 0


@pytest.mark.parametrize(
    "sent",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ],
)
@pytest.mark.parametrize("path", [*POSTS, "/orders/batch"])
async def test_a_body_of_another_media_type_is_refused(shop: Shop, path: str, sent: str) -> None:
    answer = await shop.send("POST", path, b"{}", headers={"Content-Type": sent})
    problem = answer.problem(415)

    assert problem.type == "/problems/unsupported-media-type"
    assert ("x-ndjson" if "batch" in path else "application/json") in problem.detail


@pytest.mark.parametrize(
    "sent", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
async def test_json_may_say_that_it_is_utf_8(shop: Shop, sent: str) -> None:
    await shop.received()
    body = msgspec.json.encode(shop.wanted())

    assert (await shop.send("POST", "/orders", body, headers={"Content-Type": sent})).status == 201


async def test_a_body_without_a_media_type_means_what_the_route_means(shop: Shop) -> None:
    await shop.received()
    body = msgspec.json.encode(shop.wanted())
    async with connected(shop.url) as wire:
        await wire.send(request("POST", "/orders", body))

        assert (await wire.answer()).status == 201


@pytest.mark.parametrize("framing", ["declared", "chunked"])
async def test_a_body_that_is_too_large_is_refused(shop: Shop, framing: str) -> None:
    body = b" " * BODY_MAX_BYTES + b"{}"

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    sent = io.BytesIO(body) if framing == "declared" else parts()
    async with shop.client.post(f"{shop.url}/orders", data=sent, headers=JSON) as response:
        problem = msgspec.json.decode(await response.read(), type=Problem)

    assert response.status == problem.status == 413
    assert response.content_type == "application/problem+json"
    assert problem.type == "/problems/content-too-large"


async def test_a_body_of_exactly_the_largest_size_is_read(shop: Shop) -> None:
    await shop.received()
    body = msgspec.json.encode(shop.wanted())

    assert (await shop.post("/orders", body.rjust(BODY_MAX_BYTES))).status == 201


async def test_a_body_that_unpacks_to_too_much_is_refused(shop: Shop) -> None:
    body = gzip.compress(b" " * 50_000_000)
    answer = await shop.send("POST", "/orders", body, headers={"Content-Encoding": "gzip"})

    assert answer.problem(413).type == "/problems/content-too-large"


async def test_a_body_may_be_packed(shop: Shop) -> None:
    await shop.received()
    body = gzip.compress(msgspec.json.encode(shop.wanted()))
    answer = await shop.send("POST", "/orders", body, headers={"Content-Encoding": "gzip"})

    assert answer.status == 201


async def test_a_body_that_does_not_unpack_is_malformed(shop: Shop) -> None:
    answer = await shop.send("POST", "/orders", b"nope", headers={"Content-Encoding": "gzip"})

    assert answer.problem(400).type == "/problems/malformed-body"
