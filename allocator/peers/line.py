"""One end of a connection: hellos first, then frames, written once a tick and read whole."""

import asyncio
from abc import ABC, abstractmethod
from typing import cast

import structlog

from allocator.peers.errors import BadFrameError, TooLargeError
from allocator.peers.frames import Hello, Outbox, Splitter, decode_hello

log = structlog.get_logger()


class Line(asyncio.Protocol, ABC):
    """What the calling and the answering end have in common.

    Args:
        hello: What this end says of itself.

    Attributes:
        peer: What the other end said of itself; None until then.
        made: Whether there is or was a connection.
        gone: Resolved when it is over.
        written: The highest number of a message that may have left this process.
    """

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.peer: Hello | None = None
        self.made = False
        self.written = 0
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._splitter = Splitter()
        self._outbox = Outbox()
        self._flushing = False
        self._congested = False  # the kernel takes no more for the moment

    @abstractmethod
    def greeted(self, peer: Hello) -> None:
        """Decide what to do with a peer that has said who it is."""

    @abstractmethod
    def received(self, kind: int, payload: memoryview) -> None:
        """Take a frame of a peer that we understand.

        Raises:
            BadFrameError: It means nothing; the connection is then given up.
        """

    @abstractmethod
    def lost(self, why: str) -> None:
        """Give up what needs this connection; called once, when it is over."""

    def send(self, number: int, message: object) -> bool:
        """Have a message written with all others of this tick; return whether it is the first.

        Raises:
            TooLargeError: The message is.
            TypeError: It cannot be encoded.
        """
        self._outbox.add(number, message)
        return self._flush_soon()

    def hang_up(self) -> None:
        """Close the connection once everything that was sent before has been written."""
        if self._transport is not None:
            self._outbox.seal()
            self._write(everything=True)
            self._transport.close()

    def cut(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note how to write; asyncio calls this once, and before all else."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.made = True

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        self._splitter.feed(data)
        self.read()

    def pause_writing(self) -> None:
        """Keep what is sent, until the other end has read some of what was written."""
        self._congested = True

    def resume_writing(self) -> None:
        """Write what was kept."""
        self._congested = False
        self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is over; asyncio calls this once, and nothing after it."""
        self._transport = None
        if not self.gone.done():
            self.gone.set_result(None)
        self.lost(str(exc) if exc else "the connection was closed")

    def read(self) -> None:
        """Take the frames that have arrived, for as long as they are wanted."""
        try:
            while self.is_wanted() and (frame := self._splitter.next_frame()) is not None:
                if self.peer is None:
                    self.greeted(decode_hello(frame))
                else:
                    self.received(*frame)
        except (BadFrameError, TooLargeError) as error:
            name = self.peer.name if self.peer else None
            log.warning("peers.bad_frame", peer=name, error=str(error))
            self.cut()

    def is_wanted(self) -> bool:
        """Whether the next frame is to be taken now."""
        return self._transport is not None and not self._transport.is_closing()

    def flushed(self) -> None:
        """Look after what depends on how much waits to be written; called once a tick."""

    def _say(self, frame: bytes) -> None:
        """Write a frame ahead of everything that waits."""
        if self._transport is not None:
            self._transport.write(frame)

    def _flush_soon(self) -> bool:
        if self._flushing:
            return False
        self._flushing = True
        self._loop.call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._flushing = False
        self._outbox.seal()  # even if it must wait, so that no frame spans two ticks
        self._write()
        self.flushed()

    def _write(self, *, everything: bool = False) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self.peer is None:
            return
        frames = self._outbox.frames
        while frames and (everything or not self._congested):
            self.written, frame = frames.popleft()
            transport.write(frame)
