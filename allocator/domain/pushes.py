"""What the WMS is told: how much less of each batch it can promise, and what has left.

A pool's own rows say it, so that nothing is told that is not durable, and nothing forgotten that
is. What we are **committed** to of a batch is what is ordered of it, what has left since its pool
was attached, and what is in states that the WMS does not call orderable. A line says by how much
that grew, and what it is then (`after`): the WMS has applied exactly that once it has applied the
push, whatever it heard twice.

Holds are not told: they come and go. They are told when they become orders.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from allocator.domain.adjustments import OrderRepicked, UnitsAdjusted, UnitsRecalled
from allocator.domain.fed import Code
from allocator.domain.holds import HoldConfirmed, HoldRefused, UnitsHeld
from allocator.domain.kinds import Event
from allocator.domain.messages import (
    LotExpired,
    OrderCancelled,
    OrderDispatched,
    OrderPartlyDispatched,
    OrderPlaced,
)
from allocator.domain.reconciling import FeedAttached, FeedDetached, LotReconciled
from allocator.domain.transfers import UnitsSent, UnitsTaken
from allocator.domain.values import Message

HARMLESS: Final = frozenset(
    {
        OrderPlaced,
        OrderCancelled,
        OrderDispatched,
        OrderPartlyDispatched,
        OrderRepicked,
        UnitsHeld,
        HoldRefused,
        HoldConfirmed,
        UnitsSent,
        LotExpired,
    }
)
"""Rows that change nothing about what is reconciled: how many units of a batch there ever were."""


class Line(Message, frozen=True, kw_only=True, array_like=True):
    """What a push says of a batch.

    Attributes:
        decrease: Units promised, less those given back.
        aside: Units that came to states which the WMS does not call orderable, less those that
            left them; a WMS that knows of them by itself has nothing to do.
        shipped: Units that have left, which were promised before, or are in this very push.
        after: What we are committed to, this push included, since the first of all.
    """

    code: Code
    decrease: int = 0
    aside: int = 0
    shipped: int = 0
    after: int


class Push(Message, frozen=True, kw_only=True):
    """What the WMS is told of a pool in one go: all that happened since the push before.

    Attributes:
        lines: Of the batches of which there is anything to tell; no code twice.
    """

    actor_id: int
    lines: tuple[Line, ...]


class Change(NamedTuple):
    """What a row changes about a lot."""

    lot: int
    decrease: int = 0
    aside: int = 0
    shipped: int = 0


class Account(msgspec.Struct, kw_only=True):
    """What the WMS has been, or is to be, told of one pool.

    Attributes:
        turn: The row that attached or detached it last; 0 if none did.
        attached: Whether there is anything to tell.
        excludes: The states that the WMS does not call orderable.
        codes: Of the lots that were there since.
        committed: By code, since the first push of all.
        base: By code, what of that belongs to former attachments. What was open when the pool was
            detached is taken back then; only what had left remains.
        through: The last row that was taken into account.
        changed: The last one that may have changed how many units there ever were of a batch.
        untold: By code, what happened since the last push.
    """

    actor_id: int
    turn: int = 0
    attached: bool = False
    excludes: tuple[str, ...] = ()
    codes: dict[int, Code] = {}
    committed: dict[Code, int] = {}
    base: dict[Code, int] = {}
    through: int = 0
    changed: int = 0
    untold: dict[Code, Change] = {}

    def take(self, rows: Iterable[tuple[int, Event]]) -> None:
        """Take the pool's next rows into account.

        Args:
            rows: (seq, event), ascending; those that were taken before are left out.
        """
        for seq, event in rows:
            if seq <= self.through:
                continue
            self.through = seq
            if type(event) in HARMLESS:  # to match it against classes costs more than all the rest
                self._add(event)
            else:
                self.changed = seq
                self._note_lots(seq, event)
                self._add(event)
                self._note_end(seq, event)

    def push(self) -> Push | None:
        """Return what the WMS is to be told of all that was taken since this was last asked.

        Returns:
            None if it does not concern the WMS.
        """
        lines = tuple(
            Line(
                code=code,
                decrease=change.decrease,
                aside=change.aside,
                shipped=change.shipped,
                after=self.committed[code],
            )
            for code, change in self.untold.items()
            if any(change[1:])
        )
        self.untold = {}
        return Push(actor_id=self.actor_id, lines=lines) if lines else None

    def _add(self, event: Event) -> None:
        if not self.attached:
            return
        untold, committed = self.untold, self.committed
        for change in changes_of(event, self.excludes):
            code = self.codes[change.lot]
            known = untold.get(code)
            untold[code] = change if known is None else _added(known, change)
            committed[code] = committed.get(code, 0) + change.decrease + change.aside

    def _note_lots(self, seq: int, event: Event) -> None:
        match event:
            case FeedAttached(excludes=excludes, lots=lots):
                self.turn, self.attached, self.excludes = seq, True, excludes
                self.codes = {each.lot: each.code for each in lots}
            case LotReconciled(opened=opened, code=code) if opened:
                self.codes[seq] = code
            case UnitsTaken(lot=lot):
                self.codes[seq] = lot.code
            case _:
                pass

    def _note_end(self, seq: int, event: Event) -> None:
        if isinstance(event, FeedDetached):
            self.turn, self.attached, self.base = seq, False, dict(self.committed)


def changes_of(event: Event, excludes: tuple[str, ...]) -> Iterator[Change]:
    """Yield what a row of a pool that is fed means to the WMS."""
    match event:
        case OrderPlaced(picks=picks) | HoldConfirmed(picks=picks):
            yield from (Change(lot, decrease=units) for lot, units in picks)
        case OrderCancelled(picks=picks):
            yield from (Change(lot, decrease=-units) for lot, units in picks)
        case OrderRepicked(returned=returned, added=added):
            yield from (Change(lot, decrease=-units) for lot, units in returned)
            yield from (Change(lot, decrease=units) for lot, units in added)
        case OrderDispatched(picks=picks) | OrderPartlyDispatched(picks=picks):
            yield from (Change(lot, shipped=units) for lot, units in picks)
        case UnitsSent(lots=lots):
            for sent in lots:
                yield Change(sent.origin[1], decrease=sent.quantity, shipped=sent.quantity)
        case FeedAttached(lots=lots):
            yield from (Change(each.lot, each.ordered, each.aside) for each in lots)
        case FeedDetached(lots=lots):
            yield from (Change(each.lot, -each.ordered, -each.aside) for each in lots)
        case _:
            yield from _set_aside(event, excludes)


def _set_aside(event: Event, excludes: tuple[str, ...]) -> Iterator[Change]:
    match event:
        case LotExpired(lot=lot, quantity=units) if "expired" in excludes:
            yield Change(lot, aside=units)
        case UnitsRecalled(lot=lot, state=state, quantity=units) if state in excludes:
            yield Change(lot, aside=units)
        case UnitsAdjusted(changes=changes):
            for lot, source, target, units in changes:
                yield Change(lot, aside=units * ((target in excludes) - (source in excludes)))
        case _:
            pass


def applied(
    pushes: Iterable[tuple[int, Push]], *, through: int, before: dict[Code, int]
) -> dict[Code, int]:
    """Return, by code, what we were committed to in the last push that the WMS has applied.

    Args:
        pushes: (number, push) of one pool, ascending.
        through: The number of the last push that the WMS has applied.
        before: What it was before these pushes.
    """
    known = dict(before)
    for number, push in pushes:
        if number > through:
            break
        known |= {line.code: line.after for line in push.lines}
    return known


def _added(left: Change, right: Change) -> Change:
    return Change(
        0, left.decrease + right.decrease, left.aside + right.aside, left.shipped + right.shipped
    )
