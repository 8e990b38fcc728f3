"""Ends of simulated stream connections, as asyncio's transports behave over Unix sockets.

Bytes arrive late, in pieces other than those that were written, and in order. What was written
arrives even if the writer dies, as far as a kernel would have taken it; then comes the end of the
stream, or a reset if the writer had not read everything.
"""

# ruff: noqa: SLF001 (what one end does happens to the other)

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Final, Protocol, TypeAlias

from allocator.simulation.process import Process

_READ_MAX: Final = 65_536
"""Bytes that arrive at once; more by a piece at most."""

_CUT_IN_TWO: Final = 0.125
_ALONE: Final = 0.25
"""How often a piece arrives in two, and how often not together with others that are there."""

_Piece: TypeAlias = bytes | None
"""Bytes; none of them is the end of the stream, and None a reset."""


class Conditions(Protocol):
    """What a connection is subject to.

    Attributes:
        delay: Returns how long a piece takes from one process to another, seconds.
        parted: Not empty if nothing arrives between some processes.
        room_bytes: How much a kernel takes before somebody reads it.
    """

    dice: Random
    delay: Callable[[Process, Process], float]
    parted: set[frozenset[Process]]
    room_bytes: int

    def is_parted(self, one: Process, other: Process) -> bool:
        """Whether nothing arrives for now."""

    def forget(self, end: "End") -> None:
        """Note that a connection is over for one of its ends."""


class End(asyncio.Transport):
    """One end of a connection.

    Args:
        process: Whose it is; the protocol is called in it.
        loop: Of the simulation.
        conditions: What the connection is subject to.

    Attributes:
        peer: The other end.
    """

    def __init__(
        self, process: Process, *, loop: asyncio.AbstractEventLoop, conditions: Conditions
    ) -> None:
        super().__init__()
        self.process = process
        self.peer = self
        self._conditions = conditions
        self._loop = loop
        self._context = process.context()
        self._protocol: asyncio.Protocol | None = None
        self._arriving: deque[tuple[float, _Piece]] = deque()
        self._arrival_s = 0.0  # of the last piece
        self._unread = 0  # bytes that the peer wrote, wherever they are
        self._ended = False  # the peer has hung up, though it may not have arrived
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._congested = False  # our protocol was told to pause
        self._closing = False
        self._lost = False

    # What protocols call.

    def get_protocol(self) -> asyncio.Protocol:
        """Return who is told what arrives."""
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        """Whether this end was closed, or has lost the connection."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether what arrives is handed over."""
        return self._reading and not self._closing

    def get_write_buffer_size(self) -> int:
        """Return how many bytes no kernel has taken."""
        return max(0, self.peer._unread - self._conditions.room_bytes)

    def can_write_eof(self) -> bool:
        """Return that one direction cannot be closed alone."""
        return False

    def pause_reading(self) -> None:
        """Leave what arrives where it is, even the end of the stream."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take what has arrived."""
        self._reading = True
        self.wake()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Have bytes arrive at the peer; before this returns, the protocol may be told to pause."""
        peer = self.peer
        if self._closing or not data:
            return
        if self._ended and self._is_cut_off():
            self._lose(BrokenPipeError("the peer has hung up"))
        elif not peer._ended:
            peer._unread += len(data)
            peer._expect(bytes(data))
            if not self._congested and peer._unread > self._conditions.room_bytes:
                self._congested = True
                self.get_protocol().pause_writing()

    def close(self) -> None:
        """Read no more, and hang up once a kernel has taken everything that was written."""
        if not self._closing:
            self._closing = True
            if not self.get_write_buffer_size():
                self._lose(None)

    def abort(self) -> None:
        """Hang up now; what no kernel has taken never arrives."""
        self._lose(None)

    # What the network calls.

    def open(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Give it a protocol, and tell the protocol; in the process of this end."""
        self._protocol = make()
        self._protocol.connection_made(self)
        self.wake()

    def wake(self) -> None:
        """Look at what has arrived, or will; no more than once."""
        if self._timer is None and self._arriving:
            when_s = self._arriving[0][0]
            self._timer = self._loop.call_at(when_s, self._arrive, context=self._context)

    def notice(self) -> None:
        """Find out, even if nothing is read, that nobody will read what is written."""
        waits_for_room = self._closing or (self._congested and not self._reading)
        if waits_for_room and not self._lost and self._is_cut_off():
            self._lose(BrokenPipeError("the peer has hung up"))

    def vanish(self) -> None:
        """Hang up as a kernel does for the dead, whose protocols are told nothing."""
        if not self._lost:
            self._closing = self._lost = True
            self._hang_up()

    def break_off(self) -> None:
        """Let some of what is under way to this end arrive, and then a reset."""
        if not self._ended:
            self._cut_to(self._conditions.dice.randint(0, self._unread))
            self._end(None)

    # How bytes come here; all of this is done by the peer, in its process.

    def _expect(self, piece: _Piece) -> None:
        """Have something arrive after everything that was sent before."""
        delay_s = self._conditions.delay(self.peer.process, self.process)
        arrival_s = self._loop.time() + delay_s
        self._arrival_s = max(self._arrival_s, arrival_s)
        self._arriving.append((self._arrival_s, piece))
        if self._timer is None:
            self.wake()

    def _end(self, piece: _Piece) -> None:
        """Have the end of everything arrive."""
        self._ended = True
        self._expect(piece)
        self._loop.call_at(self._arrival_s, self.notice, context=self._context)

    def _cut_to(self, size: int) -> None:
        """Forget what is under way but for its beginning."""
        while self._unread > size:
            arrival_s, piece = self._arriving.pop()
            assert piece
            rest = piece[: max(0, len(piece) - (self._unread - size))]
            self._unread -= len(piece) - len(rest)
            if rest:
                self._arriving.append((arrival_s, rest))

    # What becomes of them.

    def _arrive(self) -> None:
        """Hand over what is there, or some of it."""
        self._timer = None
        protocol = self._protocol
        if protocol is None or not self._reading or self._closing:
            return
        if self._conditions.parted and self._is_parted():
            return
        piece = self._take()
        if piece is None:
            self._lose(ConnectionResetError("the peer has reset the connection"))
        elif piece:
            self._unread -= len(piece)
            if self.peer._closing or self.peer._congested:
                self._relieve_peer()
            if self._arriving:
                self.wake()
            protocol.data_received(piece)
        elif not protocol.eof_received():
            self.close()

    def _take(self) -> _Piece:
        arriving, dice, now_s = self._arriving, self._conditions.dice, self._loop.time()
        first = arriving.popleft()[1]
        if not first:
            return first
        chance = dice.random()
        if chance < _CUT_IN_TWO and len(first) > 1:
            size = dice.randint(1, len(first) - 1)
            delay_s = self._conditions.delay(self.peer.process, self.process)
            arriving.appendleft((now_s + delay_s, first[size:]))
            return first[:size]
        pieces, size = [first], len(first)
        while chance >= _ALONE and size < _READ_MAX and arriving and arriving[0][0] <= now_s:
            piece = arriving[0][1]
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            del arriving[0]
        return b"".join(pieces)

    def _relieve_peer(self) -> None:
        """Let the peer write on, or be gone, if there is room now."""
        peer, room = self.peer, self._conditions.room_bytes
        if (peer._closing and self._unread <= room) or (
            peer._congested and self._unread <= room // 4
        ):
            self._loop.call_soon(peer._flush, context=peer._context)

    def _flush(self) -> None:
        if self._lost:
            return
        if self._closing:
            self._lose(None)
        elif self._congested:
            self._congested = False
            self.get_protocol().resume_writing()

    def _is_parted(self) -> bool:
        return self._conditions.is_parted(self.process, self.peer.process)

    def _is_cut_off(self) -> bool:
        """Whether it could be known by now that the peer has hung up."""
        if not self._ended or self._arrival_s > self._loop.time():
            return False
        return not (self._conditions.parted and self._is_parted())

    # How it is over.

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._closing = self._lost = True
            self._hang_up()
            self._loop.call_soon(self.get_protocol().connection_lost, error, context=self._context)

    def _hang_up(self) -> None:
        self._conditions.forget(self)
        peer = self.peer
        if not peer._ended:
            peer._cut_to(self._conditions.room_bytes)
            peer._end(None if self._unread else b"")
