"""What a pool remembers of the processes that asked it something.

Until a process lets go: which step was done last and what was answered, since the process may not
have heard. Afterwards, for ten minutes, that it has let go, since asks of its may still be under
way; older ones than that are stale, and refused as such.
"""

from collections import deque
from typing import Final

import msgspec

from allocator.domain.transfers import Transfer
from allocator.domain.values import Picks

RELEASES_KEPT_MS: Final = 600_000
STALE_AFTER_MS: Final = 300_000
"""An ask that was sent longer ago is not executed. Releases are remembered for longer by as much as
the clocks of those who send may be behind the pool's."""

_FORGOTTEN_PER_EVENT: Final = 2  # more than one, so that a backlog gets shorter


class Trace(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What has come of a process so far.

    Attributes:
        step: The last one that was done.
        expects: Whether the product is still to come.
        sent: What left in that step, if it was to send.
        refused: Why nothing did, or was held: requested, available, and lots if these were too
            many.
        taking: The step that is being done, if some of its lots are in and others are not: rows
            of one decision may be stored in two appends, and a crash may come between them.
        taken: How many of its lots are in.
        order: The number that the order will have for which units are held; 0 before any are.
        held: The units that are.
    """

    step: int = 0
    expects: bool = False
    sent: tuple[Transfer, ...] | None = None
    refused: tuple[int, int, int] | None = None
    taking: int = 0
    taken: int = 0
    order: int = 0
    held: Picks = ()


NO_TRACE: Final = Trace()


class Processes:
    """The processes that a pool knows, by actor id.

    Attributes:
        traces: Of those that have not let go.
        released: When the others did, in that order, milliseconds of Unix time.
        expecting: How many of `traces` expect a product.
    """

    __slots__ = ("_oldest", "expecting", "released", "traces")

    def __init__(self) -> None:
        self.traces: dict[int, Trace] = {}
        self.released: dict[int, int] = {}
        self.expecting = 0
        # Of `released`: a dictionary that shrinks from its front finds it ever more slowly.
        self._oldest: deque[int] = deque()

    def trace_of(self, process: int) -> Trace:
        """Return what has come of a process."""
        return self.traces.get(process, NO_TRACE)

    def knows(self, process: int) -> bool:
        """Say whether anything is remembered of a process."""
        return process in self.traces or process in self.released

    def note(self, process: int, trace: Trace) -> None:
        """Remember what has come of a process from now on."""
        former = self.traces.get(process, NO_TRACE)
        self.traces[process] = trace
        self.expecting += trace.expects - former.expects

    def release(self, process: int, *, at_ms: int) -> None:
        """Forget a process, and remember that it let go."""
        former = self.traces.pop(process, NO_TRACE)
        self.expecting -= former.expects
        self.released[process] = at_ms
        self._oldest.append(process)

    def forget_old(self, *, at_ms: int) -> bool:
        """Forget a few that let go long ago; return whether there is anything left to remember."""
        for _ in range(_FORGOTTEN_PER_EVENT):
            if not self._oldest or at_ms - self.released[self._oldest[0]] <= RELEASES_KEPT_MS:
                break
            del self.released[self._oldest.popleft()]
        return bool(self.traces or self.released)

    def dump(self) -> tuple[dict[int, Trace], dict[int, int]]:
        """Return the traces by process, and the releases as they came, for a snapshot."""
        return dict(sorted(self.traces.items())), self.released

    @classmethod
    def load(cls, traces: dict[int, Trace], released: dict[int, int]) -> "Processes":
        """Return what `dump` took."""
        processes = cls()
        processes.traces = traces
        processes.released = released
        processes._oldest.extend(released)
        processes.expecting = sum(trace.expects for trace in traces.values())
        return processes
