"""What happens to units that travel, in words."""

from collections.abc import Callable, Sequence

from allocator.domain.messages import InsufficientStock
from allocator.domain.moves import (
    MoveDone,
    MoveEnded,
    MoveExpected,
    MoveRefused,
    MoveRequested,
    MoveSent,
    Reason,
)
from allocator.domain.transfers import (
    Occupied,
    ProcessLetGo,
    ProductExpected,
    SendRefused,
    Transfer,
    UnitsSent,
    UnitsTaken,
)
from allocator.journal.happenings import Meaning
from allocator.journal.holds_in_words import gone, picked


def travel_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    """Return what a row says, or None if it is about something else.

    Args:
        meaning: Of the row.
        plain: Makes a text that came from a client safe to show.
    """
    match meaning:
        case UnitsSent(quantity=quantity, lots=lots):
            said = f"sent out {quantity}: {_lots(lots)}"
        case SendRefused(requested=requested, available=available):
            said = f"does not send out {requested}: {available} available"
        case UnitsTaken(lot=lot):
            said = f"took in {lot.quantity} that had been sent out{gone(meaning.missing)}"
        case ProductExpected(product=product):
            said = f"expects {plain(product)}"
        case ProcessLetGo(picks=picks, of_cart=of_cart):
            said = f"let go by a {'cart' if of_cart else 'process that has ended'}"
            said += f"; gave back {picked(picks)}" if picks else ""
            said += gone(meaning.missing)
        case _:
            return _move_in_words(meaning, plain=plain)
    return said


def _move_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    match meaning:
        case MoveRequested():
            said = (
                f"to move {meaning.quantity} of {plain(meaning.product)} "
                f"from {plain(meaning.from_code)} to {plain(meaning.to_code)}"
            )
        case MoveExpected():
            said = "the destination is ready"
        case MoveSent(lots=lots):
            said = f"left the source: {_lots(lots)}"
        case MoveDone():
            said = "arrived"
        case MoveRefused(reason=reason):
            said = f"refused: {_why(reason, plain=plain)}"
        case MoveEnded():
            said = "ended"
        case _:
            return None
    return said


def _lots(lots: Sequence[Transfer]) -> str:
    """Name lots by the row that brought them to where they were."""
    return ", ".join(f"{lot.quantity} of #{lot.origin[1]}" for lot in lots)


def _why(reason: Reason, *, plain: Callable[[str], str]) -> str:
    match reason:
        case InsufficientStock(available=available):
            return f"{available} available"
        case Occupied(product=product):
            return f"occupied by {plain(product)}"
        case _:
            return f"spread over {reason.lots} lots"
