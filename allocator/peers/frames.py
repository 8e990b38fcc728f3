"""The wire format: what two processes write to each other, as bytes and as messages.

A frame is the length of its payload (4 bytes, big-endian), its kind (1 byte), and the payload in
MessagePack. A hello is the first frame each way. One frame of messages carries everything that
was sent in one tick of the event loop, as an array of (call number, message): a crowd of small
messages costs one system call and one decoding.
"""

import struct
from collections import deque
from typing import Final, TypeAlias, TypeVar

import msgspec

from allocator.peers.errors import BadFrameError, TooLargeError

T = TypeVar("T")

Numbered: TypeAlias = list[tuple[int, T]]
"""The messages of a frame, each with the number of its call; what decoders are made for."""

PROTOCOL: Final = 1
OLDEST_PROTOCOL: Final = 1

HELLO: Final = 0
MESSAGES: Final = 1
REFUSALS: Final = 2
"""As messages, but each is the reason why the call was refused."""
FAREWELL: Final = 3
"""The door takes no call with a number above this one, and did not take any."""

MESSAGE_MAX: Final = 1 << 20
"""Bytes of one encoded message."""

FRAME_MAX: Final = 1 << 21
"""Bytes of one payload."""

FRAME_MESSAGES_MAX: Final = 1024
"""Messages of one frame, so that a reader can stop between two frames and have few to do."""

_HEADER: Final = struct.Struct(">IB")
_COUNTED: Final = struct.Struct(">IBBI")  # a header, and that of a MessagePack array
_ARRAY32: Final = 0xDD
_ROOM: Final = bytes(_COUNTED.size)
_REASON_MAX: Final = 1000
# Once a frame is longer than this, the next message might not fit.
_FULL: Final = FRAME_MAX - MESSAGE_MAX

_encoder: Final = msgspec.msgpack.Encoder()
_raw_decoder: Final = msgspec.msgpack.Decoder(Numbered[msgspec.Raw])


class Hello(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="allocator.peer"):
    """What each says first; a later version may only add fields at the end.

    Attributes:
        oldest: Protocol version, the lowest that the sender still speaks.
        newest: The highest.
        name: Of the sending process.
        build: What it was built from, for people.
        refusal: Why the sender is about to hang up; empty if it is not.
    """

    oldest: int = OLDEST_PROTOCOL
    newest: int = PROTOCOL
    name: str
    build: str
    refusal: str = ""

    @property
    def versions(self) -> tuple[int, int]:
        """The oldest and the newest version."""
        return self.oldest, self.newest

    def understands(self, other: "Hello") -> bool:
        """Whether the two have a version in common; both sides come to the same answer."""
        return max(self.oldest, other.oldest) <= min(self.newest, other.newest)


_hello_decoder: Final = msgspec.msgpack.Decoder(Hello)


class Splitter:
    """Makes frames of bytes that arrive in any pieces.

    A frame that arrives whole is not copied; of one in pieces each byte is copied once or twice.
    """

    __slots__ = ("_at", "_buffer", "_frame_max")

    def __init__(self, *, frame_max: int = FRAME_MAX) -> None:
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._frame_max = frame_max

    def feed(self, chunk: bytes) -> None:
        """Add what was received; take out all frames before feeding more."""
        if self._at == len(self._buffer):
            self._buffer = chunk
        else:
            # What frames were handed out of must stay as it is: they are views of it.
            if self._at or not isinstance(self._buffer, bytearray):
                self._buffer = bytearray(memoryview(self._buffer)[self._at :])
            self._buffer += chunk
        self._at = 0

    def next_frame(self) -> tuple[int, memoryview] | None:
        """Return the kind and the payload of the next frame, or None until more is fed.

        Raises:
            TooLargeError: It announces more bytes than a frame may have; give the connection up.
        """
        start = self._at + _HEADER.size
        if len(self._buffer) < start:
            return None
        size, kind = _HEADER.unpack_from(self._buffer, self._at)
        if size > self._frame_max:
            raise TooLargeError(what="frame", size=size, limit=self._frame_max)
        end = start + size
        if len(self._buffer) < end:
            return None
        self._at = end
        return kind, memoryview(self._buffer)[start:end]


class Outbox:
    """Gathers messages into frames.

    Attributes:
        frames: Those that are complete, each with the number of its last message, in the order
            in which they are to be written.
    """

    __slots__ = ("_count", "_frame", "_last", "frames")

    def __init__(self) -> None:
        self.frames: deque[tuple[int, bytes | bytearray]] = deque()
        self._frame = bytearray(_ROOM)
        self._count = 0
        self._last = 0

    def add(self, number: int, message: object) -> None:
        """Add a message; nothing has changed when this raises.

        Raises:
            TooLargeError: The message is.
            TypeError: It cannot be encoded.
        """
        frame = self._frame
        start = len(frame)
        try:
            _encoder.encode_into((number, message), frame, -1)
        except BaseException:
            del frame[start:]
            raise
        end = len(frame)
        if end - start > MESSAGE_MAX:
            del frame[start:]
            raise TooLargeError(what="message", size=end - start, limit=MESSAGE_MAX)
        self._last = number
        self._count += 1
        if self._count == FRAME_MESSAGES_MAX or end > _FULL:
            self.seal()

    def seal(self) -> None:
        """Complete the frame that was begun, if one was."""
        if not self._count:
            return
        frame = self._frame
        size = len(frame) - _HEADER.size
        _COUNTED.pack_into(frame, 0, size, MESSAGES, _ARRAY32, self._count)
        self.frames.append((self._last, frame))
        # The transport may keep what it is given, so each frame is an object of its own.
        self._frame = bytearray(_ROOM)
        self._count = 0

    def put(self, frame: bytes) -> None:
        """Add a frame of another kind, after the messages that were added before it."""
        self.seal()
        self.frames.append((self._last, frame))

    def forget(self, through: int) -> int:
        """Drop the frames whose messages are all numbered `through` or lower.

        Returns:
            The highest number that was dropped; 0 if none was.
        """
        self.seal()
        frames, dropped = self.frames, 0
        while frames and frames[0][0] <= through:
            dropped, _ = frames.popleft()
        return dropped


def hello_frame(hello: Hello) -> bytes:
    """Encode the first frame of a side."""
    return _frame(HELLO, hello)


def refusal_frame(number: int, reason: str) -> bytes:
    """Encode why one call was refused."""
    return _frame(REFUSALS, [(number, reason[:_REASON_MAX])])


def farewell_frame(last: int) -> bytes:
    """Encode that no call above `last` was or will be taken."""
    return _frame(FAREWELL, last)


def decode_hello(frame: tuple[int, memoryview]) -> Hello:
    """Read the first frame of a peer.

    Raises:
        BadFrameError: It is something else.
    """
    kind, payload = frame
    if kind != HELLO:
        raise BadFrameError(why=f"kind {kind} came before a hello")
    try:
        return _hello_decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise BadFrameError(why=f"a hello that is none: {error}") from error


def decode_messages(
    payload: memoryview, decoder: msgspec.msgpack.Decoder[Numbered[T]]
) -> tuple[Numbered[T], Numbered[str]]:
    """Return the messages of a frame, and why others of it cannot be read.

    Raises:
        BadFrameError: It is no array of numbered messages, or one of too many.
    """
    try:
        readable, unreadable = decoder.decode(payload), _NONE
    except msgspec.DecodeError:
        readable, unreadable = _decode_one_by_one(payload, decoder)
    if len(readable) + len(unreadable) > FRAME_MESSAGES_MAX:
        raise BadFrameError(why=f"more than {FRAME_MESSAGES_MAX} messages in it")
    return readable, unreadable


def decode_farewell(payload: memoryview) -> int:
    """Return the number above which no call was or will be taken.

    Raises:
        BadFrameError: There is none.
    """
    try:
        return msgspec.msgpack.decode(payload, type=int)
    except msgspec.DecodeError as error:
        raise BadFrameError(why=f"a farewell that is none: {error}") from error


_NONE: Final[Numbered[str]] = []


def _decode_one_by_one(
    payload: memoryview, decoder: msgspec.msgpack.Decoder[Numbered[T]]
) -> tuple[Numbered[T], Numbered[str]]:
    """Tell the good messages of a frame from the bad ones; slow, and rarely needed."""
    try:
        pairs = _raw_decoder.decode(payload)
    except msgspec.DecodeError as error:
        raise BadFrameError(why=str(error)) from error
    readable: Numbered[T] = []
    unreadable: Numbered[str] = []
    for number, message in pairs:
        try:
            readable += decoder.decode(_encoder.encode([(number, message)]))
        except msgspec.DecodeError as error:
            unreadable.append((number, str(error)))
    return readable, unreadable


def _frame(kind: int, content: object) -> bytes:
    payload = _encoder.encode(content)
    return _HEADER.pack(len(payload), kind) + payload
