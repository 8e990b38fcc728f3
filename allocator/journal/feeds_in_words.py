"""What happens to feeds, and to pools that are fed, in words."""

from collections.abc import Callable

from allocator.domain.feeds import (
    FeedDeleted,
    FeedEnded,
    FeedPut,
    PartEnded,
    PollBegun,
    PollEnded,
    RunBegun,
    RunEnded,
)
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled, ShortfallChanged
from allocator.journal.happenings import Meaning
from allocator.journal.holds_in_words import picked


def feed_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    """Return what a row says, or None if it is about something else.

    Args:
        meaning: Of the row.
        plain: Makes a text that came from a client safe to show.
    """
    match meaning:
        case FeedAttached(lots=lots):
            said = f"fed from now on, with {sum(each.ordered for each in lots)} ordered"
        case FeedDetached():
            said = "fed no longer"
        case ShortfallChanged(before=before, short=short):
            said = f"{_missing(short)}, after {before}"
        case LotReconciled():
            said = _difference(meaning, plain=plain)
        case FeedPut(url=url):
            said = f"to be fed from {plain(url)}"
        case FeedDeleted():
            said = "to be fed no longer"
        case FeedEnded():
            said = "no pool is fed any more"
        case _:
            return _run_in_words(meaning, plain=plain)
    return said


def _difference(event: LotReconciled, *, plain: Callable[[str], str]) -> str:
    batch = "the units without a code" if event.code is None else plain(event.code)
    said = f"{batch}: {event.orderable} orderable + {event.applied} applied"
    said += f", where we had {event.before}"
    said += f"; gone are {picked(event.expired)}, past their date" if event.expired else ""
    return f"{said}; short of {event.short}" if event.short else said


def _run_in_words(meaning: Meaning, *, plain: Callable[[str], str]) -> str | None:
    match meaning:
        case PollBegun():
            said = "asks for everything"
        case PollEnded(failure=failure):
            said = "nothing new" if failure is None else f"not heard: {plain(failure)}"
        case RunBegun(as_of=as_of, applied_through=through):
            said = f"hears what is there as of {as_of}, applied through {through}"
        case PartEnded(part=part, differences=differences):
            said = f"part {part} heard: {_so_many(differences, 'difference')}"
        case RunEnded(complete=True, lots=lots, differences=differences):
            said = f"all heard: {_so_many(differences, 'difference')} in {_batches(lots)}"
        case RunEnded(failure=failure):
            said = f"not all heard: {plain(failure or 'cut off')}"
        case _:
            return None
    return said


def _missing(short: int) -> str:
    match short:
        case 0:
            return "no ordered unit is missing any more"
        case 1:
            return "1 ordered unit is missing"
        case _:
            return f"{short} ordered units are missing"


def _so_many(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"


def _batches(number: int) -> str:
    return "1 batch" if number == 1 else f"{number} batches"
