"""The adapter believes only what makes sense, says what does not, and asks once for a question."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from allocator.wms import http_wms
from allocator.wms.http_wms import Terms, open_wms
from allocator.wms.interface import (
    InventoryItem,
    InventoryPage,
    Push,
    PushLine,
    WmsBrokenError,
    WmsLimitedError,
    WmsUnavailableError,
    WmsUrlError,
)
from tests.integration.providers import free_port
from tests.integration.serving import until
from tests.integration.wms import asking, now_ms

PAGE = b'{"as_of": 5, "applied_through": 3, "items": [], "next_cursor": null}'
ITEM = b'{"sku": "tea", "batch": "a", "orderable": 4}'
MIDNIGHT = b"Sun, 22 Nov 2026 00:00:00 GMT"
A_MINUTE_LATER = b"Sun, 22 Nov 2026 00:01:00 GMT"
PUSH = Push(
    number=7,
    sku="tea",
    lines=(PushLine(batch="a", decrease=2, aside=1, shipped=1), PushLine(batch=None, decrease=-1)),
    at_ms=12,
)


def page_with(item: bytes) -> bytes:
    return PAGE.replace(b"[]", b"[" + item + b"]")


def never(expires_at: bytes) -> bytes:
    """What some say of a batch that does not expire."""
    return ITEM[:-1] + b', "expires_at": "' + expires_at + b'"}'


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Desk:
    """A server that says one thing to everybody.

    Attributes:
        heard: The requests.
        open: How many connections there are.
    """

    def __init__(self, answer: bytes | None) -> None:
        self.url = ""
        self.heard: list[bytes] = []
        self.open = 0
        self._answer = answer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(
                (head.lower() + b"content-length:0\r\n").split(b"content-length:")[1].split()[0]
            )
            self.heard.append(head + await reader.readexactly(length))
            if self._answer is None:
                await reader.read()
            else:
                writer.write(self._answer)
                await writer.drain()
        writer.close()
        self.open -= 1


@asynccontextmanager
async def desk(answer: bytes | None) -> AsyncIterator[Desk]:
    each = Desk(answer)
    server = await asyncio.start_server(each.serve, "127.0.0.1", 0)
    each.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v2"
    try:
        yield each
    finally:
        await until(lambda: each.open == 0)
        server.close()


async def test_a_page_is_asked_for_by_its_cursor() -> None:
    async with desk(ok(page_with(ITEM))) as server, asking(server.url, page_items=50) as wms:
        page = await wms.page("a b&c")

    assert page == InventoryPage(
        as_of=5,
        applied_through=3,
        items=(InventoryItem(sku="tea", batch="a", orderable=4),),
        next_cursor=None,
    )
    [request] = server.heard
    assert request.startswith(b"GET /v2/inventory?limit=50&cursor=a+b%26c HTTP/1.1\r\n")
    assert b"User-Agent: allocator/test\r\n" in request


async def test_pushes_are_told_to_the_letter() -> None:
    async with desk(ok(b'{"acknowledged_through": 7}')) as server, asking(server.url) as wms:
        assert await wms.push([PUSH]) == 7

    [request] = server.heard
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v2/allocations HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head
    assert body == (
        b'{"pushes":[{"number":7,"sku":"tea","lines":['
        b'{"batch":"a","decrease":2,"aside":1,"shipped":1},'
        b'{"batch":null,"decrease":-1,"aside":0,"shipped":0}]}]}'
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "truncated"),
        (b"<html>", "malformed"),
        (b"[" * 100_000, "."),
        (b"[]", "Expected `object`"),
        (PAGE.replace(b'"applied_through": 3, ', b""), "`applied_through`"),
        (PAGE.replace(b', "next_cursor": null', b""), "`next_cursor`"),
        (PAGE.replace(b": 5", b": -5"), "as_of"),
        (PAGE.replace(b": 5", b": 5.5"), "as_of"),
        (PAGE.replace(b": 5", b': "5"'), "as_of"),
        (PAGE.replace(b": 5", b": 99999999999999999999"), "as_of"),
        (PAGE.replace(b"null", b'""'), "next_cursor"),
        (PAGE.replace(b"}", b', "page": 1}'), "`page`"),
        (page_with(ITEM.replace(b"4", b"null")), "orderable"),
        (page_with(ITEM.replace(b"4", b"true")), "orderable"),
        (page_with(ITEM.replace(b"tea", b"t e a")), "sku"),
        (page_with(ITEM.replace(b'"a"', b'""')), "batch"),
        (page_with(ITEM.replace(b'"batch": "a", ', b"")), "`batch`"),
        (page_with(ITEM.replace(b"}", b', "expires": "2027-01-01"}')), "`expires`"),
        (page_with(ITEM.replace(b"}", b', "expires_at": "2027-01-01"}')), "expires_at"),
        (page_with(ITEM.replace(b"}", b', "expires_at": "2027-01-01T00:00:00"}')), "expires_at"),
        (page_with(ITEM + b"," + ITEM), "names batch 'a' of tea twice"),
        (page_with(never(b"9999-12-31T23:59:59-05:00")), "times of batch 'a' of tea must lie in"),
        (page_with(never(b"0001-01-01T00:00:00+01:00")), "times of batch 'a' of tea must lie in"),
        (PAGE.replace(b"null", b'"here"'), "the page after 'here' is itself"),
    ],
)
async def test_a_page_that_makes_no_sense_is_none(body: bytes, why: str) -> None:
    async with desk(ok(body)) as server, asking(server.url) as wms:
        with pytest.raises(WmsBrokenError, match=why) as raised:
            await wms.page("here")

    assert str(raised.value).startswith(f"the WMS at {server.url}/inventory makes no sense: ")


@pytest.mark.parametrize("body", [b"{}", b'{"acknowledged_through": null}', b"null", b"7"])
async def test_an_acknowledgement_that_makes_no_sense_is_none(body: bytes) -> None:
    async with desk(ok(body)) as server, asking(server.url) as wms:
        with pytest.raises(WmsBrokenError):
            await wms.push([PUSH])


@pytest.mark.parametrize(
    ("status", "error", "why"),
    [
        (b"500 X", WmsUnavailableError, "it answered 500"),
        (b"503 X", WmsUnavailableError, "it answered 503"),
        (b"404 X", WmsBrokenError, "it answered 404, which should be 200"),
        (b"202 X", WmsBrokenError, "it answered 202"),
        (b"307 X\r\nLocation: /v3/inventory", WmsBrokenError, "it answered 307"),
    ],
)
async def test_another_status_than_200_is_no_page(
    status: bytes, error: type[Exception], why: str
) -> None:
    answer = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(PAGE), PAGE)
    async with desk(answer) as server, asking(server.url) as wms:
        with pytest.raises(error, match=why):
            await wms.page(None)

    assert len(server.heard) == 1


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        (b"429 X\r\nRetry-After: 7", 7),
        (b"503 X\r\nRetry-After: 120", 120),
        (b"429 X", 5),
        (b"429 X\r\nDate: %b\r\nRetry-After: %b" % (MIDNIGHT, A_MINUTE_LATER), 60),
    ],
)
async def test_a_wms_says_for_how_long_it_wants_to_be_left_alone(
    head: bytes, seconds: float
) -> None:
    async with (
        desk(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % head) as server,
        asking(server.url) as wms,
    ):
        with pytest.raises(WmsLimitedError) as raised:
            await wms.push([PUSH])

    assert raised.value.retry_after_s == seconds


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 20", b"SSH-2.0\r\n", ok(PAGE)[:-9]])
async def test_a_connection_that_breaks_is_no_answer_and_is_not_tried_again(answer: bytes) -> None:
    async with desk(answer) as server, asking(server.url) as wms:
        with pytest.raises(WmsUnavailableError) as raised:
            await wms.page(None)

    assert not raised.value.may_come
    assert len(server.heard) == 1


async def test_a_second_question_has_a_connection_of_its_own() -> None:
    """On one that was kept, a GET would be repeated behind our back, and be counted twice."""
    async with desk(ok(PAGE)) as server, asking(server.url) as wms:
        await wms.page(None)
        await wms.page(None)

    assert all(b"Connection: close\r\n" in request for request in server.heard)
    assert len(server.heard) == 2


async def test_no_answer_in_time_is_none() -> None:
    terms = Terms(agent="test", timeout_s=0.1)
    async with desk(None) as server, open_wms(server.url, terms, clock=now_ms) as wms:
        with pytest.raises(WmsUnavailableError, match="no answer in time") as raised:
            await wms.page(None)

    assert raised.value.may_come


async def test_an_answer_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_wms, "ANSWER_MAX_BYTES", 1_000)
    async with desk(ok(PAGE + b" " * 1_000)) as server, asking(server.url) as wms:
        with pytest.raises(WmsBrokenError, match="more than 1000 bytes"):
            await wms.page(None)


async def test_where_nobody_listens_nobody_is_available() -> None:
    async with asking(f"http://127.0.0.1:{free_port()}") as wms:
        with pytest.raises(WmsUnavailableError, match="Cannot connect"):
            await wms.page(None)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "look like"),
        ("wms.example", "look like"),
        ("ftp://wms.example", "look like"),
        ("http://", "look like"),
        ("http://wms.example:x/", "look like"),
        ("http://wms example/", "no spaces"),
        ("http://wms.example/é", "ASCII"),
        ("http://" + "w" * 2_000, "2000"),
        ("http://me:secret@wms.example/", "no user name or password"),
        ("http://wms.example/?key=1", "no query"),
        ("http://wms.example/#a", "no query and no fragment"),
    ],
)
async def test_what_cannot_be_an_address_is_refused(url: str, why: str) -> None:
    with pytest.raises(WmsUrlError, match=why):
        async with asking(url):
            pass
