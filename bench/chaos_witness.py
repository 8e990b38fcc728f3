"""A fast proof that a large history is linearizable, with the journal as the witness.

The journal is the order in which effects happened, so nothing has to be searched; why that is
exact is said in `allocator.simulation.oracle_places`. Here are the versions that a pool had, and at
which of them what a client saw was true.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import assert_never

from allocator.simulation.linearizability import Call
from allocator.simulation.oracle_places import NEVER, Span, Windows
from allocator.simulation.oracle_places import Sighting as Seen
from bench.chaos_pool import (
    NEW,
    Closed,
    Effect,
    Placed,
    Received,
    SawNumbers,
    SawOrder,
    Sighting,
    WasClosed,
    WasShort,
)


def overtakings(effects: Sequence[Call[Effect]]) -> list[str]:
    """Return each effect that stands behind one that was asked only after it was answered.

    Args:
        effects: In the order of the journal.
    """
    return [
        f"seq {number}, {effects[number - 1].ask}, stands behind what was asked after it"
        for number in Windows([_span(call) for call in effects]).overtakings()
    ]


def unexplained(timeline: "Timeline", sightings: Sequence[Call[Sighting]]) -> list[str]:
    """Return each sighting that is true at no version that it could have seen, with the reason.

    Args:
        timeline: Of effects with nothing impossible and no overtakings.
        sightings: In any order; all of them answered.
    """
    seen = [Seen(_span(call), partial(timeline.seen_at, call.ask)) for call in sightings]
    return [
        f"{sightings[place].ask} was true at no version of {first} to {last}"
        for place, first, last in timeline.windows.misplaced(seen)
    ]


class Timeline:
    """The versions of a pool, from the effects of its journal.

    Attributes:
        impossible: Effects that the pool could not have had, each in a sentence.
        windows: When each effect happened.
    """

    def __init__(self, effects: Sequence[Call[Effect]]) -> None:
        self.impossible: list[str] = []
        self._numbers = [(0, 0)]  # available and ordered, by version
        self._versions_with: defaultdict[int, list[int]] = defaultdict(list, {0: [0]})
        self._placed: dict[str, tuple[int, int]] = {}  # version and quantity, by order
        self._closed: dict[str, tuple[int, str]] = {}  # version and status, by order
        for version, call in enumerate(effects, start=1):
            available, ordered = self._after(call.ask, version)
            if available < 0:
                self.impossible.append(f"seq {version} sells what is not there")
            self._numbers.append((available, ordered))
            self._versions_with[available].append(version)
        self.windows = Windows([_span(call) for call in effects])

    def seen_at(self, sighting: Sighting, first: int) -> int | None:
        """Return the earliest version from `first` on at which a sighting is true."""
        match sighting:
            case SawNumbers(version=version):
                return version if version >= first and self._shows(sighting) else None
            case WasShort(quantity=quantity, available=available):
                versions = self._versions_with.get(available, [])
                index = bisect_left(versions, first)
                return versions[index] if available < quantity and index < len(versions) else None
            case WasClosed(order=order):
                closed = self._closed.get(order)
                return None if closed is None else max(first, closed[0])
            case SawOrder(order=order, status=status):
                return self._seen_with(order, status, first)
            case _:
                assert_never(sighting)

    def _after(self, effect: Effect, version: int) -> tuple[int, int]:
        available, ordered = self._numbers[-1]
        match effect:
            case Received(quantity=quantity):
                return available + quantity, ordered
            case Placed(order=order, quantity=quantity):
                if order in self._placed:
                    self.impossible.append(f"seq {version} places {order} again")
                self._placed[order] = (version, quantity)
                return available - quantity, ordered + quantity
            case Closed(order=order, status=status):
                if order not in self._placed or order in self._closed:
                    self.impossible.append(f"seq {version} closes {order}, which is not open")
                    return available, ordered
                self._closed[order] = (version, status)
                quantity = self._placed[order][1]
                back = quantity if status == "cancelled" else 0
                return available + back, ordered - quantity
            case _:
                assert_never(effect)

    def _shows(self, seen: SawNumbers) -> bool:
        if seen.version >= len(self._numbers):
            return False
        numbers = self._numbers[seen.version]
        return numbers == (seen.available, seen.ordered) and sum(numbers) == seen.on_hand

    def _seen_with(self, order: str, status: str, first: int) -> int | None:
        closed_at, closed_as = self._closed.get(order, (inf, ""))
        if status != NEW:
            return max(first, int(closed_at)) if status == closed_as else None
        if order not in self._placed:
            return None
        version = max(first, self._placed[order][0])
        return version if version < closed_at else None


def _span(call: Call[Effect] | Call[Sighting]) -> Span:
    return Span(call.asked_ns, NEVER if call.answered_ns is None else call.answered_ns)
