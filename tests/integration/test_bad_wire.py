"""Requests that break off, or are no HTTP at all: nothing comes of them."""

from collections import Counter

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.shop import JSON, NDJSON, Shop, until
from tests.integration.wire import connected, request

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_unknown_expectation_is_refused_as_a_problem(shop: Shop) -> None:
    await shop.received()
    body = msgspec.json.encode(shop.wanted())
    async with connected(shop.url) as wire:
        await wire.send(request("POST", "/orders", body, "Expect: a-miracle"))
        answer = await wire.answer()

    assert (answer.status, answer.field("Content-Type")) == (417, "application/problem+json")
    assert (await shop.balance()).ordered == 0


async def test_a_body_of_which_the_end_is_missing_is_never_an_order(shop: Shop) -> None:
    """What came of it is a whole order already; the client meant more, or died."""
    await shop.received()
    body = msgspec.json.encode(shop.wanted())
    cut = request("POST", "/orders", body + b" ")[:-1]
    chunked = request("POST", "/orders", None, "Transfer-Encoding: chunked")
    for sent in (cut, chunked + b"%x\r\n%b\r\n" % (len(body), body)):
        async with connected(shop.url) as wire:
            await wire.send(sent)
            await wire.end()

            assert b"201" not in await wire.rest()
    assert (await shop.balance()).numbers == (1, 0, 0, 1)


@pytest.mark.parametrize("path", ["/orders", "/orders/batch"])
async def test_a_client_that_vanishes_is_no_error_of_ours(
    shop: Shop, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = NDJSON if path == "/orders/batch" else JSON
    fields = [f"{name}: {value}" for name, value in kind.items()]
    head = request("POST", path, None, *fields, "Content-Length: 100", "Expect: 100-continue")
    before = Counter(await answers(shop))
    async with connected(shop.url) as wire:
        await wire.send(head)
        assert (await wire.answer()).status == 100
        await wire.send(b'{"product"')
        wire.vanish()

    async def is_over() -> bool:
        return Counter(await answers(shop))["400"] > before["400"]

    await until(is_over)
    assert Counter(await answers(shop))["500"] == before["500"]
    assert "request.failed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: shop\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: shop\r\nbad header\r\n\r\n",
        request("POST", "/orders", b"{}", "Transfer-Encoding: chunked"),
        request("POST", "/orders", b"{}", "Content-Length: 3"),
        request("POST", "/orders", None, "Content-Length: -1"),
    ],
    ids=lambda sent: sent[:40].decode("latin-1"),
)
async def test_what_is_not_http_is_refused_and_the_connection_closed(
    shop: Shop, sent: bytes
) -> None:
    async with connected(shop.url) as wire:
        await wire.send(sent)
        answer = await wire.answer()

        assert answer.status_line == "HTTP/1.0 400 Bad Request"
        assert answer.field("Content-Type") == "application/problem+json"
        assert b"/problems/malformed-request" in answer.body
        assert await wire.rest() == b""

    assert (await shop.get("/healthz")).status == 200


async def answers(shop: Shop) -> dict[str, float]:
    """How many answers there were of each status."""
    text = (await shop.get("/metrics")).body.decode()
    return {
        sample.labels["status"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "allocator_requests_total"
    }
