"""What happens to units that processes hold, and to orders in parts or lines, in words."""

from collections.abc import Callable, Sequence

from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.messages import OrderPartlyDispatched
from allocator.domain.orders import (
    Line,
    LinesCancelled,
    LinesDispatched,
    LinesSettled,
    OrderAccepted,
    OrderDeclined,
    OrderRequested,
)
from allocator.domain.values import Picks
from allocator.journal.happenings import Meaning


def hold_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    """Return what a row says, or None if it is about something else.

    Args:
        meaning: Of the row.
        plain: Makes a text that came from a client safe to show.
    """
    match meaning:
        case UnitsHeld(quantity=quantity, added=added, returned=returned):
            said = f"holds {quantity} for a process"
            said += f"; took {picked(added)}" if added else ""
            said += f"; gave back {picked(returned)}" if returned else ""
            said += gone(meaning.missing)
        case HoldRefused(requested=requested, available=available):
            said = f"does not hold {requested}: {available} available"
        case HoldConfirmed(quantity=quantity, picks=picks, held=held):
            before = "that were held" if held else "for a process"
            said = f"ordered {quantity} {before}: {picked(picks)}"
        case OrderPartlyDispatched(quantity=quantity, picks=picks, left=left):
            said = f"dispatched {quantity}: {picked(picks)}; {left} stay"
        case _:
            return _order_in_words(meaning, plain=plain)
    return said


def picked(picks: Picks) -> str:
    """Name lots by the row that received them: `5 of #2, 2 of #1`."""
    return ", ".join(f"{units} of #{lot}" for lot, units in picks)


def gone(missing: Picks) -> str:
    """Say which units became no available ones, if any: they stand for missing ones."""
    return f"; {picked(missing)} stand for missing ones" if missing else ""


def _order_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    match meaning:
        case OrderRequested(lines=lines, customer=customer):
            said = f"to order{_whose(lines, customer, plain=plain)}"
        case OrderAccepted(lines=lines, customer=customer) if lines:
            said = f"ordered at once{_whose(lines, customer, plain=plain)}"
        case OrderAccepted():
            said = "ordered: everything is held"
        case OrderDeclined(shortages=shortages, lines=lines, customer=customer):
            short = ", ".join(
                f"{each.available} of {each.requested} for line {each.line + 1}"
                for each in shortages
            )
            what = f" at once{_whose(lines, customer, plain=plain)};" if lines else ":"
            said = f"declined{what} {short}"
        case LinesDispatched(parts=parts):
            gone = ", ".join(f"{units} of line {place + 1}" for place, units in parts)
            said = f"dispatched {gone}"
        case LinesCancelled():
            said = "cancelled"
        case LinesSettled():
            said = "its pools have done what was decided"
        case _:
            return None
    return said


def _whose(lines: Sequence[Line], customer: str | None, *, plain: Callable[[str], str]) -> str:
    whose = "" if customer is None else f" for {plain(customer)}"
    return f"{whose}: {_wanted(lines, plain=plain)}"


def _wanted(lines: Sequence[Line], *, plain: Callable[[str], str]) -> str:
    return ", ".join(
        f"{line.quantity} of {plain(line.product)}@{plain(line.warehouse)}" for line in lines
    )
