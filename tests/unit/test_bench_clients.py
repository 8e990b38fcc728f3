"""The benchmarks' own clients, against small servers on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import TypeAlias

import pytest

from bench.client import Connection, closed_loop
from bench.load import Crowd, LoadError
from bench.mixes import Mix, order_requests
from bench.ndjson import BLOCK_LINES, Batch, ChunkedBody, ResultLines, stream_batches
from bench.paced import Pace, open_loop

Converse: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

_OK = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
_CONFLICT = b"HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n"


@asynccontextmanager
async def server(converse: Converse) -> AsyncIterator[int]:
    """Yield the port of a server that does as told with each connection, until it is closed."""

    async def conclude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await converse(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(conclude, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        # A connection that was just accepted is a task, too, before it is a conversation.
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            _, unfinished = await asyncio.wait(others, timeout=30)
            assert not unfinished


def answering(*answers: bytes) -> Converse:
    """Answer the orders of a connection one by one, the last answer for all further ones."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        given = iter(answers)
        answer = answers[-1]
        while True:
            await reader.readuntil(b'"quantity":1}')
            writer.write(next(given, answer))

    return converse


def crowd(port: int, *, mix: Mix = Mix.HOT) -> Crowd:
    return Crowd(port=port, mix=mix, seed=1, connections=3, seconds=0.1)


@pytest.mark.parametrize("mix", list(Mix))
async def test_a_closed_loop_counts_what_it_was_answered(mix: Mix) -> None:
    async with server(answering(_CONFLICT, _OK)) as port:
        load = await closed_loop(crowd(port, mix=mix))

    assert load.failed == 3
    assert load.created > 0
    assert load.unread_max == 0
    assert load.first_failure == "status 409"


@pytest.mark.parametrize("piece", [1, 20, len(_OK) - 1, len(_OK)])
def test_an_answer_counts_once_however_it_arrives(piece: int) -> None:
    statuses: list[int] = []
    connection = Connection(
        on_answer=lambda _connection, status: statuses.append(status),
        on_lost=lambda _connection: None,
    )

    for answer in (_OK, _CONFLICT, _OK):
        for start in range(0, len(answer), piece):
            connection.data_received(answer[start : start + piece])

    assert statuses == [201, 409, 201]


async def test_a_connection_that_breaks_counts_as_one_failure() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'"quantity":1}')
        writer.write(b"HTTP/1.1 201")

    async with server(hang_up) as port:
        load = await closed_loop(crowd(port))

    assert (load.created, load.failed, load.unread_max) == (0, 3, 3)


async def test_a_port_without_a_server_is_an_error() -> None:
    async with server(answering(_OK)) as port:
        pass

    with pytest.raises(LoadError, match="accepts no connection"):
        await closed_loop(crowd(port))


async def test_an_open_loop_charges_a_stall_to_everybody_who_was_due() -> None:
    stall_s = 0.3

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b'"quantity":1}')
        await asyncio.sleep(stall_s)
        writer.write(_OK)
        await answering(_OK)(reader, writer)

    async with server(stall) as port:
        load = await open_loop(Pace(port=port, seed=1, per_second=100, seconds=0.5, connections=1))

    # Thirty orders were due during the stall; a client that waits for a free connection before
    # it takes the time would have one slow answer in fifty.
    assert load.created == 50
    assert load.latency is not None
    assert load.latency.p50_ms > 50


async def test_an_open_loop_offers_exactly_what_was_ordered() -> None:
    async with server(answering(_OK)) as port:
        load = await open_loop(Pace(port=port, seed=1, per_second=200, seconds=0.2, connections=2))

    assert (load.created, load.failed) == (40, 0)


async def test_an_open_loop_ends_when_it_was_enough_and_waits_for_what_it_asked() -> None:
    seen = 0

    def enough() -> bool:
        nonlocal seen
        seen += 1
        return seen > 10

    async with server(answering(_OK)) as port:
        pace = Pace(port=port, seed=1, per_second=200, seconds=60, enough=enough)
        load = await open_loop(pace)

    assert 0 < load.created < 12_000
    assert load.failed == 0


def test_every_keyed_request_has_a_key_of_its_own() -> None:
    requests = list(islice(order_requests(Mix.KEYED, seed=7), 1000))

    assert len(set(requests)) == 1000


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_chunks_are_joined_however_they_arrive(piece: int) -> None:
    wire = b"4\r\nab\n{\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n"
    body = ChunkedBody()

    content = b"".join(
        body.feed(wire[start : start + piece]) for start in range(0, len(wire), piece)
    )

    assert content == b"ab\n{0123456789abcdef"
    assert body.ended


def test_results_are_counted_by_whole_lines() -> None:
    results = ResultLines()
    for content in (b'{"status":201}\n{"sta', b'tus":201}\n{"status":4', b'09}\n{"status":201}'):
        results.feed(content)

    assert (results.lines, results.created) == (3, 2)


async def test_a_batch_ends_with_the_last_result() -> None:
    async def take_batch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.readuntil(b"0\r\n\r\n")
        lines = received.count(b'"quantity":1}\n')
        results = b'{"status":201}\n' * (lines - 1) + b'{"status":409}\n'
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(results), results))
        await writer.drain()

    async with server(take_batch) as port:
        load = await stream_batches(
            Batch(port=port, seconds=5, orders_max=2 * BLOCK_LINES, connections=2)
        )

    assert (load.created, load.failed, load.unread_max) == (2 * BLOCK_LINES - 2, 2, 0)
    assert load.first_failure == '{"status":409}'


async def test_a_batch_that_is_not_taken_is_an_error() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 415 Unsupported Media Type\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.readuntil(b"0\r\n\r\n")

    async with server(refuse) as port:
        with pytest.raises(LoadError, match="415"):
            await stream_batches(Batch(port=port, seconds=5, orders_max=BLOCK_LINES))
