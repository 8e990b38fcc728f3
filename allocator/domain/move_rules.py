"""The rules of a move: what it asks of the two places, and what it makes of their answers.

Asks are numbered by their step. After a crash the recovered move asks again what it does not know
to be answered; the pools see to it that nothing happens twice. There is no way back once the units
have left: nothing but time can then keep the destination from taking them in.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from allocator.domain.messages import AlreadyBegun, InsufficientStock, Refusal, Wake
from allocator.domain.moves import (
    Move,
    MoveDone,
    MoveEnded,
    MoveEvent,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
    RepeatMove,
    RequestMove,
    SamePlace,
)
from allocator.domain.processes import AT_ONCE, Answer, Answered, Ask
from allocator.domain.reconciling import IsFed
from allocator.domain.transfers import (
    AlreadySent,
    Expect,
    LetGo,
    Occupied,
    ProductExpected,
    SendOut,
    SendRefused,
    TakeIn,
    TooManyLots,
    UnitsSent,
    UnitsTaken,
)
from allocator.domain.transit_rules import why_not_sent

EXPECT: Final = 1
SEND_OUT: Final = 2
TAKE_IN: Final = 3
LET_GO: Final = 4


def decide(
    move: Move, command: RequestMove | RepeatMove | Answered | Wake
) -> tuple[MoveEvent, ...] | Refusal | SamePlace:
    """Say what `command` would do to `move`, changing nothing.

    Returns:
        The events to journal; none for an answer to what is not asked any more. Or a refusal.
    """
    match command:
        case RequestMove():
            return _request(move, command)
        case RepeatMove():
            return IsFed()
        case Answered(number=number, answer=answer):
            if number != _outstanding(move):
                return ()
            event = _meaning_of(answer, number=number)
            return () if event is None else (event,)
        case Wake():  # it has woken: whatever it asks is being asked
            return ()
        case _:
            assert_never(command)


def evolve(move: Move, event: MoveEvent, *, at_ms: int) -> None:
    """Apply the next fact; total and deterministic."""
    move.version += 1
    move.last_at_ms = at_ms
    match event:
        case MoveRequested():
            move.request = event
            move.requested_at_ms = at_ms
            move.stage = "requested"
            move.asked = EXPECT if event.expects else SEND_OUT
        case MoveExpected():
            move.stage = "expected"
            move.asked = SEND_OUT
        case MoveSent(lots=lots):
            move.stage = "sent"
            move.lots = lots
            move.asked = TAKE_IN
        case MoveDone():
            move.stage = "done"
            move.decided_at_ms = at_ms
        case MoveRefused(reason=reason):
            move.stage = "refused"
            move.reason = reason
            move.decided_at_ms = at_ms
        case MoveEnded():
            move.ended = True
        case _:
            assert_never(event)


def wake_at(move: Move) -> int | None:
    """Return when the move is to be woken: at once, as long as anything is outstanding.

    It is for one that nobody has in memory.
    """
    return None if _outstanding(move) is None else AT_ONCE


def intents(move: Move) -> tuple[Ask, ...]:
    """Return the asks that are outstanding; they belong together."""
    request, number = move.request, _outstanding(move)
    if request is None or number is None:
        return ()
    source, destination, product = request.source, request.destination, request.product
    match number:
        case 1:
            expect = Expect(step=EXPECT, product=product)
            return (Ask(number=EXPECT, actor_id=destination, command=expect),)
        case 2:
            send = SendOut(step=SEND_OUT, source=source, quantity=request.quantity, product=product)
            return (Ask(number=SEND_OUT, actor_id=source, command=send),)
        case 3:
            take = TakeIn(
                step=TAKE_IN, lots=move.lots, product=product if request.expects else None
            )
            return (Ask(number=TAKE_IN, actor_id=destination, command=take),)
        case _:
            let_go = LetGo(step=LET_GO)
            return tuple(
                Ask(number=LET_GO, actor_id=place, command=let_go)
                for place in _asked(move, request)
            )


def _request(move: Move, command: RequestMove) -> tuple[MoveEvent, ...] | AlreadyBegun | SamePlace:
    if move.version:
        return AlreadyBegun()
    if command.source == command.destination:
        return SamePlace()
    return (
        MoveRequested(
            product=command.product,
            source=command.source,
            destination=command.destination,
            from_code=command.from_code,
            to_code=command.to_code,
            quantity=command.quantity,
            expects=command.expects,
        ),
    )


def _outstanding(move: Move) -> int | None:
    """Return the number of what is asked now."""
    if move.stage in {"done", "refused"}:
        return None if move.ended else LET_GO
    return move.asked or None


def _asked(move: Move, request: MoveRequested) -> Iterator[int]:
    """Yield the places that were ever asked, those that refused included."""
    if move.asked >= SEND_OUT:
        yield request.source
    if move.asked >= TAKE_IN or request.expects:
        yield request.destination


def _meaning_of(answer: Answer, *, number: int) -> MoveEvent | None:
    """Return what the answer to an outstanding ask means.

    None: nothing, and it is asked again. So it is with a stale ask, and with a bug: units that are
    on their way must arrive, whatever the destination says.
    """
    if number == LET_GO:
        return MoveEnded()
    meaning: MoveEvent | None = None
    match answer:
        case ProductExpected() | None if number == EXPECT:  # None: it was done before
            meaning = MoveExpected()
        case UnitsSent(lots=lots) | AlreadySent(lots=lots) if number == SEND_OUT:
            meaning = MoveSent(lots=lots)
        case UnitsTaken(last=True) | None if number == TAKE_IN:
            meaning = MoveDone()
        case SendRefused() if number == SEND_OUT:
            reason = why_not_sent(
                requested=answer.requested, available=answer.available, lots=answer.lots
            )
            meaning = MoveRefused(reason=reason)
        case InsufficientStock() | Occupied() | TooManyLots() if number != TAKE_IN:
            meaning = MoveRefused(reason=answer)
        case _:
            pass
    return meaning
