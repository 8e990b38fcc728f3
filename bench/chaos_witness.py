"""A fast proof that a large history is linearizable, with the journal as the witness.

The journal is the order in which effects happened, so nothing has to be searched: each effect
has its slot, and what is left is to find for every refusal and reading a version that it could
have seen. The order is sound if nothing stands before what had been answered when it was asked.
Taking the earliest possible version for each, in the order of asking, finds a placement if there
is one: an earlier version never narrows what is possible for those that follow.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from math import inf
from typing import assert_never

from allocator.simulation.linearizability import Call
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
    wrong = []
    asked_latest_ns = 0
    for version, call in enumerate(effects, start=1):
        asked_latest_ns = max(asked_latest_ns, call.asked_ns)
        if call.answered_ns is not None and call.answered_ns < asked_latest_ns:
            wrong.append(f"seq {version}, {call.ask}, stands behind what was asked after it")
    return wrong


def unexplained(timeline: "Timeline", sightings: Sequence[Call[Sighting]]) -> list[str]:
    """Return each sighting that is true at no version that it could have seen, with the reason.

    Args:
        timeline: Of effects with nothing impossible and no overtakings.
        sightings: In any order; all of them answered.
    """
    wrong = []
    floor = 0  # the latest version seen by anybody who was answered before this one asked
    answered: list[tuple[int, int]] = []
    for call in sorted(sightings, key=lambda call: call.asked_ns):
        assert call.answered_ns is not None
        while answered and answered[0][0] < call.asked_ns:
            floor = max(floor, heapq.heappop(answered)[1])
        first = max(floor, timeline.first_version(call.asked_ns))
        last = timeline.last_version(call.answered_ns)
        version = timeline.seen_at(call.ask, first)
        if version is None or version > last:
            wrong.append(f"{call.ask} was true at no version of {first} to {last}")
        else:
            heapq.heappush(answered, (call.answered_ns, version))
    return wrong


class Timeline:
    """The versions of a pool, from the effects of its journal.

    Attributes:
        impossible: Effects that the pool could not have had, each in a sentence.
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
        # When an effect has happened at the earliest, and at the latest, given its neighbours.
        self._earliest_ns = [call.asked_ns for call in effects]
        self._latest_ns = [_or_never(call.answered_ns) for call in effects]
        for index in range(1, len(effects)):
            self._earliest_ns[index] = max(self._earliest_ns[index - 1 : index + 1])
        for index in reversed(range(len(effects) - 1)):
            self._latest_ns[index] = min(self._latest_ns[index : index + 2])

    def first_version(self, asked_ns: int) -> int:
        """Return the earliest version that could be seen by who asked then."""
        return bisect_left(self._latest_ns, asked_ns)

    def last_version(self, answered_ns: int) -> int:
        """Return the latest version that could be seen by who was answered then."""
        return bisect_right(self._earliest_ns, answered_ns)

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


def _or_never(answered_ns: int | None) -> float:
    return inf if answered_ns is None else answered_ns
