"""What an HTTP answer says, by RFC 9112: as much of it as matters to us.

The status decides. The body is for the provider's reference alone, so that one which cannot be
read costs the reference, never the verdict.
"""

import re
from typing import Final

from msgspec import Struct

ANSWER_MAX_BYTES: Final = 32_768
"""What comes after so much of an answer is not read."""

_VERSION: Final = b"HTTP/1."
_HEAD_END: Final = b"\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})[ \r]")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*\bchunked[ \t]*\r", re.IGNORECASE)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")
_INTERIM: Final = range(102, 200)
_CONTINUE: Final = 100
_WITHOUT_BODY: Final = (204, 304)


class UnreadableError(ValueError):
    """What came is no answer in HTTP/1.1."""


class Answer(Struct, frozen=True):
    """What was answered.

    Attributes:
        status: The code.
        body: None if it did not come whole, or makes no sense.
    """

    status: int
    body: bytes | None


def read_answer(received: bytes, *, ended: bool) -> Answer | None:
    """Return the answer that `received` is, or None as long as there is more to come.

    Args:
        received: All that has come on a connection which carries one answer.
        ended: Whether nothing will come any more: then a head suffices.

    Raises:
        UnreadableError: It is none, and will never be.
    """
    begin = 0
    while True:
        if not received.startswith(_VERSION[: len(received) - begin], begin):
            raise UnreadableError
        end = received.find(_HEAD_END, begin)
        if end < 0:
            return None
        found = _STATUS.match(received, begin)
        if found is None:
            raise UnreadableError
        status = int(found[1])
        if status != _CONTINUE and status not in _INTERIM:
            break
        begin = end + len(_HEAD_END)
    head, rest = received[begin : end + 2], received[end + len(_HEAD_END) :]
    body = b"" if status in _WITHOUT_BODY else _body(head, rest, ended=ended)
    return None if body is None and not ended else Answer(status, body)


def _body(head: bytes, rest: bytes, *, ended: bool) -> bytes | None:
    """Return the body, or None if it is not whole."""
    if _CHUNKED.search(head):
        return _out_of_chunks(rest)
    found = _LENGTH.search(head)
    if found is None:
        return rest if ended else None  # it ends when the connection does
    length = int(found[1])
    return rest[:length] if len(rest) >= length else None


def _out_of_chunks(rest: bytes) -> bytes | None:
    """Return what is in chunks, or None if the last one is not there. Trailers are not awaited."""
    body = bytearray()
    at = 0
    while (found := _CHUNK.match(rest, at)) is not None:
        size = int(found[1], 16)
        if size == 0:
            return bytes(body)
        begin, end = found.end(), found.end() + size
        if rest[end : end + 2] != b"\r\n":
            return None
        body += rest[begin:end]
        at = end + 2
    return None
