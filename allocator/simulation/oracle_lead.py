"""What is known of one process that has pools hold units: an order of several lines."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, TypeAlias, assert_never

from msgspec import structs

from allocator.actors.messages import Noted, Outcome
from allocator.domain import kinds
from allocator.domain.holds import (
    AlreadyHeld,
    Confirm,
    Hold,
    HoldConfirmed,
    HoldRefused,
    UnitsHeld,
)
from allocator.domain.kinds import Event, Message
from allocator.domain.messages import InsufficientStock, PlaceOrder
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    LinesCancelled,
    LinesDispatched,
    LinesSettled,
    NotOpen,
    Order,
    OrderAccepted,
    OrderDeclined,
    OrderEvent,
    OrderRequested,
    RequestOrder,
    TooMuch,
)
from allocator.domain.processes import Answered, stamped
from allocator.domain.queries import LinesQuery, Query, View, look
from allocator.domain.records import Record
from allocator.domain.transfers import LetGo, ProcessLetGo
from allocator.domain.values import Picks
from allocator.simulation.history import Attempt, Operation, Ordered
from allocator.simulation.oracle_actor import ActorEvidence, MisplacedEventError
from allocator.simulation.oracle_asks import Seen, Told
from allocator.simulation.oracle_places import ALWAYS, NEVER, Span
from allocator.simulation.oracle_pool import Deed

_FRESH_MS: Final = 1 << 62
"""An ask that was sent then is never stale."""

Lead: TypeAlias = Order

_ASKED: Final[dict[type[Deed], type[Message]]] = {
    UnitsHeld: Hold,
    HoldRefused: Hold,
    HoldConfirmed: Confirm,
    ProcessLetGo: LetGo,
}


class LeadEvidence(ActorEvidence):
    """What is known of one process.

    Attributes:
        states: By version.
        earliest: By version, when it can have come about at the earliest.
    """

    def __init__(
        self,
        actor_id: int,
        *,
        rows: Sequence[Record],
        operations: Sequence[Operation],
        wake_at_ms: int | None = None,
    ) -> None:
        self.states: list[Lead] = [Order()]
        self._asks: defaultdict[tuple[int, int], dict[type[Message], Message]] = defaultdict(dict)
        super().__init__(actor_id, rows=rows, operations=operations, wake_at_ms=wake_at_ms)
        self.earliest = [ALWAYS, *accumulate((span.asked for span in self.spans), max)]

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f"process {self.actor_id}"

    @property
    def state(self) -> Lead:
        """After the last row."""
        return self.states[-1]

    @property
    def wanted_wake_ms(self) -> int | None:
        """When it should be woken, as things stand."""
        return kinds.wake_at(self.state)

    def asked_for(self, pool: int, event: Deed) -> Message | None:
        """Return what it has to ask of a pool for this to happen there; None: it never did."""
        wanted = _ASKED.get(type(event))
        asked = None if wanted is None else self._asks.get((pool, event.step), {}).get(wanted)
        if asked is None:
            return None
        return stamped(asked, process=self.actor_id, sent_at_ms=_FRESH_MS)  # type: ignore[type-var]

    def span_of(self, event: Deed) -> Span:
        """Return when it can have asked for this, and when a client knew what came of it."""
        if not 1 <= event.step <= len(self.spans):
            return Span(ALWAYS, NEVER)
        is_hold = isinstance(event, UnitsHeld | HoldRefused)
        answered = self.spans[event.step - 1].answered if is_hold else NEVER
        return Span(self.earliest[event.step], answered)

    def refused_by(self, pool: int) -> Iterator[tuple[Told, Seen]]:
        """Yield what a pool said that it could not do; asked last, it journals nothing."""
        for seq, event in enumerate(self.events, start=1):
            if not isinstance(event, OrderDeclined):
                continue
            span = self.spans[0]
            for shortage in event.shortages:
                line = self.state.lines[shortage.line]
                if line.pool == pool:
                    ask = PlaceOrder(quantity=shortage.requested, product=line.told)
                    attempt = Attempt(
                        worker=self.name, asked_at=span.asked, answered_at=span.answered
                    )
                    asked = Operation(number=-seq, client=-1, actor_id=pool, ask=ask)
                    answer = InsufficientStock(
                        requested=shortage.requested, available=shortage.available
                    )
                    yield Told(asked, attempt), answer

    def held_at(self, _pool: int) -> Picks:
        """Return what it believes to hold at a pool, in the end."""
        return ()

    def left_at(self, pool: int) -> int:
        """Return how many units of it are still ordered at a pool, as it believes."""
        lines = zip(self.state.lines, self.state.left, strict=False)
        return sum(left for line, left in lines if line.pool == pool)

    def enter(self, event: Event, row: Record) -> Message:
        """Take the next event; return what the rules have to be asked for it."""
        if not isinstance(event, OrderEvent):
            raise MisplacedEventError(f"it does not happen to an order: {event}")
        before = self.states[-1]
        command = command_of(before, event)
        state = structs.replace(before)
        kinds.evolve(state, event, at_ms=row.at_ms)
        self.states.append(state)
        for ask in kinds.intents(state):
            if isinstance(ask.command, Hold | Confirm | LetGo):
                asks = self._asks[ask.actor_id, ask.command.step]
                asks.setdefault(type(ask.command), ask.command)
        return command

    def asks_for(self, seq: int) -> Sequence[Message | Query]:
        """Return what a client may have asked for a row to come of it."""
        command = self.commands[seq - 1]
        if isinstance(command, DispatchLines) and not any(self.states[seq].left):
            return command, DispatchLines()
        return (command,)

    def fits(self, operation: Operation, answer: Seen) -> bool:
        """Say whether an answer belongs to what was asked, whatever the state."""
        ask = operation.ask
        match answer:
            case NotOpen():
                return isinstance(ask, DispatchLines | CancelLines)
            case TooMuch(line=line, requested=requested):
                return isinstance(ask, DispatchLines) and (line, requested) in ask.parts
            case View(order=order):
                return isinstance(ask, LinesQuery) and order is not None
            case _:
                return operation.key is not None and operation.key == getattr(answer, "key", None)

    def first_true(self, operation: Operation, answer: Seen, *, first: int) -> int | None:
        """Return the first version from `first` on at which a fitting answer is true, or None."""
        for version in range(first, len(self.states)):
            if _is_true(self.states[version], operation.ask, answer):
                return version
        return None

    def contradiction(self, told: Told, answer: Outcome) -> str:
        """Say what the journal has against an answer, or nothing."""
        if wrong := super().contradiction(told, answer):
            return wrong
        heard = told.attempt.answer
        if isinstance(heard, Ordered):
            if heard.order.status == "requested":
                return "that is not decided"
            looked = structs.replace(told.operation, ask=LinesQuery(), key=None)
            self.seen.append((Told(looked, told.attempt), View(order=heard.order)))
        return ""

    def span_of_unasked(self, _row: Record, event: Event) -> Span | None:
        """Return when what pools have answered can have been heard; None: a client asked."""
        if isinstance(event, OrderAccepted | OrderDeclined | LinesSettled):
            return Span(ALWAYS, NEVER)
        return None


def command_of(order: Order, event: OrderEvent) -> Message:
    """Return what an order has to be told for an event to happen."""
    answered = kinds.intents(order)[:1]
    number = answered[0].number if answered else 0
    match event:
        case OrderRequested(lines=lines, customer=customer):
            return RequestOrder(lines=lines, customer=customer)
        case OrderAccepted(held=held):
            answers = tuple(
                (line.pool, AlreadyHeld(order=each.order, picks=each.picks))
                for line, each in zip(order.lines, held, strict=False)
            )
            return Answered(number=number, answer=None, answers=answers)
        case OrderDeclined(shortages=shortages):
            short = tuple(
                (
                    order.lines[each.line].pool,
                    InsufficientStock(requested=each.requested, available=each.available),
                )
                for each in shortages
            )
            return Answered(number=number, answer=None, answers=short)
        case LinesDispatched(parts=parts):
            return DispatchLines(parts=parts)
        case LinesCancelled():
            return CancelLines()
        case LinesSettled():
            return Answered(number=number, answer=None)
        case _:
            assert_never(event)


def _is_true(state: Lead, ask: Message | Query, answer: Seen) -> bool:
    """Say whether a state would have led to an answer."""
    if isinstance(ask, Query):
        return isinstance(answer, View) and look(state, ask) == answer
    decided = kinds.decide(state, ask, now_ms=state.last_at_ms)
    return decided == (() if isinstance(answer, Noted) else answer)
