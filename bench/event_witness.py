"""When each number of a pool was true, with the journal as the witness of the order of events.

Why that is exact is said in `allocator.simulation.oracle_places`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from allocator.simulation.oracle_places import Sighting, Span, Windows
from bench.event_history import Look, Short
from bench.event_ledger import Book


class Timeline:
    """The versions of a pool.

    Args:
        book: Its numbers at each of them.
        spans: When each event was asked for, and when that was answered, in the journal's order.
    """

    def __init__(self, book: Book, spans: Sequence[Span]) -> None:
        self._numbers = book.numbers
        self._windows = Windows(spans)
        self._versions_with: defaultdict[int, list[int]] = defaultdict(list)
        for version, numbers in enumerate(book.numbers):
            self._versions_with[numbers[0]].append(version)

    def overtakings(self) -> list[str]:
        """Return each event that stands behind one that was asked for after its answer."""
        return [
            f"seq {seq} stands behind what was asked for after its answer"
            for seq in self._windows.overtakings()
        ]

    def unexplained(self, looks: Sequence[Look], shorts: Sequence[Short]) -> list[str]:
        """Return what was told that was true at no version that could have been seen."""
        told: list[Look | Short] = [*looks, *shorts]
        sightings = [
            Sighting(Span(each.asked_ns, each.answered_ns), partial(self._first_true, each))
            for each in told
        ]
        return [
            f"{told[place]} was true at no version of {first} to {last}"
            for place, first, last in self._windows.misplaced(sightings)
        ]

    def _first_true(self, told: Look | Short, first: int) -> int | None:
        """Return the earliest version from `first` on at which something is true."""
        if isinstance(told, Look):
            is_true = first <= told.version < len(self._numbers)
            return told.version if is_true and self._numbers[told.version] == told.numbers else None
        versions = self._versions_with.get(told.available, [])
        place = bisect_left(versions, first)
        is_short = told.available < told.requested
        return versions[place] if is_short and place < len(versions) else None
