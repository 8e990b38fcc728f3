"""Answers on the wire: what is joined by hand is what aiohttp would have written."""

import asyncio
from collections.abc import Callable, Coroutine
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeAlias

import msgspec
import pytest
import uvloop
from aiohttp import web
from aiohttp.test_utils import TestServer

from allocator.http.answers import JsonAnswer, json_answer
from tests.integration.wire import RawAnswer, Wire, connected, request

Run: TypeAlias = Callable[[Coroutine[object, object, None]], None]
Talk: TypeAlias = Callable[[Wire], Coroutine[object, object, None]]

LARGE = b'"' + b"x" * 5_000_000 + b'"'


class Shape(msgspec.Struct):
    """Something to show."""

    name: str
    number: int


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on the loop of the standard library, and on that of production."""
    return {"asyncio": asyncio.run, "uvloop": uvloop.run}[request.param]


def talking(make: Callable[[], JsonAnswer], talk: Talk) -> Coroutine[object, object, None]:
    """Talk to a server whose every answer is the one that is made."""

    async def handle(_request: web.Request) -> web.StreamResponse:
        return make()

    async def conversation() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        async with TestServer(app) as server, connected(str(server.make_url("/"))) as wire:
            await talk(wire)

    return conversation()


def small() -> JsonAnswer:
    return json_answer(Shape(name="é", number=1), status=201, headers={"Location": "/x"})


def test_an_ordinary_answer_is_exactly_this(run: Run) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(request("GET", "/"))
        answer = await wire.answer()

        assert answer.status_line == "HTTP/1.1 201 Created"
        date = answer.field("Date")
        assert answer.fields == [
            ("Server", "allocator"),
            ("Content-Type", "application/json"),
            ("Location", "/x"),
            ("Content-Length", "24"),
            ("Date", date),
        ]
        assert parsedate_to_datetime(date).tzinfo is not None
        assert answer.body == '{"name":"é","number":1}'.encode()

    run(talking(small, talk))


@pytest.mark.parametrize(
    ("method", "version", "fields", "stays"),
    [
        ("GET", "1.1", [], True),
        ("GET", "1.1", ["Connection: keep-alive"], True),
        ("GET", "1.1", ["Connection: close"], False),
        ("GET", "1.0", [], False),
        ("GET", "1.0", ["Connection: keep-alive"], True),
        ("HEAD", "1.1", [], True),
        ("HEAD", "1.1", ["Connection: close"], False),
        ("HEAD", "1.0", [], False),
    ],
)
def test_every_other_answer_says_the_same(
    run: Run, method: str, version: str, fields: list[str], *, stays: bool
) -> None:
    bodiless = method == "HEAD"

    async def talk(wire: Wire) -> None:
        await wire.send(request(method, "/", None, *fields, version=version))
        answer = await wire.answer(bodiless=bodiless)
        said = dict(answer.fields)

        assert answer.status_line == f"HTTP/{version} 201 Created"
        assert said.pop("Date")
        assert said.pop("Connection", None) in {None, "keep-alive" if stays else "close"}
        assert said == {
            "Server": "allocator",
            "Content-Type": "application/json",
            "Location": "/x",
            "Content-Length": "24",
        }
        assert answer.body == (b"" if bodiless else '{"name":"é","number":1}'.encode())
        await _goes_on(wire) if stays else await _has_ended(wire)

    run(talking(small, talk))


def test_answers_to_pipelined_requests_follow_each_other(run: Run) -> None:
    made = iter(range(100))

    async def talk(wire: Wire) -> None:
        await wire.send(b"".join(request("POST", "/", b"x" * n) for n in range(20)))
        bodies = [(await wire.answer()).body for _ in range(20)]

        assert bodies == [str(n).encode() for n in range(20)]

    run(talking(lambda: JsonAnswer(str(next(made)).encode()), talk))


def test_a_large_answer_arrives_whole_however_slowly_it_is_read(run: Run) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(request("GET", "/") * 3)
        answers = [await wire.answer() for _ in range(3)]

        assert [answer.body == LARGE for answer in answers] == [True] * 3

    run(talking(lambda: JsonAnswer(LARGE), talk))


def test_an_answer_without_a_body_says_so(run: Run) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(request("GET", "/") * 2)
        first, second = await wire.answer(), await wire.answer()

        assert (first.field("Content-Length"), first.body) == ("0", b"")
        assert second.status_line == first.status_line == "HTTP/1.1 200 OK"

    run(talking(lambda: JsonAnswer(b""), talk))


@pytest.mark.parametrize("status", [status for status in HTTPStatus if status >= 400])
def test_every_status_of_a_failure_has_its_line(status: HTTPStatus) -> None:
    async def talk(wire: Wire) -> None:
        await wire.send(request("GET", "/"))
        answer = await wire.answer()

        assert answer.status_line == f"HTTP/1.1 {status.value} {status.phrase}"
        assert answer.field("Content-Type") == "application/problem+json"

    def make() -> JsonAnswer:
        return JsonAnswer(b"{}", status=status, content_type="application/problem+json")

    asyncio.run(talking(make, talk))


def test_a_client_that_has_gone_costs_nothing(run: Run) -> None:
    """Its connection breaks under the answer; the next client is served."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/late" and request.transport is not None:
            request.transport.close()
        return small()

    async def conversation() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        async with TestServer(app) as server:
            url = str(server.make_url("/"))
            async with connected(url) as wire:
                await wire.send(request("GET", "/late"))
                assert await wire.rest() == b""
            async with connected(url) as wire:
                await wire.send(request("GET", "/"))
                assert (await wire.answer()).status == 201

    run(conversation())


async def _goes_on(wire: Wire) -> None:
    await wire.send(request("GET", "/"))
    again: RawAnswer = await wire.answer()
    assert again.status == 201


async def _has_ended(wire: Wire) -> None:
    assert await wire.rest() == b""
