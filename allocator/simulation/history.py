"""What is known when a run is over: who asked what, when, what came back, and what was stored."""

from typing import Final, TypeAlias, get_args

import msgspec

from allocator.actors.messages import Answer, KeyReused, Noted, Outcome
from allocator.domain.adjustments import AdjustRefusal
from allocator.domain.carts import Cart, CartRefusal
from allocator.domain.checkouts import CheckoutRefusal
from allocator.domain.kinds import Command
from allocator.domain.messages import AlreadyExpired, InsufficientStock, OrderNotOpen
from allocator.domain.moves import Move, SamePlace
from allocator.domain.orders import NotOpen, Order, TooMuch
from allocator.domain.queries import Query, View
from allocator.domain.records import Record
from allocator.domain.transfers import Occupied
from allocator.errors import (
    AllocatorError,
    BrokenRuleError,
    QuarantinedError,
    UnavailableError,
)
from allocator.simulation.provider import Entry


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A move was begun, and came to be done or refused."""

    outcome: Outcome
    move: Move


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """An order of several lines was begun, and came to be accepted or declined."""

    outcome: Outcome
    order: Order


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a cart was wanted, and the cart is seen when that was settled."""

    outcome: Outcome
    cart: Cart


Heard: TypeAlias = Answer | Moved | Ordered | Edited | View | AllocatorError

NEWBORN: Final = 0
"""Stands for the actor that comes into being with what is asked: who asks does not choose it."""

_NOTHING_WAS_DONE: Final = frozenset(
    {
        InsufficientStock,
        OrderNotOpen,
        AlreadyExpired,
        Occupied,
        SamePlace,
        NotOpen,
        TooMuch,
        KeyReused,
        Noted,
        View,
        *get_args(AdjustRefusal),
        *get_args(CartRefusal),
        *get_args(CheckoutRefusal),
    }
)


class Attempt(msgspec.Struct):
    """One sending of an operation.

    Attributes:
        worker: Who took it.
        asked_at, answered_at: Moments in true order, all different in one run.
        answer: None if nothing was ever heard.
    """

    worker: str
    asked_at: int
    answered_at: int | None = None
    answer: Heard | None = None

    @property
    def may_have_happened(self) -> bool:
        """Whether a change may have come of it, for all that its client knows."""
        answer = self.answer
        if isinstance(answer, Exception):
            return not isinstance(answer, UnavailableError | QuarantinedError | BrokenRuleError)
        return type(answer) not in _NOTHING_WAS_DONE


class Operation(msgspec.Struct):
    """What one client wants of one actor, or of a new one.

    Attributes:
        number: Of the run, to name it by.
        actor_id: `NEWBORN` for what comes into being with it.
        key: Under which it is repeated until it is answered; without one, a change is asked once.
    """

    number: int
    client: int
    actor_id: int
    ask: Command | Query
    principal: str = ""
    key: str | None = None
    request_digest: bytes = b""
    attempts: list[Attempt] = []


def success_of(attempt: Attempt) -> Outcome | None:
    """Return what an attempt was told to have led to; None if nothing."""
    answer = attempt.answer
    if isinstance(answer, Moved | Ordered | Edited):
        return answer.outcome
    return answer if isinstance(answer, Outcome) else None


class Evidence(msgspec.Struct):
    """Everything that a run is judged by.

    Attributes:
        rows: Of each actor, by seq.
        wakes: When actors want to be woken, as stored; those that do not are missing.
        kinds: Of the actors that came into being with their first row.
        commits: All rows with their transactions, in the order of the tail.
        charges: What the payment provider was asked for.
        hanging: Who still waits at the end, and for what.
        violations: What the parts themselves found to be against their contracts.
    """

    operations: list[Operation]
    rows: dict[int, list[Record]]
    wakes: dict[int, int]
    kinds: dict[int, str] = {}
    commits: list[tuple[int, Record]] = []
    charges: list[Entry] = []
    hanging: list[str] = []
    violations: list[str] = []


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run.

    Attributes:
        failures: What was wrong, each in words that begin with the law and a colon.
        steps: Callbacks that ran.
        digest: Of all that clients were told; the same seed gives the same.
    """

    seed: int
    failures: tuple[str, ...]
    operations: int
    steps: int
    virtual_s: float
    digest: str
