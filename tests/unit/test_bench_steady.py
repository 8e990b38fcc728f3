"""The load that outlives its connections, against small servers on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import repeat
from typing import TypeAlias

import pytest

from bench.client import Connection
from bench.line import Line
from bench.load import Load, LoadError
from bench.mixes import order_body, request_bytes
from bench.paced import Pace
from bench.steady import Judge, Loss, Order, Reply, SteadyLoad

Serve: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]

_CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
_NOT_NOW = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nlater"


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Yield the port of a server that is told the number of each connection, from 0."""
    accepted = 0

    async def conclude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer, accepted - 1)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(conclude, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            _, unfinished = await asyncio.wait(others, timeout=30)
            assert not unfinished


async def placing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
    """Place every order of a connection."""
    while True:
        await reader.readuntil(b'"quantity":1}')
        writer.write(_CREATED)


def on_first(*said: bytes) -> Serve:
    """Say this to the first order of the first connection and close it; place all others."""

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        if number:
            await placing(reader, writer, number)
        await reader.readuntil(b'"quantity":1}')
        for part in said:
            writer.write(part)

    return serve


def orders() -> Iterator[Order]:
    request = request_bytes("/orders", order_body("p"))
    return (Order(product="p", request=request) for _ in repeat(None))


def never_again(_order: Order, _reply: Reply) -> None:
    """Send nothing again."""


def again_when_lost(_order: Order, reply: Reply) -> float | None:
    """Send it again at once if there was no answer."""
    return 0 if isinstance(reply, Loss) else None


async def offered(
    port: int, judge: Judge = never_again, *, seconds: float = 0.1, connections: int = 1
) -> Load:
    """Return what became of a hundred orders a second."""
    pace = Pace(port=port, seed=1, per_second=100, seconds=seconds, connections=connections)
    load = SteadyLoad(pace, orders(), judge=judge)
    await load.open()
    return await load.run()


async def test_a_steady_load_offers_exactly_what_was_ordered() -> None:
    async with server(placing) as port:
        load = await offered(port, connections=3)

    assert (load.created, load.failed) == (10, 0)


async def test_what_was_lost_unanswered_is_sent_again_on_a_new_connection() -> None:
    lost: list[Order] = []

    def judge(order: Order, reply: Reply) -> float | None:
        lost.extend([order] if reply is Loss.UNANSWERED else [])
        return again_when_lost(order, reply)

    async with server(on_first()) as port:
        pace = Pace(port=port, seed=1, per_second=100, seconds=0.1, connections=3)
        steady = SteadyLoad(pace, orders(), judge=judge)
        client_ports = await steady.open()
        load = await steady.run()

    [order] = lost
    assert order.times == 2
    assert order.client_port not in client_ports
    assert (load.created, load.failed) == (10, 0)


def test_a_connection_remembers_that_it_was_lost_before_it_had_an_owner() -> None:
    told: list[Connection] = []
    line = Line(on_answer=lambda _line, _status: None, on_lost=told.append)

    line.connection_lost(None)

    assert line.was_lost
    assert told == [line]


@pytest.mark.parametrize("said", [_CREATED[:12], _CREATED[:-1]])
async def test_an_answer_cut_short_is_told_from_none(said: bytes) -> None:
    replies: list[Reply] = []

    async with server(on_first(said)) as port:
        load = await offered(port, lambda _order, reply: replies.append(reply))

    assert replies[0] is Loss.CUT_SHORT
    assert (load.created, load.failed, load.first_failure) == (9, 1, "no answer")


async def test_a_connection_that_closes_between_orders_is_replaced() -> None:
    async with server(on_first(_CREATED)) as port:
        load = await offered(port, again_when_lost)

    assert (load.created, load.failed) == (10, 0)


async def test_what_is_refused_for_now_is_sent_again_later_and_counts_once() -> None:
    refused = 0

    def judge(_order: Order, reply: Reply) -> float | None:
        nonlocal refused
        refused += reply == 503
        return 0.01 if reply == 503 else None

    async def refuse_once(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await reader.readuntil(b'"quantity":1}')
        writer.write(_NOT_NOW)
        await placing(reader, writer, number)

    async with server(refuse_once) as port:
        load = await offered(port, judge, connections=2)

    assert refused == 2
    assert (load.created, load.failed) == (10, 0)


async def test_a_refusal_that_is_not_repeated_is_a_failure_and_is_quoted() -> None:
    async with server(on_first(_NOT_NOW)) as port:
        load = await offered(port, again_when_lost)

    assert load.failed == 1
    assert load.first_failure == "HTTP/1.1 503 Service Unavailable later"


async def test_a_load_that_is_stopped_still_has_all_its_answers() -> None:
    placed = asyncio.Event()

    def judge(_order: Order, _reply: Reply) -> None:
        placed.set()

    async with server(placing) as port:
        pace = Pace(port=port, seed=1, per_second=100, seconds=60, connections=2)
        steady = SteadyLoad(pace, orders(), judge=judge)
        await steady.open()
        running = asyncio.create_task(steady.run())
        await placed.wait()
        steady.stop()
        async with asyncio.timeout(30):
            load = await running

    assert 0 < load.created < 6000
    assert load.failed == 0


async def test_a_load_whose_connections_are_no_longer_accepted_is_an_error() -> None:
    async def hang_up(
        reader: asyncio.StreamReader, _writer: asyncio.StreamWriter, _number: int
    ) -> None:
        listening.close()
        await reader.readuntil(b'"quantity":1}')

    listening: asyncio.Server = await asyncio.start_server(
        lambda reader, writer: _conclude(hang_up, reader, writer), "127.0.0.1", 0
    )
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(LoadError, match="accepts no connection"):
        await offered(port, lambda _order, _reply: 0, seconds=5)


async def test_a_port_without_a_server_is_an_error() -> None:
    async with server(placing) as port:
        pass

    with pytest.raises(LoadError, match="accepts no connection"):
        await offered(port)


async def _conclude(
    serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await serve(reader, writer, 0)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
