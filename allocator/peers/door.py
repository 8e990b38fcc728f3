"""The answering end: takes calls from connections, and gathers the answers for each of them.

A request is handed over in a plain function call, and may be answered in it or at any time
later. A connection that owes too many answers, or whose answers are not read, is not read from
until that has changed: what a peer can pile up here is bounded, and it notices.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec
import structlog

from allocator.errors import AllocatorError
from allocator.peers.errors import BadFrameError, TooLargeError
from allocator.peers.frames import (
    MESSAGES,
    Hello,
    Numbered,
    decode_messages,
    farewell_frame,
    hello_frame,
    refusal_frame,
)
from allocator.peers.line import Line
from allocator.peers.sockets import Listening, Sockets

log = structlog.get_logger()

Request = TypeVar("Request")
Response = TypeVar("Response")
Respond: TypeAlias = Callable[[Response], None]
"""Answers one request. Only the first call counts, and none once the connection has gone.

Raises `TypeError` for what cannot be encoded; the request is then still unanswered.
"""
Handle: TypeAlias = Callable[[Request, Respond[Response]], None]

_HELLO_S: Final = 5.0
"""A connection whose peer has not said hello after so long is closed."""

_FLUSH_S: Final = 1.0


class Door(Generic[Request, Response]):
    """Listens for other processes and has their requests handled.

    Args:
        path: Of the socket; in a directory that is there.
        sockets: Where it is opened.
        hello: What this process says of itself.
        requests: Reads what peers send.
        handle: Called with each request, in the order of each peer. If it raises, the peer is
            told that repeating it is of no use, and nobody else notices; whatever may go wrong
            in the ordinary way is a response.
        outstanding_max: Answers that one connection may wait for; a frame more at most.
    """

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        path: Path,
        *,
        sockets: Sockets,
        hello: Hello,
        requests: msgspec.msgpack.Decoder[Numbered[Request]],
        handle: Handle[Request, Response],
        outstanding_max: int,
    ) -> None:
        self._path = path
        self._sockets = sockets
        self._hello = hello
        self._requests = requests
        self._handle = handle
        self._outstanding_max = outstanding_max
        self._callers: dict[_Caller[Request, Response], None] = {}  # in order of arrival
        self._listening: Listening | None = None
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Requests that were handed over and have no answer."""
        return sum(caller.outstanding for caller in self._callers)

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            DoorError: The path is too long, or not to be had; the message is for the operator.
        """
        self._listening = await self._sockets.listen(self._path, self._admit)

    async def close(self, *, drain_s: float = 0.0) -> None:
        """Take no more requests, write the answers that were given, and hang up.

        Peers are told at once which of their requests were not taken, so that they can ask
        somebody else. What is not answered within `drain_s` is lost to whoever asked; writing
        takes a second at most.
        """
        listening, self._listening = self._listening, None
        if listening is None:
            return
        self._closed = True
        listening.stop()
        for caller in list(self._callers):
            caller.take_leave()
        await _wait([caller.drained for caller in self._callers], timeout_s=drain_s)
        for caller in list(self._callers):
            if not caller.drained.done():
                caller.hang_up()
        await _wait([caller.gone for caller in self._callers if caller.made], timeout_s=_FLUSH_S)
        left = [caller for caller in self._callers if caller.made]
        for caller in left:
            caller.cut()
        await _wait([caller.gone for caller in left], timeout_s=None)
        await listening.wait_stopped()

    def _admit(self) -> asyncio.Protocol:
        caller: _Caller[Request, Response] = _Caller(
            self._callers,
            hello=self._hello,
            requests=self._requests,
            handle=self._handle,
            outstanding_max=self._outstanding_max,
        )
        self._callers[caller] = None
        if self._closed:  # it was accepted in the moment before
            caller.take_leave()
        return caller


class _Caller(Line, Generic[Request, Response]):
    """One connection of a peer that asks.

    Attributes:
        drained: Resolved when the peer was told farewell, and has every answer.
    """

    def __init__(
        self,
        callers: "dict[_Caller[Request, Response], None]",
        *,
        hello: Hello,
        requests: msgspec.msgpack.Decoder[Numbered[Request]],
        handle: Handle[Request, Response],
        outstanding_max: int,
    ) -> None:
        super().__init__(hello)
        self.drained: asyncio.Future[None] = self._loop.create_future()
        self._callers = callers
        self._requests = requests
        self._handle = handle
        self._outstanding_max = outstanding_max
        self._outstanding: set[int] = set()
        self._last = 0  # number of the last request taken
        self._held = False  # not read from, until the peer has had some of its answers
        self._leaving = False
        self._stranger = self._loop.call_later(_HELLO_S, self.cut)

    @property
    def outstanding(self) -> int:
        """Requests without an answer."""
        return len(self._outstanding)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._leaving:
            self.cut()

    def data_received(self, data: bytes) -> None:
        if not self._leaving:
            super().data_received(data)

    def greeted(self, peer: Hello) -> None:
        """Return the hello, and say in it if we do not understand each other."""
        self._stranger.cancel()
        if self.hello.understands(peer):
            self.peer = peer
            self._say(hello_frame(self.hello))
            return
        log.warning("peers.refused", peer=peer.name, build=peer.build, speaks=peer.versions)
        why = f"no common protocol version with {peer.name}"
        self._say(hello_frame(msgspec.structs.replace(self.hello, refusal=why)))
        self.hang_up()

    def received(self, kind: int, payload: memoryview) -> None:
        """Have the requests of a frame handled."""
        if kind != MESSAGES:
            raise BadFrameError(why=f"kind {kind} makes no sense to a door")
        requests, unreadable = decode_messages(payload, self._requests)
        for number, request in requests:
            self._take(number, request)
        for number, reason in unreadable:
            self._last = max(self._last, number)
            self._outstanding.add(number)
            self._refuse(number, reason)
        self._regulate()

    def lost(self, why: str) -> None:  # noqa: ARG002 (a caller may hang up as it likes)
        """Forget what is owed: nobody can be told."""
        self._stranger.cancel()
        self._callers.pop(self, None)
        self._outstanding.clear()
        self._note_drained()

    def take_leave(self) -> None:
        """Take no more requests, and tell the peer which was the last."""
        self._leaving = True
        if self.peer is None or self._transport is None:
            self._note_drained()
            self.cut()
            return
        if self._held and not self._transport.is_closing():
            self._transport.resume_reading()  # or we would not see the peer hang up
        self._outbox.put(farewell_frame(self._last))
        self._flush_soon()

    def is_wanted(self) -> bool:
        """Whether the next frame is to be taken now."""
        return not self._held and not self._leaving and super().is_wanted()

    def flushed(self) -> None:
        """Read on if the peer has had enough answers."""
        self._regulate()
        if self._leaving:
            self._note_drained()

    def _take(self, number: int, request: Request) -> None:
        self._last = number
        self._outstanding.add(number)
        try:
            self._handle(request, partial(self._respond, number))
        except AllocatorError as error:
            self._refuse(number, str(error))
        except Exception as error:
            log.exception("peers.request_failed", peer=self.peer and self.peer.name)
            self._refuse(number, f"{type(error).__name__} in it")

    def _respond(self, number: int, response: Response) -> None:
        if number not in self._outstanding:
            return
        try:
            self.send(number, response)
        except TooLargeError as error:
            self._refuse(number, str(error))
        else:
            self._outstanding.discard(number)

    def _refuse(self, number: int, reason: str) -> None:
        if number in self._outstanding:
            self._outstanding.discard(number)
            self._outbox.put(refusal_frame(number, reason))
            self._flush_soon()

    def _regulate(self) -> None:
        """Stop or go on reading; the two limits are apart, so that it does not flutter."""
        transport, owed = self._transport, len(self._outstanding)
        if transport is None or transport.is_closing() or self._leaving:
            return
        if not self._held and (self._congested or owed >= self._outstanding_max):
            self._held = True
            transport.pause_reading()
        elif self._held and not self._congested and owed <= self._outstanding_max // 2:
            self._held = False
            transport.resume_reading()
            self.read()  # what had arrived before

    def _note_drained(self) -> None:
        if not self._outstanding and not self.drained.done():
            self.drained.set_result(None)


async def _wait(futures: list[asyncio.Future[None]], *, timeout_s: float | None) -> None:
    if futures:
        await asyncio.wait(futures, timeout=timeout_s)
