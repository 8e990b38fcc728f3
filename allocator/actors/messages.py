"""What travels between a handler and an actor."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

import msgspec

from allocator.domain.kinds import Event, Message, Refusal, State


class Outcome(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A command succeeded: the event that says so, and its address."""

    actor_id: int
    seq: int
    at_ms: int
    event: Event


class KeyReused(msgspec.Struct, frozen=True, kw_only=True):
    """The Idempotency-Key was used before, for another request."""

    key: str


class Noted(msgspec.Struct, frozen=True):
    """A read was done, or there was nothing to do; and what was seen is still the truth."""


Answer: TypeAlias = Outcome | Refusal | KeyReused | Noted


class Reply(Protocol):
    """Where an answer goes, once; a future, or something that stands for many."""

    def done(self) -> bool:
        """Return whether nobody waits any more."""

    def set_result(self, answer: Answer, /) -> None:
        """Deliver."""

    def set_exception(self, error: Exception, /) -> None:
        """Deliver bad news."""


class Read:
    """Look at the state. The view must copy what it keeps: the state goes on.

    Returns False if it has not seen what it waits for; then it looks again after every event.

    Not a `Struct`: their metaclass makes `isinstance` slow whenever the answer is no.
    """

    __slots__ = ("view",)

    def __init__(self, view: Callable[[State], object]) -> None:
        self.view = view


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One message in a mailbox.

    Attributes:
        reply: None when nobody waits.
        principal: Who asks; "" if nobody does, or it is not known.
        key, request_digest: Under what a success is remembered; no key, not at all.
    """

    ask: Message | Read
    reply: Reply | None = None
    principal: str = ""
    key: str | None = None
    request_digest: bytes | None = None
