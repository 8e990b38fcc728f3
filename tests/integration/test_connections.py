"""Connections that hold things up, are too many or say too much: ended, and nobody else notices."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from tests.integration.api_shapes import PROBLEM_JSON
from tests.integration.shop import NDJSON, Shop, database, opened, until
from tests.integration.wire import Wire, connected, request

SOON_S = 9.0
"""Less than the time-outs that a server has by default."""


@asynccontextmanager
async def impatient(database_url: str, **settings: int) -> AsyncIterator[Shop]:
    """A server that waits for nobody."""
    settings = {"head_timeout_ms": 300, "stall_timeout_ms": 500, **settings}
    async with opened(database_url, **settings) as shop:
        yield shop


@asynccontextmanager
async def crowd(shop: Shop, size: int) -> AsyncIterator[list[Wire]]:
    """So many connections."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(shop.url)) for _ in range(size)]


async def ended(wires: list[Wire]) -> list[bytes]:
    """What each was told until it was hung up on."""
    said = []
    async with asyncio.timeout(SOON_S):
        for wire in wires:
            try:
                said.append(await wire.rest())
            except ConnectionError:
                said.append(b"")
    return said


async def test_who_does_not_finish_the_first_head_is_cut_off(database_url: str) -> None:
    async with impatient(database_url) as shop, crowd(shop, 20) as wires:
        began = time.monotonic()
        dripping = asyncio.create_task(drip(wires[1:]))  # and one says nothing at all
        said = await ended(wires)
        took_s = time.monotonic() - began
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)

        assert set(said) == {b""}
        assert took_s < SOON_S
        assert await shop.metric("allocator_connections_cut_off_total") == len(wires)
        assert (await shop.get("/healthz")).status == 200


async def drip(wires: list[Wire]) -> None:
    """Send a head without an end, byte by byte."""
    for wire in wires:
        wire.push(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n")
    while True:
        await asyncio.sleep(0.05)
        for wire in wires:
            wire.push(b"X")


async def test_who_stops_in_the_middle_of_a_body_is_cut_off_and_nothing_is_done(
    database_url: str,
) -> None:
    async with impatient(database_url) as shop:
        await shop.received(quantity=9)
        body = msgspec.json.encode(shop.wanted())
        kind = "Content-Type: application/x-ndjson"
        async with connected(shop.url) as one, connected(shop.url) as batch:
            await one.send(request("POST", "/orders", body)[:-1])
            line = body + b"\n" + body
            await batch.send(request("POST", "/orders/batch", line, kind)[:-1])
            told, results = await ended([one, batch])

        assert b" 201 " not in told
        assert results.count(b'"status":201') == 1, "a whole line is an order"
        assert (await shop.balance()).ordered == 1


async def test_who_takes_its_time_but_goes_on_is_waited_for(database_url: str) -> None:
    async with impatient(database_url, stall_timeout_ms=2_400) as shop:
        await shop.received(quantity=9)
        body = msgspec.json.encode(shop.wanted())
        asked = request("POST", "/orders", body)
        async with connected(shop.url) as slow:
            await slow.send(asked[: -len(body)])
            for at in range(0, len(body), 8):  # all of it takes longer than it may pause
                await slow.send(body[at : at + 8])
                await asyncio.sleep(0.35)

            assert (await slow.answer()).status == 201
            await asyncio.sleep(1.0)  # it may rest between requests, longer than within a head
            await slow.send(asked)
            assert (await slow.answer()).status == 201


async def test_who_does_not_read_its_answers_is_cut_off(database_url: str) -> None:
    async with impatient(database_url) as shop:
        await shop.received(quantity=1)
        parts = urlsplit(shop.url)
        assert parts.hostname is not None
        assert parts.port is not None
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect((parts.hostname, parts.port))
        deaf.setblocking(False)  # noqa: FBT003 (the standard library's signature)
        asked = request("GET", "/openapi.json") * 20

        async def is_cut_off() -> bool:  # nothing is read: only the server can end this
            try:
                await asyncio.get_running_loop().sock_sendall(deaf, asked)
            except ConnectionError:
                return True
            return False

        try:
            await until(is_cut_off, within_s=SOON_S)
        finally:
            deaf.close()
        assert (await shop.get("/healthz")).status == 200


async def test_who_waits_for_us_is_left_alone(database_url: str) -> None:
    """A batch that is not read because nothing can be stored is not its client's fault."""
    lines = 20_000
    async with impatient(database_url) as shop, database(database_url) as other:
        await shop.received(quantity=lines)
        line = msgspec.json.encode(shop.wanted()) + b"\n"
        kind = f"Content-Type: {NDJSON['Content-Type']}"
        async with connected(shop.url) as wire:
            async with other.transaction():
                await other.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
                asked = request("POST", "/orders/batch", line * lines, kind)
                sending = asyncio.create_task(wire.send(asked))
                await asyncio.sleep(1.8)  # longer than a client may stall, and a sweep
            for _ in range(lines):
                await wire.until(b'"status":201')
            await sending

        assert (await shop.balance()).ordered == lines


async def test_one_connection_too_many_is_told_so_and_the_others_go_on(database_url: str) -> None:
    limits = {"connections_max": 5, "head_timeout_ms": 60_000}
    asked = request("GET", "/healthz")
    async with impatient(database_url, **limits) as shop:
        async with crowd(shop, 2) as inside:
            for wire in inside:
                await wire.send(asked)
                assert (await wire.answer()).status == 200
            async with crowd(shop, 20) as wires:
                for wire in wires:
                    wire.push(request("GET", "/healthz", None, "Connection: close"))
                said = await ended(wires)
            for wire in inside:
                await wire.send(asked)
                assert (await wire.answer()).status == 200
        assert (await shop.get("/healthz")).status == 200
        counted = await shop.metric("allocator_connections_refused_total")
    refused = [text for text in said if text.startswith(b"HTTP/1.1 503 ")]

    assert len(refused) >= 15
    assert counted >= len(refused)
    assert all(b"/problems/too-many-connections" in text for text in refused)
    assert all(b"Retry-After: 1\r\n" in text for text in refused)
    assert all(b"Connection: close\r\n" in text for text in refused)


HEADS = [
    (request("GET", "/" + "x" * 300), 414, "uri-too-long"),
    (request("GET", "/orders?customer=" + "x" * 300), 414, "uri-too-long"),
    (request("GET", "/orders", None, "X: " + "x" * 300), 431, "header-too-large"),
    (request("GET", "/orders", None, "X" * 300 + ": x"), 431, "header-too-large"),
    (request("GET", "/orders", None, *["X: x"] * 20), 431, "header-too-large"),
    (request("GET", "/" + "x" * 255), 404, "not-found"),
    (request("GET", "/orders", None, *["X: x"] * 14, "Y: " + "x" * 250), 200, ""),
]


async def test_a_head_that_says_too_much_is_refused_as_a_problem(database_url: str) -> None:
    limits = {"line_max_bytes": 256, "header_max_bytes": 256, "headers_max": 16}
    async with opened(database_url, **limits) as shop:
        for sent, status, problem in HEADS:
            async with connected(shop.url) as wire:
                await wire.send(sent)
                answer = await wire.answer()

                assert answer.status == status, sent
                if problem:
                    assert answer.field("Content-Type") == PROBLEM_JSON
                    assert f"/problems/{problem}".encode() in answer.body
                if status in {414, 431}:
                    assert await wire.rest() == b""
