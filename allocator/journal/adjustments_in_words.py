"""What happens to units that are counted anew, set aside or recalled, in words."""

from collections.abc import Callable

from allocator.domain.adjustments import Change, OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.journal.happenings import Meaning
from allocator.journal.holds_in_words import gone, picked


def adjustment_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    """Return what a row says, or None if it is about something else.

    Args:
        meaning: Of the row.
        plain: Makes a text that came from a client safe to show.
    """
    match meaning:
        case UnitsAdjusted():
            said = _adjusted(meaning, plain=plain) + gone(meaning.missing)
        case UnitsRecalled(lot=lot, state=state, quantity=quantity):
            said = f"{quantity} of #{lot} are {plain(state)} now, as they were recalled"
        case OrderRepicked(returned=returned, added=added):
            said = f"repicked: {picked(added)} for {picked(returned)}{gone(meaning.missing)}"
        case _:
            return None
    return said


def _adjusted(event: UnitsAdjusted, *, plain: Callable[[str], str]) -> str:
    parts = [_changed(change, plain=plain) for change in event.changes]
    for lot, state, units in event.recalled:
        what = "recalled" if units > 0 else "no longer recalled"
        parts.append(f"{abs(units)} of #{lot} {what} as {plain(state)}")
    said = f"adjusted ({plain(event.reason)}): {', '.join(parts) or 'nothing differs'}"
    return said if event.reference is None else f"{said}, reference {plain(event.reference)}"


def _changed(change: Change, *, plain: Callable[[str], str]) -> str:
    lot, source, target, units = change
    if source is None:
        return f"found {units} of #{lot}, {plain(target or '')}"
    if target is None:
        return f"wrote off {units} of #{lot}, {plain(source)}"
    return f"{units} of #{lot} {plain(source)} to {plain(target)}"
