"""What a pool keeps of the warehouse's own system (WMS) that feeds it.

A **batch** is the lots of one code. What is reconciled of it is its *gross* quantity: everything
that ever came and was not lost. It stays the same when units are ordered, held, cancelled or leave,
and when the WMS hears of that; it changes by what happens to the units themselves.
"""

from typing import TypeAlias

import msgspec

Code: TypeAlias = str | None
"""Of a lot; None for the units of which nobody says what batch they are."""


class Batch(msgspec.Struct, gc=False, array_like=True):
    """What is known of the lots of one code, beyond what they say themselves.

    Attributes:
        left: Units that left since the feed was attached: dispatched, moved out, written off.
        short: Units that we count and the WMS does not. While there are any, none is available.
        as_of: Of the last statement that changed anything; below all of them if none has.
    """

    left: int = 0
    short: int = 0
    as_of: int = -1


class Fed:
    """A pool's part in a feed.

    Attributes:
        feed: The feed's actor; 0 when it was detached.
        turn: The seq of the row that attached or detached it. A statement says which it knows of.
        excludes: The states whose units the WMS does not call orderable, once it knows of them.
        as_of: Of the last statement that changed anything.
        batches: By code; only those of which there is anything to say.
        short: Summed over `batches`.
        told: Ordered units that were missing when that was last said in a row of its own.
    """

    __slots__ = ("as_of", "batches", "excludes", "feed", "short", "told", "turn")

    def __init__(self, *, feed: int, turn: int, excludes: tuple[str, ...], told: int = 0) -> None:
        self.told = told
        self.feed = feed
        self.turn = turn
        self.excludes = excludes
        self.as_of = 0
        self.batches: dict[Code, Batch] = {}
        self.short = 0

    def batch(self, code: Code) -> Batch:
        """Return what is known of a batch; a new one is blank, and kept."""
        batch = self.batches.get(code)
        if batch is None:
            batch = self.batches[code] = Batch()
        return batch

    def leave(self, code: Code, units: int) -> None:
        """Note that units have left for good."""
        if self.feed:
            self.batch(code).left += units

    def settle(self, code: Code, units: int) -> None:
        """Have so many units fewer be missing."""
        self.batch(code).short -= units
        self.short -= units

    def state(self, code: Code, *, short: int, as_of: int) -> None:
        """Note what a statement has changed."""
        batch = self.batch(code)
        self.short += short - batch.short
        batch.short, batch.as_of = short, as_of
        self.as_of = max(self.as_of, as_of)

    def dump(self) -> "FedImage":
        """Return everything, for a snapshot; equal ones are dumped alike."""
        codes = sorted(self.batches, key=lambda code: (code is not None, code or ""))
        batches = [(code, self.batches[code]) for code in codes]
        return FedImage(self.feed, self.turn, self.excludes, self.as_of, batches, self.told)


class FedImage(msgspec.Struct, array_like=True):
    """What a snapshot has of it."""

    feed: int
    turn: int
    excludes: tuple[str, ...]
    as_of: int
    batches: list[tuple[Code, Batch]]
    told: int = 0

    def load(self) -> Fed:
        """Return what was dumped."""
        fed = Fed(feed=self.feed, turn=self.turn, excludes=self.excludes, told=self.told)
        fed.as_of = self.as_of
        fed.batches = dict(self.batches)
        fed.short = sum(batch.short for batch in fed.batches.values())
        return fed
