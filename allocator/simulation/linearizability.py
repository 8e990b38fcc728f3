"""Whether what concurrent clients saw could have happened one after the other.

A history is **linearizable** if every operation can be given one instant between its being asked
and its being answered, so that in the order of these instants a sequential machine would have
given the very same answers (Herlihy and Wing 1990). This is Wing and Gong's search for such an
order (1993) with Lowe's memory of what was tried (2017), as `porcupine` does it.

The search is exponential at worst. It is meant for the history of one small thing at a time:
linearizability is local, so things that share no state are searched one by one.
"""

import enum
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

import msgspec

Ask = TypeVar("Ask")
State = TypeVar("State", bound=Hashable)

STEPS_MAX = 1_000_000


class Call(msgspec.Struct, Generic[Ask], frozen=True, kw_only=True):
    """One operation as its client saw it.

    Attributes:
        ask: What was asked and what was answered, in terms of the model.
        asked_ns: On any clock that all calls share.
        answered_ns: None if it never was: then it took effect at any time since, or never.
    """

    ask: Ask
    asked_ns: int
    answered_ns: int | None


class Verdict(enum.Enum):
    """What the search found."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNDECIDED = "undecided"


def search(
    calls: Sequence[Call[Ask]],
    *,
    initial: State,
    step: Callable[[State, Ask], State | None],
    steps_max: int = STEPS_MAX,
) -> Verdict:
    """Look for a sequential order of the calls that explains every answer.

    Args:
        calls: In any order.
        initial: Before the first of them.
        step: The sequential machine: the state after a call with that answer, or None if it
            would not have answered so. Must be a function: no memory, no chance.
        steps_max: After so many steps the search gives up.
    """
    return _Search(calls, initial, step).run(steps_max)


class _Search(Generic[State, Ask]):
    """The timeline is a linked list of askings and answers, from which tried calls are lifted.

    Entry 2i is the asking of call i, entry 2i+1 its answer, and the last entry is both ends.
    """

    def __init__(
        self,
        calls: Sequence[Call[Ask]],
        initial: State,
        step: Callable[[State, Ask], State | None],
    ) -> None:
        self._calls = calls
        self._state = initial
        self._step = step
        self._end = 2 * len(calls)
        self._next = [self._end] * (self._end + 1)
        self._previous = [self._end] * (self._end + 1)
        self._answers_left = sum(call.answered_ns is not None for call in calls)
        self._ordered = 0  # the calls that have their place, as bits
        self._places: list[tuple[int, State]] = []
        # A set of calls that ends in a state has one future, however it came about.
        self._tried: set[tuple[int, State]] = set()
        self._link_all()

    def run(self, steps_max: int) -> Verdict:
        entry = self._next[self._end]
        for _ in range(steps_max):
            if not self._answers_left:
                return Verdict.LINEARIZABLE  # whatever is left was never answered
            if entry % 2:
                # Its asking stands before it and found no place, so an earlier choice was wrong.
                if not self._places:
                    return Verdict.NOT_LINEARIZABLE
                entry = self._next[self._take_back()]
            elif self._place(entry):
                entry = self._next[self._end]
            else:
                entry = self._next[entry]
        return Verdict.UNDECIDED

    def _link_all(self) -> None:
        moments = [(call.asked_ns, 0, 2 * index) for index, call in enumerate(self._calls)]
        # At equal times the asking comes first: nobody can say that the two did not overlap.
        moments += [
            (call.answered_ns, 1, 2 * index + 1)
            for index, call in enumerate(self._calls)
            if call.answered_ns is not None
        ]
        last = self._end
        for _, _, entry in sorted(moments):
            self._next[last], self._previous[entry] = entry, last
            last = entry
        self._next[last], self._previous[self._end] = self._end, last

    def _place(self, entry: int) -> bool:
        """Let the call take effect next; False if it cannot, or if that was tried before."""
        state = self._step(self._state, self._calls[entry // 2].ask)
        if state is None:
            return False
        tried = (self._ordered | 1 << entry // 2, state)
        if tried in self._tried:
            return False
        self._tried.add(tried)
        self._places.append((entry, self._state))
        self._ordered, self._state = tried
        self._lift(entry)
        if self._calls[entry // 2].answered_ns is not None:
            self._lift(entry + 1)
            self._answers_left -= 1
        return True

    def _take_back(self) -> int:
        """Undo the latest choice and return its entry."""
        entry, self._state = self._places.pop()
        self._ordered ^= 1 << entry // 2
        if self._calls[entry // 2].answered_ns is not None:
            self._put_back(entry + 1)
            self._answers_left += 1
        self._put_back(entry)
        return entry

    def _lift(self, entry: int) -> None:
        before, after = self._previous[entry], self._next[entry]
        self._next[before], self._previous[after] = after, before

    def _put_back(self, entry: int) -> None:
        """Undo a `_lift`; entries come back in the opposite order, so neighbours are right."""
        self._next[self._previous[entry]] = entry
        self._previous[self._next[entry]] = entry
