"""The rules of a pool that is fed: its numbers follow what the warehouse's own system says.

Three guards keep the truth from being raised by what is old or partial. What is not newer than what
changed a batch last says nothing about it. What is older than anything that changed the pool may
lower, and never raise. And units appear only if all batches of the product are stated: what appears
in one may be what has vanished from another, as when the WMS picks another batch than was ordered.

A pool is not attached while a lot of its owes recalled units: those that come back could be the
missing ones as well, and what its orders get instead is of another batch than the WMS was told.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import assert_never

from allocator.domain.fed import Batch, Code, Fed
from allocator.domain.pool import Lot, Pool
from allocator.domain.reconciling import (
    STATEMENT_STALE_MS,
    Committed,
    Detach,
    FedEvent,
    FeedAsked,
    FeedAttached,
    FeedDetached,
    LotReconciled,
    NotFed,
    Reconcile,
    Statement,
    TurnUnknown,
)
from allocator.domain.transfers import Stale
from allocator.domain.values import Picks, first, units_of

_BLANK = Batch()
"""Stands for a batch of which nothing is known; never changed."""


def decide(
    pool: Pool, command: FeedAsked, *, now_ms: int
) -> tuple[FedEvent, ...] | Stale | NotFed | TurnUnknown:
    """Say what a feed's ask would do to `pool`, changing nothing.

    Returns:
        The events to journal, those that lower first; none if nothing differs. Or a refusal; being
        stale comes first.
    """
    if now_ms - command.sent_at_ms > STATEMENT_STALE_MS:
        return Stale(now_ms=now_ms)
    fed = pool.fed
    attached = fed.feed if fed is not None else 0
    is_barred = not attached and pool.recalls and isinstance(command, Reconcile)
    if pool.product is not None or is_barred or attached not in {0, command.process}:
        return NotFed(feed=attached)
    match command:
        case Reconcile(turn=turn):
            known = 0 if fed is None else fed.turn
            return tuple(_heard(pool, command)) if turn == known else TurnUnknown(turn=known)
        case Detach():
            if fed is None or not attached:
                return ()
            committed = _committed(pool, fed.excludes)
            lots = tuple(each for each in committed if each.ordered or each.aside)
            return (FeedDetached(feed=attached, lots=lots),)
        case _:
            assert_never(command)


def evolve(pool: Pool, event: FeedAttached | FeedDetached | LotReconciled, *, at_ms: int) -> None:
    """Apply what happened; the pool's version is that of `event` already."""
    match event:
        case FeedAttached(feed=feed, excludes=excludes):
            told = 0 if pool.fed is None else pool.fed.told
            pool.fed = Fed(feed=feed, turn=pool.version, excludes=excludes, told=told)
        case FeedDetached():
            told = 0 if pool.fed is None else pool.fed.told
            pool.fed = Fed(feed=0, turn=pool.version, excludes=(), told=told)
        case LotReconciled():
            _reconcile(pool, event, at_ms=at_ms)
        case _:
            assert_never(event)


def lots_by_code(pool: Pool) -> dict[Code, list[Lot]]:
    """Return the lots of each batch of which anything is there."""
    lots: dict[Code, list[Lot]] = {}
    for lot in pool.lots.values():
        lots.setdefault(lot.code, []).append(lot)
    return lots


def gross(lots: list[Lot], batch: Batch) -> int:
    """Return what we count of a batch, gone or not."""
    return sum(lot.on_hand for lot in lots) + batch.left - batch.short


def set_aside(lot: Lot, excludes: tuple[str, ...]) -> int:
    """Return how many units of a lot are in states that the WMS does not call orderable."""
    if not excludes:
        return 0
    units = sum(units for state, units in lot.aside if state in excludes)
    return units + lot.expired if "expired" in excludes else units


def _heard(pool: Pool, command: Reconcile) -> Iterator[FedEvent]:
    fed = pool.fed
    if fed is not None and fed.feed:
        yield from _reconciled(pool, fed, command)
    elif command.complete:  # else what was here would be counted beside what the WMS names
        yield _attach(pool, command)
        yield from _reconciled(pool, None, command)


def _attach(pool: Pool, command: Reconcile) -> FeedAttached:
    excludes = tuple(sorted(command.excludes))
    lots = tuple(_committed(pool, excludes))
    return FeedAttached(feed=command.process, excludes=excludes, lots=lots)


def _committed(pool: Pool, excludes: tuple[str, ...]) -> Iterator[Committed]:
    for seq in sorted(pool.lots):
        lot = pool.lots[seq]
        aside = set_aside(lot, excludes)
        yield Committed(lot=seq, code=lot.code, ordered=lot.ordered, aside=aside)


def _reconciled(pool: Pool, fed: Fed | None, command: Reconcile) -> Iterator[LotReconciled]:
    """Yield what differs, the batches that have less first."""
    lots = lots_by_code(pool)
    batches = {} if fed is None else fed.batches
    as_of = 0 if fed is None else fed.as_of
    excludes = command.excludes if fed is None else fed.excludes
    stated = {each.code: each for each in command.lots}
    if command.complete:
        known = dict.fromkeys((*lots, *batches))
        stated |= {code: Statement(code=code) for code in known if code not in stated}
    more = []
    for code, statement in stated.items():
        batch = batches.get(code, _BLANK)
        if command.as_of <= batch.as_of:
            continue
        there = lots.get(code, [])
        expired = () if "expired" in excludes else tuple(_expired(there))
        event = _difference(statement, there, batch, command, expired=expired)
        if event is None:
            continue
        if not _raises(event, batch):
            yield event
        elif command.as_of >= as_of and _may_raise(command, code, lots, batches):
            more.append(event)
    yield from more


def _raises(event: LotReconciled, batch: Batch) -> bool:
    appearing = event.opened + sum(units for _, units in event.changes)
    return appearing > 0 or event.short < batch.short


def _may_raise(
    command: Reconcile, code: Code, lots: dict[Code, list[Lot]], batches: dict[Code, Batch]
) -> bool:
    """Say whether units that appear in a batch cannot be those that vanished from another one.

    Also what has left may be found to have been of another batch.
    """
    if command.complete or command.lowered:
        return True
    gone = (other for other, batch in batches.items() if batch.left)
    return not {*lots, *gone} - {code}


def _difference(
    statement: Statement, lots: list[Lot], batch: Batch, command: Reconcile, *, expired: Picks
) -> LotReconciled | None:
    """Return what changes for a batch, or None if nothing does.

    What the WMS has less is of the expired units first, if it called them orderable: they go sooner
    or later, and nothing else has them go. Else they would be subtracted for ever.
    """
    before = gross(lots, batch)
    more = statement.orderable + statement.applied - (before + batch.short)
    available = sum(lot.available for lot in lots)
    expired = first(expired, -more)
    fewer = max(0, -more - units_of(expired))
    vanished = min(available, fewer)
    short = fewer - vanished
    if more <= 0 and not vanished and not expired and short == batch.short:
        return None
    newest = max(lots, key=attrgetter("seq"), default=None)
    changes: tuple[tuple[int, int], ...] = ()
    if more > 0 and newest is not None:
        changes = ((newest.seq, more),)
    elif vanished:
        changes = tuple(_taken(lots, vanished))
    return LotReconciled(
        feed=command.process,
        as_of=command.as_of,
        code=statement.code,
        orderable=statement.orderable,
        applied=statement.applied,
        before=before,
        opened=more if more > 0 and newest is None else 0,
        changes=changes,
        expired=expired,
        available=available + max(more, 0) - vanished,
        short=short,
        expires_at_ms=statement.expires_at_ms if newest is None else None,
        received_at_ms=statement.received_at_ms if newest is None else None,
    )


def _expired(lots: list[Lot]) -> Iterator[tuple[int, int]]:
    """Yield the units past their date, those that were first."""
    for lot in sorted(lots, key=attrgetter("rank")):
        if lot.expired:
            yield lot.seq, lot.expired


def _taken(lots: list[Lot], units: int) -> Iterator[tuple[int, int]]:
    """Yield what goes from the available units of some lots, from the last to expire first."""
    for lot in sorted(lots, key=attrgetter("rank"), reverse=True):
        part = min(lot.available, units)
        if part:
            yield lot.seq, -part
        units -= part


def _reconcile(pool: Pool, event: LotReconciled, *, at_ms: int) -> None:
    assert pool.fed is not None, "it was attached"
    pool.fed.state(event.code, short=event.short, as_of=event.as_of)
    for seq, units in event.changes:
        if units > 0:
            lot = pool.lots[seq]
            lot.quantity += units
            pool.give_back(lot, units)
        else:
            pool.forget_if_gone(pool.take(seq, -units))
    for seq, units in event.expired:
        lot = pool.lots[seq]
        lot.expired -= units
        pool.expired -= units
        pool.forget_if_gone(lot)
    if event.opened:
        received_at_ms = at_ms if event.received_at_ms is None else event.received_at_ms
        pool.put(
            Lot(
                seq=pool.version,
                quantity=event.opened,
                available=event.opened,
                code=event.code,
                expires_at_ms=event.expires_at_ms,
                received_at_ms=received_at_ms,
            )
        )
