"""The calling end: many calls in flight on one connection, each with an answer or an error.

A call costs a future, an entry of a dictionary and a few bytes in a frame, and neither a task nor
a timer. What a caller is told when something breaks turns on one question: may the bytes of its
call have left this process? If they cannot have, or if the peer says that it did not take the
call, then nothing was done, and it is safe to ask again; otherwise the outcome is unknown.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
import structlog

from allocator.errors import AllocatorError
from allocator.peers.calls import Calls
from allocator.peers.errors import (
    BadFrameError,
    PeerLostError,
    PeerOverloadedError,
    PeerRefusedError,
    PeerTimeoutError,
    PeerUnreachableError,
    PeerVersionError,
)
from allocator.peers.frames import (
    FAREWELL,
    MESSAGES,
    REFUSALS,
    Hello,
    Numbered,
    decode_farewell,
    decode_messages,
    hello_frame,
)
from allocator.peers.line import Line
from allocator.peers.sockets import Sockets

log = structlog.get_logger()

Request = TypeVar("Request")
Response = TypeVar("Response")

_BACK_OFF_MIN_S: Final = 0.01
_BACK_OFF_MAX_S: Final = 0.25

_reasons: Final = msgspec.msgpack.Decoder(Numbered[str])


class Link(Generic[Request, Response]):
    """Calls another process, connecting when there is something to say.

    Args:
        path: Where the peer's door is.
        sockets: By which it is reached.
        hello: What this process says of itself.
        peer: What to call the other process until it says its name.
        responses: Reads what the peer answers.
        timeout_s: How long an answer may take; that it did not come is noticed within another
            thirtieth of that.
        in_flight_max: Calls without an answer.
        connect_s: How long the making of a connection may take, hellos included; calls wait.
        on_lost: Told the name of a peer whose connection broke without a farewell.

    Attributes:
        peer: The name of the process that was last connected to.
    """

    def __init__(  # noqa: PLR0913 (what a line needs, and what bounds it)
        self,
        path: Path,
        *,
        sockets: Sockets,
        hello: Hello,
        peer: str,
        responses: msgspec.msgpack.Decoder[Numbered[Response]],
        timeout_s: float,
        in_flight_max: int,
        connect_s: float = 1.0,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        self.peer = peer
        self._path = path
        self._sockets = sockets
        self._hello = hello
        self._responses = responses
        self._timeout_s = timeout_s
        self._in_flight_max = in_flight_max
        self._connect_s = connect_s
        self._on_lost = on_lost
        self._calls: Calls[Response] = Calls(timeout_s=timeout_s, expire=self._expire)
        self._number = 0  # of the latest call; never used again, so a late answer fits no other
        self._line: _Line[Response] | None = None  # the one that takes new calls
        self._lines: dict[_Line[Response], None] = {}  # in order of making
        self._back_off_s = _BACK_OFF_MIN_S
        self._retry_at_s = 0.0
        self._obstacle = ""  # why the latest attempt failed
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Calls without an answer, those included whose callers have left."""
        return len(self._calls)

    @property
    def is_barred(self) -> bool:
        """Whether the latest attempt to connect failed, be it for a version or for a corpse."""
        return bool(self._obstacle)

    def call(self, request: Request) -> asyncio.Future[Response]:
        """Ask the peer; a caller who is not interested any more may cancel the future.

        Of what the future raises, `PeerUnreachableError` means that nothing was done,
        `PeerLostError` and `PeerTimeoutError` that the outcome is unknown, and
        `PeerRefusedError` that the peer could not carry the request out.

        Raises:
            PeerUnreachableError: There is no connection, and it is too early to try again.
            PeerOverloadedError: Too many calls wait for an answer.
            TooLargeError: The request is.
        """
        calls = self._calls
        if len(calls) >= self._in_flight_max:
            raise PeerOverloadedError(peer=self.peer, limit=self._in_flight_max)
        line = self._line or self._open_line()
        self._number = number = self._number + 1
        if line.send(number, request) or calls.timer is None:
            calls.mark(number)
        return calls.start(number)

    async def close(self) -> None:
        """Give up every call that has no answer, and the connection."""
        self._closed = True
        self._calls.stop()
        lines = list(self._lines)
        for line in lines:
            self._give_up(line, why="this process closed the connection")
            line.cut()
        made = [line for line in lines if line.made]
        for line in lines:
            if not line.made:  # or uvloop would close the connection and not tell the line
                line.attempt.cancel()
        await asyncio.gather(*(line.attempt for line in lines), return_exceptions=True)
        for line in made:
            await line.gone

    def _open_line(self) -> "_Line[Response]":
        now_s = asyncio.get_running_loop().time()
        if self._closed:
            raise PeerUnreachableError(peer=self.peer, why="this process closed the connection")
        if now_s < self._retry_at_s:
            raise PeerUnreachableError(peer=self.peer, why=self._obstacle)
        self._retry_at_s = now_s + self._back_off_s
        self._back_off_s = min(2 * self._back_off_s, _BACK_OFF_MAX_S)
        line: _Line[Response] = _Line(
            self,
            path=self._path,
            sockets=self._sockets,
            hello=self._hello,
            responses=self._responses,
            first=self._number + 1,
            connect_s=self._connect_s,
        )
        self._line = line
        self._lines[line] = None
        return line

    def _expire(self, through: int) -> None:
        if self._line is not None:
            unwritten = max(self._line.written + 1, self._line.first)
            stuck = PeerUnreachableError(
                peer=self.peer, why="nothing could be written to it in time"
            )
            self._calls.fail(unwritten, self._line.forget(through), stuck)
        late = PeerTimeoutError(peer=self.peer, timeout_s=self._timeout_s)
        self._calls.fail(0, through, late)
        for line in list(self._lines):
            if self.is_done(line):
                line.hang_up()

    # What a line reports, in the order of its life.

    def welcomed(self, peer: str) -> None:
        """Note that there is a connection, and to whom."""
        self.peer = peer
        self._back_off_s = _BACK_OFF_MIN_S
        self._obstacle = ""

    def barred(self, line: "_Line[Response]", error: PeerUnreachableError) -> None:
        """Fail all that waited for a connection which could not be made."""
        if line not in self._lines:
            return
        self._obstacle = error.why
        self._forget(line)
        self._calls.fail(line.first, self._number, error)

    def answered(self, responses: Numbered[Response]) -> None:
        """Resolve calls."""
        self._calls.answer(responses)

    def refused(self, reasons: Numbered[str], *, unreadable: bool = False) -> None:
        """Fail calls that the peer could not carry out, or whose answer cannot be read."""
        for number, reason in reasons:
            error: AllocatorError = PeerRefusedError(peer=self.peer, reason=reason)
            if unreadable:
                error = PeerLostError(peer=self.peer, why=f"its answer cannot be read ({reason})")
            self._calls.fail_one(number, error)

    def left(self, line: "_Line[Response]", last: int) -> None:
        """Fail what a peer that is leaving did not take; the rest it may still answer."""
        self._detach(line)
        line.forget(self._last_of(line))
        leaving = PeerUnreachableError(peer=self.peer, why="it is leaving")
        self._calls.fail(max(last + 1, line.first), self._last_of(line), leaving)
        line.last = last

    def is_done(self, line: "_Line[Response]") -> bool:
        """Whether the peer has left, and owes us nothing."""
        return line.last is not None and not self._calls.any_between(line.first, line.last)

    def lost(self, line: "_Line[Response]", peer: str, why: str) -> None:
        """Fail what waited for an answer from this connection."""
        if line not in self._lines:
            return
        self._give_up(line, why=why)
        if line.last is None:
            log.warning("peers.lost", peer=peer, why=why)
            if self._on_lost is not None:
                self._on_lost(peer)

    def _give_up(self, line: "_Line[Response]", *, why: str) -> None:
        last = self._last_of(line)
        self._forget(line)
        lost = PeerLostError(peer=self.peer, why=why)
        self._calls.fail(line.first, min(line.written, last), lost)
        unsent = PeerUnreachableError(peer=self.peer, why=why)
        self._calls.fail(max(line.first, line.written + 1), last, unsent)

    def _last_of(self, line: "_Line[Response]") -> int:
        return self._number if line.last is None else line.last

    def _forget(self, line: "_Line[Response]") -> None:
        self._lines.pop(line, None)
        self._detach(line)

    def _detach(self, line: "_Line[Response]") -> None:
        if self._line is line:
            self._line = None


class _Line(Line, Generic[Response]):
    """One connection of a link, from the attempt to make it until its loss.

    Args:
        first: The number of its first call.

    Attributes:
        last: The number of the last call that the peer took; None until it says that it leaves.
    """

    def __init__(  # noqa: PLR0913 (what the link was made of)
        self,
        link: Link[Request, Response],
        *,
        path: Path,
        sockets: Sockets,
        hello: Hello,
        responses: msgspec.msgpack.Decoder[Numbered[Response]],
        first: int,
        connect_s: float,
    ) -> None:
        super().__init__(hello)
        self.first = first
        self.last: int | None = None
        self._link = link
        self._path = path
        self._sockets = sockets
        self._responses = responses
        self._decided: asyncio.Future[None] = self._loop.create_future()
        self.attempt = self._loop.create_task(self._connect(connect_s))

    def forget(self, through: int) -> int:
        """Do not write calls up to this number any more; return the highest that will not be."""
        return self._outbox.forget(through)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._say(hello_frame(self.hello))

    def greeted(self, peer: Hello) -> None:
        """Begin to call a peer that speaks our language."""
        if peer.refusal or not self.hello.understands(peer):
            self._link.barred(self, self._bar(peer))
            self.cut()
        else:
            self.peer = peer
            self._link.welcomed(peer.name)
            self._flush_soon()
        self._decide()

    def received(self, kind: int, payload: memoryview) -> None:
        """Pass on what the peer answered."""
        if kind == MESSAGES:
            responses, unreadable = decode_messages(payload, self._responses)
            self._link.answered(responses)
            if unreadable:
                self._link.refused(unreadable, unreadable=True)
        elif kind == REFUSALS:
            self._link.refused(decode_messages(payload, _reasons)[0])
        elif kind == FAREWELL and self.last is None:
            self._link.left(self, decode_farewell(payload))
        else:
            raise BadFrameError(why=f"kind {kind} makes no sense to a caller")
        if self._link.is_done(self):
            self.hang_up()

    def lost(self, why: str) -> None:
        """Report it."""
        if self.peer is None:
            self._link.barred(self, self._unreachable(why))
        else:
            self._link.lost(self, self.peer.name, why)
        self._decide()

    async def _connect(self, connect_s: float) -> None:
        try:
            async with asyncio.timeout(connect_s):
                await self._sockets.connect(self._path, lambda: self)
                await self._decided
        except TimeoutError:
            if self.peer is None:  # or the hello came in the very moment
                self._link.barred(self, self._unreachable(f"no hello within {connect_s:g} s"))
                self.cut()
        except OSError as error:
            self._link.barred(self, self._unreachable(str(error)))

    def _decide(self) -> None:
        if not self._decided.done():
            self._decided.set_result(None)

    def _bar(self, peer: Hello) -> PeerUnreachableError:
        if self.hello.understands(peer):
            return PeerUnreachableError(peer=peer.name, why=peer.refusal)
        return PeerVersionError(
            peer=peer.name, ours=self.hello.versions, theirs=peer.versions, build=peer.build
        )

    def _unreachable(self, why: str) -> PeerUnreachableError:
        return PeerUnreachableError(peer=self._link.peer, why=why)
