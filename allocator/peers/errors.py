"""What can go wrong between two processes, told apart by what a caller may do about it.

Nothing was done: ask again, or ask somebody else. The outcome is unknown: only the same request
with the same Idempotency-Key is safe. Refused: repeating it changes nothing.
"""

from typing import Final

from allocator.errors import (
    AllocatorError,
    OutcomeUnknownError,
    OverloadedError,
    UnavailableError,
    UsageError,
)

_REPEAT: Final = "the outcome is unknown; repeat the request with the same Idempotency-Key"


class PeerUnreachableError(UnavailableError):
    """The request was not taken by the peer, and never will be: ask again, or somebody else."""

    def __init__(self, *, peer: str, why: str) -> None:
        super().__init__(reason=f"worker {peer} cannot be reached: {why}")
        self.peer = peer
        self.why = why


class PeerVersionError(PeerUnreachableError):
    """The two processes have no protocol version in common; one of them must be restarted.

    Attributes:
        ours: The oldest and the newest version that this process speaks.
        theirs: The same of the peer.
        build: What the peer was built from.
    """

    def __init__(
        self, *, peer: str, ours: tuple[int, int], theirs: tuple[int, int], build: str
    ) -> None:
        super().__init__(
            peer=peer,
            why=f"it speaks protocol {_span(theirs)} (build {build}), and we speak {_span(ours)}",
        )
        self.ours = ours
        self.theirs = theirs
        self.build = build


class PeerOverloadedError(OverloadedError):
    """As many calls of this peer wait for an answer as may; nothing was sent."""

    def __init__(self, *, peer: str, limit: int) -> None:
        super().__init__(whose=f"line to worker {peer}", limit=limit)
        self.peer = peer


class PeerLostError(OutcomeUnknownError):
    """The connection broke after the request may have left, and before its answer came."""

    def __init__(self, *, peer: str, why: str) -> None:
        super().__init__()
        self.args = (f"worker {peer} was lost: {why}; {_REPEAT}",)
        self.peer = peer


class PeerTimeoutError(OutcomeUnknownError):
    """The request may have left, and no answer came in time; one that comes later is dropped."""

    def __init__(self, *, peer: str, timeout_s: float) -> None:
        super().__init__()
        self.args = (f"worker {peer} did not answer within {timeout_s:g} s; {_REPEAT}",)
        self.peer = peer
        self.timeout_s = timeout_s


class PeerRefusedError(AllocatorError):
    """The peer could not read the request, or failed on it; the same one will fail again."""

    def __init__(self, *, peer: str, reason: str) -> None:
        super().__init__(f"worker {peer} refused the request: {reason}")
        self.peer = peer
        self.reason = reason


class TooLargeError(AllocatorError):
    """A frame or a message is larger than it may be; it was neither sent nor read.

    Attributes:
        what: `frame` or `message`.
        size: Bytes that it has or announces.
        limit: Bytes that it may have.
    """

    def __init__(self, *, what: str, size: int, limit: int) -> None:
        super().__init__(f"a {what} of {size} bytes is larger than the {limit} that it may have")
        self.what = what
        self.size = size
        self.limit = limit


class BadFrameError(AllocatorError):
    """The bytes of a connection are not of this protocol; nothing after them can be trusted."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"not a frame of this protocol: {why}")
        self.why = why


class DoorError(UsageError):
    """No socket can be opened at this path; the message says why."""


def _span(versions: tuple[int, int]) -> str:
    oldest, newest = versions
    return f"{newest}" if oldest == newest else f"{oldest} to {newest}"
