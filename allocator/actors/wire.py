"""What workers of one server say to each other, and how answers and errors survive the trip.

An event travels as the journal stores it: its storage format is the one form that every release
has to understand anyway.
"""

from typing import TypeAlias, assert_never

import msgspec

from allocator.actors.messages import Answer, KeyReused, Noted, Outcome
from allocator.domain.codec import KINDS, VERSIONS, decode_event, encode_event
from allocator.domain.kinds import Command, Refusal
from allocator.domain.queries import Query, View
from allocator.errors import (
    AllocatorError,
    BrokenRuleError,
    OutcomeUnknownError,
    OverloadedError,
    QuarantinedError,
    UnavailableError,
)


class _Packed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Fields travel by position; a newer release may only add some at the end."""


# Requests


class Ask(_Packed, frozen=True, tag=1):
    """Have an actor decide; without a key, as often as it is asked.

    Attributes:
        principal: Who asks; the scope of the key, if there is one.
    """

    actor_id: int
    command: Command
    principal: str = ""
    key: str | None = None
    request_digest: bytes = b""


class Look(_Packed, frozen=True, tag=2):
    """Read an actor's state."""

    actor_id: int
    query: Query


class Measure(_Packed, frozen=True, tag=3):
    """Say what you have counted."""


class Notice(_Packed, frozen=True, tag=4):
    """Who owns what has changed, or is about to: look at once."""


class Retire(_Packed, frozen=True, tag=5):
    """Stop, if nobody looks after you any more: a new server wants to serve."""


class Stay(_Packed, frozen=True, tag=6):
    """Keep your shards if you are to leave: I have none any more, and may yet have to tell you.

    Attributes:
        address: Where I listen.
        within_ms: From now; 0 if I have nothing more to tell.
    """

    address: str
    within_ms: int


Request: TypeAlias = Ask | Look | Measure | Notice | Retire | Stay


# Responses


class Done(_Packed, frozen=True, tag=1):
    """It happened: the event, as it is stored."""

    actor_id: int
    seq: int
    at_ms: int
    kind: str
    version: int
    body: bytes


class Refused(_Packed, frozen=True, tag=2):
    """The actor said no."""

    refusal: Refusal


class Reused(_Packed, frozen=True, tag=3):
    """The key was used before, for another request."""

    key: str


class Heard(_Packed, frozen=True, tag=4):
    """There was nothing to do."""


class Seen(_Packed, frozen=True, tag=5):
    """What was read, and is durable."""

    view: View


class Measured(_Packed, frozen=True, tag=6):
    """What was counted; the two ends of a server agree on the format."""

    figures: bytes


class Moved(_Packed, frozen=True, tag=7):
    """Nothing was done: the actor is not mine.

    Attributes:
        owner: Where the worker listens that has it, as far as I know; "" if I do not.
    """

    owner: str = ""


class Failed(_Packed, frozen=True, tag=8):
    """It could not be done, or it is not known whether it was; by the name of the error."""

    error: str
    text: str = ""
    number: int = 0


Response: TypeAlias = Done | Refused | Reused | Heard | Seen | Measured | Moved | Failed


def response_of(answer: Answer) -> Response:
    """Return what to send for an actor's answer."""
    match answer:
        case Outcome(actor_id=actor_id, seq=seq, at_ms=at_ms, event=event):
            kind = KINDS[type(event)]
            return Done(actor_id, seq, at_ms, kind, VERSIONS[kind], encode_event(event))
        case KeyReused(key=key):
            return Reused(key)
        case Noted():
            return Heard()
        case _:
            return Refused(answer)


def answer_of(response: Done | Refused | Reused | Heard) -> Answer:
    """Return the answer that was sent.

    Raises:
        UnknownEventError: The peer is of a newer release.
    """
    match response:
        case Done():
            event = decode_event(kind=response.kind, version=response.version, body=response.body)
            return Outcome(
                actor_id=response.actor_id, seq=response.seq, at_ms=response.at_ms, event=event
            )
        case Refused(refusal=refusal):
            return refusal
        case Reused(key=key):
            return KeyReused(key=key)
        case Heard():
            return Noted()
        case _:
            assert_never(response)


def failure_of(error: BaseException) -> Failed:
    """Return what to send for an error; for a `MovedError` there is a response of its own."""
    match error:
        case OverloadedError(whose=whose, limit=limit):
            failed = Failed("overloaded", whose, limit)
        case UnavailableError(reason=reason):
            failed = Failed("unavailable", reason)
        case OutcomeUnknownError():
            failed = Failed("unknown")
        case QuarantinedError(actor_id=actor_id, why=why):
            failed = Failed("quarantined", why, actor_id)
        case BrokenRuleError(actor_id=actor_id):
            failed = Failed("broken", "", actor_id)
        case _:
            failed = Failed("other", f"{type(error).__name__}: {error}")
    return failed


def error_of(failed: Failed) -> AllocatorError:
    """Return the error that was sent."""
    match failed.error:
        case "overloaded":
            return OverloadedError(whose=failed.text, limit=failed.number)
        case "unavailable":
            return UnavailableError(reason=failed.text)
        case "unknown":
            return OutcomeUnknownError()
        case "quarantined":
            return QuarantinedError(actor_id=failed.number, why=failed.text)
        case "broken":
            return BrokenRuleError(actor_id=failed.number)
        case _:
            return AllocatorError(f"another worker failed: {failed.text}")
