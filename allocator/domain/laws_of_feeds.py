"""What must be true of feeds, and of pools that are fed, whoever wrote their rows."""

from collections import Counter
from typing import assert_never

from allocator.domain import shortfalls
from allocator.domain.fed import Batch, Code
from allocator.domain.feeds import (
    Feed,
    FeedDeleted,
    FeedEnded,
    FeedPut,
    PartEnded,
    PollBegun,
    PollEnded,
    RunBegun,
    RunEnded,
)
from allocator.domain.kinds import Event
from allocator.domain.missing import Freeing, freed_by
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconcile_rules import gross, set_aside
from allocator.domain.reconciling import (
    Committed,
    FedEvent,
    FeedAttached,
    FeedDetached,
    LotReconciled,
    ShortfallChanged,
)
from allocator.domain.transfers import UnitsTaken
from allocator.domain.values import units_of


def unlawful(pool: Pool, event: FedEvent) -> str:
    """Say why an event cannot have happened to a pool next, or nothing if it can."""
    match event:
        case FeedAttached(lots=lots, excludes=excludes):
            if pool.is_fed:
                return "it is attached to a feed, and was attached before"
            is_sound = list(lots) == committed_of(pool, excludes)
            return "" if is_sound else "it is attached with other lots than are there"
        case ShortfallChanged():
            return shortfalls.unlawful(pool, event)
        case FeedDetached(lots=lots):
            if pool.fed is None or not pool.is_fed:
                return "it is detached from a feed, and was not attached"
            open_lots = [
                each for each in committed_of(pool, pool.fed.excludes) if each.ordered or each.aside
            ]
            is_sound = list(lots) == open_lots
            return "" if is_sound else "it is detached with other lots than are committed"
        case LotReconciled():
            return _unlawful_difference(pool, event)
        case _:
            assert_never(event)


def unbalanced(pool: Pool) -> str:
    """Say which numbers of a fed pool do not add up, or nothing if all do."""
    if pool.fed is None:
        return ""
    for code, batch in pool.fed.batches.items():
        if min(batch.left, batch.short) < 0:
            return f"batch {code} has {batch.left} units gone and is short of {batch.short}"
    short = sum(batch.short for batch in pool.fed.batches.values())
    return "" if short == pool.fed.short else f"{pool.fed.short} are missing, of batches {short}"


def unlawful_missing(pool: Pool, event: Freeing) -> str:
    """Say why other units that become available cannot stand for missing ones, or nothing.

    The rest of the event is lawful. Of a batch, as many do as are missing, or all.
    """
    if not event.missing and (pool.fed is None or not pool.fed.short):
        return ""
    freed, missing, codes = Counter[Code](), Counter[Code](), _codes_after(pool, event)
    units_of = dict(freed_by(event, seq=pool.version + 1))
    for seq, units in units_of.items():
        freed[codes[seq]] += units
    for seq, units in event.missing:
        if not 0 < units <= units_of.get(seq, 0):
            return f"{units} units of lot {seq} stand for missing ones, and {units_of} come back"
        missing[codes[seq]] += units
    for code, units in freed.items():
        short = 0 if pool.fed is None else pool.fed.batches.get(code, Batch()).short
        if missing[code] != min(short, units):
            return f"{missing[code]} of {units} units stand for missing ones, which are {short}"
    return ""


def _codes_after(pool: Pool, event: Freeing) -> dict[int, Code]:
    codes = {seq: lot.code for seq, lot in pool.lots.items()}
    codes[pool.version + 1] = event.lot.code if isinstance(event, UnitsTaken) else None
    return codes


def committed_of(pool: Pool, excludes: tuple[str, ...]) -> list[Committed]:
    """Return what the WMS has to know of each lot, ascending."""
    return [
        Committed(lot=seq, code=lot.code, ordered=lot.ordered, aside=set_aside(lot, excludes))
        for seq, lot in sorted(pool.lots.items())
    ]


def _unlawful_difference(pool: Pool, event: LotReconciled) -> str:
    fed = pool.fed
    if fed is None or fed.feed != event.feed or not event.feed:
        return f"feed {event.feed} reconciles it, to which it is not attached"
    batch = fed.batches.get(event.code, Batch())
    lots = [lot for lot in pool.lots.values() if lot.code == event.code]
    before = gross(lots, batch)
    if event.as_of <= batch.as_of:
        return f"what is as of {event.as_of} comes after what is as of {batch.as_of}"
    if event.before != before:
        return f"{event.before} units are said to have been there, and {before} were"
    return _unlawful_numbers(event, lots, batch)


def _unlawful_numbers(event: LotReconciled, lots: list[Lot], batch: Batch) -> str:
    available = {lot.seq: lot.available for lot in lots}
    if any(units + available.get(seq, 0) < 0 or not units for seq, units in event.changes):
        return f"{event.changes} come and go, of lots that have {available}"
    if event.changes and not {seq for seq, _ in event.changes} <= available.keys():
        return f"{event.changes} come and go, of lots of another batch"
    past = {lot.seq: lot.expired for lot in lots}
    if any(not 0 < units <= past.get(seq, 0) for seq, units in event.expired):
        return f"{event.expired} past their date are gone, of lots that have {past}"
    more = event.opened + sum(units for _, units in event.changes)
    after = event.before + batch.short + more - units_of(event.expired) - event.short
    if after != event.orderable + event.applied or min(event.short, event.opened) < 0:
        return f"{after} units are there, and {event.orderable + event.applied} are said to be"
    if event.available != sum(available.values()) + more or (event.short and event.available):
        return f"{event.available} units are available, with {event.short} missing"
    return ""


def unlawful_of_feed(feed: Feed, event: Event) -> str:
    """Say why an event cannot have happened to a feed next, or nothing if it can."""
    match event:
        case FeedPut():
            return "" if feed.status != "deleted" else "it is put again, and has not ended"
        case FeedEnded():
            return "" if feed.status == "deleted" else "it has ended, and was not deleted"
        case FeedDeleted() | PollBegun() | PollEnded() | RunBegun() | PartEnded() | RunEnded():
            if feed.status != "on":
                return f"something happens to a feed that is {feed.status or 'not put'}"
            return _unlawful_hearing(feed, event)
        case _:
            return f"{type(event).__name__} does not happen to a feed"


def _unlawful_hearing(
    feed: Feed, event: FeedDeleted | PollBegun | PollEnded | RunBegun | PartEnded | RunEnded
) -> str:
    run = feed.open_run
    match event:
        case PollBegun():
            return "it polls, and a poll is under way" if feed.poll else ""
        case PollEnded(poll=poll):
            return "" if poll == feed.poll else f"poll {poll} ends, which is not under way"
        case RunBegun():
            return _unlawful_run(feed, event)
        case PartEnded(run=number) | RunEnded(run=number):
            is_open = run is not None and run.number == number
            return "" if is_open else f"run {number} goes on, which is not under way"
        case _:
            return ""


def _unlawful_run(feed: Feed, event: RunBegun) -> str:
    if event.poll and event.poll != feed.poll:
        return f"what poll {event.poll} said is heard, and it is not under way"
    last = feed.open_run or feed.completed  # what has failed may have been heard by nobody
    if last is None:
        return ""
    is_older = event.as_of < last.as_of or event.applied_through < last.applied_through
    return f"what is as of {event.as_of} comes after what is as of {last.as_of}" if is_older else ""
