"""What clients remember of a soak: every request, when it was sent, and what came back."""

import enum
from typing import TypeAlias, assert_never

import msgspec

from allocator.simulation.linearizability import Call
from bench.chaos_pool import (
    Closed,
    Effect,
    Placed,
    Received,
    SawNumbers,
    SawOrder,
    Sighting,
    WasClosed,
    WasShort,
)


class Kind(enum.Enum):
    """What is asked of a pool."""

    RECEIVE = "receive"
    PLACE = "place"
    DISPATCH = "dispatch"
    CANCEL = "cancel"
    SEE_BALANCE = "see balance"
    SEE_ORDER = "see order"

    @property
    def changes(self) -> bool:
        """Whether it is asked with a key, and again until there is an answer."""
        return self not in {Kind.SEE_BALANCE, Kind.SEE_ORDER}


class _Answer(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A value; its tag is for those who read kept histories."""


class Done(_Answer, frozen=True):
    """It was done; the id is that of the stock or the order."""

    id: str


class TooLittle(_Answer, frozen=True):
    """The order was refused; so much was available."""

    available: int


class NotOpen(_Answer, frozen=True):
    """The order was not new any more."""


class NotNow(_Answer, frozen=True):
    """503: nothing was done, or it is not known."""

    nothing_done: bool


class Numbers(_Answer, frozen=True):
    """A balance."""

    version: int
    available: int
    ordered: int
    on_hand: int


class Shown(_Answer, frozen=True):
    """An order, of which only the status can change."""

    status: str


Answer: TypeAlias = Done | TooLittle | NotOpen | NotNow | Numbers | Shown


class Attempt(msgspec.Struct, gc=False):
    """One request on the wire. Without an answer it was given up, or its connection broke."""

    asked_ns: int
    answered_ns: int | None = None
    answer: Answer | None = None

    @property
    def settles(self) -> bool:
        """Whether the client knows what it wanted to know."""
        return self.answer is not None and not isinstance(self.answer, NotNow)

    @property
    def may_have_acted(self) -> bool:
        """Whether it may have changed something, or may still."""
        match self.answer:
            case None | Done():
                return True
            case NotNow(nothing_done=nothing_done):
                return not nothing_done
            case _:
                return False


class Operation(msgspec.Struct, kw_only=True):
    """What a client wanted, and each attempt at it, one after the other.

    Attributes:
        key: The Idempotency-Key of all attempts; of a reading, just its name.
        order: The key with which the order it is about was placed.
        given_up: Whether the client walked away without having been told.
    """

    key: str
    product: str
    kind: Kind
    quantity: int = 0
    order: str = ""
    given_up: bool = False
    attempts: list[Attempt] = msgspec.field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        """Every id that a success has named: one, or none."""
        return {each.answer.id for each in self.attempts if isinstance(each.answer, Done)}

    def is_settled(self) -> bool:
        """Whether an answer settled it."""
        return any(attempt.settles for attempt in self.attempts)


def effect_of(operation: Operation) -> Effect | None:
    """Return what an operation would do; a reading does nothing."""
    match operation.kind:
        case Kind.RECEIVE:
            return Received(operation.quantity)
        case Kind.PLACE:
            return Placed(operation.key, operation.quantity)
        case Kind.DISPATCH:
            return Closed(operation.order, "dispatched")
        case Kind.CANCEL:
            return Closed(operation.order, "cancelled")
        case Kind.SEE_BALANCE | Kind.SEE_ORDER:
            return None
        case _:
            assert_never(operation.kind)


def effect_call(operation: Operation) -> Call[Effect] | None:
    """Return when an operation took effect, if it may have.

    An attempt that was given up may still be on its way when the next one is refused, and may
    arrive after it: a refusal settles only the attempt that it answers.
    """
    effect = effect_of(operation)
    acting = [attempt for attempt in operation.attempts if attempt.may_have_acted]
    if effect is None or not acting:
        return None
    answers = [
        attempt.answered_ns
        for attempt in acting
        if isinstance(attempt.answer, Done) and attempt.answered_ns is not None
    ]
    return Call(
        ask=effect, asked_ns=acting[0].asked_ns, answered_ns=min(answers) if answers else None
    )


def sighting_calls(operation: Operation) -> list[Call[Sighting]]:
    """Return what an operation's answers claim about the moments they were given."""
    seen = [(attempt, _sighting(operation, attempt.answer)) for attempt in operation.attempts]
    return [
        Call(ask=sighting, asked_ns=attempt.asked_ns, answered_ns=attempt.answered_ns)
        for attempt, sighting in seen
        if sighting is not None
    ]


def _sighting(operation: Operation, answer: Answer | None) -> Sighting | None:
    match answer:
        case None | Done() | NotNow():
            return None
        case TooLittle(available=available):
            return WasShort(operation.quantity, available)
        case NotOpen():
            return WasClosed(operation.order)
        case Numbers(version=version, available=available, ordered=ordered, on_hand=on_hand):
            return SawNumbers(version, available, ordered, on_hand)
        case Shown(status=status):
            return SawOrder(operation.order, status)
        case _:
            assert_never(answer)
