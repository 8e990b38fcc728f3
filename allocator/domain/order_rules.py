"""The rules of an order of several lines: what it asks of pools, and what it makes of the answers.

Pools are asked to hold one after the other, in the same order by everybody. Were they asked at
once, orders of a crowd would refuse each other: each would hold what another one lacks. After the
first refusal the others are only asked whether they could, so that a client hears of all that is
missing.

What is decided later (to dispatch, to cancel) no pool can refuse: the units are the order's. The
process decides, and tells the pools until they have done it.

The step of an ask is the seq of the event that led to it, so that steps ascend whatever the process
did before. To close an order of a pool needs none: that happens once.

A cart that was paid for is such an order from then on: it has one as a part, whose version is kept
equal to its own.
"""

from typing import TypeAlias, assert_never

from allocator.domain.holds import AlreadyHeld, Check, Confirm, Hold, HoldRefused, UnitsHeld
from allocator.domain.messages import (
    AlreadyBegun,
    CancelOrder,
    DispatchOrder,
    InsufficientStock,
    Wake,
)
from allocator.domain.orders import (
    CancelLines,
    DispatchLines,
    Held,
    Line,
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
    Shortage,
    TooMuch,
)
from allocator.domain.processes import AT_ONCE, Answer, Answered, Ask
from allocator.domain.transfers import LetGo
from allocator.domain.values import units_of

Command: TypeAlias = RequestOrder | DispatchLines | CancelLines | Answered | Wake
Refusal: TypeAlias = AlreadyBegun | NotOpen | TooMuch


def accepted(
    *,
    version: int,
    at_ms: int,
    lines: tuple[Line, ...],
    held: tuple[Held, ...],
    customer: str | None,
) -> Order:
    """Return an order of what another process holds, as it is after the event `version` of that."""
    order = Order(
        version=version - 1,
        number=version,
        requested_at_ms=at_ms,
        lines=lines,
        customer=customer,
    )
    evolve(order, OrderAccepted(held=held), at_ms=at_ms)
    return order


def decide(order: Order, command: Command) -> tuple[OrderEvent, ...] | Refusal:
    """Say what `command` would do to `order`, changing nothing.

    Returns:
        The events to journal; none for an answer to what is not asked any more. Or a refusal.
    """
    match command:
        case RequestOrder(lines=lines, customer=customer):
            requested = OrderRequested(lines=lines, customer=customer)
            return AlreadyBegun() if order.version else (requested,)
        case DispatchLines(parts=parts):
            return dispatch(order, parts)
        case CancelLines():
            is_new = order.status == "new"
            return (LinesCancelled(),) if is_new else NotOpen(status=order.status or "")
        case Answered():
            return _hear(order, command)
        case Wake():  # it has woken: whatever it asks is being asked
            return ()
        case _:
            assert_never(command)


def dispatch(
    order: Order, parts: tuple[tuple[int, int], ...]
) -> tuple[LinesDispatched] | NotOpen | TooMuch:
    """Say what becomes of an order of which units are to leave.

    Args:
        order: As it stands.
        parts: (place of the line, units); none for all that is left.
    """
    if order.status not in {"new", "partly_dispatched"}:
        return NotOpen(status=order.status or "")
    wanted = parts or tuple((place, left) for place, left in enumerate(order.left) if left)
    for place, units in wanted:
        if units > order.left[place]:
            return TooMuch(line=place, requested=units, left=order.left[place])
    return (LinesDispatched(parts=wanted, order=order.number),)


def evolve(order: Order, event: OrderEvent, *, at_ms: int) -> None:
    """Apply the next fact; total and deterministic."""
    order.version += 1
    order.last_at_ms = at_ms
    if isinstance(event, LinesSettled):
        _settle(order)
        return
    order.changed_at_ms = at_ms
    order.outstanding = order.version
    match event:
        case OrderRequested(lines=lines, customer=customer):
            order.status = "requested"
            order.requested_at_ms = at_ms
            order.lines, order.customer = lines, customer
        case OrderAccepted(held=held):
            order.status = "new"
            order.confirming = order.version
            _decide_at_once(order, event, at_ms=at_ms)
            order.held = held
            order.left = order.settled = tuple([line.quantity for line in order.lines])
        case OrderDeclined(shortages=shortages):
            order.status = "declined"
            _decide_at_once(order, event, at_ms=at_ms)
            order.shortages = shortages
        case LinesDispatched(parts=parts):
            gone = dict(parts)
            order.left = tuple(left - gone.get(place, 0) for place, left in enumerate(order.left))
            order.status = "partly_dispatched" if any(order.left) else "dispatched"
        case LinesCancelled():
            order.status = "cancelled"
            order.left = tuple(0 for _ in order.left)
        case _:
            assert_never(event)


def _decide_at_once(order: Order, event: OrderAccepted | OrderDeclined, *, at_ms: int) -> None:
    """Take what was not requested before, if it was not: then no pool is to be told anything."""
    if event.lines:
        order.requested_at_ms = at_ms
        order.lines, order.customer = event.lines, event.customer
        order.confirmed = isinstance(event, OrderAccepted)
        order.outstanding = 0


def _settle(order: Order) -> None:
    """What was decided while pools were to confirm is only told to them now."""
    if order.held and not order.confirmed:
        order.confirmed = True
    else:
        order.settled = order.left
    order.outstanding = order.version if order.left != order.settled else 0


def wake_at(order: Order) -> int | None:
    """Return when the order is to be woken: at once, as long as anything is outstanding.

    It is for one that nobody has in memory.
    """
    return AT_ONCE if order.outstanding else None


def has_ended(order: Order) -> bool:
    """Say whether nothing will happen to the order any more."""
    return not order.outstanding and order.status in {"declined", "dispatched", "cancelled"}


def intents(order: Order) -> tuple[Ask, ...]:
    """Return the asks that are outstanding; they belong together."""
    if not order.outstanding:
        return ()
    if order.status == "requested":
        return _holds(order)
    if order.status == "declined":
        asked = order.lines[: order.shortages[0].line + 1]
        return tuple(
            Ask(
                number=order.outstanding,
                actor_id=line.pool,
                command=LetGo(step=order.outstanding),
            )
            for line in asked
        )
    if not order.confirmed:
        return tuple(
            Ask(
                number=order.confirming,
                actor_id=line.pool,
                command=Confirm(step=order.confirming),
            )
            for line in order.lines
        )
    return tuple(_ending(order, place) for place in order.unsettled())


def _holds(order: Order) -> tuple[Ask, ...]:
    return tuple(
        Ask(
            number=order.outstanding,
            actor_id=line.pool,
            command=Hold(step=order.outstanding, quantity=line.quantity, product=line.told),
            in_turn=True,
            otherwise=Check(step=order.outstanding, quantity=line.quantity, product=line.told),
        )
        for line in order.lines
    )


def _ending(order: Order, place: int) -> Ask:
    number, left = order.held[place].order, order.left[place]
    command: DispatchOrder | CancelOrder = DispatchOrder(order=number, leaving=left)
    if order.status == "cancelled":
        command = CancelOrder(order=number)
    return Ask(number=order.outstanding, actor_id=order.lines[place].pool, command=command)


def _hear(order: Order, answered: Answered) -> tuple[OrderEvent, ...]:
    """Return what the answers to everything that is asked mean."""
    asked = intents(order)
    if not asked or asked[0].number != answered.number:
        return ()
    if order.status != "requested":
        return (LinesSettled(order=order.number),)
    said = dict(answered.answers)
    answers = [said.get(line.pool) for line in order.lines]
    shortages = tuple(
        shortage
        for place, answer in enumerate(answers)
        if (shortage := _shortage(place, answer)) is not None
    )
    if shortages:
        return (OrderDeclined(shortages=shortages),)
    held = tuple(held for answer in answers if (held := _held(answer)) is not None)
    if len(held) < len(answers) or any(
        units_of(each.picks) != line.quantity for each, line in zip(held, order.lines, strict=True)
    ):
        return ()  # a bug: ask again, rather than promise what nobody holds
    return (OrderAccepted(held=held),)


def _shortage(place: int, answer: Answer) -> Shortage | None:
    match answer:
        case HoldRefused() | InsufficientStock():
            return Shortage(line=place, requested=answer.requested, available=answer.available)
        case _:
            return None


def _held(answer: Answer) -> Held | None:
    match answer:
        case UnitsHeld(order=order, added=picks) | AlreadyHeld(order=order, picks=picks):
            return Held(order=order, picks=picks)
        case _:
            return None
