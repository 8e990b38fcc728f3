"""A move: units of a product from one place to another, as its process journals it.

The places are pools. The destination may have to be asked first whether it has room (`expects`),
then units leave the source, then they are taken in; last, both places let go of the process. In
transit are those that have been sent and not yet taken in. A move that one of the places refuses
ends without having changed anything there.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from allocator.domain.messages import InsufficientStock
from allocator.domain.transfers import Occupied, TooManyLots, Transfer
from allocator.domain.values import Message

Reason: TypeAlias = InsufficientStock | Occupied | TooManyLots
"""Why a place said no. They are stored, under their tags: a change is a new version of
`move_refused`."""


# Commands


class RequestMove(Message, frozen=True, tag=True, kw_only=True):
    """Move units; of an actor that is new.

    Attributes:
        source: The actor of the pool from which they come; `destination` likewise.
        from_code: How the source is called by people; `to_code` likewise.
        expects: Whether the destination holds one product at a time.
    """

    product: str
    source: int
    destination: int
    from_code: str
    to_code: str
    quantity: int
    expects: bool


class RepeatMove(Message, frozen=True, tag=True):
    """Units were to be moved to where a warehouse's own system (WMS) says what comes in.

    It stands for the command of a request of which only a repeat may be answered.
    """


# Events


class MoveRequested(Message, frozen=True, kw_only=True):
    """Somebody wants units moved."""

    product: str
    source: int
    destination: int
    from_code: str
    to_code: str
    quantity: int
    expects: bool


class MoveExpected(Message, frozen=True):
    """The destination is there for the product."""


class MoveSent(Message, frozen=True, kw_only=True):
    """The units left the source."""

    lots: tuple[Transfer, ...]


class MoveDone(Message, frozen=True):
    """The units arrived."""


class MoveRefused(Message, frozen=True, kw_only=True):
    """One of the places said no; no unit moved."""

    reason: Reason


class MoveEnded(Message, frozen=True):
    """Every place that was asked has let go."""


MoveEvent: TypeAlias = MoveRequested | MoveExpected | MoveSent | MoveDone | MoveRefused | MoveEnded


# Refusals


class SamePlace(Message, frozen=True, tag=True):
    """Source and destination are one place."""


Stage: TypeAlias = Literal["new", "requested", "expected", "sent", "done", "refused"]
"""What has happened last, but for the end."""

MoveStatus: TypeAlias = Literal["in_transit", "done", "refused"]

_STATUSES: Final[dict[Stage, MoveStatus]] = {"done": "done", "refused": "refused"}


class Move(msgspec.Struct, kw_only=True, array_like=True):
    """The state of a move.

    Attributes:
        version: The seq of the last event, 0 when there is none.
        last_at_ms: The time of the last event, milliseconds of Unix time.
        requested_at_ms: That of the first.
        asked: The last step of which a place was asked; letting go does not count.
        ended: Whether nothing is outstanding, and nothing will ever be.
        request: What was asked for; None before.
        lots: What left the source; empty before.
        reason: Why it was refused, if it was.
        decided_at_ms: When it was done or refused; None before.
    """

    version: int = 0
    last_at_ms: int = 0
    requested_at_ms: int = 0
    stage: Stage = "new"
    asked: int = 0
    ended: bool = False
    request: MoveRequested | None = None
    lots: tuple[Transfer, ...] = ()
    reason: Reason | None = None
    decided_at_ms: int | None = None

    @property
    def status(self) -> MoveStatus:
        """How it is called in the API; whatever is undecided is `in_transit`."""
        return _STATUSES.get(self.stage, "in_transit")
