"""What is known when a run is over: who asked what, when, what came back, and what was stored."""

from typing import Final, TypeAlias, get_args

import msgspec

from allocator.actors.messages import Answer, KeyReused, Noted, Outcome
from allocator.domain.adjustments import AdjustRefusal
from allocator.domain.carts import Cart, CartRefusal
from allocator.domain.checkouts import CheckoutRefusal
from allocator.domain.feeds import FeedRefusal
from allocator.domain.kinds import Command
from allocator.domain.messages import AlreadyExpired, InsufficientStock, OrderNotOpen
from allocator.domain.moves import Move, SamePlace
from allocator.domain.orders import NotOpen, Order, TooMuch
from allocator.domain.queries import Query, View
from allocator.domain.reconciling import IsFed
from allocator.domain.records import Record
from allocator.domain.transfers import Occupied
from allocator.errors import (
    AllocatorError,
    BrokenRuleError,
    QuarantinedError,
    UnavailableError,
)
from allocator.feeding.ports import Standing
from allocator.simulation.provider import Entry
from allocator.simulation.warehouse import Asked, Told, Warehouse


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
        IsFed,
        *get_args(AdjustRefusal),
        *get_args(FeedRefusal),
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


class Fed(msgspec.Struct, kw_only=True):
    """What is known of a warehouse that has a system of its own.

    Attributes:
        warehouse: That system, with its own truth.
        asked: What was asked of pools, in order.
        told: What they have answered to, in order.
        standings: How far the feed had come, time and again.
        applied: By pool and batch, which of our decreases count as applied in the end.
        at_rest: Whether everything was told, done, said and heard.
    """

    warehouse: Warehouse
    asked: list[Asked]
    told: list[Told]
    standings: list[Standing]
    applied: dict[tuple[int, str | None], int]
    at_rest: bool


class Evidence(msgspec.Struct):
    """Everything that a run is judged by.

    Attributes:
        rows: Of each actor, by seq.
        wakes: When actors want to be woken, as stored; those that do not are missing.
        kinds: Of the actors that came into being with their first row.
        commits: All rows with their transactions, in the order of the tail.
        charges: What the payment provider was asked for.
        fed: About the warehouse that has a system of its own; None if none has.
        hanging: Who still waits at the end, and for what.
        violations: What the parts themselves found to be against their contracts.
    """

    operations: list[Operation]
    rows: dict[int, list[Record]]
    wakes: dict[int, int]
    kinds: dict[int, str] = {}
    commits: list[tuple[int, Record]] = []
    charges: list[Entry] = []
    fed: Fed | None = None
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
