"""One request and its answer, on a connection of its own that is never used again.

An ordinary client keeps connections, and may send a request again when a kept one turns out to be
dead. Here that cannot happen, for there is no code that could: what was once written to a
connection is never written to another. It also takes a quarter of the memory, which counts where
ten thousand wait for minutes.
"""

import asyncio
import os
import socket
import ssl
from contextlib import suppress
from typing import Final

from msgspec import Struct

from allocator.domain.webhooks import shortened
from allocator.payments.answers import ANSWER_MAX_BYTES, Answer, UnreadableError, read_answer

_OPEN_S: Final = 30.0
"""How long a connection may take to open."""
_BODY_S: Final = 10.0
"""How long the rest of an answer may take: its status is known."""
_PROBE_AFTER_S: Final = 45
"""Idle connections are forgotten by what lies between, often after some minutes; probes keep
them known, and notice a peer that is gone."""
_PROBE_EVERY_S: Final = 15
_PROBES_MAX: Final = 4


class Door(Struct, frozen=True, kw_only=True):
    """Where a server is reached.

    Attributes:
        tls: How connections are encrypted and whom they trust; None for not at all.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class NotSentError(Exception):
    """Nothing of the request has left: nobody can have heard it."""


class UnansweredError(Exception):
    """The request may have been heard, and what came of it is not known."""


async def exchange(request: bytes, *, door: Door, within_s: float) -> Answer:
    """Send a request once and return the answer.

    Args:
        request: Whole, its head and its body. It asks for the connection to be closed.
        door: Where to.
        within_s: How long all of it may take.

    Raises:
        NotSentError: There was no connection, or not in time.
        UnansweredError: There was no answer, none in time, or none that can be read.
    """
    ends_s = asyncio.get_running_loop().time() + within_s
    transport, waiting = await _open(door, ends_s=ends_s)
    try:
        if transport.is_closing() or waiting.ended.done():
            raise NotSentError("the connection was over at once")
        with suppress(OSError):  # it may be over by now; then there is nothing to keep
            _keep_known(transport.get_extra_info("socket"))
        transport.write(request)
        del request  # not held while ten thousand wait
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends_s):
                await waiting.ended
        return waiting.conclude(within_s=within_s)
    finally:
        transport.abort()


async def _open(door: Door, *, ends_s: float) -> tuple[asyncio.Transport, "_Waiting"]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(min(ends_s, loop.time() + _OPEN_S)):
            transport, waiting = await loop.create_connection(
                lambda: _Waiting(loop), door.host, door.port, ssl=door.tls
            )
    except TimeoutError as error:
        raise NotSentError("no connection in time") from error
    except (OSError, UnicodeError) as error:  # the latter: no such name can be
        raise NotSentError(f"no connection: {_why(error)}") from error
    return transport, waiting


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError | ssl.SSLError | socket.gaierror) or error.errno is None:
        return shortened(str(error))
    return os.strerror(error.errno)


def _keep_known(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):  # not everywhere
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES_MAX)


class _Waiting(asyncio.Protocol):
    """The side of a connection that waits for an answer.

    Attributes:
        ended: Done when the answer is whole, or nothing more will come.
    """

    __slots__ = ("_loop", "_patience", "_received", "_why", "ended")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._patience: asyncio.TimerHandle | None = None
        self._received = b""
        self._why = ""

    def conclude(self, *, within_s: float) -> Answer:
        """Return the answer, as far as it has come.

        Raises:
            UnansweredError: There is none.
        """
        if self._patience is not None:
            self._patience.cancel()
        try:
            answer = read_answer(self._received, ended=True)
        except UnreadableError as error:
            raise UnansweredError("the answer cannot be read") from error
        if answer is None:
            raise UnansweredError(self._why or f"no answer in {within_s:g} s")
        return answer

    def data_received(self, data: bytes) -> None:
        """Take what came, and look whether it is all."""
        if self.ended.done():
            return
        self._received += data
        try:
            whole = read_answer(self._received, ended=False) is not None
            begun = whole or read_answer(self._received, ended=True) is not None
        except UnreadableError:
            self._end()
            return
        if whole or len(self._received) > ANSWER_MAX_BYTES:
            self._end("the answer is too long")
        elif begun and self._patience is None:
            self._patience = self._loop.call_later(_BODY_S, self._end)

    def eof_received(self) -> None:
        """Take it that the answer ends here."""
        self._end("the connection was closed without an answer")

    def connection_lost(self, exc: Exception | None) -> None:
        """Take it that the answer ends here."""
        self._end(f"the connection broke: {exc}" if exc else "the connection was closed")

    def _end(self, why: str = "") -> None:
        if not self.ended.done():
            self._why = why
            self.ended.set_result(None)
