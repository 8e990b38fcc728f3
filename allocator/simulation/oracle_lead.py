"""What is known of one process that has pools hold units: an order of several lines, or a cart."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, TypeAlias, assert_never

from msgspec import structs

from allocator.actors.messages import KeyReused, Noted, Outcome
from allocator.domain import kinds
from allocator.domain.carts import Cart, CartEvent, LineHeld, LineRefused, SetLine
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
    Order,
    OrderAccepted,
    OrderDeclined,
    OrderEvent,
    OrderRequested,
    RequestOrder,
)
from allocator.domain.processes import Answered, stamped
from allocator.domain.queries import CartQuery, CheckoutQuery, LinesQuery, Query, View, look
from allocator.domain.records import Record
from allocator.domain.transfers import LetGo, ProcessLetGo
from allocator.domain.values import Picks
from allocator.simulation import oracle_cart
from allocator.simulation.history import Attempt, Edited, Operation, Ordered
from allocator.simulation.oracle_actor import ActorEvidence, MisplacedEventError
from allocator.simulation.oracle_asks import Seen, Told
from allocator.simulation.oracle_places import ALWAYS, NEVER, Span
from allocator.simulation.oracle_pool import Deed

_FRESH_MS: Final = 1 << 62
"""An ask that was sent then is never stale."""

Lead: TypeAlias = Order | Cart

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
        kind: str,
        rows: Sequence[Record],
        operations: Sequence[Operation],
        wake_at_ms: int | None = None,
    ) -> None:
        self.states: list[Lead] = [Cart() if kind == "cart" else Order()]
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

    @property
    def order(self) -> Order | None:
        """The order that it is, or has become; None if it has not."""
        return self.state.order if isinstance(self.state, Cart) else self.state

    @property
    def unsettled(self) -> str:
        """What it waits for, or nothing."""
        state = self.state
        if isinstance(state, Cart) and state.status == "open" and state.edits:
            return f"edit {state.edits[0].seq}"
        outstanding = state.outstanding or (self.order.outstanding if self.order else 0)
        return f"what it asks since {outstanding}" if outstanding else ""

    def asked_for(self, pool: int, event: Deed) -> Message | None:
        """Return what it has to ask of a pool for this to happen there; None: it never did."""
        if isinstance(event, HoldConfirmed) and not event.held:
            return self._at_once(pool)
        wanted = _ASKED.get(type(event))
        asked = None if wanted is None else self._asks.get((pool, event.step), {}).get(wanted)
        if asked is None:
            return None
        return stamped(asked, process=self.actor_id, sent_at_ms=_FRESH_MS)  # type: ignore[type-var]

    def span_of(self, event: Deed) -> Span:
        """Return when it can have asked for this, and when a client knew what came of it."""
        if not 1 <= event.step <= len(self.spans):
            return Span(ALWAYS, NEVER)
        at_once = isinstance(event, HoldConfirmed) and not event.held
        is_hold = at_once or isinstance(event, UnitsHeld | HoldRefused)
        waited = is_hold and not self._is_void(event.step)
        answered = self.spans[event.step - 1].answered if waited else NEVER
        return Span(self.earliest[event.step], answered)

    def _is_void(self, edit: int) -> bool:
        """Say whether a cart was over before an edit was settled: nobody waited for it then."""
        if isinstance(self.state, Order):
            return False
        settled = (LineHeld, LineRefused)
        return not any(isinstance(event, settled) and event.edit == edit for event in self.events)

    def refused_by(self, pool: int) -> Iterator[tuple[Told, Seen]]:
        """Yield what a pool said that it could not do; asked last, it journals nothing."""
        for seq, (event, state) in enumerate(zip(self.events, self.states[1:], strict=True), 1):
            if not isinstance(event, OrderDeclined) or not isinstance(state, Order):
                continue
            span = self.spans[0]
            for shortage in event.shortages:
                line = state.lines[shortage.line]
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

    def held_at(self, pool: int) -> Picks:
        """Return what it believes to hold at a pool, in the end."""
        state = self.state
        if not isinstance(state, Cart) or state.status != "open":
            return ()
        line = state.line_of(pool)
        return () if line is None else line.picks

    def left_at(self, pool: int) -> int:
        """Return how many units of it are still ordered at a pool, as it believes."""
        if self.order is None:
            return 0
        lines = zip(self.order.lines, self.order.left, strict=False)
        return sum(left for line, left in lines if line.pool == pool)

    def _at_once(self, pool: int) -> Message | None:
        """Return what was asked of a pool by an order that was decided when it was asked for."""
        order = self.states[1] if len(self.states) > 1 else None
        if not isinstance(order, Order) or order.status != "new":
            return None
        lines = tuple(line for line in order.lines if line.pool == pool)
        return RequestOrder(lines=lines) if lines else None

    def enter(self, event: Event, row: Record) -> Message:
        """Take the next event; return what the rules have to be asked for it."""
        before = self.states[-1]
        command: Message
        if isinstance(before, Cart) and isinstance(event, CartEvent):
            command = oracle_cart.command_of(before, event, at_ms=row.at_ms)
        elif isinstance(before, Order) and isinstance(event, OrderEvent):
            command = command_of(before, event)
        else:
            raise MisplacedEventError(f"it does not happen to such a process: {event}")
        state = _copy(before)
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
        if isinstance(command, DispatchLines):
            state = self.states[seq]
            order = state.order if isinstance(state, Cart) else state
            return (command,) if order is None or any(order.left) else (command, DispatchLines())
        return oracle_cart.asks_for(command)

    def fits(self, operation: Operation, answer: Seen) -> bool:
        """Say whether an answer belongs to what was asked, whatever the state."""
        ask = operation.ask
        match answer:
            case View(order=order, cart=cart, checkout=checkout):
                return {
                    LinesQuery: cart is None and checkout is None,
                    CartQuery: cart is not None and order is None,
                    CheckoutQuery: checkout is not None and order is None,
                }.get(type(ask), False)
            case Noted():
                return isinstance(ask, SetLine)
            case KeyReused(key=key):
                return operation.key == key
            case _:
                return oracle_cart.fits(ask, answer)

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
        if isinstance(heard, Edited):
            if (
                any(edit.seq == answer.seq for edit in heard.cart.edits)
                and heard.cart.status == "open"
            ):
                return "that is not settled"
            looked = structs.replace(told.operation, ask=CartQuery(), key=None)
            self.seen.append((Told(looked, told.attempt), View(cart=heard.cart)))
        elif isinstance(heard, Ordered):
            if heard.order.status == "requested":
                return "that is not decided"
            looked = structs.replace(told.operation, ask=LinesQuery(), key=None)
            self.seen.append((Told(looked, told.attempt), View(order=heard.order)))
        return ""

    def span_of_unasked(self, _row: Record, event: Event) -> Span | None:
        """Return when what pools have answered can have been heard; None: a client asked."""
        decided = isinstance(event, OrderAccepted | OrderDeclined) and not event.lines
        if (
            decided
            or isinstance(event, LinesSettled)
            or (isinstance(event, CartEvent) and oracle_cart.is_internal(event))
        ):
            return Span(ALWAYS, NEVER)
        return None


def command_of(order: Order, event: OrderEvent) -> Message:
    """Return what an order has to be told for an event to happen."""
    answered = kinds.intents(order)[:1]
    number = answered[0].number if answered else 0
    command: Message = Answered(number=number, answer=None)
    match event:
        case OrderRequested(lines=lines, customer=customer):
            command = RequestOrder(lines=lines, customer=customer)
        case OrderAccepted(lines=lines) | OrderDeclined(lines=lines) if lines:
            command = RequestOrder(lines=lines, customer=event.customer)
        case OrderAccepted(held=held):
            answers = tuple(
                (line.pool, AlreadyHeld(order=each.order, picks=each.picks))
                for line, each in zip(order.lines, held, strict=False)
            )
            command = Answered(number=number, answer=None, answers=answers)
        case OrderDeclined(shortages=shortages):
            short = tuple(
                (
                    order.lines[each.line].pool,
                    InsufficientStock(requested=each.requested, available=each.available),
                )
                for each in shortages
            )
            command = Answered(number=number, answer=None, answers=short)
        case LinesDispatched(parts=parts):
            command = DispatchLines(parts=parts)
        case LinesCancelled():
            command = CancelLines()
        case LinesSettled():
            pass
        case _:
            assert_never(event)
    return command


def _is_true(state: Lead, ask: Message | Query, answer: Seen) -> bool:
    """Say whether a state would have led to an answer."""
    if isinstance(ask, Query):
        return isinstance(answer, View) and look(state, ask) == answer
    wanted = () if isinstance(answer, Noted) else answer
    if isinstance(state, Order):
        return kinds.decide(state, ask, now_ms=state.last_at_ms) == wanted
    forms = oracle_cart.forms_of(state, ask)
    return any(kinds.decide(state, form, now_ms=now_ms) == wanted for form, now_ms in forms)


def _copy(state: Lead) -> Lead:
    if isinstance(state, Cart) and state.order is not None:
        return structs.replace(state, order=structs.replace(state.order))
    return structs.replace(state)
