"""What a feed makes of a pool, as one who only adds up would keep it."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, assert_never

from allocator.domain.adjustments import EXPIRED, WITHHELD
from allocator.domain.pool import Lot
from allocator.domain.reconciling import (
    FedEvent,
    FeedAttached,
    FeedDetached,
    LotReconciled,
    ShortfallChanged,
)
from allocator.simulation.model_lots import NOTHING, LotModel, Numbers
from allocator.simulation.model_shelf import Shelf

Code: TypeAlias = str | None
Sums: TypeAlias = dict[Code, int]
"""Units by batch; those of which there are none are left out."""

_MORE = Numbers(1, 0, 0)
_LESS = Numbers(-1, 0, 0)
_PAST = Numbers(0, 0, -1)


class Lack(NamedTuple):
    """What a batch is short of, beyond what is set aside: first of what is withheld, and so on.

    Attributes:
        gone: Units that are held, have left, or were never ours.
    """

    withheld: int
    ordered: int
    gone: int


class FeedModel:
    """The batches of a pool that is, or was, fed.

    Attributes:
        feed: The feed's actor; 0 if it is not fed.
        committed, left: What the warehouse's own system should have heard by then, as
            (version, units by batch), and how many of these have left; ascending.
        counted: By version, what is counted of all batches, gone or not.
        there: By version, the batches of which any are on hand.
        promised: By version, units that were promised, have left, or are for sale; only where any
            are for sale, and nothing has to happen before anybody gets them.
        bases: What had left when it was let go of, as (version, units by batch); ascending.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.feed = 0
        self.committed: list[tuple[int, Sums]] = []
        self.left: list[Sums] = []
        self.counted: dict[int, int] = {}
        self.there: dict[int, frozenset[Code]] = {}
        self.promised: dict[int, int] = {}
        self.bases: list[tuple[int, Sums]] = []
        self._shelf = shelf
        self._excludes: tuple[str, ...] = ()
        self._told = 0
        self._before: Counter[Code] = Counter()  # what had left when it was let go of
        self._turns: list[tuple[int, int]] = []

    @property
    def is_due(self) -> bool:
        """Whether others could stand in for missing units, or need not any more."""
        if not self.feed:
            return False
        lacks = [self._lack(code, units) for code, units in self._shelf.short.items() if units > 0]
        missing = sum(lack.withheld for lack in lacks)
        wanted = sum(lack.gone for lack in lacks)
        kept = sum(_withheld(lot) for lot in self._lots()) - missing
        if missing or kept > wanted:
            return True
        is_wanting = kept < wanted or any(lack.ordered for lack in lacks)
        return is_wanting and any(
            lot.numbers[-1].available and not lot.recalled for lot in self._lots()
        )

    @property
    def is_news(self) -> bool:
        """Whether other units are missing than somebody was told of."""
        return bool(self._turns) and self._owed_of_all() != self._told

    @property
    def by_batch(self) -> Sums:
        """What is counted of each batch, gone or not, as things stand."""
        shelf, sums = self._shelf, Counter(self._shelf.left)
        for lot in self._lots():
            sums[lot.code] += lot.on_hand
        sums.subtract(shelf.short)
        return {code: units for code, units in sums.items() if units}

    def attached_from(self, first: int) -> int | None:
        """Return the first version from `first` on at which it is fed, or None."""
        ends = [*(seq for seq, _ in self._turns[1:]), None]
        for (seq, feed), end in zip(self._turns, ends, strict=True):
            if feed and (end is None or first < end):
                return max(first, seq)
        return None

    def enter(self, seq: int, event: FedEvent, *, at_ms: int) -> Numbers:
        """Enter what the feed did; return by how much the numbers of the pool change."""
        shelf = self._shelf
        match event:
            case FeedAttached(feed=feed, excludes=excludes):
                self.feed, self._excludes, shelf.is_fed = feed, excludes, True
            case FeedDetached():
                self._before.update(shelf.left)
                self.bases.append((seq, dict(self._before)))
                self.feed, shelf.is_fed = 0, False
            case LotReconciled():
                return self._reconcile(seq, event, at_ms=at_ms)
            case ShortfallChanged(before=before, short=short):
                if (before, short) != (self._told, self._owed_of_all()):
                    shelf.object(seq, f"says that {short} units are missing, after {before}")
                self._told = short
                return NOTHING
            case _:
                assert_never(event)
        shelf.left.clear()
        shelf.short.clear()
        self._turns.append((seq, self.feed))
        return NOTHING

    def note(self, seq: int) -> None:
        """Know what is to be told as of a version, and what is counted."""
        if not self._turns:
            return
        committed, left = Counter(self._before), Counter(self._before)
        if self.feed:
            for sums in (committed, left):
                sums.update(self._shelf.left)
            for lot in self._lots():
                committed[lot.code] += lot.numbers[-1].ordered + self._aside(lot)
                if lot.numbers[-1].available and self._shelf.short[lot.code]:
                    self._shelf.object(seq, f"has units of {lot.code} for sale, and is short of it")
            self.counted[seq] = sum(self.by_batch.values())
            self.there[seq] = frozenset(lot.code for lot in self._lots())
            self._note_promised(seq)
        self.committed.append((seq, {code: units for code, units in committed.items() if units}))
        self.left.append({code: units for code, units in left.items() if units})

    def _reconcile(self, seq: int, event: LotReconciled, *, at_ms: int) -> Numbers:
        shelf, code, more = self._shelf, event.code, event.opened
        if event.before != (before := self.by_batch.get(code, 0)):
            shelf.object(seq, f"says that there were {event.before} of {code}, and {before} were")
        shelf.short[code] = event.short
        for number, units in event.changes:
            if units < 0:
                shelf.let_leave(seq, ((number, -units),), _LESS, for_good=False)
            else:
                shelf.find(seq, number, units)
            more += units
        gone = sum(units for _, units in event.expired)
        shelf.let_leave(seq, event.expired, _PAST, for_good=False)
        if event.opened:
            received_at_ms = at_ms if event.received_at_ms is None else event.received_at_ms
            shelf.take_in(
                Lot(
                    seq=seq,
                    quantity=event.opened,
                    available=0,
                    code=code,
                    expires_at_ms=event.expires_at_ms,
                    received_at_ms=received_at_ms,
                ),
                None,
            )
        if self.by_batch.get(code, 0) != event.orderable + event.applied:
            shelf.object(seq, f"leaves {self.by_batch.get(code, 0)} of {code}")
        return Numbers(more, 0, -gone)

    def _note_promised(self, seq: int) -> None:
        numbers = [lot.numbers[-1] for lot in self._lots()]
        if any(each.available for each in numbers) and not self.is_due:
            there = sum(each.available + each.ordered + each.held for each in numbers)
            self.promised[seq] = there + sum(self._shelf.left.values())

    def _owed_of_all(self) -> int:
        return sum(self._lack(code, units).ordered for code, units in self._shelf.short.items())

    def _lack(self, code: Code, short: int) -> Lack:
        lots = [lot for lot in self._lots() if lot.code == code]
        left = max(0, short - sum(self._aside(lot) for lot in lots))
        withheld = min(left, sum(_withheld(lot) for lot in lots))
        left -= withheld
        ordered = min(left, sum(lot.numbers[-1].ordered for lot in lots))
        left -= ordered
        held = sum(lot.numbers[-1].held for lot in lots)
        gone = min(left, held + self._shelf.left[code])
        numbers = [lot.numbers[-1] for lot in lots]
        unsold = sum(each.aside + each.expired for each in numbers)
        unsold -= sum(_withheld(lot) + self._aside(lot) for lot in lots)
        return Lack(withheld, ordered, gone + max(0, left - gone - unsold))

    def _aside(self, lot: LotModel) -> int:
        """Return how many units are in states that the warehouse's own system excludes."""
        if not self._excludes:
            return 0
        aside = sum(units for state, units in lot.marks[-1].aside if state in self._excludes)
        return aside + (lot.numbers[-1].expired if EXPIRED in self._excludes else 0)

    def _lots(self) -> Iterator[LotModel]:
        return (lot for lot in self._shelf.lots.values() if lot.on_hand)


def _withheld(lot: LotModel) -> int:
    return sum(units for state, units in lot.marks[-1].aside if state == WITHHELD)
