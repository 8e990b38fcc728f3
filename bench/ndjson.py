"""Bulk orders: many lines on a few connections to `POST /orders/batch`.

The client writes whole blocks of lines, some blocks ahead of the results, and counts result
lines as they come. It looks into a result no further than for its status, so that it costs
little beside the server that shares its cores.
"""

import asyncio
import contextlib
import functools
from http import HTTPStatus
from time import perf_counter_ns
from typing import cast

import msgspec
import uvloop

from bench.client import GRACE_S
from bench.load import NS_PER_S, Load, LoadError
from bench.messages import HOT_PRODUCT
from bench.mixes import order_body

BLOCK_LINES = 500
_CREATED = b'"status":201'
_AHEAD_MAX_LINES = 16 * BLOCK_LINES
"""Lines without a result that a connection may have. Without a bound the kernel's buffers take
some 100,000 of them at once, and the load ends seconds after its time."""

_HEAD = (
    b"POST /orders/batch HTTP/1.1\r\n"
    b"Host: 127.0.0.1\r\n"
    b"Content-Type: application/x-ndjson\r\n"
    b"Transfer-Encoding: chunked\r\n"
    b"\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Orders for one unit of one product, as many as `orders_max` or `seconds` allow."""

    port: int
    seconds: float
    orders_max: int
    connections: int = 2
    product: str = HOT_PRODUCT


def batch_load(batch: Batch) -> Load:
    """Stream orders and wait for the last result.

    Raises:
        LoadError: a connection could not be opened, or the server would not take a batch.
    """
    return uvloop.run(stream_batches(batch))


class ChunkedBody:
    """Takes the chunked transfer coding off a body (RFC 9112 §7.1).

    Attributes:
        ended: Whether the last chunk has come.
    """

    def __init__(self) -> None:
        self.ended = False
        self._received = b""

    def feed(self, received: bytes) -> bytes:
        """Return the content of all chunks that are whole by now."""
        received = self._received + received
        content = []
        position = 0
        while not self.ended:
            size_end = received.find(b"\r\n", position)
            if size_end < 0:
                break
            size = int(received[position:size_end].partition(b";")[0], 16)
            chunk_end = size_end + 2 + size
            if len(received) < chunk_end + 2:
                break
            content.append(received[size_end + 2 : chunk_end])
            position = chunk_end + 2
            self.ended = size == 0
        self._received = received[position:]
        return b"".join(content)


class ResultLines:
    """Counts result lines and, among them, those that say 201.

    Attributes:
        first_failure: The first line that says anything else.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.created = 0
        self.first_failure = b""
        self._partial = b""

    def feed(self, content: bytes) -> None:
        """Count the lines that end in `content`."""
        whole, newline, self._partial = (self._partial + content).rpartition(b"\n")
        if newline:
            lines = whole.count(b"\n") + 1
            created = whole.count(_CREATED)
            self.lines += lines
            self.created += created
            if created < lines and not self.first_failure:
                self.first_failure = next(
                    line for line in whole.split(b"\n") if _CREATED not in line
                )


class _Stream(asyncio.Protocol):
    def __init__(self, *, batch: Batch, blocks_max: int) -> None:
        block = (order_body(batch.product) + b"\n") * BLOCK_LINES
        self._chunk = f"{len(block):x}\r\n".encode() + block + b"\r\n"
        self._blocks_left = blocks_max
        self._deadline_ns = perf_counter_ns() + round(batch.seconds * NS_PER_S)
        self._is_complete = False
        self._head = b""
        self._body: ChunkedBody | None = None
        self._transport: asyncio.Transport | None = None
        self.sent_lines = 0
        self.results = ResultLines()
        self.ended_ns = 0
        self.problem = ""
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(_HEAD)
        self._write_blocks()

    def _write_blocks(self) -> None:
        assert self._transport is not None
        if perf_counter_ns() >= self._deadline_ns:
            self._blocks_left = 0
        while self._blocks_left and self.sent_lines - self.results.lines < _AHEAD_MAX_LINES:
            self._blocks_left -= 1
            self.sent_lines += BLOCK_LINES
            self._transport.write(self._chunk)
        if not self._blocks_left and not self._is_complete:
            self._is_complete = True
            self._transport.write(_LAST_CHUNK)

    def data_received(self, received: bytes) -> None:
        if self._body is None:
            self._head += received
            head, found, received = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            if int(head[9:12]) != HTTPStatus.OK:
                self._end(problem=head.partition(b"\r\n")[0].decode())
                return
            self._body = ChunkedBody()
        self.results.feed(self._body.feed(received))
        if self._body.ended:
            self._end()
        else:
            self._write_blocks()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(problem=f"the connection broke: {error}")

    def _end(self, *, problem: str = "") -> None:
        if not self.ended.is_set():
            self.problem = problem
            self.ended_ns = perf_counter_ns()
            self.ended.set()

    def failure(self) -> str:
        return self.problem or self.results.first_failure.decode(errors="replace")

    def close(self) -> None:
        self._end(problem="the last result did not come in time")
        if self._transport is not None:
            self._transport.abort()


async def stream_batches(batch: Batch) -> Load:
    """Do the same on a loop that is running already."""
    loop = asyncio.get_running_loop()
    blocks = -(-batch.orders_max // (BLOCK_LINES * batch.connections))
    started_ns = perf_counter_ns()
    open_stream = functools.partial(_Stream, batch=batch, blocks_max=blocks)
    streams: list[_Stream] = []
    try:
        for _ in range(batch.connections):
            _, stream = await loop.create_connection(open_stream, "127.0.0.1", batch.port)
            streams.append(stream)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(batch.seconds + GRACE_S):
                for stream in streams:
                    await stream.ended.wait()
    except OSError as error:
        raise LoadError(f"port {batch.port} accepts no connection: {error}") from error
    finally:
        for stream in streams:
            stream.close()
    return _outcome(streams, started_ns=started_ns)


def _outcome(streams: list[_Stream], *, started_ns: int) -> Load:
    refused = [stream.problem for stream in streams if stream.problem.startswith("HTTP/")]
    if refused:
        raise LoadError(f"POST /orders/batch was answered {refused[0]}")
    created = sum(stream.results.created for stream in streams)
    sent = sum(stream.sent_lines for stream in streams)
    return Load(
        client="ndjson",
        created=created,
        failed=sent - created,
        unread_max=sent - sum(stream.results.lines for stream in streams),
        elapsed_ns=max(stream.ended_ns for stream in streams) - started_ns,
        first_failure=next((each for stream in streams if (each := stream.failure())), ""),
    )
