"""Finds what happened when: whether effects in a given order, and what was seen, fit the clock.

The journal says in which order **effects** happened, so no order has to be searched. Left to find
are a moment for every effect between its being asked and its being answered, ascending, and for
every **sighting** (a read, a refusal, a repeat) a version at which it is true. In linear time, and
exactly:

Let effect i be asked at e[i] and answered at l[i], and sighting j be asked at a[j], answered at
b[j], and see version v[j], that is, effects 1 to v[j]. Moments exist if and only if for every i
each lower bound of effect i is below each of its upper bounds. Its lower bounds are e[k] for
k <= i and a[j] for v[j] < i; its upper bounds are l[m] for m >= i and b[j] for v[j] >= i. (Give
the effects ascending moments between the largest lower and the smallest upper bounds: both ascend
with i. Then sighting j has room between effects v[j] and v[j] + 1.) That is four conditions:

1. e[k] < l[m] for k <= m: nothing stands behind what was asked after it was answered.
2. e[k] < b[j] for k <= v[j]: nobody sees what was not asked yet.
3. a[j] < l[m] for m > v[j]: nobody misses what was answered before.
4. a[j] < b[h], or v[j] >= v[h]: nobody sees less than what another had seen before.

The first is about effects alone. Of the others, only the second bounds v[j] from above. The rest
are lower bounds, of which the fourth grows with the other's version; so if there are versions that
fit, those found by taking the smallest for each sighting, in the order of asking, fit as well:
whoever bounds j from below was answered before j was asked, so its version is already found.
"""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

ALWAYS: Final = -1
"""Asked before everything: by nobody."""

NEVER: Final = 1 << 62
"""Answered after everything: not at all."""


class Span(NamedTuple):
    """From being asked to being answered."""

    asked: int
    answered: int


class Sighting(NamedTuple):
    """Something that was seen.

    Attributes:
        first_true: The smallest version from a given one on at which it is true, or None.
    """

    span: Span
    first_true: Callable[[int], int | None]


class Misplaced(NamedTuple):
    """A sighting that is true at no version of those that it could have seen.

    Attributes:
        place: Which one, as they were given, from 0.
        first, last: What it could have seen.
    """

    place: int
    first: int
    last: int


class Windows:
    """When each effect happened, as narrow as the neighbours make it.

    Args:
        effects: In their order; effect number 1 comes first.
    """

    def __init__(self, effects: Sequence[Span]) -> None:
        self._earliest = list(accumulate((span.asked for span in effects), max))
        latest = list(accumulate((span.answered for span in reversed(effects)), min))
        self._latest = latest[::-1]
        self._effects = effects

    def overtakings(self) -> list[int]:
        """Return the numbers of effects that stand behind what was asked after their answer."""
        return [
            number
            for number, (span, earliest) in enumerate(
                zip(self._effects, self._earliest, strict=True), start=1
            )
            if span.answered < earliest
        ]

    def first_version(self, asked: int) -> int:
        """Return the smallest version that could be seen by who asked then."""
        return bisect_left(self._latest, asked)

    def last_version(self, answered: int) -> int:
        """Return the largest version that could be seen by who was answered then."""
        return bisect_right(self._earliest, answered)

    def misplaced(self, sightings: Sequence[Sighting]) -> list[Misplaced]:
        """Return the sightings that have no version; none if and only if all have one together.

        Whatever has none is left out for those that follow. There are no overtakings.
        """
        wrong = []
        floor = 0  # the largest version seen by anybody who was answered before this one asked
        answered: list[tuple[int, int]] = []
        for index in sorted(range(len(sightings)), key=lambda index: sightings[index].span):
            span, first_true = sightings[index]
            while answered and answered[0][0] < span.asked:
                floor = max(floor, heapq.heappop(answered)[1])
            first = max(floor, self.first_version(span.asked))
            last = self.last_version(span.answered)
            version = first_true(first)
            if version is None or version > last:
                wrong.append(Misplaced(index, first, last))
            else:
                heapq.heappush(answered, (span.answered, version))
        return wrong
